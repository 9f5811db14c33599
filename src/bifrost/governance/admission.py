"""Whether a caller may go to a target at all, limits aside: who he is, and what his virtual key allows. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bifrost.errors import Denial
from bifrost.governance.access import allows_model
from bifrost.governance.model import ALL, Governance, VirtualKey
from bifrost.schema.call import NOBODY, Identity, Operation
from bifrost.values import frozen

if TYPE_CHECKING:
    from bifrost.governance.model import ProviderConfig
    from bifrost.schema.call import Call, Target

__all__ = ["Access", "NoAccess", "access", "holder", "identify", "key_of"]

MODELLESS = frozenset(
    {
        Operation.LIST_MODELS,
        Operation.FILE_UPLOAD,
        Operation.FILE_LIST,
        Operation.FILE_RETRIEVE,
        Operation.FILE_DELETE,
        Operation.FILE_CONTENT,
        Operation.BATCH_CREATE,
        Operation.BATCH_LIST,
        Operation.BATCH_RETRIEVE,
        Operation.BATCH_CANCEL,
        Operation.BATCH_DELETE,
        Operation.BATCH_RESULTS,
    }
)
"""Operations that name no model: of these only the provider is looked at."""


@frozen
class Access:
    """He may. ``include_only`` are the keys that may serve him, ``None`` all."""

    key: VirtualKey | None = None
    include_only: frozenset[str] | None = None


@frozen
class NoAccess:
    """He may not; ``ends_chain`` if no other target would do."""

    error: Denial
    ends_chain: bool


def key_of(governance: Governance, call: Call) -> VirtualKey | None:
    """The virtual key that came with ``call``, if it is known; active or not."""
    found = call.virtual_key_hash
    return governance.by_hash.get(found) if found else None


def identify(governance: Governance, key: VirtualKey | None) -> Identity:
    """Whose ``key`` is."""
    if key is None:
        return NOBODY
    team, customer = governance.owners(key)
    return Identity(
        virtual_key_id=key.id,
        virtual_key_name=key.name,
        team_id=team.id if team else "",
        team_name=team.name if team else "",
        customer_id=customer.id if customer else "",
        customer_name=customer.name if customer else "",
    )


def holder(governance: Governance, call: Call, *, enforce: bool) -> VirtualKey | NoAccess | None:
    """The virtual key that ``call`` is made with, ``None`` if it brings none. ``enforce``: there has to be one that is known."""
    hash_ = call.virtual_key_hash
    key = governance.by_hash.get(hash_) if hash_ else None
    if key is None:
        return _without_key(hash_, enforce=enforce)
    if not key.is_active:
        return NoAccess(Denial("Virtual key is inactive", kind="virtual_key_blocked"), True)
    return key


def access(
    governance: Governance, call: Call, target: Target, *, enforce: bool
) -> Access | NoAccess:
    """What the virtual key of ``call`` says to ``target``. ``enforce``: there has to be one that is known."""
    key = holder(governance, call, enforce=enforce)
    if key is None:
        return Access()
    if isinstance(key, NoAccess):
        return key
    config = key.provider_configs.get(target.provider)
    if config is None:
        text = f"Provider '{target.provider}' is not allowed for this virtual key"
        return NoAccess(Denial(text, kind="provider_blocked"), False)
    if _gives_out_a_key(call) and _is_narrow(governance, key, config):
        text = "The route gives out a key that would work past the limits of this virtual key"
        return NoAccess(Denial(text, kind="model_blocked"), False)
    if not _model_allowed(config, call, target):
        text = f"Model '{target.model}' is not allowed for this virtual key"
        return NoAccess(Denial(text, kind="model_blocked"), False)
    return Access(key, config.include_only)


GRANTS = ("/realtime/client_secrets", "/realtime/sessions", "/chatkit/sessions")
"""Relayed routes whose answer is a key of the provider's, good for some time without the gateway."""


def _gives_out_a_key(call: Call) -> bool:
    return call.relay is not None and call.relay.path.rstrip("/").endswith(GRANTS)


def _is_narrow(governance: Governance, key: VirtualKey, config: ProviderConfig) -> bool:
    """Whether ``key`` is held to anything at this provider."""
    owners = (each.limits for each in governance.owners(key) if each is not None)
    limits = (config.limits, key.limits, *owners)
    return ALL not in config.allowed_models or any(limits)


def _without_key(hash_: str, *, enforce: bool) -> NoAccess | None:
    if enforce:
        text = "virtual key is required. Provide a virtual key via the x-bf-vk header."
        return NoAccess(Denial(text, kind="virtual_key_required", status=401), True)
    if hash_:
        return NoAccess(Denial("Virtual key not found", kind="virtual_key_not_found"), True)
    return None


def _model_allowed(config: ProviderConfig, call: Call, target: Target) -> bool:
    """Whether the model may be asked for. A generation that does not say which one it wants may want any."""
    if target.model:
        return allows_model(config, target.model) and _others_allowed(config, call)
    if call.operation in MODELLESS or call.relay is None:
        return True
    return ALL in config.allowed_models or not call.relay.is_generation


def _others_allowed(config: ProviderConfig, call: Call) -> bool:
    """Whether the models may be asked for that the upstream itself is to go on to: OpenRouter's ``models``, 2026-11."""
    raw = call.members.get("models")
    if raw is None or ALL in config.allowed_models:
        return True
    try:
        others = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return others is None or (
        isinstance(others, list)
        and all(isinstance(each, str) and allows_model(config, each) for each in others)
    )
