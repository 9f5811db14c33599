"""Replicate: what a prediction is asked, where, and what becomes of its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import openai.types
import openai.types.chat
import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.replicate_request import FIELDS
from bifrost.errors import BadRequest, ErrorClass, UpstreamError
from bifrost.providers.table import build_adapter
from bifrost.record import Usage
from bifrost.schema.call import Call, Caller, Operation, Target
from bifrost.schema.payload import BytesPayload, Field, File, Form, Payload
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.providers.base import UpstreamRequest

ADAPTER = build_adapter(ProviderSettings(name="replicate"))
VERSION = "0" * 63 + "a"
KEY = KeySettings(id="k", name="k", value=Secret("r8-secret"), deployments={"mine": "me/deployed"})
SAID = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
LINKED = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
INLINE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def asked(
    members: dict[str, Any],
    model: str = "meta/llama",
    operation: Operation = Operation.CHAT,
    *,
    stream: bool = False,
    form: Form | None = None,
    **caller: Any,
) -> UpstreamRequest:
    call = Call(
        id="1",
        operation=operation,
        stream=stream,
        form=form,
        boundary=b"b0undary",
        target=Target("replicate", model),
        members={n: json.dumps(v).encode() for n, v in {"model": "x", **members}.items()},
        caller=Caller(**caller),
    )
    return ADAPTER.encode(call, call.target, KEY)


@pytest.mark.parametrize(
    ("model", "target", "version"),
    [
        ("meta/llama", "/v1/models/meta/llama/predictions", None),
        (VERSION, "/v1/predictions", VERSION),
        (f"meta/llama:{VERSION}", "/v1/predictions", VERSION),
        ("mine", "/v1/deployments/me/deployed/predictions", None),
    ],
)
def test_predictions_have_their_place(model: str, target: str, version: str | None) -> None:
    request = asked({"messages": SAID}, model)

    assert request.target == target.encode()
    assert sent_json(request).get("version") == version
    headers = dict(request.headers)
    assert headers[b"prefer"] == b"wait=1"
    assert headers[b"authorization"] == b"Bearer r8-secret"


@pytest.mark.parametrize("model", ["llama", "a/b/c", "../x", "a/.."])
def test_models_that_no_path_can_hold(model: str) -> None:
    with pytest.raises(BadRequest, match="owner/name"):
        asked({"messages": SAID}, model)


@pytest.mark.parametrize(
    ("model", "given", "sent"),
    [
        ("meta/llama", {}, {"prompt": "hi", "system_prompt": "s"}),
        ("deepseek-ai/deepseek-r1", {}, {"prompt": "s\n\nhi"}),
        ("meta/llama", {"messages": [*SAID, {"role": "assistant", "content": "yo"}, {"role": "user", "content": [{"type": "text", "text": "see"}, LINKED, INLINE]}]}, {"prompt": "hi\n\nyo\n\nsee", "system_prompt": "s", "image_input": ["https://x.example/a.png", "data:image/png;base64,aGk="]}),
        ("meta/llama", {"max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "presence_penalty": 1, "frequency_penalty": 2, "seed": 3}, {"prompt": "hi", "system_prompt": "s", "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "presence_penalty": 1, "frequency_penalty": 2, "seed": 3}),
        ("meta/llama", {"reasoning_effort": "low", "top_k": 5, "extra_params": {"min_tokens": 1}}, {"prompt": "hi", "system_prompt": "s", "reasoning_effort": "low", "top_k": 5, "min_tokens": 1}),
        ("openai/gpt-5", {"max_completion_tokens": 5, "reasoning": {"effort": "high"}}, {"messages": SAID, "max_completion_tokens": 5, "reasoning_effort": "high"}),
    ],
)  # fmt: skip
def test_chats(model: str, given: dict[str, Any], sent: dict[str, Any]) -> None:
    request = asked({"messages": SAID, **given}, model)

    assert sent_json(request) == {"input": sent}
    assert request.dropped_params == ()


@pytest.mark.parametrize(
    ("given", "dropped"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "stop": ["x"]}, ("tools", "stop")),
        ({"reasoning": {"max_tokens": 5}}, ("reasoning.max_tokens",)),
        ({"reasoning_max_tokens": 5}, ("reasoning_max_tokens",)),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}, {"role": "user", "content": [{"type": "text", "text": "b"}, {"type": "input_audio", "input_audio": {"data": "aGk="}}]}]}, ("messages.tool_calls", "messages.content")),
    ],
)  # fmt: skip
def test_what_is_lost_is_named(given: dict[str, Any], dropped: tuple[str, ...]) -> None:
    assert asked({"messages": SAID, **given}).dropped_params == dropped
    with pytest.raises(BadRequest, match="replicate does not take"):
        asked({"messages": SAID, **given}, strict=True)


def test_a_chat_of_nothing_is_refused() -> None:
    with pytest.raises(BadRequest, match="no text for replicate"):
        asked({"messages": [{"role": "user", "content": [LINKED]}]})
    assert {"audio", "tools", "user", "verbosity"} <= set(FIELDS)


def test_completions_and_pictures() -> None:
    text = asked({"prompt": "p", "max_tokens": 5, "top_k": 1}, operation=Operation.TEXT)
    image = asked(
        {"prompt": "p", "n": 2, "aspect_ratio": "1:1", "user": "u"}, operation=Operation.IMAGE
    )

    assert sent_json(text) == {"input": {"prompt": "p", "max_tokens": 5, "top_k": 1}}
    assert sent_json(image) == {"input": {"prompt": "p", "num_outputs": 2, "aspect_ratio": "1:1"}}
    assert image.dropped_params == ("user",)


def told(operation: Operation, **prediction: Any) -> Any:
    body = json.dumps({"id": "p1", "status": "succeeded", **prediction}).encode()
    facts = AnswerFacts(
        request_type=operation.value,
        provider="replicate",
        model_requested="m",
        sent_s=1.0,
        sent_unix_s=7.0,
        operation=operation,
        send_extra_fields=False,
        key=Secret("r8-secret"),
    )
    return ADAPTER.decode_plain(body, facts)


@pytest.mark.parametrize(
    ("output", "text"),
    [("Hi", "Hi"), (["H", "i", 5], "Hi"), ({"text": ["H", "i"]}, "Hi"), (None, ""), (5, "")],
)
def test_outputs(output: Any, text: str) -> None:
    plain = told(Operation.CHAT, output=output)

    value = json.loads(plain.body)
    openai.types.chat.ChatCompletion.model_validate(value)
    assert value["choices"][0]["message"]["content"] == text
    assert value["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in value
    assert json.loads(told(Operation.TEXT, output=output).body)["choices"][0]["text"] == text


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"metrics": {"input_token_count": 3, "output_token_count": 4}}, (3, 4)),
        ({"logs": "Input token count: 3\nOutput token count: 4\nTTFT: 0.1s"}, (3, 4)),
        ({"logs": "Number of tokens in prompt: 3\nNumber of tokens generated: 4"}, (3, 4)),
        ({"logs": "Number of tokens generated: 4", "metrics": {"predict_time": 1}}, (0, 4)),
    ],
)
def test_usage(more: dict[str, Any], usage: tuple[int, int]) -> None:
    prompt, completion = usage

    assert told(Operation.CHAT, output="a", **more).usage == Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )


@pytest.mark.parametrize(
    ("prediction", "text", "status", "error_class"),
    [
        ({"status": "failed", "error": "r8-secret broke"}, " broke", 502, ErrorClass.SERVER),
        ({"status": "processing"}, "was not finished", 504, ErrorClass.TIMEOUT),
        ({"status": "starting"}, "was not finished", 504, ErrorClass.TIMEOUT),
        ({"status": {}}, "provider", 502, ErrorClass.SERVER),
        ({"status": 422, "detail": "bad input"}, "bad input", 422, ErrorClass.CLIENT),
    ],
)
def test_predictions_that_came_to_nothing(
    prediction: dict[str, Any], text: str, status: int, error_class: ErrorClass
) -> None:
    for operation in (Operation.CHAT, Operation.TEXT, Operation.IMAGE):
        error = told(operation, **prediction).error

        assert error is not None
        assert text in error.message
        assert "r8-secret" not in error.message
        assert (error.status, error.error_class) == (status, error_class)


def test_one_that_was_canceled_has_stopped() -> None:
    assert told(Operation.CHAT, status="canceled", output=["a"]).error is None


@pytest.mark.parametrize(
    ("output", "data"),
    [
        ("https://x/", [{"url": "https://x/"}]),
        (["https://x/", 5], [{"url": "https://x/"}]),
        ("data:image/png;base64,aGk=", [{"b64_json": "aGk="}]),
        (None, []),
    ],
)
def test_pictures(output: Any, data: list[Any]) -> None:
    for operation in (Operation.IMAGE, Operation.IMAGE_EDIT):
        value = json.loads(told(operation, output=output).body)
        openai.types.ImagesResponse.model_validate(value)
        assert value == {"created": 7, "data": data}


def test_what_is_no_prediction() -> None:
    facts = AnswerFacts(request_type="x", provider="replicate", model_requested="m", sent_s=1.0)
    with pytest.raises(UpstreamError):
        ADAPTER.decode_plain(b"[]", facts)


def test_refusals_and_models() -> None:
    body = b'{"detail": "Invalid token", "title": "Unauthenticated", "status": 401}'
    error = ADAPTER.decode_error(401, (), body, KEY)
    assert (error.message, error.error_class) == ("Invalid token", ErrorClass.AUTH)

    models = b'{"results": [{"owner": "meta", "name": "llama"}, {"owner": "a b"}, 5]}'
    assert ADAPTER.decode_models(models) == (
        {"owner": "meta", "name": "llama", "id": "meta/llama"},
    )
    for bad in (b"{", b"[]", b"{}"):
        with pytest.raises(UpstreamError):
            ADAPTER.decode_models(bad)
    listed = ADAPTER.encode(
        Call(id="1", operation=Operation.LIST_MODELS, stream=False, target=Target("r", "")),
        Target("r", ""),
        KEY,
    )
    assert (listed.method, listed.target) == (b"GET", b"/v1/models")
    assert b"prefer" not in dict(listed.headers)


def test_another_wait_is_obeyed() -> None:
    request = asked({"messages": SAID}, extra_headers=(("prefer", "wait=30"),))

    assert [value for name, value in request.headers if name == b"prefer"] == [b"wait=30"]


def test_a_stream_is_asked_for_in_json_and_without_waiting() -> None:
    request = asked({"messages": SAID, "stream": True}, stream=True)

    headers = dict(request.headers)
    assert sent_json(request)["stream"] is True
    assert headers[b"accept"] == b"application/json"
    assert b"prefer" not in headers


def picture(name: str, content: bytes, kind: bytes | None = b"image/jpeg") -> File:
    return File(name, b"a.jpg", kind, BytesPayload(content))


def edit(*parts: Field | File, model: str = "o/m", **more: Any) -> UpstreamRequest:
    return asked({}, model, Operation.IMAGE_EDIT, form=parts, **more)


async def body_of(request: UpstreamRequest) -> Any:
    body: Payload | bytes = request.body
    assert not isinstance(body, bytes)
    whole = b"".join([block async for block in body.blocks()])
    assert len(whole) == body.size
    return json.loads(whole)


async def test_pictures_of_a_form_go_as_addresses() -> None:
    request = edit(
        Field("model", b"x"),
        Field("prompt", b"5"),
        Field("n", b"2"),
        Field("seed", b"7"),
        Field("stream", b"false"),
        picture("mask", b"m", None),
        picture("image", b"hi"),
        model="o/qwen-image-edit",
    )

    assert await body_of(request) == {
        "input": {
            "prompt": "5",
            "num_outputs": 2,
            "seed": 7,
            "image": "data:image/jpeg;base64,aGk=",
            "mask": "data:image/png;base64,bQ==",
        }
    }
    assert request.target == b"/v1/models/o/qwen-image-edit/predictions"
    assert dict(request.headers)[b"content-type"] == b"application/json"
    assert request.dropped_params == ()


@pytest.mark.parametrize(
    ("model", "name", "several"),
    [
        ("black-forest-labs/flux-kontext-pro", "input_image", False),
        ("black-forest-labs/flux-2-pro", "input_images", True),
        ("google/nano-banana", "image_input", True),
        ("o/m", "image", False),
    ],
)
async def test_each_model_has_its_name_for_a_picture(model: str, name: str, several: bool) -> None:
    one, two = picture("image[]", b"hi"), picture("image[]", b"ho")
    inline, other = "data:image/jpeg;base64,aGk=", "data:image/jpeg;base64,aG8="
    prompt = Field("prompt", b"p")

    body = await body_of(edit(prompt, one, model=model))
    assert body["input"][name] == ([inline] if several else inline)
    if several:
        assert (await body_of(edit(prompt, one, two, model=model)))["input"][name] == [
            inline,
            other,
        ]
    else:
        with pytest.raises(BadRequest, match="takes one image"):
            edit(prompt, one, two, model=model)


def test_pictures_to_be_changed_may_come_in_json() -> None:
    given = {
        "prompt": "p",
        "images": [{"image_url": "https://x/"}],
        "mask": {"image_url": "https://m/"},
    }

    request = asked(given, operation=Operation.IMAGE_EDIT)

    told = {"prompt": "p", "image": "https://x/", "mask": "https://m/"}
    assert sent_json(request) == {"input": told}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"prompt": "p"}, "image"),
        ({"prompt": "p", "images": [{"file_id": "f"}]}, "images[0]"),
        ({"prompt": "p", "images": [5]}, "images[0]"),
        ({"prompt": "p", "images": 5}, "images"),
    ],
)
def test_pictures_that_are_none(given: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(given, operation=Operation.IMAGE_EDIT)
    assert caught.value.param == param


@pytest.mark.parametrize("part", [picture("other", b"x"), Field("size", b"\xff")])
def test_parts_that_cannot_be_said(part: Field | File) -> None:
    with pytest.raises(BadRequest) as caught:
        edit(Field("prompt", b"p"), picture("image", b"hi"), part)
    assert caught.value.param == part.name


def test_base64_is_not_to_be_had() -> None:
    for operation in (Operation.IMAGE, Operation.IMAGE_EDIT):
        given = {"prompt": "p", "response_format": "b64_json", "images": "https://x/"}
        given = (
            given
            if operation is Operation.IMAGE_EDIT
            else {"prompt": "p", "response_format": "b64_json"}
        )
        assert asked(given, operation=operation).dropped_params == ("response_format",)
    assert (
        asked({"prompt": "p", "response_format": "url"}, operation=Operation.IMAGE).dropped_params
        == ()
    )
