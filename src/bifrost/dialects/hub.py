"""Between two dialects: what an upstream said, in OpenAI's words, and whoever tells it on in the caller's.

An upstream that does not speak OpenAI's dialect is read into *deltas* and *answers* of OpenAI's chat API with the gateway's
extensions (``reasoning``, ``reasoning_details``). From there a ``Teller`` tells them in the caller's dialect. So each dialect
is read once and told once, whoever is at the other end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

from bifrost.codecs import json
from bifrost.dialects.base import NOTHING, AnswerFacts, Progress
from bifrost.dialects.openai_usage import read_duration, read_usage
from bifrost.errors import GatewayError, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.record import Usage

__all__ = ["Answer", "Conversation", "Object", "Teller", "Written", "retold_json", "written_object"]

Object = dict[str, Any]


@attrs.frozen(kw_only=True)
class Answer:
    """A whole answer as OpenAI's API would have given it (a chat completion, a list of embeddings, …).

    ``body`` is the upstream's own, for raw echoes. ``error`` is set where a 200 turned out to be a refusal. Where the answer is
    no JSON (sound), it is ``content``, and ``value`` has the usage only.
    """

    value: Object = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    error: GatewayError | None = None
    content: bytes | None = attrs.field(default=None, repr=False)
    content_type: bytes = b""

    @property
    def usage(self) -> Usage | None:
        told = self.value.get("usage")
        usage = read_usage(json.dumps(told)) if isinstance(told, dict) else None
        if usage is None and "duration" in self.value:
            return read_duration(json.dumps(self.value["duration"]))
        return usage


class Written(bytes):
    """An object in JSON as it was written: arguments of a call, whose numbers and order of names must not change."""


def written_object(raw: bytes) -> Written | None:
    """The JSON ``raw``, if it is an object, without white space; ``None`` for all else."""
    try:
        return Written(json.compact(raw)) if raw.startswith(b"{") else None
    except json.InvalidJSON:
        return None


def retold_json(value: object) -> str:
    """What an upstream said, in JSON again: the arguments of a call. Raises UpstreamError if it is nested beyond all measure."""
    if isinstance(value, Written):
        return value.decode("utf-8", "replace")
    try:
        return json.dumps(value).decode()
    except TypeError as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None


class Teller(Protocol):
    """Tells one streamed answer in a caller's dialect. ``count`` is of the events it has put out."""

    @property
    def count(self) -> int: ...

    def tell(
        self, chunk: Object, raw: bytes, now_s: float, out: list[bytes]
    ) -> GatewayError | None:
        """Put what ``chunk`` becomes into ``out``: an OpenAI chat chunk whose ``choices`` are not empty.

        ``raw`` is what the upstream sent, for raw echoes. Returns what ends the stream, if this chunk does.
        """
        ...

    def finish(
        self, head: Object, usage: bytes, now_s: float, out: list[bytes]
    ) -> GatewayError | None:
        """Put the end of a good stream into ``out``; ``head`` is a chunk's ``id``, ``created`` and ``model``.

        ``usage`` is OpenAI's object in JSON, or ``null``.
        """
        ...


@attrs.define(eq=False)
class Conversation:
    """What the reader of a foreign stream tells its deltas to.

    The reader calls ``begin`` when it knows the answer's head, ``say`` for each delta, ``count_tokens`` with what it learns
    of usage, and ``end`` or ``fail`` at the end; ``take`` gives what came of it since it was last asked.
    """

    facts: AnswerFacts
    teller: Teller
    _head: Object = attrs.field(init=False)
    _usage: Object = attrs.field(factory=dict, init=False)
    _out: list[bytes] = attrs.field(factory=list, init=False)
    _before: int = attrs.field(default=0, init=False)
    _has_begun: bool = attrs.field(default=False, init=False)
    error: GatewayError | None = attrs.field(default=None, init=False)
    is_over: bool = attrs.field(default=False, init=False)
    """Whether ``end`` or ``fail`` was called."""

    @_head.default
    def _first_head(self) -> Object:
        return {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(self.facts.sent_unix_s),
            "model": self.facts.model_requested,
        }

    def begin(self, **head: object) -> None:
        """Members for the head of every chunk (``id``, ``created``, ``model``, ``service_tier``); ``None`` says nothing."""
        self._head |= {name: value for name, value in head.items() if value is not None}

    def say(
        self,
        delta: Object,
        now_s: float,
        *,
        raw: bytes = b"",
        index: int = 0,
        finish_reason: str | None = None,
        logprobs: object = None,
    ) -> None:
        """One delta of choice ``index``. The first of all has the role."""
        if self.is_over:
            return
        if not self._has_begun:
            self._has_begun = True
            delta = {"role": "assistant", **delta}
        choice: Object = {"index": index, "delta": delta, "finish_reason": finish_reason}
        if logprobs is not None:
            choice["logprobs"] = logprobs
        self.fail(self.teller.tell({**self._head, "choices": [choice]}, raw, now_s, self._out))

    def count_tokens(self, usage: Mapping[str, object]) -> None:
        """What is known of usage by now, in OpenAI's words; the last telling counts."""
        self._usage = dict(usage)

    def end(self, now_s: float) -> None:
        """The stream's own end came. One that said nothing at all was none."""
        if self.is_over:
            return
        self.is_over = True
        if not self._has_begun and not self._usage:
            self.error = UpstreamError("empty response received from provider")
            return
        usage = json.dumps(self._usage) if self._usage else b"null"
        self.error = self.teller.finish(self._head, usage, now_s, self._out)

    def fail(self, error: GatewayError | None) -> None:
        """The stream ends with ``error``; ``None`` is no failure."""
        if error is not None and not self.is_over:
            self.error, self.is_over = error, True

    @property
    def usage(self) -> Usage | None:
        return read_usage(json.dumps(self._usage)) if self._usage else None

    def take(self) -> Progress:
        """What came of it since the last ``take``."""
        if not self._out and not self.is_over:
            return NOTHING
        data, self._out = b"".join(self._out), []
        events, self._before = self.teller.count - self._before, self.teller.count
        is_done = self.is_over and self.error is None
        return Progress(data, events, self.error, done=is_done)
