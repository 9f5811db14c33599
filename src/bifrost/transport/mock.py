"""The upstream of the built-in provider ``mock``: an OpenAI-shaped answer without a socket.

What it does is asked for in the body's member ``mock``, or behind a ``?`` in the model's name (``echo?delay_ms=50``).
Good for a first minute, for load tests, and for seeing how a client takes a failure.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import attrs
import trio

from bifrost.codecs.json import InvalidJSON, dumps, loads
from bifrost.codecs.multipart import FormDecoder, InvalidForm, PartEnd, PartHead, boundary_of
from bifrost.codecs.sse import DONE, data_frame
from bifrost.config.settings import ProviderSettings
from bifrost.errors import NetworkError, StreamIdleTimeout, UpstreamTimeout
from bifrost.providers.base import Headers, UpstreamRequest
from bifrost.transport.base import Limits, UpstreamAnswer
from bifrost.transport.outgoing import Outgoing

__all__ = ["MODELS", "MockUpstream", "Script"]

MODELS = ("echo", "fixed")
FIXED_TEXT = "Hello from Bifrost."

MAX_DELAY_MS = 600_000
MAX_TEXT = 1024 * 1024
MAX_CHUNKS = 100_000
WORD_BYTES = 4
"""Bytes that count as a token."""


@attrs.frozen(kw_only=True)
class Script:
    """What to do with one request. Times in milliseconds."""

    text: str | None = None
    chunks: int | None = None
    """Pieces a streamed text is cut into; its words otherwise."""
    delay_ms: float = 0
    """Before the answer begins."""
    tokens_per_second: float = 0
    """Pace of a stream, one piece a token; 0 for all at once."""
    status: int = 200
    code: str | None = None
    error_type: str | None = None
    message: str | None = None
    retry_after_s: float | None = None
    fail_after_chunks: int | None = None
    """An error event in the stream after so many pieces."""
    cut_after_chunks: int | None = None
    """The connection breaks after so many pieces."""
    hang_after_chunks: int | None = None
    fail_every: int | None = None
    """Only every so-manieth request fails with ``status``; the others are answered."""
    finish_reason: str = "stop"
    tool_calls: list[Any] | None = None


TEXTS = frozenset({"text", "code", "error_type", "message", "finish_reason"})
"""Options that are text even where it looks like a number."""


class BadScript(ValueError):
    """The request's ``mock`` member says something that cannot be done."""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "text": lambda v: isinstance(v, str) and len(v) <= MAX_TEXT,
    "chunks": lambda v: _is_count(v) and 1 <= v <= MAX_CHUNKS,
    "delay_ms": lambda v: _is_number(v) and 0 <= v <= MAX_DELAY_MS,
    "tokens_per_second": lambda v: _is_number(v) and 0 <= v <= 1_000_000,
    "status": lambda v: _is_count(v) and 200 <= v <= 599,
    "code": lambda v: isinstance(v, str),
    "error_type": lambda v: isinstance(v, str),
    "message": lambda v: isinstance(v, str),
    "retry_after_s": lambda v: _is_number(v) and 0 <= v <= 86_400,
    "fail_after_chunks": _is_count,
    "cut_after_chunks": _is_count,
    "hang_after_chunks": _is_count,
    "fail_every": lambda v: _is_count(v) and v >= 1,
    "finish_reason": lambda v: isinstance(v, str),
    "tool_calls": lambda v: isinstance(v, list),
}


def read_script(model: str, member: object) -> tuple[str, Script]:
    """The model's bare name and what is to be done. Raises BadScript."""
    name, _, query = model.partition("?")
    wishes: dict[str, Any] = {
        key: value if key in TEXTS else _typed(value) for key, value in parse_qsl(query)
    }
    if member is not None and not isinstance(member, dict):
        raise BadScript("mock must be an object")
    wishes.update(member or {})
    for key, value in wishes.items():
        check = _CHECKS.get(key)
        if check is None:
            raise BadScript(f"mock has no option {key[:64]!r}; it has {', '.join(_CHECKS)}")
        if not check(value):
            raise BadScript(f"mock.{key} is out of range or of the wrong type")
    return name, Script(**wishes)


def _typed(text: str) -> object:
    try:
        return loads(text)
    except InvalidJSON:
        return text


