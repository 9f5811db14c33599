"""Providers and keys between the API and their nouns. Pure.

A provider's object has no keys; they have routes of their own. What an answer tells besides the body (``status``,
``config_hash``) may be sent back, and means nothing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from bifrost.config.bodies import content
from bifrost.config.defaults import with_defaults
from bifrost.config.faults import ConfigError, ConfigErrors
from bifrost.config.names import KEYLESS, MAY_BE_BLANK
from bifrost.config.redaction import shown
from bifrost.management.amending import amended

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.nouns import Body, Noun

__all__ = [
    "is_keyless",
    "key_body",
    "key_object",
    "provider_body",
    "provider_object",
    "refuse_blank",
]

TOLD = ("provider_status", "status", "description", "config_hash", "state")
"""Members of an answer that are none of the body."""


def provider_object(noun: Noun, standing: Mapping[str, object]) -> dict[str, Any]:
    """A provider as an answer has it. ``standing`` is what is known of it besides."""
    body = with_defaults("provider", shown("provider", noun.body))
    del body["keys"]
    return {"name": noun.id, **body, **standing, "config_hash": _hash("provider", body)}


def provider_body(name: str, sent: Body, present: Body) -> dict[str, Any]:
    """The body of provider ``name`` after what was ``sent``. Raises ConfigErrors."""
    change = {member: value for member, value in sent.items() if member not in TOLD}
    for member in ("name", "provider"):
        _refuse_other(change, member, name)
    if change.pop("keys", None):
        allowed = f"no keys here: they are changed at /api/providers/{name}/keys"
        raise ConfigErrors([ConfigError("keys", "a list of keys", allowed)])
    return amended("provider", present, change)


def key_object(noun: Noun, standing: Mapping[str, object]) -> dict[str, Any]:
    """A key as an answer has it."""
    body = with_defaults("key", shown("key", noun.body))
    if noun.body.get("models") is None:
        # Where there are deployments, it is these that it serves if it does not say so.
        body["models"] = [] if _has_deployments(body) else ["*"]
    return {**body, "id": noun.id, **standing, "config_hash": _hash("key", body)}


def key_body(provider: str, key_id: str, sent: Body, present: Body) -> dict[str, Any]:
    """The body of a key after what was ``sent``. Raises ConfigErrors."""
    change = {member: value for member, value in sent.items() if member not in TOLD}
    _refuse_other(change, "provider", provider)
    _refuse_other(change, "id", key_id)
    return {**amended("key", present, change), "id": key_id, "provider": provider}


def is_keyless(body: Body) -> bool:
    """Whether keys have no meaning for the provider of this body."""
    custom = body.get("custom_provider_config")
    return isinstance(custom, dict) and custom.get("is_key_less") is True


def refuse_blank(provider: str, of_provider: Body, key: Body) -> None:
    """Raise ConfigErrors for a key without a value, where it needs one, or of a provider that is called without."""
    if is_keyless(of_provider):
        allowed = "no keys: the provider is called without (is_key_less)"
        raise ConfigErrors([ConfigError("", "a key", allowed)])
    custom = of_provider.get("custom_provider_config")
    base = custom.get("base_provider_type") if isinstance(custom, dict) else provider
    if not key.get("value") and base not in KEYLESS | MAY_BE_BLANK:
        raise ConfigErrors([ConfigError("value", "nothing", "the credential, or env.NAME")])


def _has_deployments(key: Body) -> bool:
    return any(isinstance(each, dict) and each.get("deployments") for each in key.values())


def _refuse_other(change: dict[str, Any], member: str, wanted: str) -> None:
    """Take out what the path says already. Raises ConfigErrors if it says something else."""
    said = change.pop(member, wanted)
    if said != wanted and not (isinstance(said, str) and said.strip().lower() == wanted):
        raise ConfigErrors([ConfigError(member, "another name", f"{wanted}, as the path has it")])


def _hash(kind: str, told: Body) -> str:
    """Of what may be seen, defaults and all: so it says nothing of a secret, and what is sent back as it was told has the same."""
    return hashlib.sha256(content(kind, told)).hexdigest()
