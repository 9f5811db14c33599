"""The OpenAPI 3.1 description of the gateway, put together from its tables of routes. Pure.

An ``Endpoint`` is one method of one path. Those of the inference routes, and of files and batches, are made here from the
tables that serve them; what else is served brings its ``About`` along (``http.openapi``).
"""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import attrs

from bifrost.errors import GatewayError
from bifrost.integrations.anthropic_objects import OBJECT_ROUTES
from bifrost.integrations.object_routes import OPERATIONS
from bifrost.integrations.openapi_anthropic import ANTHROPIC_OBJECT_SHAPES, ANTHROPIC_SHAPES
from bifrost.integrations.openapi_bedrock import BEDROCK_SHAPES, FRAMES, INVOKE_SHAPES
from bifrost.integrations.openapi_cohere import COHERE_SHAPES
from bifrost.integrations.openapi_genai import GENAI_SHAPES
from bifrost.integrations.openapi_parts import ANY_BYTES, JSON, TEXT, WHOLE, Schema, Shape
from bifrost.integrations.openapi_shapes import SCHEMAS, SHAPES, of_deployment, ref
from bifrost.integrations.passthrough import PREFIXES as PASSTHROUGH
from bifrost.integrations.relay_routes import METHODS, PREFIXES
from bifrost.schema.call import Operation, Surface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bifrost.integrations.base import InferenceRoute

__all__ = [
    "ANTHROPIC",
    "ERROR_STATUSES",
    "GENAI",
    "HEADERS",
    "OF_CALLS",
    "OF_JOBS",
    "About",
    "Access",
    "Endpoint",
    "Parameter",
    "anthropic_object_endpoints",
    "document",
    "object_endpoints",
    "of_route",
    "passthrough_endpoints",
]


@attrs.frozen
class Parameter:
    """One header, or one pair of the query. Optional."""

    name: str
    about: str
    schema: Schema = attrs.field(factory=lambda: TEXT)


class Access(enum.Enum):
    """Who may call an endpoint."""

    PUBLIC = "public"
    INFERENCE = "inference"
    """Whoever may have calls served."""
    MANAGEMENT = "management"


@attrs.frozen(kw_only=True)
class About:
    """What there is to say of an endpoint besides its method and its path.

    ``bodies`` and ``answers`` are media types with the names of their schemas in ``SCHEMAS``; ``headers`` are names in
    ``HEADERS``.
    """

    summary: str
    tag: str
    bodies: Mapping[str, str] = attrs.field(factory=dict)
    answers: Mapping[str, str] = attrs.field(factory=lambda: {JSON: "object"})
    status: int = HTTPStatus.OK
    """Of an answer that is none of an error."""
    other_answers: Mapping[int, str] = attrs.field(factory=dict)
    """Statuses with the name of the schema of what comes with them, where that is JSON and not the error object."""
    headers: tuple[str, ...] = ()
    query: tuple[Parameter, ...] = ()
    statuses: tuple[str, ...] = ()
    """Those that the error object comes with."""
    errors: str = ""
    """What the names of the error responses begin with: whose shape they have."""
    is_open: bool = False
    """Whether no key has a meaning there."""
    access: Access = Access.MANAGEMENT
    """Who is let in where there is a login. What does not say otherwise is the administrator's."""
    is_verbatim: bool = False
    """Whether the answer is the provider's own, with whatever status, and the body, if there is one, for it to judge."""


@attrs.frozen
class Endpoint:
    """``path`` is a template, with names in braces."""

    method: str
    path: str
    about: About


ONLY_TRUE: Schema = {"type": "string", "enum": ["true"]}
PATH_ID: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9_-][A-Za-z0-9._~-]*$"}
HANDLE: Schema = {"type": "string", "maxLength": 256}

