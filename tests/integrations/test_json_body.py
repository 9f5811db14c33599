from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.catalog import MAX_FALLBACKS, Catalog
from bifrost.codecs.json import join_object
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.errors import BadRequest, GatewayError
from bifrost.integrations import native, openai
from bifrost.integrations.base import InferenceRoute, Request
from bifrost.integrations.headers import HeaderLines, HeaderRules
from bifrost.schema.call import Call, Operation, Target

OPENAI = openai.ROUTES[0]
NATIVE = native.ROUTES[0]
BOTH = pytest.mark.parametrize("route", [OPENAI, NATIVE], ids=["openai", "native"])

MESSAGES = [{"role": "user", "content": "hi"}]
SETTINGS = ProviderSettings(
    name="openai", keys=(KeySettings(id="k", name="k", value=Secret("sk-test")),)
)
SERVED = Catalog.of(Config(providers={"openai": SETTINGS}))
UNSERVED = Catalog.of(Config())
RULES = HeaderRules.of(ClientSettings())


def parse(
    body: bytes,
    route: InferenceRoute = OPENAI,
    catalog: Catalog = SERVED,
    rules: HeaderRules = RULES,
    headers: HeaderLines = (),
) -> Call:
    request = Request(
        id="call-1",
        route=route,
        headers=headers,
        body=body,
        remote_addr="192.0.2.1",
        received_s=5.0,
    )
    return route.parse(request, catalog, rules)


def body(**members: Any) -> bytes:
    return json.dumps({"model": "openai/m", "messages": MESSAGES} | members).encode()


def refusal(raw: bytes, route: InferenceRoute = OPENAI, catalog: Catalog = SERVED) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(raw, route, catalog)
    assert caught.value.status == 400
    return caught.value


@BOTH
@pytest.mark.parametrize("name", ["Model", "MODEL", "mODEl"])
def test_a_model_is_named_in_one_way(name: str, route: InferenceRoute) -> None:
    """Servers written in Go take it by any case, and of several the last."""
    refused = refusal(body(**{name: "another"}), route)

    assert (refused.message, refused.param) == ("the body names more than one model", "model")


@BOTH
def test_a_request_becomes_a_call(route: InferenceRoute) -> None:
    raw = body(stream=True, max_completion_tokens=7, stream_options={"include_usage": True})

    call = parse(raw, route, headers=((b"user-agent", b"sdk"), (b"x-bf-api-key", b"main")))

    assert call.id == "call-1"
    assert call.operation is Operation.CHAT
    assert call.stream
    assert call.request_type == "chat_completion_stream"
    assert call.target == Target("openai", "m")
    assert call.fallbacks == ()
    assert call.body_bytes == len(raw)
    assert call.caller.user_agent == "sdk"
    assert call.caller.key_name == "main"
    assert call.caller.remote_addr == "192.0.2.1"
    assert call.surface is route.integration.surface
    assert call.route == route.path
    assert call.received_s == 5.0
    assert call.deadline_s == float("inf")
    assert call.max_output_tokens == 7
    assert call.asks_usage


@BOTH
def test_members_stay_as_they_came(route: InferenceRoute) -> None:
    raw = b'{ "z" : {"b": 1, "a":2},"model":"openai/m" ,"messages":[ {"role" : "user"} ], "n":1.0 }'

    members = parse(raw, route).members

    assert list(members.items()) == [
        ("z", b'{"b": 1, "a":2}'),
        ("model", b'"openai/m"'),
        ("messages", b'[ {"role" : "user"} ]'),
        ("n", b"1.0"),
    ]


def tried(raw: bytes, route: InferenceRoute) -> Call | GatewayError:
    """The call, or the refusal; anything else goes through."""
    try:
        return parse(raw, route)
    except GatewayError as error:
        return error


# Bodies that are no request


def test_an_empty_body_is_a_request_without_members_on_openai() -> None:
    assert refusal(b"").message == "model is required"


def test_an_empty_body_is_no_request_natively() -> None:
    assert refusal(b"", NATIVE).message.startswith("invalid request format: ")


@pytest.mark.parametrize("raw", [b"{", b"[]", b'"x"', b"null", b" ", b'{"a":\xff}', b"{}{}"])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    integrated, plain = refusal(raw), refusal(raw, NATIVE)

    assert integrated.message == "Invalid JSON"
    assert integrated.cause
    assert plain.message == f"invalid request format: {integrated.cause}"


def test_a_body_that_is_nested_too_deeply_is_refused() -> None:
    deep = b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    assert refusal(deep).cause == "nested too deeply"


# Model and provider


@BOTH
@pytest.mark.parametrize("model", [None, "", "  ", 7, ["m"], {"m": 1}, True])
def test_a_model_is_required(route: InferenceRoute, model: object) -> None:
    error = refusal(body(model=model), route)

    assert (error.message, error.param) == ("model is required", "model")


