"""The three nouns that there is one of, client, framework and auth, between the API and the store. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.config.bodies import is_reference
from bifrost.config.defaults import with_defaults
from bifrost.config.faults import ConfigError, ConfigErrors
from bifrost.config.redaction import shown, shown_secret
from bifrost.config.section_checks import BCRYPT
from bifrost.management.amending import amended

if TYPE_CHECKING:
    from bifrost.config.nouns import Body

__all__ = [
    "PARTS",
    "auth_object",
    "client_object",
    "framework_object",
    "new_password",
    "part_body",
]

PARTS = {"client_config": "client", "framework_config": "framework", "auth_config": "auth"}
"""Members of ``/api/config`` and the kinds of their nouns."""

PRICING = ("pricing_url", "pricing_sync_interval")
"""Of a framework, told without the section they stand in."""

MAX_BYTES = 500
"""Of a name and of a password: both together are less than a login looks at."""

BOTH = "auth username and password must be provided"


def client_object(body: Body) -> dict[str, Any]:
    """With every default written out."""
    return with_defaults("client", shown("client", body))


def framework_object(body: Body) -> dict[str, Any]:
    """Flat, as callers know it."""
    pricing = with_defaults("framework", {"pricing": {}, **shown("framework", body)})["pricing"]
    return {name: pricing.get(name) for name in PRICING}


def auth_object(body: Body) -> dict[str, Any]:
    """With nothing of the password, but for the name of the variable it comes from."""
    told = {"admin_password": shown_secret(""), **shown("auth", body)}
    return with_defaults("auth", told)


def part_body(kind: str, sent: Body, present: Body) -> dict[str, Any]:
    """The body of a part after what was ``sent``. A new password is in it as it came.

    Raises ConfigErrors, also for a login that is on without a name or a password.
    """
    body = amended(kind, present, _nested(sent) if kind == "framework" else sent)
    if kind == "auth":
        _refuse_useless(body)
    return body


def new_password(body: Body, present: Body) -> str | None:
    """The password to be hashed: one that is new, and no reference. A bcrypt hash is left for the check to refuse."""
    password = body.get("admin_password")
    if not isinstance(password, str) or not password or is_reference(password):
        return None
    if BCRYPT.fullmatch(password):
        return None
    return password if password != present.get("admin_password") else None


def _refuse_useless(auth: Body) -> None:
    """Raise ConfigErrors for a login that nobody could use."""
    name, password = auth.get("admin_username"), auth.get("admin_password")
    if auth.get("is_enabled") and not (name and password):
        raise ConfigErrors([ConfigError("", "a login that nobody can use", BOTH)])
    for member, text in (("admin_username", name), ("admin_password", password)):
        if isinstance(text, str) and len(text.encode()) > MAX_BYTES:
            raise ConfigErrors([ConfigError(member, "a long text", f"{MAX_BYTES} bytes at most")])


def _nested(sent: Body) -> dict[str, Any]:
    """With what is told flat back in its section."""
    flat = {name: sent[name] for name in PRICING if name in sent}
    rest = {name: value for name, value in sent.items() if name not in PRICING}
    inside = rest.get("pricing")
    if not flat or not isinstance(inside, dict | None):
        return rest
    return {**rest, "pricing": {**(inside or {}), **flat}}
