"""Hugging Face's router: chat in OpenAI's dialect, other tasks as each inference provider has them.

Its own servers know a model by its name on the hub; what the others call it, the hub says: it is asked first.
Sources: Hugging Face, "Inference Providers" and "Hub API"; Hugging Face's client library, 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from bifrost.codecs import json
from bifrost.dialects.huggingface_embed import encode_embed, read_embed
from bifrost.dialects.huggingface_media import (
    encode_edit,
    encode_image,
    encode_speech,
    read_pictures,
    read_speech,
)
from bifrost.dialects.huggingface_names import (
    HF,
    HUB_NAME,
    OWN_NAME,
    asked_of,
    hugging_face_model,
    provider_of,
)
from bifrost.dialects.huggingface_transcript import encode_transcript, read_transcript
from bifrost.errors import BadRequest, UnsupportedOperation, UpstreamError
from bifrost.providers.base import Ask, Headers, UpstreamRequest
from bifrost.providers.composite import Composite
from bifrost.providers.foreign import Foreign, ForeignCoder, ForeignSpec, foreign
from bifrost.providers.further import elsewhere, further, shared_lines
from bifrost.providers.openai_compatible import openai_compatible
from bifrost.providers.place import Place, place_of
from bifrost.providers.simple import bearer
from bifrost.providers.spec import ProviderSpec, paths
from bifrost.schema.call import Call, Operation, Target

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings, ProviderSettings
    from bifrost.dialects.base import AnswerFacts
    from bifrost.dialects.openai_chat_request import Quirks
    from bifrost.providers.base import Adapter, FollowUp

__all__ = ["hugging_face"]

ROUTER = "https://router.huggingface.co"
HUB = "https://huggingface.co"

TASKS: Mapping[Operation, str] = MappingProxyType(
    {
        Operation.EMBEDDING: "feature-extraction",
        Operation.SPEECH: "text-to-speech",
        Operation.TRANSCRIPTION: "automatic-speech-recognition",
        Operation.IMAGE: "text-to-image",
        Operation.IMAGE_EDIT: "image-to-image",
    }
)
"""What the hub calls them."""

OPENAI_PATHS: Mapping[Operation, str] = MappingProxyType(
    {
        Operation.EMBEDDING: "/v1/embeddings",
        Operation.SPEECH: "/v1/audio/speech",
        Operation.IMAGE: "/v1/images/generations",
    }
)

OPENAI_LIKE: Mapping[Operation, frozenset[str]] = MappingProxyType(
    {
        Operation.EMBEDDING: frozenset({"nebius", "sambanova", "scaleway", "together"}),
        Operation.SPEECH: frozenset({"together"}),
        Operation.IMAGE: frozenset({"nebius", "nscale", "together"}),
    }
)
"""Who has a task in OpenAI's dialect."""

FAL = frozenset({Operation.SPEECH, Operation.TRANSCRIPTION, Operation.IMAGE, Operation.IMAGE_EDIT})
"""What fal.ai has. Its answers are asked for at once, without its queue."""


def _has(by: str, operation: Operation) -> bool:
    return by == HF or (by == "fal-ai" and operation in FAL) or by in OPENAI_LIKE.get(operation, ())


def _locate(
    base: Place,
    operation: Operation,
    model: str,
    key: KeySettings,  # noqa: ARG001  others go by it
    *,
    stream: bool,  # noqa: ARG001  a Locate's
) -> Place:
    """Below the inference provider's part of the router; ``model`` is as of ``asked_of``."""
    by, name = asked_of(model)
    if by == "fal-ai":
        return base.at(f"/{by}/{name}")
    if by != HF:
        return base.at(f"/{by}{OPENAI_PATHS[operation]}")
    # Models of this task may be of another as well, so that the path has to say which.
    tail = "/pipeline/feature-extraction" if operation is Operation.EMBEDDING else ""
    return base.at(f"/{by}/models/{name}{tail}")


def _follow_up(call: Call, request: UpstreamRequest, base: Place) -> FollowUp | None:  # noqa: ARG001  a row's
    """fal.ai says where the sound is."""
    is_fals = call.operation is Operation.SPEECH and b"/fal-ai/" in request.target
    return _Fetched(shared_lines(request)) if is_fals else None


@attrs.frozen
class _Fetched:
    """Gets the sound that an answer names. Implements ``FollowUp``."""

    _lines: Headers = attrs.field(repr=False)
    begins: bool = attrs.field(default=False, init=False)

    def next(self, status: int, body: bytes) -> Ask | None:
        """Raises UpstreamError for an address that is none."""
        match _decoded(body):
            case {"audio": {"url": str(url)}} if 200 <= status < 300:
                try:
                    return Ask(request=elsewhere(place_of(url), self._lines, b"*/*"))
                except ValueError as error:
                    raise UpstreamError("the sound is at no address", cause=str(error)) from None
            case _:
                return None


TASK_ROW = ForeignSpec(
    name="huggingface",
    dialect=None,
    base_url=ROUTER,
    locate=_locate,
    coders=MappingProxyType(
        {
            Operation.EMBEDDING: ForeignCoder(encode=encode_embed, read=read_embed),
            Operation.SPEECH: ForeignCoder(
                encode=encode_speech, read=read_speech, may_be_bytes=True
            ),
            Operation.TRANSCRIPTION: ForeignCoder(encode=encode_transcript, read=read_transcript),
            Operation.IMAGE: ForeignCoder(encode=encode_image, read=read_pictures),
            Operation.IMAGE_EDIT: ForeignCoder(encode=encode_edit, read=read_pictures),
        }
    ),
    credential=bearer,
    follow_up=_follow_up,
    decode_models=lambda body: (),  # noqa: ARG005  the chat's row has the list
)

