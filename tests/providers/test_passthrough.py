from __future__ import annotations

import attrs
import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.errors import BadRequest, UnsupportedOperation
from bifrost.providers.foreign import ForeignSpec, foreign
from bifrost.providers.passthrough import (
    relayed_below,
    relayed_place,
    relayed_request,
    verbatim_only,
)
from bifrost.providers.place import address_of, place_of
from bifrost.providers.request_headers import Accept, plan_headers
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Dialect, Operation, Relay, Target

TARGET = Target("openai", "")
BASE = place_of("https://api.example.com/base")
ANTHROPIC = {"credentials": ((b"x-api-key", b"sk"),), "defaults": ((b"anthropic-version", b"1"),)}


def call(*headers: tuple[str, str], stream: bool = False, **more: object) -> Call:
    relay = Relay(**{"method": "POST", "path": "/v1/x", "verbatim": True, **more})  # type: ignore[arg-type]  # members by name
    return Call(
        id="1",
        operation=Operation.RELAY,
        stream=stream,
        target=TARGET,
        relay=relay,
        caller=Caller(extra_headers=headers),
    )


def sent(call: Call, operators: dict[str, str] | None = None) -> dict[bytes, bytes]:
    assert call.relay is not None
    plans = {accept: plan_headers(operators or {}, accept) for accept in Accept}
    request = relayed_request(call, call.relay, address_of(BASE), plans, **ANTHROPIC)
    names = [name for name, _ in request.headers]
    assert len(names) == len(set(names))
    return dict(request.headers)


def test_credentials_stand_alone_and_defaults_stand_back() -> None:
    plain = sent(call())
    callers = sent(call(("anthropic-version", "2"), ("x-api-key", "theirs"), ("user-agent", "me")))
    operators = sent(call(), {"anthropic-version": "3", "x-api-key": "operators"})

    assert (plain[b"x-api-key"], plain[b"anthropic-version"]) == (b"sk", b"1")
    assert (callers[b"x-api-key"], callers[b"anthropic-version"]) == (b"sk", b"2")
    assert (operators[b"x-api-key"], operators[b"anthropic-version"]) == (b"sk", b"3")
    assert callers[b"user-agent"] == b"me"


def test_a_stream_is_asked_for_without_coding() -> None:
    assert sent(call(stream=True))[b"accept-encoding"] == b"identity"
    assert sent(call())[b"accept-encoding"] == b"gzip, deflate, br, zstd"
    assert sent(call(("accept", "a/b"), stream=True))[b"accept"] == b"a/b"


def test_method_body_and_type_are_the_callers() -> None:
    asked = call(method="PATCH", body=b"\x00", content_type=b"a/b; c=d")
    assert asked.relay is not None

    request = relayed_request(
        asked, asked.relay, address_of(BASE), {Accept.ANYTHING: plan_headers({}, Accept.ANYTHING)}, credentials=()
    )  # fmt: skip

    assert (request.method, request.body, request.target) == (b"PATCH", b"\x00", b"/base")
    assert dict(request.headers)[b"content-type"] == b"a/b; c=d"


def test_a_header_that_is_none_is_refused() -> None:
    with pytest.raises(BadRequest):
        sent(call(("a", "b\r\nc")))


@pytest.mark.parametrize(
    ("base", "path", "query", "version", "target"),
    [
        ("https://h", "/v1/x", "", "", "/v1/x"),
        ("https://h/v1", "/v1/x", "a=b", "", "/v1/x?a=b"),
        ("https://h/v1", "/x", "", "v9", "/v1/x"),
        ("https://h/v1beta?k=1", "/v1/models/m:go", "a=%2F", "", "/v1/models/m:go?k=1&a=%2F"),
        ("https://h/v1beta", "/upload/v1beta/files", "", "", "/upload/v1beta/files"),
        ("https://h/proxy/v1beta", "/v1alpha/x/", "", "", "/proxy/v1alpha/x/"),
        ("https://h/proxy", "/models", "", "v1beta", "/proxy/v1beta/models"),
        ("https://h", "/v1/a%20b", "", "", "/v1/a%20b"),
        ("https://h/v1", "/v1", "", "", "/v1"),
    ],
)
def test_the_callers_version_replaces_that_of_the_base(
    base: str, path: str, query: str, version: str, target: str
) -> None:
    place = relayed_place(place_of(base), path, query, version=version)

    assert address_of(place).target == target.encode()


def test_only_what_came_by_a_passthrough_route_is_for_other_dialects() -> None:
    passed = call()

    assert verbatim_only(passed, "anthropic") is passed.relay
    for other in (call(verbatim=False), Call(id="1", operation=Operation.RELAY, stream=False, target=TARGET)):  # fmt: skip
        with pytest.raises(UnsupportedOperation, match="passthrough is not supported by anthropic"):
            verbatim_only(other, "anthropic")


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        (None, "/v1/x", b"/v1/x?a=b"),
        (None, "/dashboard/v2/", b"/dashboard/v2/?a=b"),
        ("https://h/v1", "/v1/x", b"/v1/x?a=b"),
        ("https://h/v1", "/x", b"/v1/x?a=b"),
    ],
)
def test_openais_addresses(base: str | None, path: str, target: bytes) -> None:
    settings = ProviderSettings(name="openai", network=NetworkSettings(base_url=base))
    key = KeySettings(id="k", name="k", value=Secret("sk-1"))

    request = build_adapter(settings).encode(call(path=path, query="a=b"), TARGET, key)

    assert request.target == target
    assert dict(request.headers)[b"authorization"] == b"Bearer sk-1"


def test_a_foreign_provider_says_where_relays_go() -> None:
    settings = ProviderSettings(name="gemini")
    spec = ForeignSpec(
        name="gemini",
        dialect=Dialect.GEMINI,
        base_url="https://h/v1beta",
        locate=lambda base, operation, model, key, *, stream: base,
        coders={},
        credential=lambda key: ((b"x-goog-api-key", key.value.reveal().encode()),),
        decode_models=lambda body: (),
    )
    taking = foreign(attrs.evolve(spec, relay_place=relayed_below("v1beta")), settings)
    key = KeySettings(id="k", name="k", value=Secret("AIza"))

    request = taking.encode(call(path="/models", query="a=b"), TARGET, key)

    assert (request.target, request.origin.host) == (b"/v1beta/models?a=b", "h")
    assert dict(request.headers)[b"x-goog-api-key"] == b"AIza"
    assert taking.supports(Operation.RELAY, stream=True)
    assert not foreign(spec, settings).supports(Operation.RELAY, stream=False)
    with pytest.raises(UnsupportedOperation):
        foreign(spec, settings).encode(call(), TARGET, key)
