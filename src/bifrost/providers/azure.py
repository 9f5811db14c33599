"""Azure: OpenAI's dialect at addresses that name a deployment, and Anthropic's for deployments of Claude; keys in headers of its own.

Sources: Microsoft, "Azure OpenAI REST API reference" and "Deploy and use Claude models in Microsoft Foundry", 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import attrs

from bifrost.config.secret import Token
from bifrost.dialects.anthropic_answer import read_answer, read_count
from bifrost.dialects.anthropic_relay import RelayStream, relay_answer
from bifrost.dialects.anthropic_request import (
    ClaudeHost,
    encode_count,
    encode_messages,
    encode_native,
)
from bifrost.dialects.anthropic_stream import read_stream
from bifrost.dialects.openai_operations import OBJECTS
from bifrost.errors import BadRequest, ConfigurationMissing, ErrorClass, UnsupportedOperation
from bifrost.providers.anthropic import PATHS as CLAUDES
from bifrost.providers.anthropic import credential, join, version_header
from bifrost.providers.composite import Composite
from bifrost.providers.foreign import Foreign, ForeignCoder, ForeignSpec, NativeCoder, foreign
from bifrost.providers.openai_compatible import openai_compatible
from bifrost.providers.place import Address, Place, address_of, place_of
from bifrost.providers.simple import bearer
from bifrost.providers.spec import ProviderSpec
from bifrost.schema.call import Dialect, Operation, request_type

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings, ProviderSettings
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.openai_edit import Encoded
    from bifrost.providers.base import Adapter, Headers, UpstreamRequest
    from bifrost.schema.call import Call, Target

__all__ = ["AZURE", "azure"]

API_VERSION = "2024-10-21"
IMAGE_EDIT_VERSION = "2025-04-01-preview"

V1_VERSION = "preview"
"""Of what has no deployment in its path; a key's own version is for the others."""

DEPLOYMENT = "{deployment}"

OF_DEPLOYMENT = f"/openai/deployments/{DEPLOYMENT}"

AZURE = ProviderSpec(
    name="azure",
    base_url=None,
    paths=MappingProxyType(
        {
            Operation.LIST_MODELS: "/openai/models",
            Operation.CHAT: f"{OF_DEPLOYMENT}/chat/completions",
            Operation.TEXT: f"{OF_DEPLOYMENT}/completions",
            Operation.RESPONSES: "/openai/v1/responses",
            Operation.EMBEDDING: f"{OF_DEPLOYMENT}/embeddings",
            Operation.SPEECH: f"{OF_DEPLOYMENT}/audio/speech",
            Operation.TRANSCRIPTION: f"{OF_DEPLOYMENT}/audio/transcriptions",
            Operation.TRANSLATION: f"{OF_DEPLOYMENT}/audio/translations",
            Operation.IMAGE: f"{OF_DEPLOYMENT}/images/generations",
            Operation.IMAGE_EDIT: f"{OF_DEPLOYMENT}/images/edits",
        }
    ),
    plain_only=frozenset({Operation.TRANSCRIPTION, Operation.TRANSLATION}),
    auth="api-key",
    may_be_blank=True,
    relays=True,
)

CLASSIC = frozenset({"assistants", "batches", "files", "fine_tuning", "threads"})
"""Families of relayed requests that go where the deployments are; the others are part of the newer API, below ``/openai/v1``."""

_NAME = re.compile(r"(?!\.+$)[A-Za-z0-9_.-]{1,128}")
"""What Azure lets a deployment be called, and a path hold in one way only."""

_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")


