"""What requests and answers of Google's Gemini API look like, as JSON Schema. Only what is well known is named."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.integrations.openapi_parts import (
    EVENTS,
    JSON,
    LIST,
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

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GENAI_SCHEMAS", "GENAI_SHAPES"]

INT32: Schema = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
"""What Google counts with."""

WORDS: Schema = {
    "type": "object",
    "required": ["parts"],
    "properties": {
        "parts": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["text"], "properties": {"text": SAID}},
        },
    },
}

CONTENTS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        **WORDS,
        "properties": {
            "role": {"type": "string", "enum": ["user", "model"]},
            **WORDS["properties"],  # type: ignore[dict-item]  # a dict of what is JSON
        },
        "description": "Other parts have other members: `inlineData`, `fileData`, `functionCall`, `functionResponse`.",
    },
}

TOOLS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "functionDeclarations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": SAID, "description": TEXT, "parameters": OBJECT},
                    "additionalProperties": False,
                },
            }
        },
        "additionalProperties": False,
        "description": "Google's own tools are other members: `googleSearch`, `codeExecution`, `urlContext`.",
    },
}

CONFIG: Schema = {
    "type": "object",
    "properties": {
        **every(NUMBER, "temperature topP topK presencePenalty frequencyPenalty"),
        **every(INT32, "candidateCount seed"),
        "maxOutputTokens": {**INT32, "minimum": 1},
        "stopSequences": {"type": "array", "items": TEXT},
        "responseMimeType": TEXT,
        "responseSchema": OBJECT,
        "responseJsonSchema": OBJECT,
    },
    "additionalProperties": False,
}

KNOWN: dict[str, Schema] = {
    "systemInstruction": WORDS,
    "generationConfig": CONFIG,
    "tools": TOOLS,
    "toolConfig": OBJECT,
    "safetySettings": LIST,
    "labels": OBJECT,
}

EMBEDDING: dict[str, Schema] = {"taskType": TEXT, "title": TEXT, "outputDimensionality": WHOLE}

EMBED: Schema = json_body({"content": WORDS}, EMBEDDING)

REQUESTS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object", "required": ["content"], "properties": {"content": WORDS}},
}

INSTANCES: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {"type": "object", "required": ["prompt"], "properties": {"prompt": SAID}},
}

VECTOR: Schema = {
    "type": "object",
    "required": ["values"],
    "properties": {"values": {"type": "array", "items": NUMBER}},
}


def _object(needed: Mapping[str, Schema], **known: Schema) -> Schema:
    return {"type": "object", "required": [*needed], "properties": {**needed, **known}}


ENTRY = _object({"name": TEXT}, displayName=TEXT, supportedGenerationMethods=LIST)

GENAI_SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        "genai_request": json_body({"contents": CONTENTS}, KNOWN),
        "genai_answer": _object(
            {"candidates": LIST, "modelVersion": TEXT, "responseId": TEXT}, usageMetadata=OBJECT
        ),
        "genai_count_request": json_body({"contents": CONTENTS}, {}),
        "genai_count_answer": _object({"totalTokens": WHOLE}),
        "genai_embed_request": EMBED,
        "genai_embed_answer": _object({"embedding": VECTOR}),
        "genai_batch_request": json_body({"requests": REQUESTS}, {}),
        "genai_batch_answer": _object({"embeddings": {"type": "array", "items": VECTOR}}),
        "genai_predict_request": json_body({"instances": INSTANCES}, {"parameters": OBJECT}),
        "genai_predict_answer": _object({"predictions": LIST}),
        "genai_error": _object(
            {"error": _object({"code": WHOLE, "message": TEXT, "status": TEXT, "details": LIST})}
        ),
        "genai_model": ENTRY,
        "genai_models": _object(
            {
                "models": {
                    "type": "array",
                    "items": {"$ref": "#/components/schemas/genai_model"},
                }
            },
            nextPageToken=TEXT,
        ),
    }
)

GENAI_SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "generateContent": Shape(
            summary="An answer of a model",
            bodies={JSON: "genai_request"},
            answers={JSON: "genai_answer"},
        ),
        "streamGenerateContent": Shape(
            summary="The same as it comes",
            bodies={JSON: "genai_request"},
            answers={EVENTS: "events"},
        ),
        "countTokens": Shape(
            summary="How many tokens a request has",
            bodies={JSON: "genai_count_request"},
            answers={JSON: "genai_count_answer"},
        ),
        "embedContent": Shape(
            summary="The embedding of a text",
            bodies={JSON: "genai_embed_request"},
            answers={JSON: "genai_embed_answer"},
        ),
        "batchEmbedContents": Shape(
            summary="Those of many",
            bodies={JSON: "genai_batch_request"},
            answers={JSON: "genai_batch_answer"},
        ),
        "predict": Shape(
            summary="Pictures of what a text describes",
            bodies={JSON: "genai_predict_request"},
            answers={JSON: "genai_predict_answer"},
        ),
    }
)
"""By method."""