@attrs.define(eq=False)
class MockUpstream:
    """Implements ``Upstream``. ``wall`` gives the ``created`` of answers."""

    settings: ProviderSettings
    wall: Callable[[], float] = time.time
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    @asynccontextmanager
    async def open(self, request: UpstreamRequest, limits: Limits) -> AsyncIterator[UpstreamAnswer]:
        """Answer as the script says, within the limits."""
        if request.method == b"GET":
            yield _whole(200, _model_list())
            return
        try:
            body, name, script = _read(await _members(request))
            prompt_bytes = _prompt_bytes(body)
        except BadScript as error:
            yield _whole(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
            return
        if limits.on_sent is not None:
            limits.on_sent()
        number = next(self._numbers)
        waited_s = await _delay(script.delay_ms / 1000, limits)
        is_spared = script.fail_every is not None and number % script.fail_every != 0
        if script.status >= 300 and not is_spared:
            yield _refusal(script, waited_s)
            return
        reply_id = f"chatcmpl-mock-{number}"
        reply = _Reply(reply_id, int(self.wall()), name, body, script, prompt_bytes)
        if body.get("stream") is True:
            yield MockAnswer(200, EVENT_STREAM, reply.frames(), limits, waited_s)
        else:
            yield _whole(200, reply.whole(), waited_s)

    def retire(self) -> None:
        """Nothing to close."""


JSON_HEADERS: Headers = ((b"content-type", b"application/json"),)
EVENT_STREAM: Headers = ((b"content-type", b"text/event-stream"),)

Piece = bytes | float | Exception
"""What a body consists of: bytes, a pause of so many seconds, or an end that is none."""


@attrs.define(eq=False)
class MockAnswer:
    """Implements ``UpstreamAnswer``. Pieces without pauses between them are given together."""

    status: int
    headers: Headers
    _pieces: Iterator[Piece]
    _limits: Limits
    waited_s: float = 0.0
    _late: Piece | None = None

    async def receive(self) -> bytes:
        """The next bytes; as ``UpstreamAnswer.receive``."""
        await trio.lowlevel.checkpoint()
        ready: list[bytes] = []
        while True:
            piece = self._late if self._late is not None else next(self._pieces, b"")
            self._late = None
            if isinstance(piece, bytes):
                if not piece or len(ready) >= 64:
                    self._late = piece or None
                    return b"".join(ready)
                ready.append(piece)
            elif ready:
                self._late = piece
                return b"".join(ready)
            elif isinstance(piece, Exception):
                raise piece
            else:
                await self._pause(piece)

    async def _pause(self, seconds: float) -> None:
        allowed_s = min(self._limits.idle_s, self._limits.deadline_s - trio.current_time())
        begun_s = trio.current_time()
        try:
            await trio.sleep(max(0.0, min(seconds, allowed_s)))
        finally:
            self.waited_s += trio.current_time() - begun_s
        if seconds > allowed_s:
            raise StreamIdleTimeout("Error reading stream: the mock was told to be silent")

    async def read(self) -> bytes:
        """The rest."""
        parts: list[bytes] = []
        while part := await self.receive():
            parts.append(part)
        return b"".join(parts)


@attrs.frozen
class _Reply:
    """An answer about to be given."""

    id: str
    created: int
    model: str
    body: dict[str, Any]
    script: Script
    prompt_bytes: int

    def text(self) -> str:
        if self.script.text is not None:
            return self.script.text
        if self.model == "echo":
            return _last_user_text(self.body.get("messages"))
        return FIXED_TEXT if self.model == "fixed" else f"I am {self.model}, a mock."

    def usage(self, text: str) -> dict[str, int]:
        prompt = self.prompt_bytes // WORD_BYTES + 1
        completion = len(text.encode("utf-8", "replace")) // WORD_BYTES + 1
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    def whole(self) -> dict[str, Any]:
        text = self.text()
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if self.script.tool_calls is not None:
            message |= {"content": None, "tool_calls": self.script.tool_calls}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self.script.finish_reason,
        }
        return {
            **self._frame("chat.completion"),
            "choices": [choice],
            "usage": self.usage(text),
        }

    def _frame(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_mock",
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        frame = self._frame("chat.completion.chunk")
        return data_frame(dumps({**frame, "choices": [choice], "usage": None}))

    def frames(self) -> Iterator[Piece]:
        """The stream, piece by piece."""
        script, text = self.script, self.text()
        gap_s = 1 / script.tokens_per_second if script.tokens_per_second else 0.0
        yield self._chunk({"role": "assistant", "content": ""})
        for number, piece in enumerate(_cut(text, script.chunks)):
            yield from self._mishap(number)
            if gap_s:
                yield gap_s
            yield self._chunk({"content": piece})
        yield from self._mishap(None)
        delta = {} if script.tool_calls is None else {"tool_calls": _indexed(script.tool_calls)}
        yield self._chunk(delta, script.finish_reason)
        options = self.body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage") is True:
            frame = self._frame("chat.completion.chunk")
            yield data_frame(dumps({**frame, "choices": [], "usage": self.usage(text)}))
        yield DONE

    def _mishap(self, number: int | None) -> Iterator[Piece]:
        """What goes wrong before piece ``number``; ``None`` is the end, where all that is still due happens."""
        script = self.script
        if _is_due(script.fail_after_chunks, number):
            yield data_frame(dumps(_error(script, 500)))
            yield NetworkError("the mock was told to fail")
        if _is_due(script.cut_after_chunks, number):
            yield NetworkError("the mock was told to cut the stream")
        if _is_due(script.hang_after_chunks, number):
            yield float("inf")


def _is_due(after: int | None, number: int | None) -> bool:
    return after is not None and (number is None or number == after)


def _cut(text: str, chunks: int | None) -> Iterator[str]:
    if chunks is None:
        words = text.split(" ")
        yield from (word if n == 0 else f" {word}" for n, word in enumerate(words))
        return
    size = max(1, -(-len(text) // chunks))
    for n in range(chunks):
        yield text[n * size : (n + 1) * size]


def _indexed(calls: list[Any]) -> list[Any]:
    return [
        {"index": n, **call} if isinstance(call, dict) else call for n, call in enumerate(calls)
    ]


def _last_user_text(messages: object) -> str:
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, dict) and message.get("role") == "user":
            return _text_of(message.get("content"))
    return ""


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


async def _members(request: UpstreamRequest) -> object:
    """The members of the body; of a form its fields, the member ``mock`` as JSON. Raises BadScript, InternalError."""
    if isinstance(request.body, bytes):
        return _loads(request.body)
    told = dict(request.headers).get(b"content-type", b"")
    try:
        decoder = FormDecoder(boundary_of(told))
        fields = await _fields(Outgoing(request.body), decoder)
    except InvalidForm as error:
        raise BadScript(f"the body is no form: {error}") from error
    if "mock" in fields:
        fields["mock"] = _loads(fields["mock"].encode())
    return fields


async def _fields(blocks: Outgoing, decoder: FormDecoder) -> dict[str, Any]:
    """Read to the end, and keep of each part that is no file the beginning. The last of a name wins."""
    fields: dict[str, Any] = {}
    name: str | None = None
    held = b""
    async for block in blocks:
        for event in decoder.feed(block):
            match event:
                case PartHead():
                    name = None if event.is_file else event.name
                    held = b""
                case bytes() if name is not None:
                    held = (held + event)[:MAX_TEXT]
                case PartEnd() if name is not None:
                    fields[name] = held.decode("utf-8", "replace")
    decoder.close()
    return fields


def _loads(raw: bytes) -> object:
    try:
        return loads(raw)
    except InvalidJSON as error:
        raise BadScript(f"the body is no JSON: {error}") from error


def _read(body: object) -> tuple[dict[str, Any], str, Script]:
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadScript("the body has no model")
    name, script = read_script(body["model"], body.get("mock"))
    return body, name, script


def _prompt_bytes(body: dict[str, Any]) -> int:
    """The size of the messages. Raises BadScript for what can be read but not written: more than 254 levels."""
    try:
        dumps(body.get("mock"))
        return len(dumps(body.get("messages")))
    except TypeError as error:
        raise BadScript("the body is nested too deeply") from error


async def _delay(delay_s: float, limits: Limits) -> float:
    """Wait; the seconds waited. Raises UpstreamTimeout past the limit."""
    await trio.lowlevel.checkpoint()
    allowed_s = min(limits.first_byte_s, limits.deadline_s - trio.current_time())
    if delay_s > allowed_s:
        await trio.sleep(max(0.0, allowed_s))
        raise UpstreamTimeout("request timed out: the mock was told to be slow")
    if delay_s:
        await trio.sleep(delay_s)
    return delay_s


def _whole(status: int, value: object, waited_s: float = 0.0) -> MockAnswer:
    return MockAnswer(status, JSON_HEADERS, iter((dumps(value),)), Limits(), waited_s)


def _refusal(script: Script, waited_s: float) -> MockAnswer:
    answer = _whole(script.status, _error(script, script.status), waited_s)
    if script.retry_after_s is not None:
        answer.headers = (*JSON_HEADERS, (b"retry-after", b"%d" % round(script.retry_after_s)))
    return answer


def _error(script: Script, status: int) -> dict[str, Any]:
    told = script.message or f"the mock was told to fail with {status}"
    kind = script.error_type or ("server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": told, "type": kind, "param": None, "code": script.code}}


def _model_list() -> dict[str, Any]:
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "mock"} for name in MODELS]
    return {"object": "list", "data": data}
