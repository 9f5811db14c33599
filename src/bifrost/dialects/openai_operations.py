"""Every operation of the OpenAI dialect, with how it is asked for and how its answers are read: the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.dialects.base import AnswerFacts, PlainAnswer, StreamDecoder
from bifrost.dialects.bridge_answer import chat_to_responses
from bifrost.dialects.bridge_request import responses_to_chat
from bifrost.dialects.bridge_stream import ResponsesTeller
from bifrost.dialects.chat_input import chat_as_input
from bifrost.dialects.openai_answer import decode_answer
from bifrost.dialects.openai_chat import ChatStreamDecoder
from bifrost.dialects.openai_chat_answer import decode_chat_answer
from bifrost.dialects.openai_chat_request import Quirks, encode_chat
from bifrost.dialects.openai_edit import refuse_loss
from bifrost.dialects.openai_events import EventStreamDecoder
from bifrost.dialects.openai_form_request import encode_form_call
from bifrost.dialects.openai_json_request import encode_json
from bifrost.dialects.openai_told import ToldStream
from bifrost.schema.call import Call, Operation

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded

__all__ = ["BRIDGED_RESPONSES", "CODERS", "OBJECTS", "Coder"]


class Encode(Protocol):
    """A call to a body. Raises BadRequest."""

    def __call__(
        self, call: Call, model: str, quirks: Quirks, *, provider: str, disable_store: bool = False
    ) -> Encoded: ...


@attrs.frozen(kw_only=True)
class Coder:
    """One operation. ``stream`` is ``None`` where there is no streaming form."""

    encode: Encode = encode_json
    plain: Callable[[bytes, AnswerFacts], PlainAnswer]
    stream: Callable[[AnswerFacts], StreamDecoder] | None = None
    may_be_bytes: bool = False
    """Whether an answer that is no JSON is one all the same: sound, subtitles."""
    via: Operation | None = None
    """The operation it is asked for in place of its own, where it is bridged."""


def _holding(member: str) -> Callable[[bytes, AnswerFacts], PlainAnswer]:
    return partial(decode_answer, holds=member)


def _encode_bridged(
    call: Call, model: str, quirks: Quirks, *, provider: str, disable_store: bool = False
) -> Encoded:
    bridged = responses_to_chat(call.members)
    refuse_loss(bridged.dropped, call, provider)
    asked = attrs.evolve(call, members=bridged.members)
    sent = encode_chat(asked, model, quirks, provider=provider, disable_store=disable_store)
    return attrs.evolve(sent, dropped=(*bridged.dropped, *sent.dropped))


def _encode_count(
    call: Call, model: str, quirks: Quirks, *, provider: str, disable_store: bool = False
) -> Encoded:
    """A count for a caller of another dialect comes as a chat, and is asked for as Responses have it."""
    if call.native is not None and "messages" in call.members:
        members, dropped = chat_as_input(call.members)
        call = attrs.evolve(call, members=members, lost=(*dropped, *call.lost))
    return encode_json(call, model, quirks, provider=provider, disable_store=disable_store)


BRIDGED_RESPONSES = Coder(
    encode=_encode_bridged,
    plain=lambda body, facts: chat_to_responses(body, facts, facts.members),
    stream=lambda facts: ToldStream(facts, ResponsesTeller(facts, facts.members)),
    via=Operation.CHAT,
)
"""Responses of an upstream that has only chat."""

CODERS: Mapping[Operation, Coder] = MappingProxyType(
    {
        Operation.CHAT: Coder(
            encode=encode_chat, plain=decode_chat_answer, stream=ChatStreamDecoder
        ),
        Operation.TEXT: Coder(plain=decode_chat_answer, stream=ChatStreamDecoder),
        Operation.RESPONSES: Coder(plain=_holding("output"), stream=EventStreamDecoder),
        Operation.COUNT_TOKENS: Coder(encode=_encode_count, plain=_holding("input_tokens")),
        Operation.EMBEDDING: Coder(plain=_holding("data")),
        Operation.RERANK: Coder(plain=_holding("results")),
        Operation.MODERATION: Coder(plain=_holding("results")),
        Operation.SPEECH: Coder(
            plain=_holding("audio"), stream=EventStreamDecoder, may_be_bytes=True
        ),
        Operation.TRANSCRIPTION: Coder(
            encode=encode_form_call,
            plain=_holding("text"),
            stream=EventStreamDecoder,
            may_be_bytes=True,
        ),
        Operation.TRANSLATION: Coder(
            encode=encode_form_call,
            plain=_holding("text"),
            stream=EventStreamDecoder,
            may_be_bytes=True,
        ),
        Operation.IMAGE: Coder(plain=_holding("data"), stream=EventStreamDecoder),
        Operation.IMAGE_EDIT: Coder(
            encode=encode_form_call, plain=_holding("data"), stream=EventStreamDecoder
        ),
        Operation.IMAGE_VARIATION: Coder(encode=encode_form_call, plain=_holding("data")),
    }
)

OBJECTS: Mapping[Operation, Coder] = MappingProxyType(
    {
        Operation.FILE_UPLOAD: Coder(plain=_holding("id")),
        Operation.FILE_LIST: Coder(plain=_holding("data")),
        Operation.FILE_RETRIEVE: Coder(plain=_holding("id")),
        Operation.FILE_DELETE: Coder(plain=_holding("id")),
        Operation.FILE_CONTENT: Coder(plain=_holding("id"), may_be_bytes=True),
        Operation.BATCH_CREATE: Coder(plain=_holding("id")),
        Operation.BATCH_LIST: Coder(plain=_holding("data")),
        Operation.BATCH_RETRIEVE: Coder(plain=_holding("id")),
        Operation.BATCH_CANCEL: Coder(plain=_holding("id")),
    }
)
"""Files and batches: relayed there, read on the way back."""
