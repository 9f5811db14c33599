"""What requests and answers of each operation look like, as JSON Schema: the table.

Only what is well known is named. Members that no schema here has are as welcome: an upstream of the same dialect gets them
as they came. What a request must have is what ``requirements`` and ``form_body`` refuse it without.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.dialects.openai_operations import CODERS, OBJECTS
from bifrost.integrations import azure
from bifrost.integrations.openapi_anthropic import ANTHROPIC_SCHEMAS
from bifrost.integrations.openapi_bedrock import BEDROCK_SCHEMAS
from bifrost.integrations.openapi_cohere import COHERE_SCHEMAS
from bifrost.integrations.openapi_genai import GENAI_SCHEMAS
from bifrost.integrations.openapi_governance import GOVERNANCE_SCHEMAS
from bifrost.integrations.openapi_management import MANAGEMENT_SCHEMAS
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
    NOT_EMPTY,
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
from bifrost.integrations.requirements import MAX_DOCUMENTS
from bifrost.schema.call import Operation
from bifrost.schema.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ANY_BYTES",
    "EVENTS",
    "FORM",
    "JSON",
    "SCHEMAS",
    "SHAPES",
    "Schema",
    "Shape",
    "of_deployment",
    "ref",
]

MESSAGES: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "object", "properties": {"role": TEXT, "content": ANYTHING}},
}

DOCUMENTS: Schema = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_DOCUMENTS,
    "items": {
        "anyOf": [SAID, {"type": "object", "required": ["text"], "properties": {"text": SAID}}]
    },
}


def ref(name: str) -> Schema:
    """A reference to one of ``SCHEMAS``."""
    return {"$ref": f"#/components/schemas/{name}"}


def of_deployment(name: str) -> str:
    """The schema of the same body where the path says which model is meant."""
    return f"deployment_{name}"


def _modelless(schema: Schema) -> Schema:
    match schema["required"]:
        case [*names]:
            return {**schema, "required": [name for name in names if name != "model"]}
        case _:
            return schema


def _answer(held: str, kind: Schema, **known: Schema) -> Schema:
    """A whole answer that holds ``held``; what else the upstream said is in it too."""
    return {
        "type": "object",
        "required": [held],
        "properties": {held: kind, **known, "extra_fields": ref("extra_fields")},
        "additionalProperties": True,
    }


_STREAM = {"stream": FLAG, "stream_options": OBJECT}
_SAMPLING = every(NUMBER, "frequency_penalty presence_penalty temperature top_p")
_STREAM_FIELD: dict[str, Schema] = {"stream": {"type": "string", "enum": ["true", "false"]}}

CHAT = json_body(
    {"model": MODEL, "messages": MESSAGES},
    {
        **_STREAM,
        **_SAMPLING,
        **every(OBJECT, "audio logit_bias metadata prediction reasoning web_search_options"),
        **every(FLAG, "logprobs parallel_tool_calls store"),
        **every(WHOLE, "max_completion_tokens max_tokens n reasoning_max_tokens seed top_logprobs"),
        **every(LIST, "modalities tools"),
        **every(
            TEXT,
            "prompt_cache_key prompt_cache_retention reasoning_effort safety_identifier service_tier user verbosity",
        ),
        **every(ANYTHING, "response_format stop tool_choice"),
    },
)

COMPLETION = json_body(
    {"model": MODEL, "prompt": NOT_EMPTY},
    {
        **_STREAM,
        **_SAMPLING,
        **every(WHOLE, "best_of logprobs max_tokens n seed"),
        **every(TEXT, "suffix user"),
        "echo": FLAG,
        "logit_bias": OBJECT,
        "stop": ANYTHING,
    },
)

_RESPONSES: Mapping[str, Schema] = {
    **every(NUMBER, "temperature top_p"),
    **every(OBJECT, "metadata reasoning text"),
    **every(FLAG, "background parallel_tool_calls store"),
    **every(WHOLE, "max_output_tokens max_tool_calls top_logprobs"),
    **every(LIST, "include tools"),
    **every(TEXT, "instructions prompt_cache_key safety_identifier service_tier truncation user"),
    **every(ANYTHING, "conversation tool_choice"),
}
_INPUT: Mapping[str, Schema] = {
    "input": NOT_EMPTY,
    "prompt": OBJECT,
    "previous_response_id": TEXT,
}

IMAGE_FIELDS: Mapping[str, Schema] = {
    **every(WHOLE, "n num_inference_steps output_compression partial_images seed"),
    **every(
        TEXT,
        "aspect_ratio background moderation negative_prompt output_format quality response_format size style user",
    ),
}

_TEXTS: Mapping[str, Schema] = dict.fromkeys(IMAGE_FIELDS, TEXT)
"""The same in a form."""

_IMAGES: Mapping[str, Schema] = every(FILE, "image image[]")

EXTRA_FIELDS: Schema = {
    "type": "object",
    "description": "What the gateway adds, unless `client.send_extra_fields` is off.",
    "properties": {
        **every(TEXT, "request_type provider model_requested model_deployment"),
        **every(WHOLE, "latency chunk_index"),
        "dropped_params": {"type": "array", "items": TEXT},
        "provider_response_headers": OBJECT,
        "raw_request": ANYTHING,
        "raw_response": ANYTHING,
    },
    "additionalProperties": True,
}

ERROR: Schema = {
    "type": "object",
    "required": ["is_bifrost_error", "status_code", "error", "extra_fields"],
    "properties": {
        "event_id": TEXT,
        "type": TEXT,
        "is_bifrost_error": FLAG,
        "status_code": WHOLE,
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "param"],
            "properties": {
                "type": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
                "message": TEXT,
                "param": ANYTHING,
                "event_id": TEXT,
                "error": {"type": "string", "description": "The cause beneath it."},
            },
        },
        "extra_fields": {
            "type": "object",
            "properties": {
                **every(TEXT, "provider model_requested request_type"),
                **every(ANYTHING, "raw_request raw_response"),
                **every(LIST, "attempts key_statuses"),
            },
        },
    },
}

MODEL_ENTRY: Schema = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string", "description": "`provider/model`"}, "deployment": TEXT},
    "additionalProperties": True,
}

JOB: Schema = {
    "type": "object",
    "required": ["id", "status", "created_at"],
    "properties": {
        "id": TEXT,
        "status": {"type": "string", "enum": [state.value for state in JobState]},
        **every({"type": "string", "format": "date-time"}, "created_at completed_at expires_at"),
        "status_code": {"type": "integer", "description": "What the call was answered with."},
        "result": {"description": "What the synchronous route would have answered."},
        "error": ref("error"),
    },
}

_USAGE: Mapping[str, Schema] = {"usage": ANYTHING, "model": ANYTHING}
_CHOICES = _answer("choices", LIST, id=ANYTHING, object=ANYTHING, created=ANYTHING, **_USAGE)
_OBJECT = _answer("id", ANYTHING, object=ANYTHING)
_PAGE = _answer("data", LIST, object=ANYTHING, has_more=FLAG, last_id=ANYTHING)

OF_REQUESTS: Mapping[Operation, Mapping[str, Schema]] = {
    Operation.CHAT: {JSON: CHAT},
    Operation.TEXT: {JSON: COMPLETION},
    Operation.RESPONSES: {JSON: json_body({"model": MODEL}, {**_STREAM, **_RESPONSES}, _INPUT)},
    Operation.COUNT_TOKENS: {JSON: json_body({"model": MODEL}, _RESPONSES, _INPUT)},
    Operation.EMBEDDING: {
        JSON: json_body(
            {"model": MODEL, "input": NOT_EMPTY},
            {"encoding_format": TEXT, "dimensions": WHOLE, "user": TEXT},
        )
    },
    Operation.RERANK: {
        JSON: json_body(
            {"model": MODEL, "query": SAID, "documents": DOCUMENTS},
            {
                "top_n": {"type": "integer", "minimum": 1},
                "max_tokens_per_doc": WHOLE,
                "priority": WHOLE,
                "return_documents": FLAG,
            },
        )
    },
    Operation.MODERATION: {JSON: json_body({"input": NOT_EMPTY}, {"model": MODEL})},
    Operation.SPEECH: {
        JSON: json_body(
            {"model": MODEL, "input": NOT_EMPTY, "voice": NOT_EMPTY},
            {
                **every(TEXT, "instructions language_code response_format stream_format"),
                "speed": NUMBER,
                "stream": FLAG,
            },
        )
    },
    Operation.TRANSCRIPTION: {
        FORM: form_body(
            {"model": MODEL, "file": FILE},
            {
                **every(TEXT, "language prompt response_format temperature"),
                **every(TEXT, "timestamp_granularities[] include[]"),
                **_STREAM_FIELD,
            },
        )
    },
    Operation.TRANSLATION: {
        FORM: form_body(
            {"model": MODEL, "file": FILE},
            every(TEXT, "prompt response_format temperature") | _STREAM_FIELD,
        )
    },
    Operation.IMAGE: {
        JSON: json_body(
            {"model": MODEL, "prompt": {"type": "string", "minLength": 1}},
            {**IMAGE_FIELDS, "input_images": LIST, "stream": FLAG},
        )
    },
    Operation.IMAGE_EDIT: {
        FORM: form_body(
            {"model": MODEL, "prompt": {"type": "string", "minLength": 1}},
            {
                **_TEXTS,
                **every(TEXT, "input_fidelity type"),
                **_STREAM_FIELD,
                "mask": FILE,
            },
            _IMAGES,
        ),
        JSON: json_body(
            {"model": MODEL, "prompt": {"type": "string", "minLength": 1}},
            {**IMAGE_FIELDS, "images": LIST, "mask": ANYTHING, "stream": FLAG},
        ),
    },
    Operation.IMAGE_VARIATION: {
        FORM: form_body(
            {"model": MODEL},
            every(TEXT, "n size response_format user"),
            _IMAGES,
        )
    },
    Operation.FILE_UPLOAD: {
        FORM: form_body({"file": FILE, "purpose": TEXT}, {"provider": TEXT}),
    },
    Operation.BATCH_CREATE: {
        # Or ``requests`` in place of a file, which is the gateway's own and told in words (operations.md).
        JSON: json_body(
            {"input_file_id": SAID, "endpoint": SAID},
            {
                **every(TEXT, "completion_window provider"),
                "metadata": OBJECT,
                "model": MODEL,
            },
        )
    },
}

OF_ANSWERS: Mapping[Operation, Schema] = {
    Operation.CHAT: _CHOICES,
    Operation.TEXT: _CHOICES,
    Operation.RESPONSES: _answer("output", LIST, id=ANYTHING, status=ANYTHING, **_USAGE),
    Operation.COUNT_TOKENS: _answer("input_tokens", ANYTHING),
    Operation.EMBEDDING: _answer("data", LIST, object=ANYTHING, **_USAGE),
    Operation.RERANK: _answer("results", LIST, **_USAGE),
    Operation.MODERATION: _answer("results", LIST, **_USAGE),
    Operation.SPEECH: _answer("audio", ANYTHING, **_USAGE)
    # The other is a job's that has no result yet: its route answers bytes.
    | {"required": [], "anyOf": [{"required": ["audio"]}, {"required": ["id", "status"]}]},
    Operation.TRANSCRIPTION: _answer("text", ANYTHING, **_USAGE),
    Operation.TRANSLATION: _answer("text", ANYTHING, **_USAGE),
    Operation.IMAGE: _answer("data", LIST, created=ANYTHING, **_USAGE),
    Operation.IMAGE_EDIT: _answer("data", LIST, created=ANYTHING, **_USAGE),
    Operation.IMAGE_VARIATION: _answer("data", LIST, created=ANYTHING, **_USAGE),
    Operation.FILE_UPLOAD: _OBJECT,
    Operation.FILE_LIST: _PAGE,
    Operation.FILE_RETRIEVE: _OBJECT,
    Operation.FILE_DELETE: _OBJECT,
    Operation.FILE_CONTENT: _OBJECT,
    Operation.BATCH_CREATE: _OBJECT,
    Operation.BATCH_LIST: _PAGE,
    Operation.BATCH_RETRIEVE: _OBJECT,
    Operation.BATCH_CANCEL: _OBJECT,
    Operation.BATCH_RESULTS: _answer("results", LIST, batch_id=TEXT),
}
"""Each holds what the dialect's own table looks for in it."""

