from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from cohere.types import EmbedByTypeResponse, TokenizeResponse
from cohere.v2.types import V2ChatResponse, V2RerankResponse

from bifrost.codecs.json import loads
from bifrost.integrations import openai
from bifrost.jobs.pending import SHAPES, pending_object
from bifrost.schema.call import Dialect, Operation
from bifrost.schema.job import Job, JobState

if TYPE_CHECKING:
    import pydantic

JOB = Job(
    id="j",
    state=JobState.PROCESSING,
    operation="chat_completion",
    route="/openai/v1/chat/completions",
    model="m",
    virtual_key_id="",
    created_s=1_800_000_000.5,
)
CREATED = 1_800_000_000


def told(operation: Operation, **changed: Any) -> Any:
    job = attrs.evolve(JOB, operation=operation.value, **changed)
    return loads(pending_object(job, extra_fields=False))


def test_a_chat_completion_without_choices() -> None:
    assert loads(pending_object(JOB, extra_fields=True)) == {
        "id": "j",
        "object": "chat.completion",
        "created": CREATED,
        "model": "m",
        "choices": [],
        "usage": None,
        "extra_fields": {"request_type": "chat_completion", "model_requested": "m"},
    }


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.PROCESSING])
def test_a_response_says_how_far_it_is(state: JobState) -> None:
    response = told(Operation.RESPONSES, state=state)

    assert (response["id"], response["object"], response["status"]) == (
        "j",
        "response",
        state.value,
    )
    assert response["output"] == []


@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        (Operation.TEXT, {"object": "text_completion", "created": CREATED, "model": "m", "choices": [], "usage": None}),
        (Operation.COUNT_TOKENS, {"object": "response.input_tokens", "input_tokens": None}),
        (Operation.EMBEDDING, {"object": "list", "data": [], "model": "m", "usage": None}),
        (Operation.RERANK, {"model": "m", "results": []}),
        (Operation.MODERATION, {"model": "m", "results": []}),
        (Operation.SPEECH, {"object": "audio.speech", "created": CREATED, "status": "processing", "model": "m"}),
        (Operation.TRANSCRIPTION, {"text": ""}),
        (Operation.TRANSLATION, {"text": ""}),
        (Operation.IMAGE, {"created": CREATED, "data": []}),
        (Operation.IMAGE_EDIT, {"created": CREATED, "data": []}),
        (Operation.IMAGE_VARIATION, {"created": CREATED, "data": []}),
    ],
)  # fmt: skip
def test_the_others_have_their_id_and_nothing_generated(
    operation: Operation, shape: dict[str, Any]
) -> None:
    assert told(operation) == {"id": "j", **shape}


def test_every_operation_that_can_be_handed_in_has_a_shape() -> None:
    assert SHAPES.keys() == {route.operation for route in openai.ROUTES}


@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        (
            Operation.CHAT,
            {
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 0, "output_tokens": 0},
            },
        ),
        (Operation.COUNT_TOKENS, {"input_tokens": None}),
    ],
)
def test_anthropics_callers_are_told_in_their_own_shape(
    operation: Operation, shape: dict[str, Any]
) -> None:
    job = attrs.evolve(JOB, operation=operation.value)

    assert loads(pending_object(job, Dialect.ANTHROPIC, extra_fields=True)) == {"id": "j", **shape}


@pytest.mark.parametrize(
    ("operation", "kind", "empty"),
    [
        (Operation.CHAT, V2ChatResponse, "message"),
        (Operation.EMBEDDING, EmbedByTypeResponse, "embeddings"),
        (Operation.RERANK, V2RerankResponse, "results"),
        (Operation.COUNT_TOKENS, TokenizeResponse, "tokens"),
    ],
)
def test_coheres_sdk_can_read_what_is_not_done_yet(
    operation: Operation, kind: type[pydantic.BaseModel], empty: str
) -> None:
    job = attrs.evolve(JOB, operation=operation.value)

    told = loads(pending_object(job, Dialect.COHERE, extra_fields=True))

    kind.model_validate(told)
    assert told["id"] == "j"
    assert empty in told
    assert "extra_fields" not in told
