"""How answers are told, by the caller's dialect and by what was asked: the table.

Upstreams of OpenAI's dialect relay to callers of the same without coming here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_object_telling import tell_batch, tell_deleted, tell_file
from bifrost.dialects.anthropic_teller import AnthropicTeller
from bifrost.dialects.anthropic_telling import tell_count, tell_message
from bifrost.dialects.base import AnswerFacts, PlainAnswer, Reading
from bifrost.dialects.bedrock_telling import ConverseTeller, tell_converse, tell_token_count
from bifrost.dialects.bridge_answer import tell_response
from bifrost.dialects.bridge_stream import ResponsesTeller
from bifrost.dialects.chat_teller import ChatTeller, tell_whole
from bifrost.dialects.cohere_teller import CohereTeller
from bifrost.dialects.cohere_telling import tell_embed, tell_rerank
from bifrost.dialects.cohere_telling import tell_message as tell_cohere_message
from bifrost.dialects.gemini_predict import tell_predictions
from bifrost.dialects.gemini_spoken import SpokenAnswer, tell_spoken
from bifrost.dialects.gemini_teller import GeminiTeller
from bifrost.dialects.gemini_telling import tell_count as tell_gemini_count
from bifrost.dialects.gemini_telling import tell_embedding, tell_generated
from bifrost.dialects.hub import Answer, Teller
from bifrost.dialects.invoke_telling import (
    invoke_teller,
    tell_invoked,
    tell_invoked_embedding,
    tell_invoked_rerank,
    tell_invoked_text,
    tell_ranking,
    text_teller,
)
from bifrost.dialects.text_teller import TextTeller
from bifrost.errors import UnsupportedOperation
from bifrost.schema.call import Dialect, Operation

if TYPE_CHECKING:
    from bifrost.dialects.base import StreamDecoder
    from bifrost.schema.call import Call

__all__ = [
    "TELLINGS",
    "Telling",
    "refuse_untold",
    "retelling_of",
    "retold",
    "retold_stream",
    "telling_of",
    "told",
]


@attrs.frozen
class Telling:
    """One way to tell. ``stream`` is ``None`` where there is no streaming form."""

    plain: Callable[[Answer, AnswerFacts], bytes]
    stream: Callable[[AnswerFacts], Teller] | None = None


AS_OPENAI = Telling(tell_whole)

TELLINGS: Mapping[tuple[Dialect, Operation], Telling] = MappingProxyType(
    {
        (Dialect.OPENAI, Operation.CHAT): Telling(tell_whole, ChatTeller),
        (Dialect.OPENAI, Operation.TEXT): Telling(tell_whole, TextTeller),
        (Dialect.OPENAI, Operation.RESPONSES): Telling(
            tell_response, lambda facts: ResponsesTeller(facts, facts.members)
        ),
        (Dialect.ANTHROPIC, Operation.CHAT): Telling(tell_message, AnthropicTeller),
        (Dialect.ANTHROPIC, Operation.COUNT_TOKENS): Telling(tell_count),
        (Dialect.ANTHROPIC, Operation.FILE_UPLOAD): Telling(tell_file),
        (Dialect.ANTHROPIC, Operation.FILE_RETRIEVE): Telling(tell_file),
        (Dialect.ANTHROPIC, Operation.FILE_DELETE): Telling(tell_deleted),
        (Dialect.ANTHROPIC, Operation.BATCH_CREATE): Telling(tell_batch),
        (Dialect.ANTHROPIC, Operation.BATCH_RETRIEVE): Telling(tell_batch),
        (Dialect.ANTHROPIC, Operation.BATCH_CANCEL): Telling(tell_batch),
        (Dialect.BEDROCK, Operation.CHAT): Telling(tell_converse, ConverseTeller),
        (Dialect.BEDROCK, Operation.COUNT_TOKENS): Telling(tell_token_count),
        (Dialect.BEDROCK, Operation.RERANK): Telling(tell_ranking),
        (Dialect.INVOKE, Operation.CHAT): Telling(tell_invoked, invoke_teller),
        (Dialect.INVOKE, Operation.TEXT): Telling(tell_invoked_text, text_teller),
        (Dialect.INVOKE, Operation.EMBEDDING): Telling(tell_invoked_embedding),
        (Dialect.INVOKE, Operation.RERANK): Telling(tell_invoked_rerank),
        (Dialect.GEMINI, Operation.CHAT): Telling(tell_generated, GeminiTeller),
        (Dialect.GEMINI, Operation.COUNT_TOKENS): Telling(tell_gemini_count),
        (Dialect.GEMINI, Operation.EMBEDDING): Telling(tell_embedding),
        (Dialect.GEMINI, Operation.IMAGE): Telling(tell_predictions),
        (Dialect.GEMINI, Operation.SPEECH): Telling(tell_spoken),
        (Dialect.COHERE, Operation.CHAT): Telling(tell_cohere_message, CohereTeller),
        (Dialect.COHERE, Operation.EMBEDDING): Telling(tell_embed),
        (Dialect.COHERE, Operation.RERANK): Telling(tell_rerank),
    }
)
"""What is not here is told to OpenAI's callers as it is, and to others not at all."""