HEADERS: Final = {
    each.name: each
    for each in (
        Parameter("x-request-id", "The call's id; else the gateway makes one."),
        Parameter("traceparent", "The trace that the call belongs to, as W3C writes it."),
        Parameter("x-bf-api-key-id", "The stored key of this id and no other.", HANDLE),
        Parameter("x-bf-api-key", "The stored key of this name and no other.", HANDLE),
        Parameter("x-bf-session-id", "Calls of one session stay on one key.", HANDLE),
        Parameter("x-bf-session-ttl", "How long they do after the last: `30s`, `5m`, seconds."),
        Parameter("x-bf-send-back-raw-request", "Show what was sent upstream.", ONLY_TRUE),
        Parameter("x-bf-send-back-raw-response", "Show what the upstream said.", ONLY_TRUE),
        Parameter(
            "x-bf-passthrough-extra-params", "Merge `extra_params` into what is sent.", ONLY_TRUE
        ),
        Parameter("x-bf-strict", "Refuse what would be dropped in translation.", ONLY_TRUE),
        Parameter("x-model-provider", "To whom a request goes that is relayed."),
        Parameter("x-bf-model-provider", "Whose models are listed; `all` is the default."),
        Parameter("x-bf-list-models-provider", "The same."),
        Parameter(
            "x-bf-azure-endpoint",
            "The address of the Azure resource that the caller's own key is of.",
        ),
        Parameter("x-bf-bedrock-api-key", "The caller's own key of Bedrock."),
        Parameter(
            "x-bf-bedrock-access-key",
            "The id of the caller's own key of AWS, by which calls of Bedrock are signed; with the two that follow.",
        ),
        Parameter("x-bf-bedrock-secret-key", "The secret of that key."),
        Parameter("x-bf-bedrock-region", "The region where the caller's key is good."),
        Parameter("x-bf-bedrock-session-token", "Where that key is temporary."),
        Parameter("x-bf-async", "Hand the request in as a job.", ONLY_TRUE),
        Parameter("x-bf-async-id", "Ask for this job; the body is not looked at."),
        Parameter("x-bf-async-job-result-ttl", "Seconds for which a job's result is kept.", WHOLE),
    )
}
"""Headers that requests are read for; ``docs/headers.md`` tells of them at length."""

OF_CALLS: Final = (
    "x-request-id",
    "traceparent",
    "x-bf-api-key-id",
    "x-bf-api-key",
    "x-bf-session-id",
    "x-bf-session-ttl",
    "x-bf-send-back-raw-request",
    "x-bf-send-back-raw-response",
    "x-bf-passthrough-extra-params",
    "x-bf-strict",
    "x-bf-azure-endpoint",
    "x-bf-bedrock-api-key",
    "x-bf-bedrock-access-key",
    "x-bf-bedrock-secret-key",
    "x-bf-bedrock-region",
    "x-bf-bedrock-session-token",
)
"""Those that every call is read for."""

OF_PASSTHROUGH: Final = (
    "x-request-id",
    "traceparent",
    "x-bf-api-key-id",
    "x-bf-api-key",
    "x-bf-session-id",
    "x-bf-session-ttl",
)
"""Those that a request is read for which goes on as it came."""

OF_JOBS: Final = ("x-bf-async", "x-bf-async-id", "x-bf-async-job-result-ttl")
"""Those that an inference route is read for besides."""

SCHEMES: Final[Mapping[str, Schema]] = {
    "virtual_key": {"type": "apiKey", "in": "header", "name": "x-bf-vk"},
    "bearer": {"type": "http", "scheme": "bearer"},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "x-goog-api-key": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
    "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
}
"""Where a key may be; none is needed."""

NATIVE = "/v1/"

PROVIDER = Parameter(
    "provider",
    "To whom it goes: `openai` by default; below `/v1` it has to be named, here or by `x-model-provider`.",
)
PAGING = (
    Parameter("after", "Go on behind this one."),
    Parameter("limit", "How many.", {"type": "integer"}),
)

