"""Vertex AI: Gemini, Claude, Mistral and open models of a Google Cloud project, each in its own dialect, by the model asked for.

Sources: Vertex AI REST reference, "publishers.models", "Text embeddings API", "Call open models with the OpenAI API", and
"API keys", 2026-11.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs

from bifrost.config.secret import Secret, Token
from bifrost.dialects.anthropic_answer import read_answer
from bifrost.dialects.anthropic_answer import read_count as read_claude_count
from bifrost.dialects.anthropic_relay import RelayStream, relay_answer
from bifrost.dialects.anthropic_request import encode_count, encode_native
from bifrost.dialects.anthropic_stream import read_stream as read_claude_stream
from bifrost.dialects.anthropic_vertex import encode_claude, encode_native_claude
from bifrost.dialects.gemini_answer import decode_publisher_models, read_count
from bifrost.dialects.gemini_embeddings import encode_prediction, read_predictions
from bifrost.dialects.gemini_errors import plain_error
from bifrost.dialects.gemini_images import is_imagen
from bifrost.dialects.gemini_relay import encode_native_flat_count, relay
from bifrost.dialects.gemini_request import encode_flat_count
from bifrost.errors import ConfigurationMissing, UnsupportedOperation
from bifrost.providers.anthropic import join
from bifrost.providers.composite import Composite
from bifrost.providers.foreign import Foreign, ForeignCoder, ForeignSpec, NativeCoder, foreign
from bifrost.providers.gemini import CHAT, EDITS, IMAGES, LIST, method_of, model_not_found
from bifrost.providers.openai_compatible import OpenAICompatible, openai_compatible
from bifrost.providers.passthrough import relayed_place
from bifrost.providers.place import Address, Place, address_of, place_of
from bifrost.providers.simple import bearer
from bifrost.providers.spec import ProviderSpec
from bifrost.schema.call import Dialect, Operation

if TYPE_CHECKING:
    from bifrost.config.key_configs import VertexKeySettings
    from bifrost.config.settings import KeySettings, ProviderSettings
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.openai_chat_request import Quirks
    from bifrost.providers.base import Adapter, Headers, UpstreamRequest
    from bifrost.schema.call import Call, Relay, Target

__all__ = ["vertex"]

HOST = "https://aiplatform.googleapis.com"
"""Of the region ``global``; all others stand before it with a dash."""

DEFAULT = place_of(HOST)

PAGE = 100
"""The most models that one answer lists."""

_REGION = re.compile(r"[a-z0-9-]{1,64}")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
"""What a path can hold in one way only."""

_MISTRAL = re.compile(r"mistral|codestral")
_CLAUDE = re.compile(r"claude|anthropic\.")


def _host(base: Place, settings: VertexKeySettings) -> Place:
    """Where the key's region is; a ``base_url`` of the provider's stands for all regions."""
    if base != DEFAULT or settings.region == "global":
        return base
    name = f"{settings.region}-{DEFAULT.origin.host}"
    return attrs.evolve(base, origin=attrs.evolve(base.origin, host=name))


def _project(key: KeySettings) -> VertexKeySettings:
    """The key's settings. Raises ConfigurationMissing where they do not say where the project is."""
    found = key.vertex
    if found is None or not found.project_id or not found.region:
        raise ConfigurationMissing(
            f'key "{key.name}" has no project or no region of Google Cloud: vertex_key_config.project_id and .region have them'
        )
    if _REGION.fullmatch(found.region) is None or _PROJECT.fullmatch(found.project_id) is None:
        raise ConfigurationMissing(
            f'key "{key.name}": vertex_key_config: project_id or region is no name that one can have'
        )
    return found


def _at(base: Place, key: KeySettings, version: str, tail: str) -> Place:
    """``tail`` below the key's project and region."""
    own = _project(key)
    return _host(base, own).at(
        f"/{version}/projects/{own.project_id}/locations/{own.region}/{tail}"
    )


def _named(model: str) -> str:
    if _MODEL.fullmatch(model) is None:
        raise model_not_found(model, "Vertex")
    return model


def _locate(
    base: Place, operation: Operation, model: str, key: KeySettings, *, stream: bool
) -> Place:
    """Google's own models, and those tuned in the project, whose names are numbers."""
    if operation is Operation.LIST_MODELS:
        return _host(base, _project(key)).at(f"/v1beta1/publishers/google/models?pageSize={PAGE}")
    name = _named(model.removeprefix("google/"))
    is_embedding = operation is Operation.EMBEDDING
    method = "predict" if is_embedding else method_of(operation, name, stream=stream)
    if not name.isdigit():
        return _at(base, key, "v1", f"publishers/google/models/{name}:{method}")
    own = _project(key)
    number = own.project_number or own.project_id
    numbered = attrs.evolve(key, vertex=attrs.evolve(own, project_id=number))
    return _at(base, numbered, "v1beta1", f"endpoints/{name}:{method}")


def _credential(key: KeySettings) -> Headers:
    """A token as a bearer; a plain key is no header's, but the query's. Raises ConfigurationMissing."""
    return bearer(key) if isinstance(key.value, Token) else ()


def _relay_place(base: Place, relay: Relay, key: KeySettings) -> Place:
    return relayed_place(_host(base, _project(key)), relay.path, relay.query, version="v1")


