"""Tokens of Microsoft's Entra: how they are asked for, and how the answer is read. Pure.

Sources: Microsoft identity platform, "OAuth 2.0 client credentials flow"; Azure Instance Metadata Service, "How to use
managed identities to get an access token".
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from bifrost.policy.token_sources import ManagedIdentity, Principal
from bifrost.providers.login_steps import (
    Ask,
    Grant,
    asked,
    lifetime_s,
    members_of,
    posted,
    refusal,
    sendable,
)

if TYPE_CHECKING:
    from bifrost.providers.base import UpstreamRequest
    from bifrost.providers.login_steps import Here, Login

__all__ = ["log_in", "read_grant", "token_request"]

METADATA = "http://169.254.169.254/metadata/identity/oauth2/token"
METADATA_VERSION = "2018-02-01"

DEFAULT_SCOPE = "/.default"
"""How a scope ends that stands for a whole resource; the metadata service asks for the resource itself."""


def log_in(source: Principal | ManagedIdentity, here: Here) -> Login:  # noqa: ARG001  others go by it
    """One step: ask, and read the answer."""
    answer = yield Ask(token_request(source), is_local=isinstance(source, ManagedIdentity))
    return read_grant(answer.status, answer.body, source)


def token_request(source: Principal | ManagedIdentity) -> UpstreamRequest:
    """The request for a token of ``source``. Raises ConfigurationMissing if its address is none."""
    return _login(source) if isinstance(source, Principal) else _metadata(source)


def _login(source: Principal) -> UpstreamRequest:
    form = {
        "grant_type": "client_credentials",
        "client_id": source.client_id,
        "client_secret": source.client_secret.reveal(),
        "scope": " ".join(source.scopes),
    }
    base, tenant = source.authority_host.rstrip("/"), quote(source.tenant_id, safe="")
    return posted(f"{base}/{tenant}/oauth2/v2.0/token", form, what="authority_host")


def _metadata(source: ManagedIdentity) -> UpstreamRequest:
    wanted = {
        "api-version": METADATA_VERSION,
        "resource": source.scopes[0].removesuffix(DEFAULT_SCOPE),
    }
    if source.client_id:
        wanted["client_id"] = source.client_id
    # The header proves that whoever asks could set one: no browser, and nobody who only made us follow a link.
    return asked(
        f"{METADATA}?{urlencode(wanted)}", what="metadata", headers=(("metadata", "true"),)
    )


def read_grant(status: int, body: bytes, source: Principal | ManagedIdentity) -> Grant:
    """The token in an answer. Raises UpstreamError, whose text holds no secret."""
    members = members_of(body)
    if status != 200:
        words = (members.get("error"), members.get("error_description"))
        secret = source.client_secret if isinstance(source, Principal) else None
        raise refusal(status, words, (secret,))
    return Grant(
        token=sendable(members.get("access_token")),
        lifetime_s=lifetime_s(members.get("expires_in")),
    )
