"""What there is to know of a provider apart from its configuration: a row of ``providers.table``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import attrs

from bifrost.dialects.base import AnswerFacts, StreamDecoder
from bifrost.dialects.openai_chat_request import STANDARD, Quirks
from bifrost.providers.rate_headers import RateFamily
from bifrost.schema.call import Operation, request_type

if TYPE_CHECKING:
    from bifrost.config.settings import ProviderSettings

__all__ = ["OPENAI_PATHS", "ProviderSpec", "is_allowed", "paths"]

OPENAI_PATHS: Mapping[Operation, str] = MappingProxyType(
    {
        Operation.LIST_MODELS: "/v1/models",
        Operation.CHAT: "/v1/chat/completions",
        Operation.TEXT: "/v1/completions",
        Operation.RESPONSES: "/v1/responses",
        Operation.COUNT_TOKENS: "/v1/responses/input_tokens",
        Operation.EMBEDDING: "/v1/embeddings",
        Operation.RERANK: "/v1/rerank",
        Operation.MODERATION: "/v1/moderations",
        Operation.SPEECH: "/v1/audio/speech",
        Operation.TRANSCRIPTION: "/v1/audio/transcriptions",
        Operation.TRANSLATION: "/v1/audio/translations",
        Operation.IMAGE: "/v1/images/generations",
        Operation.IMAGE_EDIT: "/v1/images/edits",
        Operation.IMAGE_VARIATION: "/v1/images/variations",
    }
)
"""Where OpenAI has them; rerank, which it has not, where those who speak its dialect have it."""


def paths(*operations: Operation) -> Mapping[Operation, str]:
    """The paths of chat and ``operations``."""
    return MappingProxyType({name: OPENAI_PATHS[name] for name in (Operation.CHAT, *operations)})


def is_allowed(settings: ProviderSettings, operation: Operation, *, stream: bool) -> bool:
    """Whether ``allowed_requests`` of a custom provider, if it has any, let the operation through."""
    custom = settings.custom
    if custom is None or custom.allowed_requests is None:
        return True
    return custom.allowed_requests.get(request_type(operation, stream=stream), False)


@attrs.frozen(kw_only=True)
class ProviderSpec:
    """One provider of the OpenAI family."""

    name: str
    base_url: str | None
    """``None``: it is where the operator says, nowhere else."""
    paths: Mapping[Operation, str]
    """Its operations, each with its path. Responses are bridged through chat where they are not among them."""
    relays: bool = False
    """Whether requests that only the provider understands are passed on to it; files and batches are among them."""
    perhaps_unversioned: frozenset[Operation] = frozenset()
    """Operations that some of its servers have at their path without the version only."""
    plain_only: frozenset[Operation] = frozenset()
    """Operations that it does not stream."""
    streams: Mapping[Operation, Callable[[AnswerFacts], StreamDecoder]] = MappingProxyType({})
    """How streams are read that come in other events than OpenAI's."""
    auth: Literal["bearer", "api-key", "none"] = "bearer"
    """How the key is sent; one without a value is not sent, and a token always is a bearer."""
    may_be_blank: bool = False
    """Whether its keys may have no value."""
    has_key_urls: bool = False
    """Whether a key may have an address of its own."""
    quirks: Quirks = STANDARD
    ends_without_done: bool = False
    """Its streams end at the finish reason, without ``[DONE]``."""
    rate_family: RateFamily = "openai"
