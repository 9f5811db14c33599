"""What a key needs beyond its value at providers that log in, sign, deploy, or run on your own servers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import attrs

from bifrost.config.rules import Mark
from bifrost.config.secret import Secret
from bifrost.config.texts import ADDRESS, NAME

__all__ = [
    "AzureKeySettings",
    "BatchS3Settings",
    "BedrockKeySettings",
    "BucketSettings",
    "DeploymentSettings",
    "ServerSettings",
    "VertexKeySettings",
    "VllmKeySettings",
]

NO_DEPLOYMENTS: Mapping[str, str] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class AzureKeySettings:
    """An Azure OpenAI resource. Texts may be ``env.NAME``."""

    endpoint: Annotated[str, Mark.FROM_ENV, ADDRESS]
    """The resource's address; the provider's ``base_url``, where there is one, is used in its place."""
    api_version: Annotated[str | None, Mark.FROM_ENV] = None
    """Absent: ``2024-10-21``, and ``2025-04-01-preview`` for image edits. Responses always go by ``preview``."""
    deployments: Mapping[str, str] = NO_DEPLOYMENTS
    """Requested model to deployment; models that are not named keep their name."""
    client_id: Annotated[str | None, Mark.FROM_ENV] = None
    """Of a service principal, with ``client_secret`` and ``tenant_id``. By itself, and in a key without a value, of a
    user-assigned managed identity."""
    client_secret: Secret | None = None
    tenant_id: Annotated[str | None, Mark.FROM_ENV] = None
    """The directory that the service principal is in."""
    scopes: tuple[Annotated[str, NAME], ...] = ()
    """What a token is asked for; empty: ``https://cognitiveservices.azure.com/.default``."""
    authority_host: Annotated[str, Mark.FROM_ENV, ADDRESS] = "https://login.microsoftonline.com"
    """Where Entra gives out tokens; national clouds have hosts of their own."""
    is_callers: Annotated[bool, Mark.DERIVED] = False
    """Whether a caller named the endpoint, with a key of its own."""
    public_only: Annotated[bool, Mark.DERIVED] = False
    """Whether the endpoint must not lead to a private address."""


@attrs.frozen(kw_only=True)
class VertexKeySettings:
    """A Google Cloud project. Texts may be ``env.NAME``."""

    project_id: Annotated[str, Mark.FROM_ENV]
    project_number: Annotated[str | None, Mark.FROM_ENV] = None
    region: Annotated[str, Mark.FROM_ENV]
    auth_credentials: Secret | None = None
    """The text of a file of credentials: JSON of the type ``service_account``, ``authorized_user``,
    ``impersonated_service_account``, ``external_account`` or ``external_account_authorized_user``. Absent, and in a key
    without a ``value``, the credentials of the place the gateway runs in."""
    deployments: Mapping[str, str] = NO_DEPLOYMENTS


@attrs.frozen(kw_only=True)
class BucketSettings:
    """An S3 bucket for batch files."""

    bucket_name: Annotated[str, NAME]
    prefix: str = ""
    is_default: bool = False


@attrs.frozen(kw_only=True)
class BatchS3Settings:
    """Where Bedrock's batch files lie."""

    buckets: tuple[BucketSettings, ...] = ()


@attrs.frozen(kw_only=True)
class BedrockKeySettings:
    """An AWS account and region. Texts may be ``env.NAME``."""

    access_key: Secret | None = None
    """With ``secret_key``; absent, the key's ``value`` or the credentials of the place the gateway runs in."""
    secret_key: Secret | None = None
    session_token: Secret | None = None
    """Of temporary keys, which whoever wrote them here has to replace."""
    region: Annotated[str, Mark.FROM_ENV]
    arn: Annotated[str | None, Mark.FROM_ENV] = None
    role_arn: Annotated[str | None, Mark.FROM_ENV] = None
    """A role to assume with ``access_key`` and ``secret_key``, or with the credentials of the place."""
    external_id: Annotated[str | None, Mark.FROM_ENV] = None
    """What the role's owner wants to be told."""
    session_name: Annotated[str | None, Mark.FROM_ENV] = None
    """By which the role's owner sees who it is; absent: ``bifrost-session``."""
    deployments: Mapping[str, str] = NO_DEPLOYMENTS
    batch_s3_config: BatchS3Settings | None = None


@attrs.frozen(kw_only=True)
class DeploymentSettings:
    """Deployments, and nothing else."""

    deployments: Mapping[str, str] = NO_DEPLOYMENTS
    """Requested model to deployment."""


@attrs.frozen(kw_only=True)
class ServerSettings:
    """A server of your own."""

    url: Annotated[str, Mark.FROM_ENV, ADDRESS]
    """Its address, or ``env.NAME``."""


@attrs.frozen(kw_only=True)
class VllmKeySettings:
    """A vLLM server, which runs one model."""

    url: Annotated[str, Mark.FROM_ENV, ADDRESS]
    """Its address, or ``env.NAME``."""
    model_name: Annotated[str, NAME]
    """The model it runs."""