CHAT_ROW = ProviderSpec(
    name="huggingface",
    base_url=ROUTER,
    paths=paths(Operation.LIST_MODELS),
    ends_without_done=True,
)


@attrs.frozen
class _Mapped:
    """Asks the model's inference provider by the name that the hub has told. Implements ``FollowUp``."""

    _by: str | None
    """``None``: the first whom the gateway can ask."""
    _call: Call
    _ask: Callable[[str], UpstreamRequest]
    """The request for a model as of ``asked_of``; raises BadRequest."""
    begins: bool = attrs.field(default=False, init=False)

    def next(self, status: int, body: bytes) -> Ask | None:
        """Raises UnsupportedOperation where the hub knows of nobody who has the task."""
        if not 200 <= status < 300:
            return None
        told = _decoded(body)
        given = told.get("inferenceProviderMapping") if isinstance(told, dict) else None
        for by, own in _mappings(given):
            name = own.get("providerId")
            if self._fits(by, own) and isinstance(name, str) and OWN_NAME.fullmatch(name):
                return Ask(request=self._ask(f"{by}/{name}"))
        raise _unsupported(self._call, self._by)

    def _fits(self, by: str, own: Mapping[str, Any]) -> bool:
        operation = self._call.operation
        is_wanted = by == self._by or (self._by is None and _has(by, operation))
        return is_wanted and own.get("task") == TASKS[operation]


def _mappings(given: object) -> list[tuple[str, dict[str, Any]]]:
    """Whom the hub names, each with what it says: a list of objects, or an object by their names."""
    match given:
        case dict():
            pairs = [*given.items()]
        case list():
            pairs = [(item.get("provider"), item) for item in given if isinstance(item, dict)]
        case _:
            pairs = []
    return [(by, own) for by, own in pairs if isinstance(by, str) and isinstance(own, dict)]


def _unsupported(call: Call, by: str | None) -> UnsupportedOperation:
    whose = f"inference provider {by}" if by else "any inference provider"
    return UnsupportedOperation(
        f"{call.request_type} is not supported by {whose} of huggingface for this model"
    )


@attrs.frozen(kw_only=True)
class HuggingFace(Composite):
    """An ``Adapter`` that has one for chat, ``main``, and one for all other tasks; made by ``hugging_face``."""

    _tasks: Foreign
    _hub: Place

    def _of(self, facts: AnswerFacts) -> Adapter:
        return self._part(facts.operation)

    def _part(self, operation: Operation) -> Adapter:
        return self._tasks if operation in TASKS else self.main

    def supports(self, operation: Operation, *, stream: bool) -> bool:
        return self._part(operation).supports(operation, stream=stream)

    def encode(self, call: Call, target: Target, key: KeySettings) -> UpstreamRequest:
        if call.operation not in TASKS or not self._tasks.supports(
            call.operation, stream=call.stream
        ):
            return self._part(call.operation).encode(call, target, key)
        model = key.deployments.get(target.model, target.model)
        by, name = provider_of(model)
        if HUB_NAME.fullmatch(name) is None:
            raise BadRequest("a model of huggingface is <org>/<name>", param="model")
        if by is not None and not _has(by, call.operation):
            raise _unsupported(call, by)

        def ask(own: str) -> UpstreamRequest:
            return self._tasks.encode(call, Target(target.provider, own), key)

        direct = ask(f"{by or HF}/{name}")
        return direct if by == HF else self._mapped(direct, name, _Mapped(by, call, ask))

    def _mapped(self, direct: UpstreamRequest, name: str, follow_up: _Mapped) -> UpstreamRequest:
        """A request to the hub for what ``name`` is called by others, before the one that was to be made."""
        path = f"/api/models/{quote(name)}?expand[]=inferenceProviderMapping"
        asked = further(b"GET", self._hub.at(path), shared_lines(direct), b"application/json")
        dropped = direct.dropped_params
        return attrs.evolve(asked, follow_up=follow_up, dropped_params=dropped)

    def answers_in_bytes(
        self, operation: Operation, content_type: bytes, *, stream: bool = False
    ) -> bool:
        return self._part(operation).answers_in_bytes(operation, content_type, stream=stream)


def _decoded(body: bytes) -> object:
    try:
        value: object = json.loads(body)
    except json.InvalidJSON:
        return None
    return value


def hugging_face(settings: ProviderSettings, quirks: Quirks) -> HuggingFace:
    """The adapter of ``settings``; ``quirks`` are those of chat.

    The hub is where Hugging Face has it, or below ``base_url``. Raises ConfigurationMissing if an address is none.
    """
    renaming = attrs.evolve(quirks, old_max_tokens=True, rename_model=hugging_face_model)
    tasks = foreign(TASK_ROW, settings)  # Raises where the base is no address.
    base = settings.network.base_url
    return HuggingFace(
        settings=settings,
        main=openai_compatible(attrs.evolve(CHAT_ROW, quirks=renaming), settings),
        tasks=tasks,
        hub=place_of(base if base and base != ROUTER else HUB),
    )
