"""Where a key's short-lived token comes from, for keys whose own value is not what is sent."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import attrs

from bifrost.config.secret import AwsCredentials, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bifrost.config.key_configs import BedrockKeySettings
    from bifrost.config.settings import KeySettings

__all__ = [
    "AwsPlace",
    "AwsRole",
    "GoogleAccount",
    "GooglePlace",
    "ManagedIdentity",
    "Principal",
    "TokenSource",
    "aws_pair",
    "has_login",
    "own_token",
    "token_source",
    "token_sources",
]

AZURE_SCOPES = ("https://cognitiveservices.azure.com/.default",)
GOOGLE_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

AWS_REGION = "us-east-1"
AWS_SESSION_NAME = "bifrost-session"

UNAUTHORIZED = frozenset({401})

UNAUTHORIZED_OR_FORBIDDEN = frozenset({401, 403})
"""AWS says 403 of credentials that are over, and Google of some tokens."""


@attrs.frozen(kw_only=True)
class Principal:
    """A service principal of Entra, which logs in with a secret of its own."""

    authority_host: str
    tenant_id: str
    client_id: str
    client_secret: Secret
    scopes: tuple[str, ...]
    refused_by: ClassVar[frozenset[int]] = UNAUTHORIZED
    """Statuses by which an upstream says that it does not accept the token."""


@attrs.frozen(kw_only=True)
class ManagedIdentity:
    """The identity of the machine that the gateway runs on, in Azure; ``client_id`` where it has several."""

    client_id: str | None
    scopes: tuple[str, ...]
    refused_by: ClassVar[frozenset[int]] = UNAUTHORIZED


@attrs.frozen(kw_only=True)
class GoogleAccount:
    """Whom a file of credentials names, of any of Google's kinds; ``credentials`` is its text, JSON."""

    credentials: Secret
    scopes: tuple[str, ...]
    refused_by: ClassVar[frozenset[int]] = UNAUTHORIZED_OR_FORBIDDEN


@attrs.frozen(kw_only=True)
class GooglePlace:
    """Google's application default credentials: what the place the gateway runs in has."""

    scopes: tuple[str, ...]
    refused_by: ClassVar[frozenset[int]] = UNAUTHORIZED_OR_FORBIDDEN


@attrs.frozen
class AwsPlace:
    """The credentials of the place the gateway runs in, as AWS's own tools find them."""

    refused_by: ClassVar[frozenset[int]] = UNAUTHORIZED_OR_FORBIDDEN


@attrs.frozen(kw_only=True)
class AwsRole:
    """A role to assume: with ``credentials``, or those of the place where there are none."""

    role_arn: str
    external_id: str | None
    session_name: str
    region: str
    credentials: AwsCredentials | None
    refused_by: ClassVar[frozenset[int]] = UNAUTHORIZED_OR_FORBIDDEN


TokenSource = Principal | ManagedIdentity | GoogleAccount | GooglePlace | AwsPlace | AwsRole
"""Equal sources give the same tokens: keys with the same share them."""


def token_source(key: KeySettings, base: str) -> TokenSource | None:
    """The source of ``key`` at a provider of this base type; ``None`` for a key that is sent as it is, or is none.

    A value that is missing because its variable is not set is no wish for what the place has.
    """
    find = _FINDERS.get(base)
    return None if find is None else find(key)


def has_login(key: KeySettings, base: str) -> bool:
    """Whether a key without a value has another credential; true of providers whose keys never have."""
    return (
        base not in _FINDERS
        or token_source(key, base) is not None
        or own_token(key, base) is not None
    )


def own_token(key: KeySettings, base: str) -> AwsCredentials | None:
    """What ``key`` is lent with in place of its value, though nobody gives it out: a pair of its own to sign with."""
    bedrock = key.bedrock
    if base != "bedrock" or bedrock is None or bedrock.role_arn or _is_told(key.value):
        return None
    return aws_pair(bedrock)


def token_sources(keys: Iterable[KeySettings], base: str) -> tuple[TokenSource, ...]:
    """The sources of those of ``keys`` that are enabled, each once."""
    found = (token_source(key, base) for key in keys if key.enabled)
    return tuple(dict.fromkeys(source for source in found if source is not None))


def _is_told(secret: Secret | None) -> bool:
    """Whether there is something, or should be: a variable that is not set was meant to be."""
    return secret is not None and bool(secret or secret.reference)


def _azure(key: KeySettings) -> TokenSource | None:
    """A complete service principal comes before the key's value, and a managed identity after it."""
    azure = key.azure
    if azure is None:
        return None if _is_told(key.value) else ManagedIdentity(client_id=None, scopes=AZURE_SCOPES)
    if azure.is_callers:
        return None
    scopes = azure.scopes or AZURE_SCOPES
    if azure.client_id and azure.client_secret and azure.tenant_id:
        return Principal(
            authority_host=azure.authority_host,
            tenant_id=azure.tenant_id,
            client_id=azure.client_id,
            client_secret=azure.client_secret,
            scopes=scopes,
        )
    if _is_told(key.value) or azure.client_secret is not None:
        return None
    return ManagedIdentity(client_id=azure.client_id or None, scopes=scopes)


def _vertex(key: KeySettings) -> TokenSource | None:
    if key.vertex is None or _is_told(key.value):
        return None
    credentials = key.vertex.auth_credentials
    if credentials:
        return GoogleAccount(credentials=credentials, scopes=GOOGLE_SCOPES)
    return None if _is_told(credentials) else GooglePlace(scopes=GOOGLE_SCOPES)


def _bedrock(key: KeySettings) -> TokenSource | None:
    """A key's own pair signs by itself, unless there is a role to assume with it."""
    bedrock = key.bedrock
    if bedrock is None or _is_told(key.value):
        return None
    own = aws_pair(bedrock)
    if own is None and (_is_told(bedrock.access_key) or _is_told(bedrock.secret_key)):
        return None
    if not bedrock.role_arn:
        return AwsPlace() if own is None else None
    return AwsRole(
        role_arn=bedrock.role_arn,
        external_id=bedrock.external_id or None,
        session_name=bedrock.session_name or AWS_SESSION_NAME,
        region=bedrock.region or AWS_REGION,
        credentials=own,
    )


def aws_pair(bedrock: BedrockKeySettings) -> AwsCredentials | None:
    """The credentials that are configured; ``None`` where they are not whole."""
    if not bedrock.access_key or not bedrock.secret_key:
        return None
    token = bedrock.session_token.reveal().strip() if bedrock.session_token else ""
    return AwsCredentials(
        bedrock.access_key.reveal().strip(), bedrock.secret_key.reveal().strip(), token
    )


_FINDERS: Mapping[str, Callable[[KeySettings], TokenSource | None]] = MappingProxyType(
    {"azure": _azure, "bedrock": _bedrock, "vertex": _vertex}
)
"""By the base type of providers whose keys may log in."""