@BOTH
def test_a_model_after_the_prefix_is_required(route: InferenceRoute) -> None:
    assert refusal(body(model="groq/"), route).message == "model is required"


@BOTH
def test_a_model_is_bounded(route: InferenceRoute) -> None:
    assert parse(body(model="groq/" + "m" * 507), route).target == Target("groq", "m" * 507)
    assert "512 characters" in refusal(body(model="groq/" + "m" * 508), route).message


def test_a_model_that_no_text_can_hold_is_refused() -> None:
    assert refusal(b'{"model":"\\ud800","messages":[1]}').status == 400


def test_openai_serves_models_without_a_known_prefix() -> None:
    assert parse(body(model="gpt-4o")).target == Target("openai", "gpt-4o")
    assert parse(body(model="meta/llama")).target == Target("openai", "meta/llama")


@pytest.mark.parametrize("model", ["gpt-4o", "meta/llama", "OpenAI/gpt-4o", "/x"])
def test_natively_a_model_names_its_provider(model: str) -> None:
    error = refusal(body(model=model), NATIVE)

    assert error.message == "model should be in provider/model format"


def test_a_default_that_has_no_key_is_no_default() -> None:
    assert refusal(body(model="gpt-4o"), catalog=UNSERVED).message == "provider is required"


@BOTH
def test_a_provider_that_is_named_needs_no_key_to_be_named(route: InferenceRoute) -> None:
    assert parse(body(model="groq/llama"), route, UNSERVED).target == Target("groq", "llama")


def test_a_callers_own_key_opens_the_default() -> None:
    rules = HeaderRules.of(ClientSettings(allow_direct_keys=True))
    sent = ((b"authorization", b"Bearer sk-own"),)

    call = parse(body(model="gpt-4o"), catalog=UNSERVED, rules=rules, headers=sent)

    assert call.target == Target("openai", "gpt-4o")
    assert call.caller.direct_key == Secret("sk-own")


def test_a_callers_own_key_opens_no_native_default() -> None:
    rules = HeaderRules.of(ClientSettings(allow_direct_keys=True))
    sent = ((b"authorization", b"Bearer sk-own"),)

    with pytest.raises(BadRequest, match="provider/model format"):
        parse(body(model="gpt-4o"), NATIVE, rules=rules, headers=sent)


# Messages


@BOTH
@pytest.mark.parametrize("messages", [b"", b'"messages":null,', b'"messages":[],', b'"messages":[ \n],',
                                      b'"messages":{},', b'"messages":"hi",'])  # fmt: skip
def test_messages_are_required(route: InferenceRoute, messages: bytes) -> None:
    error = refusal(b"{" + messages + b'"model":"openai/m"}', route)

    assert error.message == "messages is required for chat completion"
    assert error.param == "messages"


@pytest.mark.parametrize("messages", [b"[[]]", b"[ 1]", b'[{"content":"]"}]', b"[null]"])
def test_messages_are_not_looked_into(messages: bytes) -> None:
    call = parse(b'{"model":"m","messages":' + messages + b"}")

    assert call.members["messages"] == messages


# Stream and limits


@pytest.mark.parametrize(("value", "is_stream"), [(True, True), (False, False), (None, False)])
def test_stream_is_a_boolean(value: object, is_stream: bool) -> None:
    assert parse(body(stream=value)).stream is is_stream
    assert not parse(body()).stream


@BOTH
@pytest.mark.parametrize("value", ["true", 1, 0, [], {}])
def test_a_stream_that_is_none_is_refused(route: InferenceRoute, value: object) -> None:
    assert refusal(body(stream=value), route).param == "stream"


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 6}, 6),
        ({"max_completion_tokens": 6, "max_tokens": 5}, 6),
        ({"max_completion_tokens": None, "max_tokens": 5}, 5),
        ({"max_tokens": 0}, None),
        ({"max_tokens": -1}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": "5"}, None),
        ({"max_tokens": 1.5}, None),
        ({"max_tokens": 10**30}, None),
    ],
)
@BOTH
def test_the_callers_bound_of_the_output_is_known(
    route: InferenceRoute, members: dict[str, object], limit: int | None
) -> None:
    assert parse(body(**members), route).max_output_tokens == limit


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"max_tokens": 5, "n": 1}, {"max_completion_tokens": b"5", "n": b"1"}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": b"5", "max_completion_tokens": b"6"}),
        ({"max_completion_tokens": None, "max_tokens": 5}, {"max_completion_tokens": b"5"}),
        ({"max_tokens": None}, {"max_tokens": b"null"}),
        ({"max_completion_tokens": 6}, {"max_completion_tokens": b"6"}),
    ],
)  # fmt: skip
def test_natively_max_tokens_is_read_under_its_present_name(
    members: dict[str, object], expected: dict[str, bytes]
) -> None:
    found = dict(parse(body(**members), NATIVE).members)

    assert {k: v for k, v in found.items() if k not in {"model", "messages"}} == expected


