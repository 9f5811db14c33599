"""Events of a client to bodies, and marks on what goes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import loads
from bifrost.errors import BadRequest
from bifrost.integrations.responses_events import marked, read_event, request_body

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def body_of(**members: Any) -> Any:
    event = read_event(json.dumps({"type": "response.create", **members}).encode())
    return loads(request_body(event))


@pytest.mark.parametrize(
    ("members", "body"),
    [
        ({}, {"stream": True}),
        ({"model": "m", "input": [1]}, {"model": "m", "input": [1], "stream": True}),
        ({"stream": False, "store": False}, {"stream": True, "store": False}),
        ({"generate": True, "background": False, "stream_id": "a"}, {"stream": True}),
        ({"generate": None, "background": None, "stream_id": None}, {"stream": True}),
        ({"previous_response_id": None}, {"previous_response_id": None, "stream": True}),
    ],
)
def test_bodies(members: dict[str, Any], body: dict[str, Any]) -> None:
    assert body_of(**members) == body


OURS = ("type", "stream", "stream_id", "generate", "background")


@given(st.dictionaries(st.text().filter(lambda name: name not in OURS), VALUES, max_size=5))
def test_whatever_else_there_is_goes_on(members: dict[str, Any]) -> None:
    assert body_of(**members) == {**members, "stream": True}


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b'{"a":"\xff"}', None),
        (b"{}", "type"),
        (b'{"type":7}', "type"),
        (b'{"type":%b}' % (b"[" * 1100 + b"]" * 1100), None),
        (b'{"type":"\\ud800"}', None),
        (b'{"type":"response.steer"}', "type"),
        (b'{"type":"response.create","background":1}', "background"),
        (b'{"type":"response.create","generate":0}', "generate"),
        (b'{"type":"response.create","stream_id":1}', "stream_id"),
        (b'{"type":"response.create","stream_id":"%b"}' % (b"x" * 257), "stream_id"),
    ],
)
def test_events_that_are_refused(frame: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        request_body(read_event(frame))

    assert caught.value.param == param
    assert len(caught.value.message) < 200


def test_a_long_type_is_not_told_in_full() -> None:
    with pytest.raises(BadRequest) as caught:
        request_body(read_event(b'{"type":"%b"}' % (b"x" * 10_000)))

    assert len(caught.value.message) < 200


def test_marks() -> None:
    assert marked(b'{"a":1}', None) == b'{"a":1}'
    assert marked(b'{"a":1}', b'"s"') == b'{"a":1,"stream_id":"s"}'
    assert marked(b"{}", b'"s"') == b'{"stream_id":"s"}'
    assert marked(b"text", b'"s"') == b"text"
