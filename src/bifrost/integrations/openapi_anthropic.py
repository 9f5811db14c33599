"""What requests and answers of Anthropic's dialect look like, as JSON Schema. Only what is well known is named."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.integrations.openapi_parts import (
    ANY_BYTES,
    ANYTHING,
    EVENTS,
    FILE,
    FLAG,
    FORM,
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
    form_body,
    json_body,
)
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ANTHROPIC_OBJECT_SHAPES", "ANTHROPIC_SCHEMAS", "ANTHROPIC_SHAPES"]

BLOCKS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "text"],
        "properties": {"type": {"const": "text"}, "text": SAID},
        "description": "Other blocks have other members.",
    },
}

CONTENT: Schema = {"anyOf": [TEXT, BLOCKS]}

MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": {"type": "string", "enum": ["user", "assistant"]},
            "content": CONTENT,
        },
    },
}

TOOLS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "type": {"const": "custom"},
            "name": SAID,
            "description": TEXT,
            "input_schema": OBJECT,
        },
    },
}

CHOICE: Schema = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"type": "string", "enum": ["auto", "any", "none"]},
        "disable_parallel_tool_use": FLAG,
    },
}

THINKING: Schema = {
    "type": "object",
    "required": ["type", "budget_tokens"],
    "properties": {
        "type": {"type": "string", "enum": ["enabled", "adaptive", "disabled"]},
        "budget_tokens": {"type": "integer", "minimum": 1},
    },
}

OUTPUT: Schema = {
    "type": "object",
    "properties": {
        "effort": {"type": "string", "enum": ["low", "medium", "high", "max"]},
        "format": {
            "type": "object",
            "required": ["type", "schema"],
            "properties": {"type": {"const": "json_schema"}, "schema": OBJECT},
        },
    },
}

SAID_AND_CALLED: Mapping[str, Schema] = {
    "system": CONTENT,
    "tools": TOOLS,
    "tool_choice": CHOICE,
    "thinking": THINKING,
    "output_config": OUTPUT,
}
"""What a count goes by, besides messages."""

REQUEST = json_body(
    {"model": MODEL, "messages": MESSAGES},
    {
        **SAID_AND_CALLED,
        **every(NUMBER, "temperature top_p"),
        "max_tokens": {"type": "integer", "minimum": 1},
        "top_k": WHOLE,
        "stream": FLAG,
        "stop_sequences": {"type": "array", "items": TEXT},
        "service_tier": {"type": "string", "enum": ["auto", "standard_only"]},
        "metadata": {"type": "object", "properties": {"user_id": TEXT}},
    },
)

ANSWER: Schema = {
    "type": "object",
    "required": ["id", "type", "role", "content", "model", "stop_reason", "usage"],
    "properties": {
        "id": TEXT,
        "type": {"const": "message"},
        "role": {"const": "assistant"},
        "content": LIST,
        "model": TEXT,
        "stop_reason": ANYTHING,
        "stop_sequence": ANYTHING,
        "usage": OBJECT,
    },
    "additionalProperties": True,
}

COUNT: Schema = {
    "type": "object",
    "required": ["input_tokens"],
    "properties": {"input_tokens": {"type": ["integer", "null"]}},
}

ERROR: Schema = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": TEXT, "message": TEXT},
        },
        "request_id": TEXT,
    },
}

ENTRY: Schema = {
    "type": "object",
    "required": ["id", "type", "display_name", "created_at"],
    "properties": {
        "id": {
            "type": "string",
            "description": "`provider/model`; Anthropic's own without theirs.",
        },
        "type": {"const": "model"},
        "display_name": TEXT,
        "created_at": TEXT,
    },
}

PAGE: Schema = {
    "type": "object",
    "required": ["data", "has_more", "first_id", "last_id"],
    "properties": {
        "data": {"type": "array", "items": {"$ref": "#/components/schemas/anthropic_model"}},
        "has_more": FLAG,
        **every({"type": ["string", "null"]}, "first_id last_id"),
    },
}

JSONL = "application/x-jsonl"

BATCH_REQUESTS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["custom_id", "params"],
        "properties": {
            "custom_id": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
            "params": {"$ref": "#/components/schemas/anthropic_request"},
        },
    },
}

NAMED: Schema = {
    "type": "object",
    "required": ["id", "type"],
    "properties": {"id": TEXT, "type": TEXT},
    "additionalProperties": True,
}

LISTED: Schema = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {"type": "array", "items": {"$ref": "#/components/schemas/anthropic_object"}},
        "has_more": FLAG,
        **every({"type": ["string", "null"]}, "first_id last_id next_page"),
    },
}

ANTHROPIC_SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        "anthropic_request": REQUEST,
        "anthropic_answer": ANSWER,
        "anthropic_count_request": json_body(
            {"model": MODEL, "messages": MESSAGES}, SAID_AND_CALLED
        ),
        "anthropic_count_answer": COUNT,
        "anthropic_error": ERROR,
        "anthropic_model": ENTRY,
        "anthropic_models": PAGE,
        "anthropic_batch_request": json_body({"requests": BATCH_REQUESTS}, {"provider": TEXT}),
        "anthropic_file_form": form_body(
            {"file": FILE}, {"expires_in_seconds": TEXT, "purpose": TEXT, "provider": TEXT}
        ),
        "anthropic_object": NAMED,
        "anthropic_objects": LISTED,
    }
)

ANTHROPIC_SHAPES: Mapping[Operation, Shape] = MappingProxyType(
    {
        Operation.CHAT: Shape(
            summary="A message",
            bodies={JSON: "anthropic_request"},
            answers={JSON: "anthropic_answer", EVENTS: "events"},
        ),
        Operation.COUNT_TOKENS: Shape(
            summary="How many tokens a message's request has",
            bodies={JSON: "anthropic_count_request"},
            answers={JSON: "anthropic_count_answer"},
        ),
    }
)

ONE = MappingProxyType({JSON: "anthropic_object"})
MANY = MappingProxyType({JSON: "anthropic_objects"})

ANTHROPIC_OBJECT_SHAPES: Mapping[Operation, Shape] = MappingProxyType(
    {
        Operation.FILE_UPLOAD: Shape(
            summary="Upload a file", bodies={FORM: "anthropic_file_form"}, answers=ONE
        ),
        Operation.FILE_LIST: Shape(summary="Files, page by page", answers=MANY),
        Operation.FILE_RETRIEVE: Shape(summary="What is known of a file", answers=ONE),
        Operation.FILE_DELETE: Shape(summary="Delete a file", answers=ONE),
        Operation.FILE_CONTENT: Shape(summary="A file's content", answers={ANY_BYTES: "bytes"}),
        Operation.BATCH_CREATE: Shape(
            summary="Start a batch of messages",
            bodies={JSON: "anthropic_batch_request"},
            answers=ONE,
        ),
        Operation.BATCH_LIST: Shape(summary="Batches, page by page", answers=MANY),
        Operation.BATCH_RETRIEVE: Shape(summary="What is known of a batch", answers=ONE),
        Operation.BATCH_CANCEL: Shape(summary="Cancel a batch", answers=ONE),
        Operation.BATCH_DELETE: Shape(
            summary="Delete a batch that has ended; of Anthropic only", answers=ONE
        ),
        Operation.BATCH_RESULTS: Shape(
            summary="What came of a batch, line by line", answers={JSONL: "bytes"}
        ),
    }
)
"""Files and batches."""
