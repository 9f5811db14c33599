"""What a caller of another dialect says of embeddings, and what nobody can leave out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.codecs.json import split_object
from bifrost.dialects.openai_chat_request import STANDARD
from bifrost.dialects.openai_operations import CODERS
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Surface, Target

if TYPE_CHECKING:
    from bifrost.dialects.openai_edit import Encoded

ASKED = {"input": ["a"], "dimensions": 2, "task_type": "CLUSTERING", "title": "t"}
CALL = Call(
    id="c",
    operation=Operation.EMBEDDING,
    stream=False,
    target=Target("openai", "m"),
    surface=Surface.GENAI,
    lost=("new",),
    members=split_object(json.dumps(ASKED).encode()),
)


def encoded(call: Call) -> Encoded:
    return CODERS[call.operation].encode(call, "m", STANDARD, provider="openai")


def body(sent: Encoded) -> Any:
    return json.loads(sent.body)


def test_embeddings_go_without_what_openai_has_no_word_for() -> None:
    sent = encoded(CALL)

    assert body(sent) == {"input": ["a"], "dimensions": 2, "model": "m"}
    assert sent.dropped == ("task_type", "title", "new")


def test_openais_own_callers_and_those_who_insist_are_taken_at_their_word() -> None:
    own = attrs.evolve(CALL, surface=Surface.OPENAI, lost=())
    insisting = attrs.evolve(CALL, caller=Caller(passthrough_extra_params=True))

    assert body(encoded(own)) == ASKED | {"model": "m"}
    assert encoded(own).dropped == ()
    assert body(encoded(insisting)) == ASKED | {"model": "m"}
    assert encoded(insisting).dropped == ("new",)


def test_under_strict_nothing_is_left_out() -> None:
    with pytest.raises(BadRequest, match="openai does not take: task_type, title, new"):
        encoded(attrs.evolve(CALL, caller=Caller(strict=True)))


def test_a_part_of_the_conversation_cannot_be_left_out() -> None:
    members = {"messages": b'[{"role":"user","content":"x"}]', "cached_content": b'"c/1"'}
    native = Native(dialect=Dialect.GEMINI, members={})
    chat = attrs.evolve(CALL, operation=Operation.CHAT, members=members, native=native)

    with pytest.raises(BadRequest, match="openai does not know cached_content") as caught:
        encoded(chat)

    assert caught.value.param == "cached_content"
