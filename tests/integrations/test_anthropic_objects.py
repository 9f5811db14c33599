"""Files and batches below ``/anthropic``: which route it is, whose, and what is asked in whose words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.catalog import Catalog
from bifrost.config.settings import ClientSettings, Config, CustomProviderSettings, ProviderSettings
from bifrost.errors import BadRequest, MethodNotAllowed, RouteNotFound, UnsupportedOperation
from bifrost.integrations.anthropic_objects import (
    OBJECT_ROUTES,
    ObjectsAsked,
    as_openai,
    is_for_objects,
    object_route,
)
from bifrost.integrations.headers import HeaderRules
from bifrost.schema.call import Call, Caller, Dialect, Operation, Relay, Surface
from bifrost.schema.payload import BytesPayload, Field, File, Form

CUSTOM = CustomProviderSettings(base_provider_type="anthropic")
CATALOG = Catalog.of(
    Config(providers={"mine": ProviderSettings(name="mine", custom=CUSTOM)}),
)
BATCHES, FILES = "/anthropic/v1/messages/batches", "/anthropic/v1/files"
FILE = File("file", b"a.txt", b"text/plain", BytesPayload(b"text"))


def asked(
    method: str,
    path: str,
    *,
    query: str = "",
    body: Any = None,
    form: Form | None = None,
    **headers: str,
) -> Call:
    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    if body is not None:
        lines.append((b"content-type", b"application/json"))
    it = ObjectsAsked(
        route=object_route(method, path),
        method=method,
        query=query.encode(),
        headers=tuple(lines),
        json=b"" if body is None else json.dumps(body).encode(),
        form=form,
        boundary=b"bound",
    )
    caller = Caller(extra_headers=(("x-mine", "1"),))
    return it.call("c", caller, CATALOG, HeaderRules.of(ClientSettings()))


def native(call: Call) -> Relay:
    assert call.native is not None
    assert call.native.relay is not None
    return call.native.relay


def ours(call: Call) -> Relay:
    assert call.relay is not None
    return call.relay


def test_every_route_is_found() -> None:
    for (method, template), operation in OBJECT_ROUTES.items():
        path = template.replace("{id}", "x_1")
        route = object_route(method, path)

        assert is_for_objects(path)
        assert (route.template, route.operation, route.id) == (
            template,
            operation,
            "x_1" if path != template else "",
        )


@pytest.mark.parametrize(
    "path",
    [
        "/anthropic/v1/filesystem",
        "/anthropic/v1/messages",
        "/anthropic/v1/messages/batchesx",
        "/v1/files",
        "/anthropic",
    ],
)
def test_what_is_somebody_else_s(path: str) -> None:
    assert not is_for_objects(path)


@pytest.mark.parametrize("path", [f"{FILES}/a/b", f"{BATCHES}/a/content", f"{FILES}/a/content/x"])
def test_what_is_nobody_s(path: str) -> None:
    with pytest.raises(RouteNotFound):
        object_route("GET", path)


def test_a_wrong_method_is_told_the_right_ones() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        object_route("PATCH", f"{FILES}/a")

    assert caught.value.param == "GET, DELETE, OPTIONS"


@pytest.mark.parametrize(
    ("method", "path", "openais"),
    [
        ("POST", f"{BATCHES}/b/cancel", "/v1/batches/b/cancel"),
        ("GET", f"{BATCHES}/b", "/v1/batches/b"),
        ("GET", f"{FILES}/f/content", "/v1/files/f/content"),
    ],
)
def test_both_requests_are_there(method: str, path: str, openais: str) -> None:
    headers: Any = {"anthropic_beta": "x", "anthropic_workspace_id": "w", "x_api_key": "secret"}

    call = asked(method, path, query="beta=true&provider=anthropic", **headers)

    assert (ours(call).path, ours(call).query) == (openais, "")
    assert (native(call).path, native(call).query) == (path.removeprefix("/anthropic"), "beta=true")
    assert call.native is not None
    sent = (("anthropic-beta", "x"), ("anthropic-workspace-id", "w"), ("x-mine", "1"))
    assert (call.native.dialect, call.native.headers) == (Dialect.ANTHROPIC, sent)
    # Whoever is asked in other words gets what is for everybody.
    assert call.caller.extra_headers == (("x-mine", "1"),)
    assert call.ids[0] == path.split("/")[-1 if path.endswith("/b") else -2]
    assert (call.surface, call.target.provider) == (Surface.ANTHROPIC, "anthropic")
    assert (as_openai(call).surface, as_openai(call).native) == (Surface.OPENAI, None)


def batch(*models: str, **more: Any) -> Any:
    requests = [{"custom_id": model, "params": {"model": model}} for model in models]
    return {"requests": requests, **more}


@pytest.mark.parametrize(
    ("body", "headers", "target"),
    [
        (batch("claude"), {}, ("anthropic", "claude")),
        (batch("anthropic/claude"), {}, ("anthropic", "claude")),
        (batch("openai/gpt-4o", "x"), {}, ("openai", "gpt-4o")),
        (batch("gpt-4o"), {"x_model_provider": "openai"}, ("openai", "gpt-4o")),
        (batch("gpt-4o", provider="openai"), {}, ("openai", "gpt-4o")),
        (batch("openai/gpt", provider="mine"), {}, ("mine", "openai/gpt")),
        ({"requests": 5}, {}, ("anthropic", "")),
    ],
)
def test_whose_batch_it_is(body: Any, headers: Any, target: tuple[str, str]) -> None:
    call = asked("POST", BATCHES, body=body, **headers)

    assert (call.target.provider, call.target.model) == target
    assert b'"provider"' not in bytes(native(call).body)  # type: ignore[arg-type]  # a body in one piece


@pytest.mark.parametrize(
    ("query", "openais"),
    [
        ("limit=2&after_id=a&beta=true", "after=a&limit=2"),
        ("page=p&page_size=3", "after=p&limit=3"),
        ("page_token=t", "after=t"),
        ("", ""),
    ],
)
def test_lists_in_openai_s_words(query: str, openais: str) -> None:
    call = asked("GET", BATCHES, query=query, x_model_provider="openai")

    assert (ours(call).query, native(call).query) == (openais, query)


@pytest.mark.parametrize("name", ["before_id", "ids", "ids[]", "scope_id"])
def test_what_only_anthropic_s_lists_have(name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        asked("GET", FILES, query=f"{name}=a", x_model_provider="openai")

    assert caught.value.param == name
    assert asked("GET", FILES, query=f"{name}=a").target.provider == "anthropic"


def test_only_anthropic_deletes_batches() -> None:
    assert (
        asked("DELETE", f"{BATCHES}/b", query="provider=mine").operation is Operation.BATCH_DELETE
    )
    with pytest.raises(UnsupportedOperation):
        asked("DELETE", f"{BATCHES}/b", query="provider=openai")


@pytest.mark.parametrize(
    ("provider", "fields", "told"),
    [
        ("openai", {}, ["purpose=batch"]),
        ("azure", {"purpose": "user_data"}, ["purpose=user_data"]),
        ("openai", {"expires_in_seconds": "9"}, ["purpose=batch", "expires_after[anchor]=created_at", "expires_after[seconds]=9"]),
        ("gemini", {"expires_in_seconds": "9"}, ["expires_in_seconds=9"]),
        ("anthropic", {"expires_in_seconds": "9"}, ["expires_in_seconds=9"]),
    ],
)  # fmt: skip
def test_an_upload_in_openai_s_words(
    provider: str, fields: dict[str, str], told: list[str]
) -> None:
    given = tuple(Field(name, value.encode()) for name, value in fields.items())

    call = asked("POST", FILES, form=(Field("provider", provider.encode()), *given, FILE))

    assert call.target.provider == provider
    said = [f"{p.name}={p.value.decode()}" for p in call.form or () if isinstance(p, Field)]
    assert said == told
    assert FILE in (call.form or ())
    assert native(call).content_type == b"multipart/form-data; boundary=bound"
