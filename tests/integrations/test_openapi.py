"""The description's tables say what the code does: what a body needs, what it may ask for, what an answer holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bifrost.catalog import Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.openai_operations import CODERS, OBJECTS
from bifrost.errors import BadRequest
from bifrost.integrations import headers, native, openai
from bifrost.integrations.base import Request
from bifrost.integrations.envelope import error_body
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.json_body import DEFAULT_MODELS
from bifrost.integrations.openapi import ERROR_STATUSES, HEADERS, OF_CALLS, SCHEMES, of_route
from bifrost.integrations.openapi_shapes import EVENTS, FORM, JSON, SCHEMAS, SHAPES
from bifrost.schema.call import Call, Operation, Target
from bifrost.schema.payload import BytesPayload, Field, File, Form

ROUTES = {route.operation: route for route in openai.ROUTES[: len(openai.ROUTES) // 4]}
SETTINGS = ProviderSettings(
    name="openai", keys=(KeySettings(id="k", name="k", value=Secret("sk-test")),)
)
SERVED = Catalog.of(Config(providers={"openai": SETTINGS}))
RULES = HeaderRules.of(ClientSettings())

SAMPLES: dict[str, Any] = {
    "model": "openai/m",
    "messages": [{"role": "user", "content": "hi"}],
    "prompt": "a hat",
    "input": "hi",
    "query": "hats",
    "documents": ["a", {"text": "b"}],
    "voice": "alloy",
    "previous_response_id": "resp_1",
}

JSON_OPERATIONS = [op for op in ROUTES if JSON in SHAPES[op].bodies]
FORM_OPERATIONS = [op for op in ROUTES if FORM in SHAPES[op].bodies]


def schema(operation: Operation, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = SCHEMAS[SHAPES[operation].bodies[kind]]
    return found


def sample(name: str, said: dict[str, Any]) -> Any:
    return {} if said.get("type") == "object" else SAMPLES.get(name)


def needed(said: dict[str, Any]) -> list[dict[str, Any]]:
    """Every least body that ``said`` allows."""
    always = {name: SAMPLES.get(name) for name in said["required"]}
    choices = [choice["properties"] for choice in said.get("anyOf", [{"properties": {}}])]
    return [always | {name: sample(name, is_) for name, is_ in each.items()} for each in choices]


def asked(operation: Operation, **more: Any) -> Call:
    said = {"route": ROUTES[operation], "body": b"", **more}
    request = Request(id="c", headers=(), remote_addr="", received_s=0.0, **said)
    return request.route.parse(request, SERVED, RULES)


def as_json(operation: Operation, members: dict[str, Any]) -> Call:
    return asked(operation, body=json.dumps(members).encode())


def as_form(operation: Operation, fields: dict[str, Any]) -> Call:
    files = {"file", "image", "image[]"}
    form: Form = tuple(
        File(name, b"f", None, BytesPayload(b"x"))
        if name in files
        else Field(name, str(value).encode())
        for name, value in fields.items()
    )
    return asked(operation, form=form, boundary=b"b")


def test_every_operation_of_a_route_is_described() -> None:
    told = {route.operation for route in openai.ROUTES} | set(OBJECTS) | {Operation.BATCH_RESULTS}

    assert told == set(SHAPES)
    assert all(of_route(route).about.bodies for route in openai.ROUTES)


@pytest.mark.parametrize("operation", JSON_OPERATIONS)
def test_a_least_json_body_is_taken_and_valid(operation: Operation) -> None:
    said = schema(operation, JSON)

    for body in needed(said):
        as_json(operation, body)
        Draft202012Validator(said).validate(body)


@pytest.mark.parametrize("operation", JSON_OPERATIONS)
def test_a_json_body_without_something_needed_is_refused_and_invalid(operation: Operation) -> None:
    said = schema(operation, JSON)
    for body in needed(said):
        for name in body:
            less = {other: value for other, value in body.items() if other != name}
            assert not Draft202012Validator(said).is_valid(less)
            with pytest.raises(BadRequest) as caught:
                as_json(operation, less)
            assert caught.value.param in {name, "input"}


@pytest.mark.parametrize("operation", JSON_OPERATIONS)
@pytest.mark.parametrize("empty", ["", [], None])
def test_what_is_needed_is_not_empty(operation: Operation, empty: Any) -> None:
    said = schema(operation, JSON)
    for body in needed(said):
        for name in {*said["required"], "input"} & set(body):
            changed = body | {name: empty}
            assert not Draft202012Validator(said).is_valid(changed)
            with pytest.raises(BadRequest):
                as_json(operation, changed)


@pytest.mark.parametrize("operation", FORM_OPERATIONS)
def test_a_least_form_is_taken_and_less_is_refused(operation: Operation) -> None:
    for fields in needed(schema(operation, FORM)):
        as_form(operation, fields)
        for name in fields:
            less = {other: value for other, value in fields.items() if other != name}
            with pytest.raises(BadRequest):
                as_form(operation, less)


@pytest.mark.parametrize("operation", ROUTES)
def test_a_stream_can_be_asked_for_where_it_is_described(operation: Operation) -> None:
    shape = SHAPES[operation]
    for kind, ask, word in ((JSON, as_json, True), (FORM, as_form, "true")):
        if kind in shape.bodies:
            said = schema(operation, kind)
            [body, *_] = needed(said)
            is_described = "stream" in said["properties"]
            assert is_described == (EVENTS in shape.answers)
            if is_described:
                assert ask(operation, body | {"stream": word}).stream


def test_only_moderation_does_without_a_model_and_only_where_openai_is_meant() -> None:
    without = {op for op in JSON_OPERATIONS if "model" not in schema(op, JSON)["required"]}
    native_route = next(r for r in native.ROUTES if r.operation is Operation.MODERATION)
    [name] = of_route(native_route).about.bodies.values()
    native_schema: dict[str, Any] = SCHEMAS[name]

    assert without == set(DEFAULT_MODELS)
    assert native_schema["required"] == ["model", "input"]
    with pytest.raises(BadRequest):
        asked(Operation.MODERATION, route=native_route, body=b'{"input":"x"}')


@pytest.mark.parametrize("operation", [*CODERS, *OBJECTS])
def test_an_answer_holds_what_its_dialect_looks_for(operation: Operation) -> None:
    coder = {**CODERS, **OBJECTS}[operation]
    said: dict[str, Any] = SCHEMAS[f"{operation.value}_answer"]
    [held] = said["required"] or said["anyOf"][0]["required"]
    facts = AnswerFacts(
        request_type="r",
        provider="openai",
        model_requested="m",
        sent_s=0.0,
        operation=operation,
        received_s=1.0,
    )
    failed = {"error": {"message": "no"}}
    # Chat's errors are told even beside an answer.
    good = {held: []} if held == "choices" else {held: [], **failed}

    assert coder.plain(json.dumps(failed).encode(), facts).error is not None
    answer = coder.plain(json.dumps(good).encode(), facts)
    assert answer.error is None
    assert "extra_fields" in json.loads(answer.body)


def test_every_header_that_a_call_is_read_for_is_described() -> None:
    features = {f"x-bf-{name.decode()}" for name in headers.FEATURES}
    keys = {name.decode() for name in headers.CREDENTIALS} - {"authorization"}
    described = {str(scheme["name"]) for scheme in SCHEMES.values() if "name" in scheme}

    assert features - {"x-bf-vk"} == {name for name in OF_CALLS if name.startswith("x-bf-")}
    assert described == keys | {"x-bf-vk"}
    assert set(OF_CALLS) <= set(HEADERS)


def test_an_error_is_as_its_schema_says() -> None:
    plain = BadRequest("no", param="model", cause="why", event_id="e", kind="k")
    call = asked(Operation.CHAT, body=json.dumps({**SAMPLES}).encode())
    for told in (
        error_body(plain),
        error_body(plain, call=call, target=Target("openai", "m"), attempts=({"a": 1},)),
    ):
        Draft202012Validator(SCHEMAS["error"]).validate(json.loads(told))


def test_statuses_of_our_own_are_named() -> None:
    assert {"400", "408", "413", "429", "431", "500", "502", "503", "504"} <= set(ERROR_STATUSES)
    assert not {"404", "405", "499"} & set(ERROR_STATUSES)