RETELLINGS: Mapping[tuple[Dialect, Operation], Reading] = MappingProxyType(
    {
        (Dialect.GEMINI, Operation.SPEECH): Reading(
            retell=SpokenAnswer, content_type=b"application/json"
        ),
    }
)
"""The same for answers that come in bytes."""


def telling_of(facts: AnswerFacts) -> Telling:
    """The way to tell what ``facts`` are of. Raises UnsupportedOperation if the caller's dialect has no word for it."""
    found = TELLINGS.get((facts.dialect, facts.operation))
    if found is not None:
        return found
    if facts.dialect is Dialect.OPENAI:
        return AS_OPENAI
    raise _untold(facts.request_type, facts.dialect)


def retelling_of(call: Call) -> Reading | None:
    """What an answer in bytes goes through on its way to the caller; ``None`` where it goes as it comes."""
    return RETELLINGS.get((call.surface.dialect, call.operation))


def refuse_untold(call: Call) -> None:
    """Raise UnsupportedOperation for a call whose answer could not be told to its caller: nothing need be asked then."""
    dialect, operation = call.surface.dialect, call.operation
    # A list of models is read from each provider and told by the room of lists, whoever asked.
    if dialect is Dialect.OPENAI or operation is Operation.LIST_MODELS:
        return
    if (dialect, operation) not in TELLINGS:
        raise _untold(call.request_type, dialect)
    if call.native is not None and not call.members:
        raise UnsupportedOperation(
            f"there are no words for this body but those of {dialect.value}: only who speaks it can be asked"
        )


def _untold(what: str, dialect: Dialect) -> UnsupportedOperation:
    return UnsupportedOperation(f"{what} cannot be told in the dialect of {dialect.value}")


def told(answer: Answer, facts: AnswerFacts) -> PlainAnswer:
    """``answer`` in the caller's dialect."""
    if answer.error is not None:
        return PlainAnswer(body=answer.body, error=answer.error)
    if answer.content is not None and (facts.dialect, facts.operation) not in RETELLINGS:
        kind = answer.content_type
        return PlainAnswer(body=answer.content, usage=answer.usage, content_type=kind)
    return PlainAnswer(body=telling_of(facts).plain(answer, facts), usage=answer.usage)


def retold(plain: PlainAnswer, body: bytes, facts: AnswerFacts) -> PlainAnswer:
    """An answer in OpenAI's dialect, without ``extra_fields``, told in a foreign caller's; ``body`` is the upstream's."""
    if plain.error is not None:
        return plain
    answer = Answer(value=json.loads(plain.body), body=body)
    return attrs.evolve(plain, body=telling_of(facts).plain(answer, facts))


def retold_stream(
    facts: AnswerFacts, read: Callable[[AnswerFacts, Teller], StreamDecoder]
) -> StreamDecoder:
    """A stream that is read by ``read`` and told in the caller's dialect. Raises UnsupportedOperation."""
    tell = telling_of(facts).stream
    if tell is None:
        raise UnsupportedOperation(f"{facts.request_type} has no streaming form")
    return read(facts, tell(facts))
