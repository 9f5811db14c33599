"""Files and batches of Anthropic for its own callers: as they came, but for models and where results are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.settings import KeySettings
from bifrost.dialects.anthropic_native_objects import NATIVE_OBJECTS
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.objects import ObjectRequest, Wanted
from bifrost.errors import BadRequest, UpstreamError
from bifrost.schema.call import Call, Operation, Relay, Target

FACTS = AnswerFacts(request_type="x", provider="anthropic", model_requested="", sent_s=0.0)
BATCHES = "/v1/messages/batches"


def asked(
    operation: Operation, path: str = BATCHES, body: bytes = b"", query: str = "", **key: Any
) -> ObjectRequest:
    call = Call(id="c", operation=operation, stream=False, target=Target("anthropic", ""))
    relay = Relay(
        method="POST", path=path, query=query, body=body, content_type=b"application/json"
    )
    keyed = KeySettings(id="k", name="k", **key)
    wanted = Wanted(call=call, relay=relay, key=keyed, provider="anthropic")
    return NATIVE_OBJECTS[operation](wanted)


def read(operation: Operation, body: bytes) -> bytes:
    reading = asked(operation).reading
    assert reading.plain is not None
    return reading.plain(body, FACTS).body


def request(model: object, **more: Any) -> dict[str, Any]:
    return {"custom_id": "a", "params": {"model": model, "max_tokens": 5}, **more}


def test_a_request_goes_as_it_came() -> None:
    it = asked(Operation.FILE_LIST, "/v1/files", query="limit=2&ids%5B%5D=a&ids%5B%5D=b&x=")

    assert (it.method, it.path, it.body, it.content_type) == (b"POST", "/v1/files", b"", None)
    assert it.query == (("limit", "2"), ("ids[]", "a"), ("ids[]", "b"), ("x", ""))
    assert it.headers == ((b"anthropic-beta", b"files-api-2025-04-14"),)
    assert asked(Operation.BATCH_LIST).headers == ()


@pytest.mark.parametrize("operation", [Operation.FILE_CONTENT, Operation.BATCH_RESULTS])
def test_bytes_are_not_read(operation: Operation) -> None:
    reading = asked(operation).reading

    assert (reading.plain, reading.retell) == (None, None)


def test_an_answer_comes_as_it_came() -> None:
    body = b' { "type" : "file",  "id":"f", "results_url":"x" } '

    assert read(Operation.FILE_RETRIEVE, body) == body
    with pytest.raises(UpstreamError):
        read(Operation.FILE_RETRIEVE, b"[]")


def test_results_are_fetched_here() -> None:
    url = "https://api.anthropic.com/v1/messages/batches/b/results"
    batch = json.dumps({"id": "b", "results_url": url, "n": 1.50}).encode()

    told = read(Operation.BATCH_RETRIEVE, batch)
    page = read(Operation.BATCH_LIST, b'{"data":[%b,{"id":"c"}],"x":1}' % batch)

    path = "/v1/messages/batches/b/results"
    assert json.loads(told) == {"id": "b", "results_url": path, "n": 1.5}
    assert json.loads(page) == {"data": [json.loads(told), {"id": "c"}], "x": 1}


@pytest.mark.parametrize(
    "body",
    [b'{"id":"b","results_url":null}', b'{"id":5,"results_url":"x"}', b'{"results_url":"x"}'],
)
def test_a_batch_without_results_stays_as_it_is(body: bytes) -> None:
    assert read(Operation.BATCH_CANCEL, body) == body


@pytest.mark.parametrize(
    "body", [b'{"data":5}', b'{"data":["results_url"]}', b'{"data":{"results_url":1}}', b"{}"]
)
def test_a_page_that_is_none_stays_as_it_is(body: bytes) -> None:
    assert read(Operation.BATCH_LIST, body) == body


def test_a_batch_that_needs_no_change_keeps_its_bytes() -> None:
    body = b'{ "requests" : [ ' + json.dumps(request("claude")).encode() + b' , {"x":1} , 5 ] }'

    assert asked(Operation.BATCH_CREATE, body=body).body == body


def test_models_are_the_key_s() -> None:
    body = json.dumps({"requests": [request("anthropic/claude", more=1), request("c"), request(5)]})

    sent = asked(Operation.BATCH_CREATE, body=body.encode(), deployments={"c": "d"})

    assert json.loads(bytes(sent.body)) == {  # type: ignore[arg-type]  # a body in one piece
        "requests": [request("claude", more=1), request("d"), request(5)]
    }


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"5", None),
        (b"{}", "requests"),
        (b'{"requests":{}}', "requests"),
        (json.dumps({"requests": [request("other")]}).encode(), "requests[0].params.model"),
    ],
)
def test_what_cannot_be_a_batch(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(Operation.BATCH_CREATE, body=body, models=("claude",))

    assert caught.value.param == param
