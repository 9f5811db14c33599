"""What came of a batch, told as the lines of OpenAI's output file, while it passes.

Source: OpenAI API reference, "Batch", the request output object, 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from bifrost.codecs import json
from bifrost.dialects.hub import Object
from bifrost.errors import GatewayError, UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.hub import Answer

__all__ = [
    "LINE_BYTES_MAX",
    "WHOLE_BYTES_MAX",
    "LineCutter",
    "ResultLines",
    "WholeResults",
    "told_error",
    "told_result",
]

LINE_BYTES_MAX: Final = 10 * 1024 * 1024
"""Of one result; as of an event."""

WHOLE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of results that stand in one JSON object: what a provider gives inline is bounded by what it took inline."""


@attrs.define(eq=False)
class LineCutter:
    """Cuts bytes into lines. Empty lines are none; any split of the same bytes gives the same lines."""

    _parts: list[bytes] = attrs.field(factory=list, init=False)
    _held: int = attrs.field(default=0, init=False)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` ends. Raises UpstreamError for one that is too long."""
        *ended, rest = data.split(b"\n")
        lines: list[bytes] = []
        for piece in ended:
            self._hold(piece)
            lines += self.close()
        self._hold(rest)
        return lines

    def close(self) -> list[bytes]:
        """What is left, which needs no line's end."""
        line = b"".join(self._parts).strip()
        self._parts.clear()
        self._held = 0
        return [line] if line else []

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > LINE_BYTES_MAX:
            raise UpstreamError("a result of the batch is too long", cause="line too long")
        if piece:
            self._parts.append(piece)


@attrs.define(eq=False)
class ResultLines:
    """Results that come line by line, each told by ``tell``. Implements ``Retelling``."""

    tell: Callable[[bytes], Object]
    _lines: LineCutter = attrs.field(factory=LineCutter, init=False)

    def feed(self, data: bytes) -> bytes:
        return self._told(self._lines.feed(data))

    def close(self) -> bytes:
        return self._told(self._lines.close())

    def _told(self, lines: list[bytes]) -> bytes:
        return b"".join(json.dumps(self.tell(line)) + b"\n" for line in lines)


@attrs.define(eq=False)
class WholeResults:
    """Results that stand together in one JSON body, which ``tell`` takes apart. Implements ``Retelling``."""

    tell: Callable[[bytes], list[Object]]
    _parts: list[bytes] = attrs.field(factory=list, init=False)
    _held: int = attrs.field(default=0, init=False)

    def feed(self, data: bytes) -> bytes:
        self._held += len(data)
        if self._held > WHOLE_BYTES_MAX:
            raise UpstreamError("the results of the batch are too long", cause="body too long")
        self._parts.append(data)
        return b""

    def close(self) -> bytes:
        body = b"".join(self._parts)
        self._parts.clear()
        return b"".join(json.dumps(value) + b"\n" for value in self.tell(body))


def told_result(custom_id: str, read: Callable[[], Answer]) -> Object:
    """The line of a request that was answered: a completion as ``read`` gives it, or the failure to read one."""
    try:
        answer = read()
    except GatewayError as error:
        return told_error(custom_id, 502, "unreadable_result", error.message)
    refused = answer.error
    if refused is not None:
        code = refused.type or "upstream_error"
        return told_error(custom_id, refused.status, code, refused.message)
    return _line(custom_id, _response(200, answer.value), None)


def told_error(custom_id: str, status: int | None, code: str, message: str) -> Object:
    """The line of a request that failed; without ``status`` it was never run."""
    error = {"code": code, "message": message}
    if status is None:
        return _line(custom_id, None, error)
    body = {"error": {"message": message, "type": code, "param": None, "code": None}}
    return _line(custom_id, _response(status, body), error)


def _response(status: int, body: Object) -> Object:
    return {"status_code": status, "request_id": str(body.get("id") or ""), "body": body}


def _line(custom_id: str, response: Object | None, error: Object | None) -> Object:
    return {
        "id": f"batch_req_{custom_id}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
