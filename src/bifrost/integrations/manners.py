"""How each surface is spoken to beside its answers: failures, and what frames a stream. The table.

The answers themselves are told by ``dialects.tellings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.codecs.sse import COMMENT_PING
from bifrost.errors import GatewayError
from bifrost.integrations.envelope import error_body, error_event, error_headers

if TYPE_CHECKING:
    from bifrost.schema.call import Call, Surface, Target

__all__ = ["MANNERS", "Manner", "TellError", "manner_of"]

EVENT_STREAM = b"text/event-stream"


class TellError(Protocol):
    """A failure as bytes: a whole body, or the last event of a stream."""

    def __call__(
        self,
        error: GatewayError,
        *,
        call: Call | None = None,
        target: Target | None = None,
        attempts: tuple[dict[str, object], ...] = (),
    ) -> bytes:
        """``target`` is whose failure it was, ``attempts`` are those to be shown; a surface may tell less."""
        ...


@attrs.frozen(kw_only=True)
class Manner:
    """One surface. The defaults are OpenAI's."""

    body: TellError = error_body
    event: TellError = error_event
    headers: Callable[[GatewayError], list[tuple[bytes, bytes]]] = error_headers
    """Lines that go with a failure, besides its content type."""
    stream_type: bytes = EVENT_STREAM
    ping: bytes = COMMENT_PING
    """What keeps a silent stream open; empty where the framing has no such thing."""


AS_OPENAI = Manner()

MANNERS: Mapping[Surface, Manner] = MappingProxyType({})
"""Those that differ from OpenAI's."""


def manner_of(surface: Surface) -> Manner:
    return MANNERS.get(surface, AS_OPENAI)
