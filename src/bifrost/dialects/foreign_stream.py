"""A stream of server-sent events in a foreign dialect: cut up and ended as all are, read by a subclass."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import attrs

from bifrost.dialects.hub import Conversation
from bifrost.dialects.sse_stream import CUT_SHORT, SSEStream
from bifrost.errors import NetworkError

if TYPE_CHECKING:
    from bifrost.codecs import sse
    from bifrost.dialects.base import Progress
    from bifrost.record import Usage

__all__ = ["ForeignStream"]


@attrs.define(eq=False)
class ForeignStream(SSEStream):
    """A subclass says what each event means, by telling ``conversation``.

    A body that ends before the conversation did is an error, unless ``_ends_here`` says that it may.
    """

    conversation: Conversation

    @abc.abstractmethod
    def _read(self, event: sse.SSEEvent, now_s: float) -> None:
        """Tell ``conversation`` what ``event`` says; what cannot be read is passed over."""

    def _ends_here(self, now_s: float) -> None:
        """The body has ended in good order: whoever has no end marker ends the conversation, if it is whole."""

    @property
    def usage(self) -> Usage | None:
        return self.conversation.usage

    def _relay(self, events: list[sse.SSEEvent], now_s: float) -> Progress:
        for event in events:
            if self.conversation.is_over:
                break
            self._read(event, now_s)
        return self._taken()

    def _taken(self) -> Progress:
        progress = self.conversation.take()
        self._count += progress.events
        self._is_over = self.conversation.is_over
        return progress

    def _at_end(self, progress: Progress, now_s: float) -> Progress:
        self._ends_here(now_s)
        self.conversation.fail(NetworkError(CUT_SHORT))
        last = self._taken()
        both = progress.data + last.data
        return attrs.evolve(last, data=both, events=progress.events + last.events)