def test_on_openai_max_tokens_goes_as_sent() -> None:
    assert parse(body(max_tokens=5)).members["max_tokens"] == b"5"


@pytest.mark.parametrize(
    ("options", "asks"),
    [({"include_usage": True}, True), ({"include_usage": 1}, False), ({}, False), (None, False), ([], False)],
)  # fmt: skip
def test_whether_usage_is_asked_for(options: object, asks: bool) -> None:
    assert parse(body(stream_options=options)).asks_usage is asks


# Fallbacks


def test_fallbacks_are_read_and_taken_out() -> None:
    entries = ["groq/a", "b", {"provider": "mistral", "model": "c"}, "", 7, "x/d"]

    call = parse(body(model="openrouter/m", fallbacks=entries))

    assert call.fallbacks == (
        Target("groq", "a"),
        Target("openrouter", "b"),
        Target("mistral", "c"),
        Target("openrouter", "x/d"),
    )
    assert "fallbacks" not in call.members


def test_natively_a_fallback_names_its_provider() -> None:
    call = parse(body(fallbacks=["groq/a", "b"]), NATIVE)

    assert call.fallbacks == (Target("groq", "a"),)


@BOTH
@pytest.mark.parametrize("entries", [None, []])
def test_no_fallbacks_are_none(route: InferenceRoute, entries: object) -> None:
    call = parse(body(fallbacks=entries), route)

    assert call.fallbacks == ()
    assert "fallbacks" not in call.members


@BOTH
@pytest.mark.parametrize("entries", ["groq/a", {"model": "x"}, 1, True])
def test_fallbacks_are_a_list(route: InferenceRoute, entries: object) -> None:
    assert refusal(body(fallbacks=entries), route).message == "fallbacks must be a list"


@pytest.mark.parametrize("name", ["fallbacks", "model", "max_tokens", "stream_options"])
def test_a_member_that_cannot_be_read_is_named(name: str) -> None:
    members = {"model": b'"m"', "messages": b"[1]"} | {name: b"[1e999]"}

    error = refusal(join_object(members))

    assert (error.message, error.param) == (f"invalid value for {name}", name)
    assert error.cause


def test_fallbacks_are_bounded() -> None:
    assert len(parse(body(fallbacks=["groq/a"] * 1000)).fallbacks) == MAX_FALLBACKS


# Laws

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "model": JSON | st.sampled_from(["gpt-4o", "groq/x"]),
        "messages": JSON | st.just(MESSAGES),
        "stream": JSON | st.booleans(),
        "fallbacks": JSON | st.lists(JSON | st.just("groq/y"), max_size=3),
        "max_tokens": JSON,
        "max_completion_tokens": JSON,
        "stream_options": JSON,
        "extra": JSON,
    },
)
ROUTES = st.sampled_from([OPENAI, NATIVE])


@given(ROUTES, MEMBERS)
def test_any_object_becomes_a_call_or_a_refusal(
    route: InferenceRoute, members: dict[str, object]
) -> None:
    raw = json.dumps(members, ensure_ascii=False).encode("utf-8", "replace")

    call = tried(raw, route)

    if isinstance(call, GatewayError):
        assert 400 <= call.status < 500
        return
    assert call.target.provider
    assert call.target.model
    assert "fallbacks" not in call.members
    kept = json.loads(join_object(call.members))
    assert set(members) - set(kept) <= {"fallbacks", "max_tokens"}


@given(ROUTES, st.binary(max_size=200))
def test_any_bytes_become_a_call_or_a_refusal(route: InferenceRoute, raw: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        parse(raw, route)

    assert 400 <= caught.value.status < 500


@given(ROUTES, st.data())
def test_a_damaged_request_becomes_a_call_or_a_refusal(
    route: InferenceRoute, data: st.DataObject
) -> None:
    raw = bytearray(body(stream=True, fallbacks=["groq/a"], max_tokens=5, extra="\u00e9\u4e00"))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))

    call = tried(bytes(raw), route)

    if isinstance(call, GatewayError):
        assert 400 <= call.status < 500
    else:
        assert call.target.model


def test_objects_that_live_with_the_provider_are_noted() -> None:
    file = {"type": "file", "file": {"file_id": "file-abc"}}
    told = parse(body(messages=[{"role": "user", "content": [file]}]))
    quoted = parse(body(messages=[{"role": "user", "content": 'say "file_id": "file-abc"'}]))

    assert told.ids == ("file-abc",)
    assert quoted.ids == ()
