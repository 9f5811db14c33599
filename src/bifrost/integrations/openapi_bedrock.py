"""What requests and answers of Bedrock's dialect look like, as JSON Schema. Only what is well known is named."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.integrations.openapi_anthropic import ANTHROPIC_SCHEMAS
from bifrost.integrations.openapi_parts import (
    FALLBACKS,
    JSON,
    LIST,
    MODEL,
    OBJECT,
    SAID,
    TEXT,
    WHOLE,
    Schema,
    Shape,
    every,
    json_body,
)
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BEDROCK_SCHEMAS", "BEDROCK_SHAPES", "FRAMES", "INVOKE_SHAPES"]

FRAMES = "application/vnd.amazon.eventstream"

BLOCKS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["text"],
        "properties": {"text": SAID},
        "additionalProperties": False,
        "description": "Other blocks have other members.",
    },
}

MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role", "content"],
        "properties": {
            "role": {"type": "string", "enum": ["user", "assistant"]},
            "content": BLOCKS,
        },
    },
}

SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}

SAMPLING: Schema = {
    "type": "object",
    "properties": {
        "maxTokens": {"type": "integer", "minimum": 1},
        **every(SHARE, "temperature topP"),
        "stopSequences": {"type": "array", "items": TEXT},
    },
}

TOOL: Schema = {
    "type": "object",
    "required": ["toolSpec"],
    "properties": {
        "toolSpec": {
            "type": "object",
            "required": ["name", "inputSchema"],
            "properties": {
                "name": SAID,
                "description": TEXT,
                "inputSchema": {"type": "object", "properties": {"json": OBJECT}},
            },
        },
    },
}

SYSTEM_AND_TOOLS: Mapping[str, Schema] = {
    "system": BLOCKS,
    "toolConfig": {
        "type": "object",
        "required": ["tools"],
        "properties": {"tools": {"type": "array", "items": TOOL, "minItems": 1}},
    },
    "additionalModelRequestFields": OBJECT,
}
"""What a count goes by, besides messages."""

CONVERSE = json_body({"messages": MESSAGES}, {**SYSTEM_AND_TOOLS, "inferenceConfig": SAMPLING})

ANSWER: Schema = {
    "type": "object",
    "required": ["output", "stopReason", "usage"],
    "properties": {
        "output": {
            "type": "object",
            "required": ["message"],
            "properties": {
                "message": {
                    "type": "object",
                    "required": ["role", "content"],
                    "properties": {"role": {"const": "assistant"}, "content": LIST},
                }
            },
        },
        "stopReason": TEXT,
        "usage": {
            "type": "object",
            "properties": every(WHOLE, "inputTokens outputTokens totalTokens"),
        },
        "metrics": OBJECT,
    },
}

COUNTED: Schema = {
    "type": "object",
    "required": ["input"],
    "properties": {
        "input": {
            "type": "object",
            "required": ["converse"],
            "properties": {
                "converse": {
                    "type": "object",
                    "required": ["messages"],
                    "properties": {"messages": MESSAGES, **SYSTEM_AND_TOOLS},
                }
            },
        },
        "fallbacks": FALLBACKS,
    },
}

COUNT: Schema = {
    "type": "object",
    "required": ["inputTokens"],
    "properties": {"inputTokens": WHOLE},
}

ERROR: Schema = {
    "type": "object",
    "required": ["__type", "message"],
    "properties": {"__type": TEXT, "message": TEXT, "code": TEXT},
}


DOCUMENT: Schema = {
    "type": "object",
    "required": ["type", "textDocument"],
    "properties": {
        "type": {"const": "TEXT", "description": "Or `JSON`, with `jsonDocument`."},
        "textDocument": {
            "type": "object",
            "required": ["text"],
            "properties": {"text": SAID},
        },
    },
}

RERANK: Schema = {
    "type": "object",
    "required": ["queries", "sources", "rerankingConfiguration"],
    "properties": {
        "queries": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["textQuery"],
                "properties": {
                    "type": {"const": "TEXT"},
                    "textQuery": {
                        "type": "object",
                        "required": ["text"],
                        "properties": {"text": SAID},
                    },
                },
            },
        },
        "sources": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["inlineDocumentSource"],
                "properties": {"type": {"const": "INLINE"}, "inlineDocumentSource": DOCUMENT},
            },
        },
        "rerankingConfiguration": {
            "type": "object",
            "required": ["bedrockRerankingConfiguration"],
            "properties": {
                "type": {"const": "BEDROCK_RERANKING_MODEL"},
                "bedrockRerankingConfiguration": {
                    "type": "object",
                    "required": ["modelConfiguration"],
                    "properties": {
                        "numberOfResults": {"type": "integer", "minimum": 1},
                        "modelConfiguration": {
                            "type": "object",
                            "required": ["modelArn"],
                            "properties": {
                                "modelArn": MODEL,
                                "additionalModelRequestFields": OBJECT,
                            },
                        },
                    },
                },
            },
        },
        "fallbacks": FALLBACKS,
    },
}

RANKING: Schema = {
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"index": WHOLE, "relevanceScore": {"type": "number"}},
            },
        }
    },
}


def _of_invoke() -> Schema:
    """Anthropic's request without its model, which the path has; or a body of another family's."""
    request = {**ANTHROPIC_SCHEMAS["anthropic_request"], "required": ["messages"]}
    others = (
        {"type": "object", "required": [name], "properties": {name: SAID}}
        for name in ("inputText", "prompt")
    )
    return {"anyOf": [request, *others]}


BEDROCK_SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        "bedrock_request": CONVERSE,
        "bedrock_answer": ANSWER,
        "bedrock_count_request": COUNTED,
        "bedrock_count_answer": COUNT,
        "bedrock_invoke_request": _of_invoke(),
        "bedrock_invoke_answer": {"description": "As the model has it that the body is for."},
        "bedrock_rerank_request": RERANK,
        "bedrock_rerank_answer": RANKING,
        "bedrock_frames": {"type": "string", "format": "binary"},
        "bedrock_error": ERROR,
    }
)

BEDROCK_SHAPES: Mapping[Operation, Shape] = MappingProxyType(
    {
        Operation.CHAT: Shape(
            summary="A turn of a conversation",
            bodies={JSON: "bedrock_request"},
            answers={JSON: "bedrock_answer", FRAMES: "bedrock_frames"},
        ),
        Operation.COUNT_TOKENS: Shape(
            summary="How many tokens a conversation has",
            bodies={JSON: "bedrock_count_request"},
            answers={JSON: "bedrock_count_answer"},
        ),
        Operation.RERANK: Shape(
            summary="Order documents by what they say of a query",
            bodies={JSON: "bedrock_rerank_request"},
            answers={JSON: "bedrock_rerank_answer"},
        ),
    }
)

INVOKE_SHAPES: Mapping[Operation, Shape] = MappingProxyType(
    {
        Operation.CHAT: Shape(
            summary="Whatever a model on Bedrock does, in its own words",
            bodies={JSON: "bedrock_invoke_request"},
            answers={JSON: "bedrock_invoke_answer", FRAMES: "bedrock_frames"},
        ),
    }
)
