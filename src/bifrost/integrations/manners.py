"""How each surface is spoken to beside its answers: failures, and what frames a stream. The table.

The answers themselves are told by ``dialects.tellings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.codecs.sse import COMMENT_PING, event_frame
from bifrost.errors import GatewayError
from bifrost.integrations.anthropic_errors import anthropic_body, anthropic_event, signed
from bifrost.integrations.bedrock_errors import bedrock_body, bedrock_event, bedrock_headers
from bifrost.integrations.cohere_errors import cohere_body, cohere_event
from bifrost.integrations.composite import PREFIXES as SHARED
from bifrost.integrations.envelope import error_body, error_event, error_headers
from bifrost.integrations.genai_errors import genai_body, genai_event
from bifrost.schema.call import Surface

if TYPE_CHECKING:
    from bifrost.schema.call import Call, Target

__all__ = ["MANNERS", "PREFIXES", "Manner", "TellError", "manner_at", "manner_of"]

Lines = list[tuple[bytes, bytes]]

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
    headers: Callable[[GatewayError], Lines] = error_headers
    """Lines that go with a failure, besides its content type."""
    stream_type: bytes = EVENT_STREAM
    ping: bytes = COMMENT_PING
    """What keeps a silent stream open; empty where the framing has no such thing."""
    sign: Callable[[bytes, str], bytes] = lambda body, request_id: body  # noqa: ARG005  others say it
    """A failure's body with the id of a request that never became a call."""
    id_header: bytes = b""
    """Where the SDK looks for a request's id, besides ``x-request-id``; an upstream's own counts more there."""

    def with_id(self, lines: Lines, request_id: str) -> Lines:
        """``lines`` of an answer's head, with the id where the SDK looks for it."""
        if not self.id_header or any(name == self.id_header for name, _ in lines):
            return lines
        return [*lines, (self.id_header, request_id.encode("latin-1", "replace"))]


AS_OPENAI = Manner()

AS_BEDROCK = Manner(
    body=bedrock_body,
    event=bedrock_event,
    headers=bedrock_headers,
    stream_type=b"application/vnd.amazon.eventstream",
    # Frames have nothing that says nothing: a client of AWS waits in silence.
    ping=b"",
    id_header=b"x-amzn-requestid",
)

MANNERS: Mapping[Surface, Manner] = MappingProxyType(
    {
        Surface.BEDROCK: AS_BEDROCK,
        Surface.INVOKE: AS_BEDROCK,
        Surface.ANTHROPIC: Manner(
            body=anthropic_body,
            event=anthropic_event,
            # Anthropic's own. Before message_start it says as little as a comment.
            ping=event_frame("ping", b'{"type":"ping"}'),
            sign=signed,
            id_header=b"request-id",
        ),
        # Google's SDK (3.6, 2026-11) takes a comment for a broken event, and passes over empty lines.
        Surface.GENAI: Manner(body=genai_body, event=genai_event, ping=b"\n\n"),
        Surface.COHERE: Manner(body=cohere_body, event=cohere_event),
    }
)
"""Those that differ from OpenAI's."""

PREFIXES: Mapping[str, Surface] = MappingProxyType(
    {
        "/anthropic": Surface.ANTHROPIC,
        "/bedrock": Surface.BEDROCK,
        "/genai": Surface.GENAI,
        "/cohere": Surface.COHERE,
    }
)
"""First segments of paths: how failures are told there that no route is known for. Of ``SHARED`` prefixes, the second ones."""


def manner_of(surface: Surface) -> Manner:
    return MANNERS.get(surface, AS_OPENAI)


def manner_at(path: str) -> Manner:
    """The manner of whatever is asked for by ``path``, which need not be a route."""
    first, _, rest = path.removeprefix("/").partition("/")
    if f"/{first}" in SHARED:
        first = rest.partition("/")[0]
    return manner_of(PREFIXES.get(f"/{first}", Surface.NATIVE))
