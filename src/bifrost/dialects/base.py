"""The push-style protocol of stream decoders: bytes in, what the caller is to get out.

Any split of the same bytes gives the same concatenated output, the same usage and the same end.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Protocol

import attrs

from bifrost.config.secret import Secret
from bifrost.errors import GatewayError
from bifrost.record import Usage
from bifrost.schema.call import Dialect, Native, Operation, RawMembers
from bifrost.values import frozen

__all__ = [
    "NOTHING",
    "AnswerFacts",
    "PlainAnswer",
    "Progress",
    "Reading",
    "Retelling",
    "StreamDecoder",
]


class Retelling(Protocol):
    """An answer that is told in other words while it passes, block by block.

    Any split of the same bytes gives the same concatenated output.
    """

    def feed(self, data: bytes) -> bytes:
        """What has come to light by ``data``. Raises GatewayError."""
        ...

    def close(self) -> bytes:
        """The rest: the body has ended in good order. Raises GatewayError."""
        ...


@frozen(kw_only=True)
class Reading:
    """How the answer to one request is to be read, where that shows in the request and not in its operation alone."""

    plain: Callable[[bytes, AnswerFacts], PlainAnswer] | None = None
    """Of a whole body."""
    retell: Callable[[AnswerFacts], Retelling] | None = None
    """Of a body that is relayed in blocks: what it goes through on its way. Without it they go as they come."""
    content_type: bytes = b"application/jsonl"
    """Of what is retold."""
    absent: frozenset[int] = frozenset()
    """Statuses besides 404 by which this provider says that there is no such object."""


@frozen(kw_only=True)
class AnswerFacts:
    """What the gateway knows of an attempt and writes into ``extra_fields``, or needs to read the answer by.

    ``sent_s`` is when the request went out, on the clock that ``feed`` gets its ``now_s`` from.
    ``response_headers`` are the upstream's, already filtered for the caller.
    """

    request_type: str
    provider: str
    model_requested: str
    sent_s: float
    operation: Operation = Operation.CHAT
    dialect: Dialect = Dialect.OPENAI
    """The caller's."""
    is_native: bool = False
    """Whether the upstream was asked in the caller's own dialect, so that its answer goes as it comes."""
    native: Native | None = None
    """The request in its caller's own dialect, where that is not OpenAI's: it may say how the answer is wanted."""
    sent_unix_s: float = 0.0
    """When the request went out, on the calendar: for answers that have to say it and were not told."""
    members: RawMembers = attrs.field(factory=lambda: MappingProxyType({}), repr=False)
    """The request's, for answers that repeat some of it."""
    received_s: float | None = None
    """When a plain answer was there in whole, on the same clock; gives its latency."""
    model_deployment: str | None = None
    """What was really asked for, where it is another name than ``model_requested``."""
    key: Secret | None = None
    """The credential in use, to be scrubbed out of errors that echo it."""
    send_extra_fields: bool = True
    raw_request: bytes | None = None
    """Upstream body to echo, or ``None``."""
    raw_response: bool = False
    """Whether to echo the upstream's answer."""
    raw_verbatim: bool = False
    """Raw echo of the caller's own dialect by ``openai``: the answer *is* the upstream's, without extra fields."""
    response_headers: tuple[tuple[str, str], ...] = ()
    dropped_params: tuple[str, ...] = ()
    reading: Reading | None = None
    """As the request has it."""
    ends_without_done: bool = False
    """This upstream ends at its finish reason and sends no ``[DONE]`` (cerebras, perplexity, huggingface)."""


@frozen(kw_only=True)
class PlainAnswer:
    """A whole answer in the caller's dialect. ``error`` is set when a 200 turns out to be a refusal."""

    body: bytes
    usage: Usage | None = None
    error: GatewayError | None = None
    content_type: bytes = b""
    """What ``body`` is, if it is no JSON."""


@frozen
class Progress:
    """What some bytes amounted to.

    ``data`` goes to the caller as it is and holds ``events`` whole events. ``error`` is a failure told *inside* the
    stream: what came before it is in ``data``. ``done`` means that the stream has reached its normal end.
    """

    data: bytes = b""
    events: int = 0
    error: GatewayError | None = None
    done: bool = False


NOTHING = Progress()


class StreamDecoder(Protocol):
    """One streamed answer. ``usage`` is what has been learned so far."""

    @property
    def usage(self) -> Usage | None: ...

    def feed(self, data: bytes, now_s: float) -> Progress:
        """Take bytes as they came. After ``error`` or ``done`` nothing more is to be fed."""
        ...

    def close(self, now_s: float) -> Progress:
        """The upstream's body has ended in good order. ``done`` with the last bytes, or ``error`` if it was cut short."""
        ...