ANTHROPICS_PROVIDER = Parameter("provider", "To whom it goes: `anthropic` by default.")
BATCH_PAGING = (
    Parameter("limit", "How many.", {"type": "integer"}),
    Parameter("after_id", "Go on behind this one."),
    Parameter("before_id", "Those before this one; of Anthropic, with one key."),
)
FILE_PAGING = (*BATCH_PAGING, Parameter("page", "Go on where the page before ended."))

QUERIES: Mapping[Operation, tuple[Parameter, ...]] = {
    Operation.FILE_LIST: (*PAGING, Parameter("order", "By time."), Parameter("purpose", "Whose.")),
    Operation.BATCH_LIST: PAGING,
}

VERBATIM: Schema = {
    "description": "The provider's answer as it came; the error object where the gateway itself has none to tell.",
    "headers": {"x-request-id": {"$ref": "#/components/headers/x-request-id"}},
    "content": {ANY_BYTES: {"schema": ref("bytes")}},
}

_NEVER_OF_A_CALL = {404, 405, 499}
"""No such route, no such method, and what only the record sees."""

ANTHROPIC = "anthropic_"
"""What the names of error responses begin with that have Anthropic's shape."""

BEDROCK = "bedrock_"
"""Likewise, of Bedrock's."""

GENAI = "genai_"
"""The same for Google's."""

GENAI_QUERY = (
    Parameter("key", "The caller's key, where no header has it."),
    Parameter("alt", "Of no effect: streams are always server-sent events."),
)

COHERE = "cohere_"
"""Likewise of Cohere's."""

_NAME = re.compile(r"\{(\w+)\}")
_NO_WORD = re.compile(r"\W+")


def _default_statuses(error: type[GatewayError] = GatewayError) -> set[int]:
    statuses = {error.default_status}
    return statuses.union(*map(_default_statuses, error.__subclasses__()))


ERROR_STATUSES: Final = (
    *sorted(map(str, (_default_statuses() | {408, 431}) - _NEVER_OF_A_CALL)),
    "4XX",
    "5XX",
)
"""What a call may fail with: the gateway's own statuses, and whatever the upstream's was."""


OWN_SHAPES: Mapping[Surface, tuple[Mapping[Operation, Shape], str]] = {
    Surface.ANTHROPIC: (ANTHROPIC_SHAPES, ANTHROPIC),
    Surface.COHERE: (COHERE_SHAPES, COHERE),
    Surface.BEDROCK: (BEDROCK_SHAPES, BEDROCK),
    Surface.INVOKE: (INVOKE_SHAPES, BEDROCK),
}
"""Those that do not speak OpenAI's dialect: their shapes, and what the names of their error responses begin with."""


def of_route(route: InferenceRoute) -> Endpoint:
    """An inference route's endpoint."""
    if route.integration.surface is Surface.GENAI:
        return _of_genai(route)
    shapes, errors = OWN_SHAPES.get(route.integration.surface, (SHAPES, ""))
    shape = shapes[route.operation]
    about = About(
        summary=shape.summary,
        tag=route.integration.name,
        bodies=_bodies(route, shape),
        answers=_answers(route, shape),
        headers=OF_CALLS if errors == BEDROCK else (*OF_CALLS, *OF_JOBS),
        statuses=ERROR_STATUSES,
        errors=errors,
    )
    return Endpoint("POST", route.path, about)


def _of_genai(route: InferenceRoute) -> Endpoint:
    shape = GENAI_SHAPES[route.path.rpartition(":")[2]]
    about = About(
        summary=shape.summary,
        tag=route.integration.name,
        bodies=shape.bodies,
        answers=shape.answers,
        headers=OF_CALLS,
        query=GENAI_QUERY,
        statuses=ERROR_STATUSES,
        errors=GENAI,
    )
    return Endpoint("POST", route.path, about)


