"""What the results of a batch tell of their usage, as they pass: one request a line.

In OpenAI's words, in which the results of other providers are told too, or in Anthropic's for its own callers.
Sources: OpenAI API reference, "Batch", the request output object; Anthropic API reference, "Message Batches"; 2026-11.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import attrs
import msgspec

from bifrost.codecs.json import InvalidJSON, decoder, dumps, loads
from bifrost.dialects.anthropic_reading import UsageMaxima
from bifrost.dialects.batch_results import LINE_BYTES_MAX
from bifrost.dialects.openai_usage import read_usage
from bifrost.record import ToldUsage, Usage
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ToldResults"]

STRANGERS_MAX: Final = 2
"""Lines that are no results before the first one that is: then it is another file, and is not looked into."""

SERVICE: Final = "batch"

OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "": Operation.IMAGE,
        "text_completion": Operation.TEXT,
        "response": Operation.RESPONSES,
        "list": Operation.EMBEDDING,
    }
)
"""By the kind of object that OpenAI's results have, images none; all others are priced as chat is."""

NULL = msgspec.Raw(b"null")


class _Body(msgspec.Struct):
    object: Any = None
    model: Any = None
    usage: msgspec.Raw = NULL


class _Response(msgspec.Struct):
    body: _Body | None = None


class _Result(msgspec.Struct):
    """Anthropic's."""

    message: _Body | None = None


class _Line(msgspec.Struct):
    custom_id: Any
    response: _Response | None = None
    result: _Result | None = None


_line = decoder(_Line)


@attrs.define(eq=False)
class ToldResults:
    """Reads results that are to be charged to ``mark``. Any split of the same bytes tells the same.

    Holds at most one line; one of more than ``line_bytes_max`` is passed over.
    """

    mark: str
    line_bytes_max: int = LINE_BYTES_MAX
    _parts: list[bytes] = attrs.field(factory=list, init=False)
    _held: int = attrs.field(default=0, init=False)
    _strangers: int = attrs.field(default=0, init=False)
    _is_known: bool = attrs.field(default=False, init=False)

    @property
    def is_strange(self) -> bool:
        """Whether it is no file of results: nothing more need be fed."""
        return self._strangers >= STRANGERS_MAX and not self._is_known

    def feed(self, data: bytes) -> list[ToldUsage]:
        """What the lines that ``data`` ends tell."""
        *ended, rest = data.split(b"\n")
        told: list[ToldUsage] = []
        for piece in ended:
            self._hold(piece)
            told += self.close()
            if self.is_strange:
                return told
        self._hold(rest)
        return told

    def close(self) -> list[ToldUsage]:
        """What is left, which needs no line's end."""
        is_whole = self._held <= self.line_bytes_max
        line = b"".join(self._parts).strip() if is_whole else b""
        self._parts.clear()
        self._held = 0
        return self._read(line) if line else []

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self.line_bytes_max:
            self._parts.clear()
        elif piece:
            self._parts.append(piece)

    def _read(self, line: bytes) -> list[ToldUsage]:
        try:
            result = _line(line)
        except InvalidJSON:
            self._strangers += 1
            return []
        self._is_known = True
        if result.response is not None and result.response.body is not None:
            body = result.response.body
            kind = body.object if isinstance(body.object, str) else ""
            return self._told(body, OPERATIONS.get(kind, Operation.CHAT), _openais(body))
        if result.result is not None and result.result.message is not None:
            message = result.result.message
            return self._told(message, Operation.CHAT, _anthropics(message))
        return []

    def _told(self, body: _Body, operation: Operation, usage: Usage | None) -> list[ToldUsage]:
        if usage is None:
            return []
        told = ToldUsage(
            mark=self.mark,
            model=body.model if isinstance(body.model, str) else "",
            operation=operation,
            usage=usage,
            service=SERVICE,
        )
        return [told]


def _openais(body: _Body) -> Usage | None:
    return read_usage(bytes(body.usage))


def _anthropics(message: _Body) -> Usage | None:
    """``None`` too for what the shape of a line lets pass and nobody can count: a number beyond all, text that is none."""
    counted = UsageMaxima()
    try:
        counted.add(loads(bytes(message.usage)))
        return read_usage(dumps(counted.openai()))
    except (InvalidJSON, TypeError):
        return None
