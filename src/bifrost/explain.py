"""Says who would serve a call, and why the others would not. Reads the configuration and its certificates; sends nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from bifrost.errors import BadRequest, ConfigurationMissing
from bifrost.governance.admission import NoAccess, access, key_of
from bifrost.governance.policy import Policy
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.openai import OPENAI
from bifrost.policy.balance import chances
from bifrost.policy.eligibility import eligible
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target
from bifrost.transport.choose import upstream_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bifrost.config.settings import Config, ProviderSettings
    from bifrost.policy.eligibility import Eligible

__all__ = ["Explanation", "explain"]


@attrs.frozen(kw_only=True)
class Wish:
    """A call, as far as eligibility goes by it."""

    model: str
    operation: Operation = Operation.CHAT
    pin_id: str | None = None
    pin_name: str | None = None
    include_only: frozenset[str] | None = None


@attrs.frozen
class Explanation:
    """Lines of text, and whether anybody would serve the call."""

    lines: tuple[str, ...]
    is_served: bool = True

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def after(self, *lines: str) -> Explanation:
        return attrs.evolve(self, lines=(*lines, *self.lines))


def _refused(reason: str, *lines: str) -> Explanation:
    return Explanation((f"refused: {reason}", *lines), is_served=False)


def explain(config: Config, model: str, headers: Sequence[tuple[str, str]]) -> Explanation:
    """What a chat request for ``model`` to the OpenAI surface with ``headers`` would meet, in lines of text."""
    policy = Policy.of(config, datetime.now(UTC).date())
    catalog = policy.table.catalog
    lower = tuple((_encoded(name.lower()), _encoded(value)) for name, value in headers)
    try:
        caller = HeaderRules.of(config.client, policy.table.rules.mentions).read(lower, "")
    except BadRequest as error:
        return _refused(error.message)
    default = OPENAI.default_provider
    is_open = caller.own_key(default) is not None or default in catalog.available
    target = catalog.parse(model, default if is_open else "")
    if not target.provider and not catalog.defers:
        return _refused(_nobodys(model, default))
    if not target.model.strip():
        return _refused("model is required")
    call, lines = _governed(policy, target, caller)
    target = call.target
    allowed = access(policy.governance, call, target, enforce=policy.enforce)
    if isinstance(allowed, NoAccess):
        return _refused(allowed.error.message, *lines)
    if not target.provider:
        return _refused(_nobodys(model, default), *lines)
    found = _keys(config, target, call.caller, allowed.include_only)
    return found.after(*lines, f"provider  {target.provider}", f"model     {target.model}")


def _nobodys(model: str, default: str) -> str:
    return f"provider is required; {default} has no usable key, and {model} names no other provider"


def _governed(policy: Policy, target: Target, caller: Caller) -> tuple[Call, list[str]]:
    """The call as rules and weights send it when nothing is used up yet, and what there is to say of that.

    Where they draw lots, it is one draw of many.
    """
    call = Call(id="", operation=Operation.CHAT, stream=False, target=target, caller=caller)
    key, lines = key_of(policy.governance, call), []
    if key is not None:
        state = "" if key.is_active else "  (inactive)"
        lines.append(f"virtual   {key.name}{state}")
        call = attrs.evolve(call, identity=policy.identity_of(key))
    routed = policy.table.route(
        call, key if key and key.is_active else None, used=lambda _: 0.0, draw=0.0
    )
    lines += [f"routing   {text}" for text in routed.routing.log]
    lines += [f"fallback  {each.provider}/{each.model}" for each in routed.fallbacks]
    return routed.applied(call), lines


def _encoded(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _keys(
    config: Config, target: Target, caller: Caller, include_only: frozenset[str] | None
) -> Explanation:
    settings = config.providers.get(target.provider)
    if settings is None:
        return _refused(f"failed to get config for provider: {target.provider}")
    try:
        build_adapter(settings)
        upstream_for(settings)
    except ConfigurationMissing as error:
        return _refused(error.message)
    if caller.own_key(target.provider) is not None:
        return Explanation(("key       the caller's own, as it came",))
    wish = Wish(
        model=target.model,
        pin_id=caller.key_id,
        pin_name=caller.key_name,
        include_only=include_only,
    )
    found = eligible(settings, wish)
    names = {key.id: key.name for key in settings.keys}
    others = [f"not       {names.get(each, each)}: {why}" for each, why in found.reasons.items()]
    if not found.keys:
        return _refused("no key is eligible", *others)
    return Explanation((*_shares(found), *others, *_hedge(settings, found)))


def _shares(found: Eligible) -> Iterator[str]:
    rotation = found.rotation()
    shares = (
        dict(zip((k.id for k in rotation), chances([k.weight for k in rotation]), strict=True))
        if rotation
        else {}
    )
    for key in found.keys:
        share = shares.get(key.id, 0.0)
        yield f"key       {key.name}  {share:.1%}  (weight {key.weight:g})"


def _hedge(settings: ProviderSettings, found: Eligible) -> Iterator[str]:
    # Only what is eligible can be raced: a pinned key has no company.
    if settings.hedge_after_ms is not None and len(found.keys) > 1:
        yield f"hedge     a second key after {settings.hedge_after_ms} ms of silence"