def _answers(route: InferenceRoute, shape: Shape) -> Mapping[str, str]:
    """Of Bedrock's routes one streams and another does not; with others the body says it."""
    if FRAMES not in shape.answers:
        return shape.answers
    kind = FRAMES if route.path.endswith("-stream") else JSON
    return {kind: shape.answers[kind]}


def _bodies(route: InferenceRoute, shape: Shape) -> Mapping[str, str]:
    if _NAME.search(route.path) and route.integration.surface not in OWN_SHAPES:
        return {kind: of_deployment(name) for kind, name in shape.bodies.items()}
    return shape.bodies if route.integration.default_provider else shape.full_bodies


def object_endpoints() -> tuple[Endpoint, ...]:
    """Those of files and batches, natively and below each prefix."""
    canonical = "/openai/v1/"
    return tuple(
        Endpoint(method, prefix + template.removeprefix(canonical), _of_object(operation))
        for prefix in (NATIVE, *PREFIXES)
        for (method, template), operation in OPERATIONS.items()
    )


def _of_object(operation: Operation) -> About:
    shape = SHAPES[operation]
    return About(
        summary=shape.summary,
        tag="objects",
        bodies=shape.bodies,
        answers=shape.answers,
        headers=(*OF_CALLS, "x-model-provider"),
        query=(PROVIDER, *QUERIES.get(operation, ())),
        statuses=tuple(sorted({*ERROR_STATUSES, "404", "414"})),
    )


def anthropic_object_endpoints() -> tuple[Endpoint, ...]:
    """Those of files and batches in Anthropic's dialect."""
    return tuple(
        Endpoint(method, template, _of_anthropic_object(operation))
        for (method, template), operation in OBJECT_ROUTES.items()
    )


def _of_anthropic_object(operation: Operation) -> About:
    shape = ANTHROPIC_OBJECT_SHAPES[operation]
    paged = {Operation.FILE_LIST: FILE_PAGING, Operation.BATCH_LIST: BATCH_PAGING}
    return About(
        summary=shape.summary,
        tag="anthropic",
        bodies=shape.bodies,
        answers=shape.answers,
        headers=(*OF_CALLS, "x-model-provider"),
        query=(ANTHROPICS_PROVIDER, *paged.get(operation, ())),
        statuses=tuple(sorted({*ERROR_STATUSES, "404"})),
        errors=ANTHROPIC,
    )


def passthrough_endpoints() -> tuple[Endpoint, ...]:
    """Those of the passthrough routes."""
    return tuple(
        Endpoint(method, f"{prefix}/{{path}}", _of_passthrough(method, provider))
        for prefix, provider in PASSTHROUGH.items()
        for method in METHODS
    )


def _of_passthrough(method: str, provider: str) -> About:
    whose = provider or "gemini or vertex"
    return About(
        summary=f"The API of {whose} as it is; `path` may have slashes",
        tag="passthrough",
        bodies={} if method in {"GET", "HEAD"} else {ANY_BYTES: "bytes"},
        headers=(*OF_PASSTHROUGH, "x-model-provider"),
        is_verbatim=True,
    )


ABOUT = """\
One door to many providers of language models. What is below `/openai` speaks OpenAI's dialect, with or without `/v1`; what
is below `/v1` is the same with the provider always named in `model`. What is below `/anthropic` speaks Anthropic's, what is
below `/genai` Google's Gemini API, what is below `/cohere` Cohere's, what is below `/bedrock` Bedrock's Converse; below
`/langchain`, `/litellm` and `/pydanticai` all of them are spoken.

What is below `/openai_passthrough`, `/anthropic_passthrough` and `/genai_passthrough` is the API of a provider, with a key of
the gateway's (`docs/passthrough.md`).

Not described here: every other path below `/openai`, which is relayed to the provider as it came (`docs/openai-routes.md`);
conversations over WebSocket; and headers with a name of your own choice: `x-bf-eh-…` goes upstream, `x-bf-lh-…` into the
log, `x-bf-prom-…` into labels (`docs/headers.md`)."""


