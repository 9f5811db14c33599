"""Requests that stand in a batch: what is taken, what is refused, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.config.settings import KeySettings
from bifrost.dialects.batch_requests import (
    batched,
    check_endpoint,
    inline_requests,
    lost_members,
    own_model,
)
from bifrost.dialects.objects import Wanted
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Dialect, Operation, Relay, Target

CALL = Call(id="c", operation=Operation.BATCH_CREATE, stream=False, target=Target("toy", ""))
BODY: dict[str, Any] = {"model": "m", "messages": []}


def wanted(**key: Any) -> Wanted:
    keyed = KeySettings(id="k", name="k", **key)
    return Wanted(
        call=CALL, relay=Relay(method="POST", path="/v1/batches"), key=keyed, provider="toy"
    )


def encode(call: Call, model: str, provider: str) -> Encoded:
    if "bad" in call.members:
        raise BadRequest("bad must not be", param="bad")
    members = {name: json.loads(raw) for name, raw in call.members.items()}
    return Encoded(json.dumps({**members, "model": model}).encode())


def raw(*items: Any) -> bytes:
    return json.dumps(items).encode()


def test_bodies_are_openai_s_and_params_the_provider_s() -> None:
    items = raw(
        {"custom_id": "a", "method": "post", "url": "/v1/chat/completions", "body": BODY},
        {"custom_id": "b", "url": "/own", "body": {}},
        {"custom_id": "c", "params": {"x": 1}, "body": None},
    )

    found = list(inline_requests(items, ("/own",)))

    assert [(one.custom_id, one.place, one.is_native) for one in found] == [
        ("a", "requests[0]", False),
        ("b", "requests[1]", True),
        ("c", "requests[2]", True),
    ]
    assert found[2].body == b'{"x": 1}'


@pytest.mark.parametrize(
    ("items", "text", "param"),
    [
        (b"{}", "requests must be an array", "requests"),
        (b"[]", "requests must not be empty", "requests"),
        (raw(1), "requests[0] must be an object", "requests[0]"),
        (raw({}), "requests[0].custom_id must be a string of 1 to 256", "requests[0].custom_id"),
        (raw({"custom_id": 1}), "must be a string", "requests[0].custom_id"),
        (raw({"custom_id": "x" * 300}), "1 to 256", "requests[0].custom_id"),
        (raw({"custom_id": "a", "method": "GET", "body": {}}), "must be POST", "requests[0].method"),
        (raw({"custom_id": "a", "url": "/v1/embeddings", "body": {}}), "url must be", "requests[0].url"),
        (raw({"custom_id": "a"}), "must have body or params", "requests[0]"),
        (raw(*[{"custom_id": "a", "body": {}}] * 2), "stands twice", "requests[1].custom_id"),
        (b"[" + b"0," * 100_000 + b"0]", "at most 100000", "requests"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(items: bytes, text: str, param: str) -> None:
    with pytest.raises(BadRequest) as told:
        list(inline_requests(items))

    assert text in told.value.message
    assert told.value.param == param


def made(request: dict[str, Any], default: str = "", **key: Any) -> Any:
    [one] = inline_requests(raw({"custom_id": "a", **request}), ("/own",))
    found = batched(one, wanted(**key), encode, default)
    return found.model, json.loads(found.sent.body)


def test_a_request_is_for_its_own_model_under_the_key_s_name() -> None:
    body = {**BODY, "model": "toy/m", "stream": True, "stream_options": {}}

    assert made({"body": body}) == ("m", BODY)
    assert made({"body": {"messages": []}}, "other")[0] == "other"
    assert made({"body": BODY}, deployments={"m": "mine"})[0] == "mine"
    assert made({"params": {"model": "toy/m", "p": 1}}) == ("m", {"model": "m", "p": 1})


@pytest.mark.parametrize(
    ("request_", "key", "text", "param"),
    [
        ({"body": []}, {}, "requests[0].body must be an object", "requests[0].body"),
        ({"body": {}}, {}, "requests[0].body.model is required", "requests[0].body.model"),
        ({"params": {"model": 1}}, {}, "must be a string", "requests[0].params.model"),
        ({"body": {**BODY, "bad": 1}}, {}, "requests[0].body: bad must not be", "requests[0].body.bad"),
        ({"body": BODY}, {"models": ("n",)}, "does not serve m", "requests[0].body.model"),
        ({"body": BODY}, {"blacklisted_models": ("m",)}, "does not serve m", "requests[0].body.model"),
    ],
)  # fmt: skip
def test_what_cannot_be_encoded_is_told_with_its_place(
    request_: dict[str, Any], key: dict[str, Any], text: str, param: str
) -> None:
    with pytest.raises(BadRequest) as told:
        made(request_, **key)

    assert text in told.value.message
    assert told.value.param == param


def test_what_a_batch_says_besides() -> None:
    members = {
        "requests": b"[]",
        "endpoint": b'"/v1/chat/completions"',
        "completion_window": b'"48h"',
        "metadata": b"{}",
        "display_name": b'"d"',
        "output_expires_after": b"null",
        "model": b'"toy/m"',
    }

    assert lost_members(members, {"display_name"}) == ("metadata", "completion_window")
    assert lost_members({"completion_window": b'"24h"'}) == ()
    assert own_model(members, wanted()) == "m"
    assert own_model({}, wanted()) == ""
    check_endpoint(members)
    check_endpoint({"endpoint": b'"/own"'}, ("/own",))
    with pytest.raises(BadRequest, match="endpoint must be"):
        check_endpoint({"endpoint": b'"/v1/responses"'})


def test_messages_are_read_where_the_caller_speaks_so() -> None:
    params = {"model": "m", "max_tokens": 5, "system": "S", "odd": 1}
    params["messages"] = [{"role": "user", "content": "Hi"}]
    items = raw({"custom_id": "a", "params": params}, {"custom_id": "b", "params": {"model": "m"}})

    one, two = inline_requests(items, dialect=Dialect.ANTHROPIC)
    made = batched(one, wanted(), encode, "")

    assert (one.is_native, one.member) == (False, "params")
    sent = json.loads(made.sent.body)
    assert [turn["role"] for turn in sent["messages"]] == ["system", "user"]
    assert (sent["max_completion_tokens"], sent["odd"]) == (5, 1)
    with pytest.raises(BadRequest, match=r"^requests\[1\]\.params: messages"):
        batched(two, wanted(), encode, "")
