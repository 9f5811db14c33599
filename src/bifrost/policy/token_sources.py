"""Where a key's short-lived token comes from, for keys whose own value is not what is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.config.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.config.settings import KeySettings

__all__ = ["ManagedIdentity", "Principal", "TokenSource", "token_source", "token_sources"]

AZURE_SCOPES = ("https://cognitiveservices.azure.com/.default",)


@attrs.frozen(kw_only=True)
class Principal:
    """A service principal of Entra, which logs in with a secret of its own."""

    authority_host: str
    tenant_id: str
    client_id: str
    client_secret: Secret
    scopes: tuple[str, ...]


@attrs.frozen(kw_only=True)
class ManagedIdentity:
    """The identity of the machine that the gateway runs on, in Azure; ``client_id`` where it has several."""

    client_id: str | None
    scopes: tuple[str, ...]


TokenSource = Principal | ManagedIdentity
"""Equal sources give the same tokens: keys with the same share them."""


def token_source(key: KeySettings, base: str) -> TokenSource | None:
    """The source of ``key`` at a provider of this base type; ``None`` for a key that is sent as it is, or is none.

    A complete service principal comes before the key's value, and a managed identity after it. A value that is missing
    because its variable is not set is no wish for a managed identity.
    """
    azure = key.azure
    if base != "azure" or (azure is not None and azure.is_callers):
        return None
    has_value = bool(key.value or key.value.reference)
    if azure is None:
        return None if has_value else ManagedIdentity(client_id=None, scopes=AZURE_SCOPES)
    scopes = azure.scopes or AZURE_SCOPES
    if azure.client_id and azure.client_secret and azure.tenant_id:
        return Principal(
            authority_host=azure.authority_host,
            tenant_id=azure.tenant_id,
            client_id=azure.client_id,
            client_secret=azure.client_secret,
            scopes=scopes,
        )
    if has_value or azure.client_secret is not None:
        return None
    return ManagedIdentity(client_id=azure.client_id or None, scopes=scopes)


def token_sources(keys: Iterable[KeySettings], base: str) -> tuple[TokenSource, ...]:
    """The sources of those of ``keys`` that are enabled, each once."""
    found = (token_source(key, base) for key in keys if key.enabled)
    return tuple(dict.fromkeys(source for source in found if source is not None))