def document(endpoints: Iterable[Endpoint], version: str) -> Schema:
    """The description of ``endpoints``, an OpenAPI 3.1 object. ``version`` is the gateway's."""
    paths: dict[str, Schema] = defaultdict(dict)
    for endpoint in endpoints:
        item = paths[endpoint.path]
        item[endpoint.method.lower()] = _operation(endpoint)
        if names := _NAME.findall(endpoint.path):
            item["parameters"] = [_in_path(name) for name in names]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Bifrost",
            "version": version,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, *({name: []} for name in SCHEMES)],
        "paths": dict(sorted(paths.items())),
        "components": _components(),
    }


def _in_path(name: str) -> Schema:
    schema: Schema = PATH_ID if name == "id" else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(endpoint: Endpoint) -> Schema:
    about = endpoint.about
    told: Schema = {
        "operationId": _NO_WORD.sub("_", f"{endpoint.method.lower()}{endpoint.path}").strip("_"),
        "summary": about.summary,
        "tags": [about.tag],
        "responses": _responses(about),
    }
    parameters = [
        *({"$ref": f"#/components/parameters/{name}"} for name in about.headers),
        *(_parameter(each, "query") for each in about.query),
    ]
    if parameters:
        told["parameters"] = parameters
    if about.bodies:
        told["requestBody"] = {
            "required": not about.is_verbatim,
            "content": _content(about.bodies),
        }
    if about.is_open:
        told["security"] = []
    return told


def _content(kinds: Mapping[str, str]) -> Schema:
    return {kind: {"schema": ref(name)} for kind, name in kinds.items()}


def _parameter(each: Parameter, where: str) -> Schema:
    return {"name": each.name, "in": where, "description": each.about, "schema": each.schema}


def _responses(about: About) -> Schema:
    if about.is_verbatim:
        return {"default": VERBATIM}
    return {
        str(int(about.status)): _response(about.status, _content(about.answers)),
        **{
            str(status): _response(status, _content({JSON: name}))
            for status, name in about.other_answers.items()
        },
        **{
            status: {"$ref": f"#/components/responses/{about.errors}{status}"}
            for status in about.statuses
        },
    }


def _response(status: int, content: Schema) -> Schema:
    phrase = HTTPStatus(status).phrase
    return {"description": phrase, "headers": _answer_headers(), "content": content}


def _answer_headers(*more: str) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("x-request-id", *more)}


def _components() -> Schema:
    statuses = (*ERROR_STATUSES, "404", "414")
    return {
        "schemas": dict(SCHEMAS),
        "parameters": {name: _parameter(each, "header") for name, each in HEADERS.items()},
        "headers": {
            "x-request-id": {"required": True, "schema": TEXT, "description": "The call's id."},
            "retry-after": {
                "schema": {"type": "integer", "minimum": 1},
                "description": "Seconds after which to come back.",
            },
        },
        "responses": {
            **{status: _failure(status) for status in sorted(statuses)},
            **{
                f"{prefix}{status}": _failure(status, f"{prefix}error")
                for prefix, more in (
                    (ANTHROPIC, ("404",)),
                    (GENAI, ("404",)),
                    (COHERE, ()),
                    (BEDROCK, ()),
                )
                for status in sorted({*ERROR_STATUSES, *more})
            },
        },
        "securitySchemes": dict(SCHEMES),
    }


def _failure(status: str, schema: str = "error") -> Schema:
    names = {"4XX": "Another mistake of the caller's", "5XX": "Another failure of the upstream's"}
    more = ("retry-after",) if status in {"429", "503"} else ()
    return {
        "description": names.get(status) or HTTPStatus(int(status)).phrase,
        "headers": _answer_headers(*more),
        "content": _content({JSON: schema}),
    }
