"""What requests and answers of each operation look like, as JSON Schema: the table.

Only what is well known is named. Members that no schema here has are as welcome: an upstream of the same dialect gets them
as they came. What a request must have is what ``requirements`` and ``form_body`` refuse it without.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.catalog import MAX_MODEL
from bifrost.dialects.openai_operations import CODERS, OBJECTS
from bifrost.integrations import azure
from bifrost.integrations.requirements import MAX_DOCUMENTS
from bifrost.schema.call import Operation
from bifrost.schema.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

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

Schema = dict[str, object]
"""JSON Schema, draft 2020-12."""

JSON = "application/json"
FORM = "multipart/form-data"
EVENTS = "text/event-stream"
ANY_BYTES = "*/*"

TEXT: Schema = {"type": "string"}
SAID: Schema = {"type": "string", "pattern": r"\S"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
LIST: Schema = {"type": "array"}
OBJECT: Schema = {"type": "object"}
FILE: Schema = {"type": "string", "format": "binary"}
ANYTHING: Schema = {}

NOT_EMPTY: Schema = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "minItems": 1}],
}

MODEL: Schema = {
    **SAID,
    "maxLength": MAX_MODEL,
    "description": "`provider/model`; below `/openai` the provider may be left out, and is `openai` then.",
    "examples": ["mock/echo", "openai/gpt-4o-mini"],
}

FALLBACKS: Schema = {
    "type": ["array", "null"],
    "items": {"anyOf": [TEXT, {"type": "object", "required": ["model"]}]},
    "description": "Models to be asked in this order when the first fails.",
}

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


@attrs.frozen(kw_only=True)
class Shape:
    """One operation. Each of ``bodies`` and ``answers`` is a media type with the name of its schema in ``SCHEMAS``."""

    summary: str
    bodies: Mapping[str, str] = attrs.field(factory=dict)
    full_bodies: Mapping[str, str] = attrs.field(factory=dict)
    """Those where the provider has to be named, and so the model."""
    answers: Mapping[str, str] = attrs.field(factory=dict)


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


def _optional(schema: Schema) -> Schema:
    """The same, or ``null``, which says no more than nothing."""
    kind = schema.get("type")
    return {**schema, "type": [kind, "null"]} if isinstance(kind, str) else schema


def _body(
    needed: Mapping[str, Schema],
    known: Mapping[str, Schema],
    either: Mapping[str, Schema] = MappingProxyType({}),
) -> Schema:
    """A JSON body with what is ``needed``, at least one of ``either``, and perhaps what else is ``known``."""
    others = {name: _optional(schema) for name, schema in {**either, **known}.items()}
    return _with(needed, {**others, "fallbacks": FALLBACKS}, either)


def _form(
    needed: Mapping[str, Schema],
    known: Mapping[str, Schema],
    either: Mapping[str, Schema] = MappingProxyType({}),
) -> Schema:
    """The same for a form, where nothing is null."""
    return _with(needed, {**either, **known, "fallbacks": TEXT}, either)


def _with(
    needed: Mapping[str, Schema], others: Mapping[str, Schema], either: Mapping[str, Schema]
) -> Schema:
    said: Schema = {
        "type": "object",
        "required": list(needed),
        "properties": {**needed, **others},
        "additionalProperties": True,
    }
    choices = [
        {"required": [name], "properties": {name: schema}} for name, schema in either.items()
    ]
    return said | ({"anyOf": choices} if choices else {})


def _all(schema: Schema, names: str) -> dict[str, Schema]:
    return dict.fromkeys(names.split(), schema)


def _answer(held: str, kind: Schema, **known: Schema) -> Schema:
    """A whole answer that holds ``held``; what else the upstream said is in it too."""
    return {
        "type": "object",
        "required": [held],
        "properties": {held: kind, **known, "extra_fields": ref("extra_fields")},
        "additionalProperties": True,
    }


_STREAM = {"stream": FLAG, "stream_options": OBJECT}
_SAMPLING = _all(NUMBER, "frequency_penalty presence_penalty temperature top_p")
_STREAM_FIELD: dict[str, Schema] = {"stream": {"type": "string", "enum": ["true", "false"]}}

CHAT = _body(
    {"model": MODEL, "messages": MESSAGES},
    {
        **_STREAM,
        **_SAMPLING,
        **_all(OBJECT, "audio logit_bias metadata prediction reasoning web_search_options"),
        **_all(FLAG, "logprobs parallel_tool_calls store"),
        **_all(WHOLE, "max_completion_tokens max_tokens n reasoning_max_tokens seed top_logprobs"),
        **_all(LIST, "modalities tools"),
        **_all(
            TEXT,
            "prompt_cache_key prompt_cache_retention reasoning_effort safety_identifier service_tier user verbosity",
        ),
        **_all(ANYTHING, "response_format stop tool_choice"),
    },
)

COMPLETION = _body(
    {"model": MODEL, "prompt": NOT_EMPTY},
    {
        **_STREAM,
        **_SAMPLING,
        **_all(WHOLE, "best_of logprobs max_tokens n seed"),
        **_all(TEXT, "suffix user"),
        "echo": FLAG,
        "logit_bias": OBJECT,
        "stop": ANYTHING,
    },
)

_RESPONSES: Mapping[str, Schema] = {
    **_all(NUMBER, "temperature top_p"),
    **_all(OBJECT, "metadata reasoning text"),
    **_all(FLAG, "background parallel_tool_calls store"),
    **_all(WHOLE, "max_output_tokens max_tool_calls top_logprobs"),
    **_all(LIST, "include tools"),
    **_all(TEXT, "instructions prompt_cache_key safety_identifier service_tier truncation user"),
    **_all(ANYTHING, "conversation tool_choice"),
}
_INPUT: Mapping[str, Schema] = {
    "input": NOT_EMPTY,
    "prompt": OBJECT,
    "previous_response_id": TEXT,
}

IMAGE_FIELDS: Mapping[str, Schema] = {
    **_all(WHOLE, "n num_inference_steps output_compression partial_images seed"),
    **_all(
        TEXT,
        "aspect_ratio background moderation negative_prompt output_format quality response_format size style user",
    ),
}

_TEXTS: Mapping[str, Schema] = dict.fromkeys(IMAGE_FIELDS, TEXT)
"""The same in a form."""

_IMAGES: Mapping[str, Schema] = _all(FILE, "image image[]")

EXTRA_FIELDS: Schema = {
    "type": "object",
    "description": "What the gateway adds, unless `client.send_extra_fields` is off.",
    "properties": {
        **_all(TEXT, "request_type provider model_requested model_deployment"),
        **_all(WHOLE, "latency chunk_index"),
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
                **_all(TEXT, "provider model_requested request_type"),
                **_all(ANYTHING, "raw_request raw_response"),
                **_all(LIST, "attempts key_statuses"),
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
        **_all({"type": "string", "format": "date-time"}, "created_at completed_at expires_at"),
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
    Operation.RESPONSES: {JSON: _body({"model": MODEL}, {**_STREAM, **_RESPONSES}, _INPUT)},
    Operation.COUNT_TOKENS: {JSON: _body({"model": MODEL}, _RESPONSES, _INPUT)},
    Operation.EMBEDDING: {
        JSON: _body(
            {"model": MODEL, "input": NOT_EMPTY},
            {"encoding_format": TEXT, "dimensions": WHOLE, "user": TEXT},
        )
    },
    Operation.RERANK: {
        JSON: _body(
            {"model": MODEL, "query": SAID, "documents": DOCUMENTS},
            {
                "top_n": {"type": "integer", "minimum": 1},
                "max_tokens_per_doc": WHOLE,
                "priority": WHOLE,
                "return_documents": FLAG,
            },
        )
    },
    Operation.MODERATION: {JSON: _body({"input": NOT_EMPTY}, {"model": MODEL})},
    Operation.SPEECH: {
        JSON: _body(
            {"model": MODEL, "input": NOT_EMPTY, "voice": NOT_EMPTY},
            {
                **_all(TEXT, "instructions language_code response_format stream_format"),
                "speed": NUMBER,
                "stream": FLAG,
            },
        )
    },
    Operation.TRANSCRIPTION: {
        FORM: _form(
            {"model": MODEL, "file": FILE},
            {
                **_all(TEXT, "language prompt response_format temperature"),
                **_all(TEXT, "timestamp_granularities[] include[]"),
                **_STREAM_FIELD,
            },
        )
    },
    Operation.TRANSLATION: {
        FORM: _form(
            {"model": MODEL, "file": FILE},
            _all(TEXT, "prompt response_format temperature") | _STREAM_FIELD,
        )
    },
    Operation.IMAGE: {
        JSON: _body(
            {"model": MODEL, "prompt": {"type": "string", "minLength": 1}},
            {**IMAGE_FIELDS, "input_images": LIST, "stream": FLAG},
        )
    },
    Operation.IMAGE_EDIT: {
        FORM: _form(
            {"model": MODEL, "prompt": {"type": "string", "minLength": 1}},
            {
                **_TEXTS,
                **_all(TEXT, "input_fidelity type"),
                **_STREAM_FIELD,
                "mask": FILE,
            },
            _IMAGES,
        ),
        JSON: _body(
            {"model": MODEL, "prompt": {"type": "string", "minLength": 1}},
            {**IMAGE_FIELDS, "images": LIST, "mask": ANYTHING, "stream": FLAG},
        ),
    },
    Operation.IMAGE_VARIATION: {
        FORM: _form(
            {"model": MODEL},
            _all(TEXT, "n size response_format user"),
            _IMAGES,
        )
    },
    Operation.FILE_UPLOAD: {
        FORM: _form({"file": FILE, "purpose": TEXT}, {"provider": TEXT}),
    },
    Operation.BATCH_CREATE: {
        JSON: _body(
            {},
            {
                **_all(TEXT, "input_file_id endpoint completion_window provider"),
                "metadata": OBJECT,
                "model": MODEL,
                "requests": LIST,
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
    yield FULL_MODERATION, _body({"model": MODEL, "input": NOT_EMPTY}, {})
    yield "extra_fields", EXTRA_FIELDS
    yield "error", ERROR
    yield "events", {"description": "Events, each with JSON in its data."}
    yield "bytes", {"description": "What the provider sent, with its content type."}
    yield "model", MODEL_ENTRY
    yield "models", _answer("data", {"type": "array", "items": ref("model")}, object=TEXT)
    yield "job", JOB
    yield "text", TEXT
    yield "object", {"type": "object", "additionalProperties": True}


SHAPES: Mapping[Operation, Shape] = MappingProxyType({op: _shape(op) for op in SUMMARIES})

SCHEMAS: Mapping[str, Schema] = MappingProxyType(dict(_named()))
"""All of them by name; they name each other with ``ref``."""
