"""What comes after the request that begins a prediction."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.providers.base import Ask, FollowUp, Told, UpstreamRequest
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Caller, Operation, Target

KEY = KeySettings(id="k", name="k", value=Secret("r8"))


def begun(*, stream: bool = False, base_url: str | None = None) -> FollowUp:
    settings = ProviderSettings(name="replicate", network=NetworkSettings(base_url=base_url))
    call = Call(
        id="1",
        operation=Operation.CHAT,
        stream=stream,
        target=Target("replicate", "meta/llama"),
        members={"model": b'"x"', "messages": b'[{"role":"user","content":"hi"}]'},
        caller=Caller(extra_headers=(("x-mine", "1"),)),
    )
    request = build_adapter(settings).encode(call, call.target, KEY)
    assert request.follow_up is not None
    return request.follow_up


def after(told: Any, status: int = 201, **how: Any) -> Ask | Told | None:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return begun(**how).next(status, body)


def streamed_at(url: str, base_url: str | None = None) -> UpstreamRequest:
    told = {"id": "p1", "status": "starting", "urls": {"stream": url}}
    found = after(told, stream=True, base_url=base_url)
    assert isinstance(found, Ask)
    assert found.request.follow_up is None
    return found.request


@pytest.mark.parametrize(
    "told",
    [b"{", b"[]", {}, {"status": "succeeded", "id": "p1"}, {"status": "processing"}, {"status": {}, "id": "p1"},
     {"status": "processing", "id": "../x"}, {"status": "processing", "id": 5}],
)  # fmt: skip
def test_what_is_taken_as_it_came(told: Any) -> None:
    assert after(told) is None


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_one_that_was_not_begun_is_not_asked_for(status: int) -> None:
    assert after({"id": "p1", "status": "processing"}, status) is None


def test_it_is_asked_for_below_the_base() -> None:
    found = after(
        {"id": "p1", "status": "processing"}, base_url="https://proxy.example/replicate/v1"
    )

    assert isinstance(found, Ask)
    assert found.request.target == b"/replicate/v1/predictions/p1"
    assert found.request.follow_up is not None
    assert not found.request.follow_up.begins
    assert found.call_off is not None
    assert (found.call_off.method, found.call_off.target) == (
        b"POST",
        b"/replicate/v1/predictions/p1/cancel",
    )
    assert dict(found.call_off.headers)[b"x-mine"] == b"1"


@pytest.mark.parametrize(
    ("url", "base_url", "is_trusted"),
    [
        ("https://stream.replicate.com/v1/files/x?y=1", None, True),
        ("https://api.replicate.com/stream", None, True),
        ("http://127.0.0.1:1/stream", "http://127.0.0.1:1", True),
        ("http://127.0.0.1:2/stream", "http://127.0.0.1:1", False),
        ("http://stream.replicate.com/x", None, False),
        ("https://replicate.com.evil.example/x", None, False),
        ("https://evilreplicate.com/x", None, False),
    ],
)
def test_a_key_goes_to_replicate_only(url: str, base_url: str | None, is_trusted: bool) -> None:
    request = streamed_at(url, base_url)

    names = {name for name, _ in request.headers}
    assert (b"authorization" in names) is is_trusted
    assert (b"x-mine" in names) is is_trusted
    assert request.origin.public_only is not is_trusted
    assert dict(request.headers)[b"accept"] == b"text/event-stream"


@pytest.mark.parametrize("url", ["", "ftp://x/", "https://", "https://u:p@x/"])
def test_a_stream_at_no_address_is_none(url: str) -> None:
    told = {"id": "p1", "status": "starting", "urls": {"stream": url}}

    found = after(told, stream=True)

    assert isinstance(found, Ask)
    assert found.request.target == b"/v1/predictions/p1"


def test_a_whole_one_is_told_as_a_stream() -> None:
    for told in ({"status": "succeeded", "id": "p1"}, {"detail": "no"}):
        found = after(told, stream=True)
        assert isinstance(found, Told)
        assert found.content_type == b"text/event-stream"
    assert after(b"{", stream=True) is None


def test_models_and_files_are_asked_for_once() -> None:
    call = Call(
        id="1", operation=Operation.LIST_MODELS, stream=False, target=Target("replicate", "")
    )
    adapter = build_adapter(ProviderSettings(name="replicate"))
    assert adapter.encode(call, call.target, KEY).follow_up is None
