"""What every decoder of an upstream's event stream does, whatever its events are: cut it up, and know when it is over."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import sse
from bifrost.dialects.base import NOTHING, AnswerFacts, Progress
from bifrost.dialects.openai_errors import Told, read_error_body, told_error
from bifrost.dialects.scrub import scrubber
from bifrost.errors import GatewayError, NetworkError

if TYPE_CHECKING:
    from bifrost.record import Usage

__all__ = ["CUT_SHORT", "SSEStream"]

CUT_SHORT = "Error reading stream: the stream ended before its end marker"

MAX_TOLD = 2000
"""Characters of an error that has no shape."""


@attrs.define(eq=False)
class SSEStream(abc.ABC):
    """One streamed answer. Implements ``StreamDecoder``, but for what its events mean."""

    facts: AnswerFacts
    _sse: sse.SSEDecoder = attrs.field(factory=sse.SSEDecoder, init=False)
    _count: int = attrs.field(default=0, init=False)
    """Events handed on."""
    _last_s: float = attrs.field(init=False)
    """When the last one was, or the sending."""
    _is_over: bool = attrs.field(default=False, init=False)

    @_last_s.default
    def _begin_s(self) -> float:
        return self.facts.sent_s

    @property
    @abc.abstractmethod
    def usage(self) -> Usage | None:
        """What has been learned so far."""

    @abc.abstractmethod
    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:
        """Hand ``events`` on. Whoever ends the stream sets ``_is_over``."""

    @abc.abstractmethod
    def _at_end(self, progress: Progress, now_s: float) -> Progress:
        """The body has ended without an end marker, after ``progress``: a good end all the same, or an error."""

    def feed(self, data: bytes, now_s: float) -> Progress:
        """Hand on what ``data`` completes. What comes after the end is ignored."""
        if self._is_over:
            return NOTHING
        return self._relay_block(self._sse.whole(data), now_s)

    def close(self, now_s: float) -> Progress:
        """The body has ended: the last events, and whether that was the stream's end."""
        if self._is_over:
            return NOTHING
        try:
            progress = self._relay(self._sse.close(), now_s)
        except sse.EventTooLarge as error:
            return self._broken_off(error, now_s)
        if progress.done or progress.error is not None:
            return progress
        self._is_over = True
        return self._at_end(progress, now_s)

    def _relay_block(self, block: bytes, now_s: float) -> Progress:
        """Hand on ``block``, which is whole events."""
        try:
            events = self._sse.events(block)
        except sse.EventTooLarge as error:
            return self._broken_off(error, now_s)
        return self._relay(events, now_s) if events else NOTHING

    def _broken_off(self, error: sse.EventTooLarge, now_s: float) -> Progress:
        progress = self._relay(error.events, now_s)
        if progress.done or progress.error is not None:
            return progress
        self._is_over = True
        return attrs.evolve(progress, error=NetworkError(f"Error reading stream: {error}"))

    def _told(self, data: bytes) -> GatewayError | None:
        """The error that ``data`` tells, if it has the shape of one."""
        scrub = scrubber(self.facts.key)
        told = read_error_body(data, scrub)
        return None if told is None else told_error(told, None, scrub)

    def _told_oddly(self, data: bytes, *, is_error: bool) -> GatewayError | None:
        """As ``_told``; what is called an error is one even without its shape."""
        error = self._told(data)
        if error is None and is_error:
            text = scrubber(self.facts.key)(data.decode("utf-8", "replace"))
            return told_error(Told(message=text[:MAX_TOLD]), None, str)
        return error
