"""What requests and answers of Cohere's dialect look like, as JSON Schema. Only what is well known is named."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.integrations.openapi_parts import (
    EVENTS,
    FLAG,
    JSON,
    LIST,
    MODEL,
    NUMBER,
    OBJECT,
    SAID,
    TEXT,
    WHOLE,
    Schema,
    Shape,
    every,
    json_body,
)
from bifrost.integrations.requirements import MAX_DOCUMENTS
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COHERE_SCHEMAS", "COHERE_SHAPES"]

MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": {"type": "string", "enum": ["system", "user"]},
            "content": SAID,
        },
        "description": "The assistant's messages have more members, and so have results of tools.",
    },
}

TOOLS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "function"],
        "properties": {
            "type": {"const": "function"},
            "function": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": SAID, "description": TEXT, "parameters": OBJECT},
            },
        },
    },
}

THINKING: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "enum": ["enabled", "disabled"]},
        "token_budget": {"type": "integer", "minimum": 1},
    },
}

RESPONSE_FORMAT: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "enum": ["text", "json_object"]},
        "json_schema": OBJECT,
    },
}

CHAT = json_body(
    {"model": MODEL, "messages": MESSAGES},
    {
        **every(NUMBER, "temperature p frequency_penalty presence_penalty"),
        **every(WHOLE, "k priority seed"),
        **every(FLAG, "logprobs stream strict_tools"),
        "citation_options": OBJECT,
        "documents": LIST,
        "max_tokens": {"type": "integer", "minimum": 1},
        "response_format": RESPONSE_FORMAT,
        "safety_mode": TEXT,
        "stop_sequences": {"type": "array", "items": TEXT, "maxItems": 5},
        "thinking": THINKING,
        "tools": TOOLS,
    },
)

EMBED = json_body(
    {"model": MODEL},
    {
        "embedding_types": {"type": "array", "items": TEXT},
        **every(TEXT, "input_type truncate"),
        **every(WHOLE, "max_tokens priority"),
        "output_dimension": {"type": "integer", "minimum": 1},
    },
    {
        "texts": {"type": "array", "items": TEXT, "minItems": 1},
        "images": {"type": "array", "items": TEXT, "minItems": 1},
        "inputs": {"type": "array", "items": OBJECT, "minItems": 1},
    },
)

RERANK = json_body(
    {
        "model": MODEL,
        "query": SAID,
        "documents": {"type": "array", "items": SAID, "minItems": 1, "maxItems": MAX_DOCUMENTS},
    },
    {
        "top_n": {"type": "integer", "minimum": 1},
        **every(WHOLE, "max_tokens_per_doc priority"),
    },
)


def _answer(**members: Schema) -> Schema:
    return {
        "type": "object",
        "required": [*members],
        "properties": members,
        "additionalProperties": True,
    }


ERROR: Schema = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": TEXT, "error": OBJECT, "extra_fields": OBJECT},
    "additionalProperties": True,
}

COHERE_SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        "cohere_chat_request": CHAT,
        "cohere_chat_answer": _answer(id=TEXT, finish_reason=TEXT, message=OBJECT),
        "cohere_embed_request": EMBED,
        "cohere_embed_answer": _answer(id=TEXT, embeddings=OBJECT),
        "cohere_rerank_request": RERANK,
        "cohere_rerank_answer": _answer(results=LIST),
        "cohere_tokenize_request": json_body(
            {"model": MODEL, "text": {"type": "string", "minLength": 1}}, {}
        ),
        "cohere_tokenize_answer": _answer(tokens=LIST),
        "cohere_error": ERROR,
    }
)


def _shape(summary: str, name: str, **more: str) -> Shape:
    answers = {JSON: f"cohere_{name}_answer", **more}
    return Shape(summary=summary, bodies={JSON: f"cohere_{name}_request"}, answers=answers)


COHERE_SHAPES: Mapping[Operation, Shape] = MappingProxyType(
    {
        Operation.CHAT: _shape("A chat", "chat", **{EVENTS: "events"}),
        Operation.EMBEDDING: _shape("Embeddings", "embed"),
        Operation.RERANK: _shape("Documents by their relevance", "rerank"),
        Operation.COUNT_TOKENS: _shape("The tokens of a text", "tokenize"),
    }
)
