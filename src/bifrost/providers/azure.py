"""Azure OpenAI: OpenAI's dialect at addresses that name a deployment, with a header of its own for keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import attrs

from bifrost.errors import BadRequest, ConfigurationMissing, ErrorClass, UnsupportedOperation
from bifrost.providers.openai_compatible import openai_compatible
from bifrost.providers.place import Address, Place, address_of, place_of
from bifrost.providers.spec import ProviderSpec
from bifrost.schema.call import Operation, request_type

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings, ProviderSettings
    from bifrost.providers.openai_compatible import OpenAICompatible

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
        else:
            _refuse_claude(model)
        version = urlencode({"api-version": _version(asked, key)})
        return _address(self._place(key).at(f"{path}?{version}"), key)

    def below(self, path: str, query: str, key: KeySettings) -> Address:
        """Raises as ``of``. The version is the key's, whatever the query says."""
        is_classic = path.split("/")[2] in CLASSIC
        version = _version("", key) if is_classic else V1_VERSION
        others = (pair for pair in query.split("&") if not pair.startswith("api-version="))
        asked = "&".join(filter(None, (urlencode({"api-version": version}), *others)))
        place = self._place(key).at(f"/openai{path.removeprefix('/v1') if is_classic else path}")
        return _address(place.asking(asked), key)

    def _place(self, key: KeySettings) -> Place:
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
    return attrs.evolve(place, path=place.path.removesuffix("/v1").removesuffix("/openai"))


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
    _refuse_claude(model)
    if _NAME.fullmatch(model) is None:
        raise BadRequest(
            f"{model[:128]!r} is no name that an Azure deployment can have",
            status=404,
            code="DeploymentNotFound",
            param="model",
            error_class=ErrorClass.NOT_FOUND,
        )
    return model


def _refuse_claude(model: str) -> None:
    if "claude" in model.lower():
        raise UnsupportedOperation(
            f"{model} is not supported by azure provider: Claude deployments speak Anthropic's API, which is not built for azure"
        )


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


def azure(settings: ProviderSettings) -> OpenAICompatible:
    """The adapter of ``settings``. Raises ConfigurationMissing if an address is none."""
    base_url = settings.network.base_url
    endpoints = {key.azure.endpoint for key in settings.keys if key.azure and key.azure.endpoint}
    try:
        base = _resource(base_url) if base_url else None
        places = {endpoint: _resource(endpoint) for endpoint in endpoints}
    except ValueError as error:
        raise ConfigurationMissing(f"provider {settings.name}: {error}") from None
    paths = {asked: path for name, path in AZURE.paths.items() for asked in _types(name)}
    return openai_compatible(AZURE, settings, AzureAddresses(base, paths, places))