GOOGLE = ForeignSpec(
    name="vertex",
    dialect=Dialect.GEMINI,
    base_url=HOST,
    locate=_locate,
    coders=MappingProxyType(
        {
            Operation.CHAT: CHAT,
            Operation.EMBEDDING: ForeignCoder(encode=encode_prediction, read=read_predictions),
            Operation.COUNT_TOKENS: ForeignCoder(
                encode=encode_flat_count,
                read=read_count,
                native=NativeCoder(encode=encode_native_flat_count, relay=relay),
            ),
            Operation.IMAGE: IMAGES,
            Operation.IMAGE_EDIT: EDITS,
            Operation.LIST_MODELS: LIST,
        }
    ),
    credential=_credential,
    has_hosted_tools=True,
    decode_error=plain_error,
    decode_models=decode_publisher_models,
    relay_place=_relay_place,
)


def _locate_claude(
    base: Place, operation: Operation, model: str, key: KeySettings, *, stream: bool
) -> Place:
    name = "count-tokens" if operation is Operation.COUNT_TOKENS else _named(model)
    method = "streamRawPredict" if stream else "rawPredict"
    return _at(base, key, "v1", f"publishers/anthropic/models/{name}:{method}")


CLAUDE = ForeignSpec(
    name="vertex",
    dialect=Dialect.ANTHROPIC,
    base_url=HOST,
    locate=_locate_claude,
    coders=MappingProxyType(
        {
            Operation.CHAT: ForeignCoder(
                encode=encode_claude,
                read=read_answer,
                read_stream=read_claude_stream,
                native=NativeCoder(
                    encode=encode_native_claude, relay=relay_answer, relay_stream=RelayStream
                ),
            ),
            Operation.COUNT_TOKENS: ForeignCoder(
                encode=encode_count,
                read=read_claude_count,
                native=NativeCoder(encode=encode_native, relay=relay_answer),
            ),
        }
    ),
    credential=_credential,
    join=join,
    has_hosted_tools=True,
    decode_models=decode_publisher_models,
)
"""Claude by ``rawPredict``: the Messages API, but for the model, which is in the path."""

OPEN = ProviderSpec(
    name="vertex",
    base_url=HOST,
    # The addresses are by key and model, so that this path is never gone by.
    paths=MappingProxyType({Operation.CHAT: "/v1/chat/completions"}),
    may_be_blank=True,
)


@attrs.frozen
class OpenAddresses:
    """Addresses of what speaks OpenAI's dialect: Mistral's models and the open ones. Implements ``Addresses``."""

    base: Place

    def of(self, asked: str, key: KeySettings, model: str) -> Address:
        """Raises ConfigurationMissing, or BadRequest for a name that no path can hold."""
        if _MISTRAL.search(model.lower()) is None:
            return address_of(_at(self.base, key, "v1beta1", "endpoints/openapi/chat/completions"))
        method = "streamRawPredict" if asked.endswith("_stream") else "rawPredict"
        name = _named(_mistrals(model))
        return address_of(_at(self.base, key, "v1", f"publishers/mistralai/models/{name}:{method}"))

    def below(self, path: str, query: str, key: KeySettings) -> Address:
        return address_of(_host(self.base, _project(key)).at(path).asking(query))


def _mistrals(model: str) -> str:
    return model.removeprefix("mistralai/")


@attrs.frozen(kw_only=True)
class Vertex(Composite):
    """An ``Adapter`` that has one for each dialect, ``main`` for Google's; made by ``vertex``."""

    _claude: Foreign
    _mistral: OpenAICompatible
    _open: OpenAICompatible

    def supports(self, operation: Operation, *, stream: bool) -> bool:
        return self.main.supports(operation, stream=stream)

    def encode(self, call: Call, target: Target, key: KeySettings) -> UpstreamRequest:
        model = key.deployments.get(target.model, target.model)
        part = self._part(call.operation, model)
        if part is not self.main and not part.supports(call.operation, stream=call.stream):
            raise UnsupportedOperation(
                f"{call.request_type} is not supported by {self.name} provider for {model}"
            )
        if isinstance(key.value, Token):
            return part.encode(call, target, key)
        request = part.encode(call, target, attrs.evolve(key, value=Secret("")))
        return _with_key(request, key.value.reveal().strip())

    def _part(self, operation: Operation, model: str) -> Adapter:
        """Who speaks as ``model`` does."""
        lowered = model.lower()
        if operation in {Operation.EMBEDDING, Operation.LIST_MODELS, Operation.RELAY}:
            return self.main
        if _CLAUDE.search(lowered):
            return self._claude
        if _MISTRAL.search(lowered):
            return self._mistral
        if "gemini" in lowered or is_imagen(lowered) or model.isdigit():
            return self.main
        return self._open

    def _of(self, facts: AnswerFacts) -> Adapter:
        return self._part(facts.operation, facts.model_deployment or facts.model_requested)


def _with_key(request: UpstreamRequest, value: str) -> UpstreamRequest:
    """``request`` with a plain API key, which Vertex takes in the query."""
    if not value:
        return request
    mark = b"&" if b"?" in request.target else b"?"
    target = b"%b%bkey=%b" % (request.target, mark, quote(value, safe="").encode("ascii"))
    return attrs.evolve(request, target=target)


def vertex(settings: ProviderSettings, quirks: Quirks, mistral: Quirks) -> Vertex:
    """The adapter of ``settings``; ``quirks`` are those of open models, ``mistral`` of Mistral's.

    Raises ConfigurationMissing if an address is none.
    """
    google = foreign(GOOGLE, settings)  # Raises where the base is no address.
    addresses = OpenAddresses(place_of(settings.network.base_url or HOST))
    by_path = attrs.evolve(mistral, rename_model=_mistrals)
    return Vertex(
        settings=settings,
        main=google,
        claude=foreign(CLAUDE, settings),
        mistral=openai_compatible(attrs.evolve(OPEN, quirks=by_path), settings, addresses),
        open=openai_compatible(attrs.evolve(OPEN, quirks=quirks), settings, addresses),
    )