SUMMARIES: Mapping[Operation, str] = {
    Operation.CHAT: "Chat completion",
    Operation.TEXT: "Text completion",
    Operation.RESPONSES: "A response",
    Operation.COUNT_TOKENS: "How many tokens a response's input has",
    Operation.EMBEDDING: "Embeddings",
    Operation.RERANK: "Documents ranked by what they say to a query",
    Operation.MODERATION: "Moderation",
    Operation.SPEECH: "Text spoken",
    Operation.TRANSCRIPTION: "Sound written down",
    Operation.TRANSLATION: "Sound written down in English",
    Operation.IMAGE: "Pictures made from a text",
    Operation.IMAGE_EDIT: "Pictures changed",
    Operation.IMAGE_VARIATION: "Variations of a picture",
    Operation.FILE_UPLOAD: "Upload a file to a provider",
    Operation.FILE_LIST: "A provider's files",
    Operation.FILE_RETRIEVE: "What is known of a file",
    Operation.FILE_DELETE: "Delete a file",
    Operation.FILE_CONTENT: "A file's content",
    Operation.BATCH_CREATE: "Start a batch",
    Operation.BATCH_LIST: "A provider's batches",
    Operation.BATCH_RETRIEVE: "What is known of a batch",
    Operation.BATCH_CANCEL: "Cancel a batch",
    Operation.BATCH_RESULTS: "What came of a batch, request by request",
}

