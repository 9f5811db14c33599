"""Tokens of Microsoft's Entra: how they are asked for, and how the answer is read. Pure.

Sources: Microsoft identity platform, "OAuth 2.0 client credentials flow"; Azure Instance Metadata Service, "How to use
managed identities to get an access token".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import attrs

from bifrost.codecs import json
from bifrost.config.secret import Token
from bifrost.dialects.scrub import scrubber
from bifrost.errors import ConfigurationMissing, ErrorClass, UpstreamError
from bifrost.policy.token_sources import ManagedIdentity, Principal
from bifrost.providers.base import UpstreamRequest
from bifrost.providers.place import address_of, place_of
from bifrost.providers.request_headers import USER_AGENT

if TYPE_CHECKING:
    from bifrost.policy.token_sources import TokenSource

__all__ = ["Grant", "read_grant", "token_request"]

METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
METADATA_VERSION = "2018-02-01"

DEFAULT_SCOPE = "/.default"
"""How a scope ends that stands for a whole resource; the metadata service asks for the resource itself."""

LIFETIME_S = 3600.0
"""Of a token whose answer does not tell."""

MAX_LIFETIME_S = 86400.0
MAX_TOKEN = 16384
MAX_TOLD = 300


@attrs.frozen(kw_only=True)
class Grant:
    """A token, and the seconds it is good for from when it was asked for."""

    token: Token
    lifetime_s: float


def token_request(source: TokenSource) -> UpstreamRequest:
    """The request for a token of ``source``. Raises ConfigurationMissing if its address is none."""
    return _login(source) if isinstance(source, Principal) else _metadata(source)


def _login(source: Principal) -> UpstreamRequest:
    path = f"/{quote(source.tenant_id, safe='')}/oauth2/v2.0/token"
    form = {
        "grant_type": "client_credentials",
        "client_id": source.client_id,
        "client_secret": source.client_secret.reveal(),
        "scope": " ".join(source.scopes),
    }
    try:
        address = address_of(place_of(source.authority_host).at(path))
    except ValueError as error:
        raise ConfigurationMissing(f"authority_host: {error}") from None
    return UpstreamRequest(
        method=b"POST",
        origin=address.origin,
        target=address.target,
        headers=(
            (b"host", address.host),
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"accept", b"application/json"),
            (b"user-agent", USER_AGENT),
        ),
        body=urlencode(form).encode("ascii"),
    )


def _metadata(source: ManagedIdentity) -> UpstreamRequest:
    asked = {
        "api-version": METADATA_VERSION,
        "resource": source.scopes[0].removesuffix(DEFAULT_SCOPE),
    }
    if source.client_id:
        asked["client_id"] = source.client_id
    address = address_of(place_of(METADATA))
    return UpstreamRequest(
        method=b"GET",
        origin=address.origin,
        target=address.with_query(urlencode(asked)),
        headers=(
            (b"host", address.host),
            # Proof that whoever asks could set a header: no browser, and nobody who only made us follow a link.
            (b"metadata", b"true"),
            (b"accept", b"application/json"),
            (b"user-agent", USER_AGENT),
        ),
    )


def read_grant(status: int, body: bytes, source: TokenSource) -> Grant:
    """The token in an answer. Raises UpstreamError, whose text holds no secret."""
    try:
        told = json.loads(body)
    except json.InvalidJSON:
        told = None
    members = told if isinstance(told, dict) else {}
    if status != 200:
        raise _refusal(status, members, source)
    token = members.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= MAX_TOKEN:
        raise UpstreamError("the answer holds no token that can be sent", status=502)
    if not token.isprintable() or " " in token:
        raise UpstreamError("the answer holds no token that can be sent", status=502)
    return Grant(token=Token(token), lifetime_s=_lifetime_s(members.get("expires_in")))


def _lifetime_s(value: Any) -> float:  # noqa: ANN401  a JSON value
    """Seconds, from a number (Entra) or a text (the metadata service)."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return LIFETIME_S
    return min(seconds, MAX_LIFETIME_S) if math.isfinite(seconds) and seconds > 0 else LIFETIME_S


def _refusal(status: int, members: dict[str, Any], source: TokenSource) -> UpstreamError:
    scrub = scrubber(source.client_secret if isinstance(source, Principal) else None)
    words = [str(members[name]) for name in ("error", "error_description") if members.get(name)]
    text = scrub(": ".join(words).partition("\n")[0].partition("\r")[0])[:MAX_TOLD]
    error_class = ErrorClass.AUTH if status in {400, 401, 403} else ErrorClass.SERVER
    return UpstreamError(
        f"no token: {status} {text}".rstrip(), status=status, error_class=error_class
    )
