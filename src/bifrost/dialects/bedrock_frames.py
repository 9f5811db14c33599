"""A streamed answer of Bedrock's in frames (``codecs.eventstream``), whatever they say: told to a conversation, or passed on.

What a frame says is for ``bedrock_stream`` (ConverseStream) and ``invoke_text``, ``invoke_relay`` (InvokeModelWithResponseStream).
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import attrs

from bifrost.codecs.eventstream import BrokenFrame, FrameDecoder
from bifrost.dialects.base import NOTHING, AnswerFacts, Progress
from bifrost.dialects.bedrock_answer import answer_id
from bifrost.dialects.bedrock_errors import exception_in
from bifrost.dialects.hub import Conversation
from bifrost.dialects.scrub import scrubber
from bifrost.dialects.sse_stream import CUT_SHORT
from bifrost.errors import GatewayError, NetworkError

if TYPE_CHECKING:
    from bifrost.codecs.eventstream import Frame
    from bifrost.record import Usage

__all__ = ["FrameStream", "PassedFrames", "ToldFrames"]


@attrs.define(eq=False)
class FrameStream(abc.ABC):
    """One streamed answer in frames. Implements ``StreamDecoder``, but for what its events mean."""

    facts: AnswerFacts
    _frames: FrameDecoder = attrs.field(factory=FrameDecoder, init=False)
    _is_over: bool = attrs.field(default=False, init=False)

    @property
    @abc.abstractmethod
    def usage(self) -> Usage | None:
        """What has been learned so far."""

    @abc.abstractmethod
    def _take(self, frame: Frame, now_s: float) -> None:
        """Take one frame. Whoever ends the stream sets ``_is_over``."""

    @abc.abstractmethod
    def _taken(self, error: GatewayError | None) -> Progress:
        """What has come of it since the last time; ``error`` ends the stream, if it has not ended yet."""

    @abc.abstractmethod
    def _ends_here(self, now_s: float) -> GatewayError | None:
        """The body has ended in good order, between two frames: an error if the answer is not whole."""

    def feed(self, data: bytes, now_s: float) -> Progress:
        """Take bytes as they came. What comes after the end is ignored."""
        if self._is_over:
            return NOTHING
        broken: GatewayError | None = None
        try:
            frames = self._frames.feed(data)
        except BrokenFrame as error:
            frames = list(error.frames)
            broken = NetworkError(f"Error reading stream: {error}")
        for frame in frames:
            if not self._is_over:
                self._take(frame, now_s)
        return self._taken(None if self._is_over else broken)

    def close(self, now_s: float) -> Progress:
        """The body has ended: whether that was the stream's end."""
        if self._is_over:
            return NOTHING
        if not self._frames.is_between:
            return self._taken(NetworkError(CUT_SHORT))
        return self._taken(self._ends_here(now_s))


@attrs.define(eq=False)
class ToldFrames(FrameStream):
    """Tells ``conversation`` what frames say. Whole is a stream that has said why it ends, though nobody says what it took."""

    conversation: Conversation
    _reason: str | None = attrs.field(default=None, init=False)
    _has_begun: bool = attrs.field(default=False, init=False)

    @abc.abstractmethod
    def _tell(self, frame: Frame, now_s: float) -> None:
        """Tell of one frame, which is no exception."""

    @property
    def usage(self) -> Usage | None:
        return self.conversation.usage

    def _take(self, frame: Frame, now_s: float) -> None:
        error = exception_in(frame, scrubber(self.facts.key))
        if error is not None:
            self.conversation.fail(error)
        else:
            self._begin(frame)
            self._tell(frame, now_s)
        self._is_over = self.conversation.is_over

    def _begin(self, frame: Frame) -> None:
        if not self._has_begun:
            self._has_begun = True
            self.conversation.begin(id=answer_id(self.facts, frame.raw))

    def _taken(self, error: GatewayError | None) -> Progress:
        self.conversation.fail(error)
        progress = self.conversation.take()
        self._is_over = self.conversation.is_over
        return progress

    def _ends_here(self, now_s: float) -> GatewayError | None:
        if self._reason is None:
            return NetworkError(CUT_SHORT)
        self.conversation.end(now_s)
        return None


@attrs.define(eq=False)
class PassedFrames(FrameStream):
    """Hands frames on as they came. Whoever reads them sets ``_has_ended`` when the answer is whole."""

    _out: list[bytes] = attrs.field(factory=list, init=False)
    _error: GatewayError | None = attrs.field(default=None, init=False)
    _has_ended: bool = attrs.field(default=False, init=False)

    @abc.abstractmethod
    def _read(self, frame: Frame) -> None:
        """Read one frame that is no exception, for usage and end."""

    def _take(self, frame: Frame, now_s: float) -> None:  # noqa: ARG002  a FrameStream's
        self._error = exception_in(frame, scrubber(self.facts.key))
        if self._error is not None:
            self._is_over = True
            return
        self._out.append(frame.raw)
        self._read(frame)

    def _taken(self, error: GatewayError | None) -> Progress:
        data, events = b"".join(self._out), len(self._out)
        self._out = []
        error = self._error or error
        self._is_over |= error is not None
        return Progress(data, events, error, done=self._is_over and error is None)

    def _ends_here(self, now_s: float) -> GatewayError | None:  # noqa: ARG002  a FrameStream's
        self._is_over = self._has_ended
        return None if self._has_ended else NetworkError(CUT_SHORT)
