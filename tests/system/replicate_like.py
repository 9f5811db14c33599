"""A strict upstream that speaks Replicate's API: it refuses what no schema of its models knows, and keeps its predictions.

Source: Replicate HTTP API reference; "Streaming output", 2026-11.
"""

from __future__ import annotations

import json
import re
from typing import Any

import attrs

from system.upstream import Behaviour, Received, Upstream, raw, status

__all__ = ["KEY", "ReplicateLike"]

KEY = "r8-canary-aaaaaaaaaaaaaaaaaaaaaaaa"

LANGUAGE = {"prompt": str, "system_prompt": str, "max_tokens": int, "temperature": (int, float)}
PICTURES = {"prompt": str, "num_outputs": int, "aspect_ratio": str}

SCHEMAS: dict[str, dict[str, Any]] = {
    "meta/llama": LANGUAGE,
    "meta/whole": LANGUAGE,
    "meta/cut": LANGUAGE,
    "meta/endless": LANGUAGE,
    "meta/broken": LANGUAGE,
    "openai/gpt-5": {"messages": list, "max_completion_tokens": int, "reasoning_effort": str},
    "black-forest-labs/flux": PICTURES,
    "black-forest-labs/flux-kontext-pro": {"prompt": str, "input_image": str, "seed": int},
}
STREAMING = {"meta/llama", "meta/cut", "meta/endless", "openai/gpt-5", "black-forest-labs/flux"}

WORDS = ["Hel", "lo\n\n", "you"]
LOGS = "Input token count: 3\nOutput token count: 4"
PICTURE = "https://replicate.delivery/a.png"

CREATE = re.compile(r"/v1/models/([\w.-]+/[\w.-]+)/predictions")
PREDICTION = re.compile(r"/v1/predictions/(\w+)(/cancel)?")
STREAM = re.compile(r"/stream/(\w+)")
FILE = re.compile(r"/v1/files(?:/(\w+))?")
CONTENT = re.compile(
    rb'name="content"; filename="([^"]+)"\r\nContent-Type: ([^\r]+)\r\n\r\n(.*?)\r\n--', re.DOTALL
)
METADATA = re.compile(rb'name="metadata"\r\n\r\n(.*?)\r\n--')


@attrs.define(eq=False)
class Prediction:
    id: str
    model: str
    status: str = "starting"
    asked: int = 0


@attrs.define(eq=False)
class ReplicateLike(Upstream):
    """A prediction is done when it is asked for the third time."""

    predictions: dict[str, Prediction] = attrs.field(factory=dict)
    files: dict[str, dict[str, Any]] = attrs.field(factory=dict)

    def _next(self, received: Received) -> Behaviour:
        if received.header("authorization") != f"Bearer {KEY}":
            return _refused(401, "You did not pass a valid authentication token")
        path = received.path.partition("?")[0]
        if found := CREATE.fullmatch(path):
            return self._create(found[1], received)
        if found := PREDICTION.fullmatch(path):
            prediction = self.predictions[found[1]]
            return self._cancel(prediction) if found[2] else self._get(prediction)
        if found := STREAM.fullmatch(path):
            assert received.header("accept") == "text/event-stream"
            return _streamed(self.predictions[found[1]])
        if found := FILE.fullmatch(path):
            return self._file(found[1], received)
        return _refused(404, "The requested resource could not be found.")

    def _create(self, model: str, received: Received) -> Behaviour:
        body = received.json
        wrong = [name for name in body if name not in {"input", "stream"}]
        schema = SCHEMAS.get(model)
        if schema is None:
            return _refused(404, "The requested resource could not be found.")
        for name, value in body["input"].items():
            if not isinstance(value, schema.get(name, ())):
                wrong.append(f"input.{name}")
        if wrong or received.header("accept") != "application/json":
            return _refused(422, f"- {wrong[0] if wrong else 'accept'} is not allowed")
        prediction = Prediction(f"p{len(self.predictions)}", model)
        self.predictions[prediction.id] = prediction
        return status(201, self._told(prediction, streams=body.get("stream") is True))

    def _told(self, prediction: Prediction, *, streams: bool = False) -> dict[str, Any]:
        at = f"{self.url}/v1/predictions/{prediction.id}"
        urls = {"get": at, "cancel": f"{at}/cancel"}
        if streams and prediction.model in STREAMING:
            urls["stream"] = f"{self.url}/stream/{prediction.id}"
        is_done = prediction.status == "succeeded"
        return {
            "id": prediction.id,
            "model": prediction.model,
            "status": prediction.status,
            "output": _output(prediction.model) if is_done else None,
            "error": "CUDA out of memory" if prediction.status == "failed" else None,
            "logs": LOGS if is_done else "",
            "urls": urls,
        }

    def _get(self, prediction: Prediction) -> Behaviour:
        prediction.asked += 1
        if (
            prediction.status not in {"canceled", "succeeded"}
            and prediction.model != "meta/endless"
        ):
            ended = "failed" if prediction.model == "meta/broken" else "succeeded"
            prediction.status = ended if prediction.asked >= 3 else "processing"
        return status(200, self._told(prediction))

    def _cancel(self, prediction: Prediction) -> Behaviour:
        prediction.status = "canceled"
        return status(200, self._told(prediction))

    def _file(self, name: str | None, received: Received) -> Behaviour:
        if received.method == "POST":
            return self._upload(received)
        if name is None:
            return status(
                200, {"previous": None, "next": None, "results": list(self.files.values())}
            )
        if name not in self.files:
            return _refused(404, "The requested resource could not be found.")
        if received.method == "DELETE":
            del self.files[name]
            return raw(b"HTTP/1.1 204 No Content\r\n\r\n", close=False)
        return status(200, self.files[name])

    def _upload(self, received: Received) -> Behaviour:
        found, metadata = CONTENT.search(received.body), METADATA.search(received.body)
        assert found
        assert metadata
        name = f"NGZi{len(self.files)}"
        self.files[name] = {
            "id": name,
            "name": found[1].decode(),
            "content_type": found[2].decode(),
            "size": len(found[3]),
            "metadata": json.loads(metadata[1]),
            "created_at": "2026-11-27T12:00:00.000Z",
            "expires_at": "2026-11-28T12:00:00.000Z",
            "urls": {"get": f"https://api.replicate.com/v1/files/{name}"},
        }
        return status(201, self.files[name])


def _output(model: str) -> Any:
    if model.startswith("black"):
        return [PICTURE] if model.endswith("flux") else PICTURE
    return WORDS


def _refused(code: int, detail: str) -> Behaviour:
    return status(code, {"title": "Refused", "detail": detail, "status": code})


def _streamed(prediction: Prediction) -> Behaviour:
    head = (
        b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    if prediction.model.startswith("black"):
        return raw(head, _event("output", PICTURE), _event("done", "{}"), b"0\r\n\r\n", close=False)
    first, *others = (_event("output", word) for word in WORDS)
    if prediction.model == "meta/cut":
        return raw(head, first, 0.02, b"0\r\n\r\n", close=False)
    if prediction.model == "meta/endless":
        return raw(head, first, 600.0)
    prediction.status = "succeeded"
    ends = (_event("logs", LOGS), _event("done", "{}"))
    # As Replicate does, it keeps the stream open behind its end.
    return raw(head, first, 0.02, *others, *ends, 600.0)


def _event(name: str, data: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    event = f"event: {name}\nid: 1690212292:0\n{lines}\n".encode()
    return b"%x\r\n%b\r\n" % (len(event), event)
