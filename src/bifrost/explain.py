"""Says who would serve a call, and why the others would not. Reads the configuration and its certificates; sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.catalog import Catalog
from bifrost.errors import BadRequest, ConfigurationMissing
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.openai import OPENAI
from bifrost.policy.balance import chances
from bifrost.policy.eligibility import eligible
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Caller, Operation, Target
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
    catalog = Catalog.of(config)
    lower = tuple((_encoded(name.lower()), _encoded(value)) for name, value in headers)
    try:
        caller = HeaderRules.of(config.client).read(lower, "")
    except BadRequest as error:
        return _refused(error.message)
    default = OPENAI.default_provider
    is_open = caller.own_key(default) is not None or default in catalog.available
    target = catalog.parse(model, default if is_open else "")
    if not target.provider:
        return _refused(
            f"provider is required; {default} has no usable key, and {model} names no other provider"
        )
    if not target.model.strip():
        return _refused("model is required")
    found = _keys(config, target, caller)
    return found.after(f"provider  {target.provider}", f"model     {target.model}")


def _encoded(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def _keys(config: Config, target: Target, caller: Caller) -> Explanation:
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
    wish = Wish(model=target.model, pin_id=caller.key_id, pin_name=caller.key_name)
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
