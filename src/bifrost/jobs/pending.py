"""A job without a result in the shape of the route that it was handed in by: its id, and nothing generated."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.codecs.json import dumps
from bifrost.schema.call import Dialect, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.schema.job import Job

__all__ = ["pending_object"]

Members = dict[str, object]


def pending_object(job: Job, dialect: Dialect = Dialect.OPENAI, *, extra_fields: bool) -> bytes:
    """What the route of ``job`` answers instead of a result: an object that its SDK can read, with lists that are empty.

    ``dialect`` is the route's; ``extra_fields`` are OpenAI's callers' only.
    """
    operation = Operation(job.operation)
    foreign = FOREIGN_SHAPES.get((dialect, operation))
    if foreign is not None:
        return dumps({"id": job.id, **foreign(job)})
    members: Members = {"id": job.id, **SHAPES[operation](job)}
    if extra_fields:
        extra = {"request_type": job.operation, "model_requested": job.model}
        members["extra_fields"] = extra
    return dumps(members)


def _chat(job: Job) -> Members:
    return _completion(job, "chat.completion")


def _text(job: Job) -> Members:
    return _completion(job, "text_completion")


def _completion(job: Job, kind: str) -> Members:
    created = int(job.created_s)
    return {"object": kind, "created": created, "model": job.model, "choices": [], "usage": None}


def _response(job: Job) -> Members:
    return {
        "object": "response",
        "created_at": int(job.created_s),
        "status": job.state.value,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": job.model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _input_tokens(_: Job) -> Members:
    return {"object": "response.input_tokens", "input_tokens": None}


def _embeddings(job: Job) -> Members:
    return {"object": "list", "data": [], "model": job.model, "usage": None}


def _results(job: Job) -> Members:
    return {"model": job.model, "results": []}


def _images(job: Job) -> Members:
    return {"created": int(job.created_s), "data": []}


def _transcript(_: Job) -> Members:
    return {"text": ""}


def _speech(job: Job) -> Members:
    """There is no JSON for what is sound."""
    told = {"created": int(job.created_s), "status": job.state.value, "model": job.model}
    return {"object": "audio.speech", **told}


def _message(job: Job) -> Members:
    return {
        "type": "message",
        "role": "assistant",
        "model": job.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def _anthropic_count(_: Job) -> Members:
    return {"input_tokens": None}


def _cohere_chat(_: Job) -> Members:
    return {"finish_reason": None, "message": {"role": "assistant", "content": []}, "usage": None}


def _cohere_embeddings(_: Job) -> Members:
    return {"response_type": "embeddings_by_type", "embeddings": {}, "texts": []}


def _cohere_results(_: Job) -> Members:
    return {"results": []}


def _cohere_tokens(_: Job) -> Members:
    return {"tokens": [], "token_strings": []}


FOREIGN_SHAPES: Mapping[tuple[Dialect, Operation], Callable[[Job], Members]] = MappingProxyType(
    {
        (Dialect.ANTHROPIC, Operation.CHAT): _message,
        (Dialect.ANTHROPIC, Operation.COUNT_TOKENS): _anthropic_count,
        (Dialect.COHERE, Operation.CHAT): _cohere_chat,
        (Dialect.COHERE, Operation.EMBEDDING): _cohere_embeddings,
        (Dialect.COHERE, Operation.RERANK): _cohere_results,
        (Dialect.COHERE, Operation.COUNT_TOKENS): _cohere_tokens,
    }
)

SHAPES: Mapping[Operation, Callable[[Job], Members]] = MappingProxyType(
    {
        Operation.CHAT: _chat,
        Operation.TEXT: _text,
        Operation.RESPONSES: _response,
        Operation.COUNT_TOKENS: _input_tokens,
        Operation.EMBEDDING: _embeddings,
        Operation.RERANK: _results,
        Operation.MODERATION: _results,
        Operation.SPEECH: _speech,
        Operation.TRANSCRIPTION: _transcript,
        Operation.TRANSLATION: _transcript,
        Operation.IMAGE: _images,
        Operation.IMAGE_EDIT: _images,
        Operation.IMAGE_VARIATION: _images,
    }
)