FULL_MODERATION = "moderation_native_request"
"""The only body that may do without a model where OpenAI is meant."""

_SUFFIXES = {JSON: "request", FORM: "form"}


def _shape(operation: Operation) -> Shape:
    coder = {**CODERS, **OBJECTS}.get(operation)
    answers = {JSON: f"{operation.value}_answer"}
    if coder is not None and coder.stream is not None:
        answers[EVENTS] = "events"
    if coder is not None and coder.may_be_bytes:
        answers[ANY_BYTES] = "bytes"
    requests = OF_REQUESTS.get(operation, {})
    bodies = {kind: f"{operation.value}_{_SUFFIXES[kind]}" for kind in requests}
    return Shape(
        summary=SUMMARIES[operation],
        bodies=bodies,
        full_bodies={JSON: FULL_MODERATION} if operation is Operation.MODERATION else bodies,
        answers=answers,
    )


def _named() -> Iterator[tuple[str, Schema]]:
    of_azure = {route.operation for route in azure.TEMPLATES}
    for operation, bodies in OF_REQUESTS.items():
        for kind, schema in bodies.items():
            name = f"{operation.value}_{_SUFFIXES[kind]}"
            yield name, schema
            if operation in of_azure:
                yield of_deployment(name), _modelless(schema)
    for operation, schema in OF_ANSWERS.items():
        yield f"{operation.value}_answer", schema
    yield FULL_MODERATION, json_body({"model": MODEL, "input": NOT_EMPTY}, {})
    yield "extra_fields", EXTRA_FIELDS
    yield "error", ERROR
    yield "events", {"description": "Events, each with JSON in its data."}
    yield "bytes", {"description": "What the provider sent, with its content type."}
    yield "model", MODEL_ENTRY
    yield "models", _answer("data", {"type": "array", "items": ref("model")}, object=TEXT)
    yield "job", JOB
    yield "text", TEXT
    yield "object", {"type": "object", "additionalProperties": True}
    yield from ANTHROPIC_SCHEMAS.items()
    yield from BEDROCK_SCHEMAS.items()
    yield from GENAI_SCHEMAS.items()
    yield from COHERE_SCHEMAS.items()
    yield from GOVERNANCE_SCHEMAS.items()
    yield from MANAGEMENT_SCHEMAS.items()


SHAPES: Mapping[Operation, Shape] = MappingProxyType({op: _shape(op) for op in SUMMARIES})

SCHEMAS: Mapping[str, Schema] = MappingProxyType(dict(_named()))
"""All of them by name; they name each other with ``ref``."""