@attrs.frozen
class AzureAddresses:
    """Addresses by the key's resource. ``paths`` are by request type; ``places`` are endpoints known beforehand."""

    base: Place | None
    """The provider's ``base_url``: it stands for every resource."""
    paths: Mapping[str, str]
    places: Mapping[str, Place]

    def of(self, asked: str, key: KeySettings, model: str) -> Address:
        """Raises ConfigurationMissing or, for an endpoint that the caller named, BadRequest."""
        path = self.paths[asked]
        if DEPLOYMENT in path:
            path = path.replace(DEPLOYMENT, quote(_deployment(model), safe=""))
        version = urlencode({"api-version": _version(asked, key)})
        return _address(self.resource(key).at(f"{path}?{version}"), key)

    def below(self, path: str, query: str, key: KeySettings) -> Address:
        """Raises as ``of``. The version is the key's, whatever the query says."""
        is_classic = path.split("/")[2] in CLASSIC
        version = _version("", key) if is_classic else V1_VERSION
        others = (pair for pair in query.split("&") if not pair.startswith("api-version="))
        asked = "&".join(filter(None, (urlencode({"api-version": version}), *others)))
        place = self.resource(key).at(f"/openai{path.removeprefix('/v1') if is_classic else path}")
        return _address(place.asking(asked), key)

    def resource(self, key: KeySettings) -> Place:
        """What all paths of ``key`` are below. Raises as ``of``."""
        if self.base is not None:
            return self.base
        if key.azure is None or not key.azure.endpoint:
            raise ConfigurationMissing(
                f'key "{key.name}" has no Azure endpoint: azure_key_config.endpoint has it,'
                " for a key of the caller's own the header x-bf-azure-endpoint"
            )
        known = None if key.azure.is_callers else self.places.get(key.azure.endpoint)
        return known or _place_of(key, key.azure.endpoint)


def _address(place: Place, key: KeySettings) -> Address:
    try:
        return address_of(place)
    except ValueError as error:
        raise _no_address(key, str(error)) from None


def _resource(url: str) -> Place:
    """The resource that ``url`` names, also where it goes on to its API. Raises ValueError."""
    place = place_of(url)
    path = place.path.removesuffix("/v1").removesuffix("/openai").removesuffix("/anthropic")
    return attrs.evolve(place, path=path)


def _place_of(key: KeySettings, endpoint: str) -> Place:
    try:
        place = _resource(endpoint)
    except ValueError as error:
        raise _no_address(key, str(error)) from None
    if key.azure is None or not key.azure.public_only:
        return place
    return attrs.evolve(place, origin=attrs.evolve(place.origin, public_only=True))


def _no_address(key: KeySettings, why: str) -> BadRequest | ConfigurationMissing:
    if key.azure is not None and key.azure.is_callers:
        return BadRequest(f"x-bf-azure-endpoint: {why}")
    return ConfigurationMissing(f'key "{key.name}": azure_key_config.endpoint: {why}')


def _deployment(model: str) -> str:
    if _NAME.fullmatch(model) is None:
        raise BadRequest(
            f"{model[:128]!r} is no name that an Azure deployment can have",
            status=404,
            code="DeploymentNotFound",
            param="model",
            error_class=ErrorClass.NOT_FOUND,
        )
    return model


def _version(asked: str, key: KeySettings) -> str:
    if asked in RESPONSES:
        return V1_VERSION
    own = key.azure.api_version if key.azure is not None else None
    if not own:
        return IMAGE_EDIT_VERSION if asked in IMAGE_EDITS else API_VERSION
    if key.azure is not None and key.azure.is_callers and _VERSION.fullmatch(own) is None:
        raise BadRequest("api-version is none", param="api-version")
    return own


def _types(operation: Operation) -> frozenset[str]:
    return frozenset(request_type(operation, stream=stream) for stream in (False, True))


RESPONSES = _types(Operation.RESPONSES)
IMAGE_EDITS = _types(Operation.IMAGE_EDIT)


HOST = ClaudeHost(without_betas=frozenset({"fast-mode-2026-02-01"}))


def _encode_claude(call: Call, model: str, provider: str) -> Encoded:
    return encode_messages(call, model, provider, HOST)


def _credential(key: KeySettings) -> Headers:
    """A token as a bearer, a key as Anthropic wants it. Raises ConfigurationMissing for one that no header can hold."""
    return bearer(key) if isinstance(key.value, Token) else credential(key)


def _claude(settings: ProviderSettings, addresses: AzureAddresses) -> Foreign:
    """Deployments of Claude: the Messages API below the resource, without a version in the query."""

    def locate(
        base: Place,  # noqa: ARG001  a Locate's
        operation: Operation,
        model: str,
        key: KeySettings,
        *,
        stream: bool,  # noqa: ARG001  a Locate's
    ) -> Place:
        _deployment(model)
        return addresses.resource(key).at(f"/anthropic{CLAUDES[operation]}")

    spec = ForeignSpec(
        name=AZURE.name,
        dialect=Dialect.ANTHROPIC,
        # The addresses are by key, so that this one is never gone by.
        base_url="https://services.ai.azure.com",
        locate=locate,
        coders=CLAUDE_CODERS,
        credential=_credential,
        headers=version_header,
        join=join,
        has_hosted_tools=True,
        decode_models=lambda body: (),  # noqa: ARG005  lists are not asked for there
    )
    return foreign(spec, settings)


CLAUDE_CODERS = MappingProxyType(
    {
        Operation.CHAT: ForeignCoder(
            encode=_encode_claude,
            read=read_answer,
            read_stream=read_stream,
            native=NativeCoder(encode=encode_native, relay=relay_answer, relay_stream=RelayStream),
        ),
        Operation.COUNT_TOKENS: ForeignCoder(
            encode=encode_count,
            read=read_count,
            native=NativeCoder(encode=encode_native, relay=relay_answer),
        ),
    }
)


def _is_claude(*names: str | None) -> bool:
    """Whether a deployment, or the model that it stands for, says that it is Claude's."""
    return any(name is not None and "claude" in name.lower() for name in names)


OF_THE_RESOURCE = frozenset({Operation.LIST_MODELS, Operation.RELAY, *OBJECTS})
"""What no model decides on."""


@attrs.frozen(kw_only=True)
class Azure(Composite):
    """An ``Adapter`` that has one for each dialect, ``main`` for OpenAI's; made by ``azure``."""

    _claude: Foreign

    def supports(self, operation: Operation, *, stream: bool) -> bool:
        return any(part.supports(operation, stream=stream) for part in (self.main, self._claude))

    def encode(self, call: Call, target: Target, key: KeySettings) -> UpstreamRequest:
        deployment = key.deployments.get(target.model)
        part = self._part(call.operation, target.model, deployment)
        if not part.supports(call.operation, stream=call.stream):
            raise UnsupportedOperation(
                f"{call.request_type} is not supported by {self.name} provider"
                f" for {deployment or target.model}"
            )
        return part.encode(call, target, key)

    def _part(self, operation: Operation, *names: str | None) -> Adapter:
        """Who speaks as what is called by ``names`` does."""
        is_claude = operation not in OF_THE_RESOURCE and _is_claude(*names)
        return self._claude if is_claude else self.main

    def _of(self, facts: AnswerFacts) -> Adapter:
        return self._part(facts.operation, facts.model_requested, facts.model_deployment)

    def answers_in_bytes(
        self, operation: Operation, content_type: bytes, *, stream: bool = False
    ) -> bool:
        if operation is Operation.COUNT_TOKENS:
            return False
        return self.main.answers_in_bytes(operation, content_type, stream=stream)


def azure(settings: ProviderSettings) -> Azure:
    """The adapter of ``settings``. Raises ConfigurationMissing if an address is none."""
    base_url = settings.network.base_url
    endpoints = {key.azure.endpoint for key in settings.keys if key.azure and key.azure.endpoint}
    try:
        base = _resource(base_url) if base_url else None
        places = {endpoint: _resource(endpoint) for endpoint in endpoints}
    except ValueError as error:
        raise ConfigurationMissing(f"provider {settings.name}: {error}") from None
    paths = {asked: path for name, path in AZURE.paths.items() for asked in _types(name)}
    addresses = AzureAddresses(base, paths, places)
    return Azure(
        settings=settings,
        main=openai_compatible(AZURE, settings, addresses),
        claude=_claude(settings, addresses),
    )
