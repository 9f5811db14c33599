"""The one account of an exchange. Log rows, metrics, spans and bills are functions of a ``CallRecord``.

All times are seconds on trio's clock unless a name says otherwise; ``started_unix_s`` places the record on the
calendar. Nothing here can hold a secret: keys are named by id and name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from bifrost.errors import ErrorClass
from bifrost.schema.call import NOBODY, UNROUTED, Identity, Operation, Routing
from bifrost.values import Choice, frozen

__all__ = [
    "NO_USAGE",
    "AttemptRecord",
    "Bill",
    "CallRecord",
    "HopRecord",
    "MediaUsage",
    "Outcome",
    "ToldUsage",
    "Usage",
]


class Outcome(Choice):
    """How an exchange ended, as the caller saw it."""

    SUCCESS = "success"
    ERROR = "error"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class MediaUsage:
    """What of an answer's usage is not text. Tokens here are among those of the ``Usage`` that this belongs to."""

    audio_in_tokens: int = 0
    audio_out_tokens: int = 0
    image_in_tokens: int = 0
    image_out_tokens: int = 0
    characters: int = 0
    """Of text to be spoken."""
    audio_ms: int = 0
    """Length of the sound that was sent or made, in milliseconds."""
    images: int = 0
    """Images that came back."""
    video_ms: int = 0
    """Length of the film that is made, in milliseconds."""


@frozen(kw_only=True)
class Usage:
    """Tokens, in the provider's own count. ``prompt_tokens`` includes the cached ones.

    Read for each answer, so what few answers have stands apart, in ``media``.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_read_tokens: int = 0
    cached_write_tokens: int = 0
    reasoning_tokens: int = 0
    searches: int = 0
    """Searches of the web, or units of search that a reranker bills."""
    cost_nano_usd: int | None = None
    """What the provider itself says that the answer costs, in billionths of a US dollar."""
    media: MediaUsage | None = None

    @property
    def all_tokens(self) -> int:
        """All of them; their sum, where the provider told its parts only."""
        return self.total_tokens or self.prompt_tokens + self.completion_tokens


NO_USAGE = Usage()


@frozen(kw_only=True)
class ToldUsage:
    """What a provider tells of something that was begun by another request, or goes on after its own: a batch, a run.

    ``mark`` names it, and whatever is told of it again; what has none is told once. Several of one answer with the same mark
    add up.
    """

    mark: str
    model: str = ""
    """As the provider calls it; empty where it is that of the request."""
    operation: Operation | None = None
    """What it is priced as; ``None`` where nothing is."""
    usage: Usage | None = None
    """``None``: it has begun, and its usage is that of the request."""
    service: str = ""
    """``batch``, ``priority`` or ``flex``; empty for the ordinary."""


@frozen(kw_only=True)
class AttemptRecord:
    """One try at one target with one key."""

    key_id: str
    key_name: str
    error_class: ErrorClass | None
    """``None``: it succeeded."""
    status: int | None
    """The upstream's, where it answered."""
    code: str | None = None
    queue_wait_s: float = 0.0
    upstream_s: float = 0.0
    """Time spent waiting for the upstream's connection and bytes."""
    first_event_s: float | None = None
    """From sending to the first event of the answer."""
    hedge: bool = False
    is_sent: bool = False
    """Whether the upstream may have begun to work on it."""
    usage: Usage | None = None
    delivered_tokens: int = 0
    """About how many tokens of the answer went to the caller, for answers whose usage never came."""
    deployment: str = ""
    """What the key calls the model, where that is something else."""


@frozen
class Bill:
    """What a hop cost whoever asked for it. Integer nano-dollars."""

    requests: int = 0
    tokens: int = 0
    nano_usd: int = 0
    is_estimated: bool = False
    """Some of it is our count, since the provider's never came."""


@frozen(kw_only=True)
class HopRecord:
    """One target of an exchange, with its attempts in order."""

    provider: str
    model: str
    attempts: tuple[AttemptRecord, ...] = ()
    bill: Bill | None = None
    """``None`` where nobody counts."""


@frozen(kw_only=True)
class CallRecord:
    """What became of a call."""

    call_id: str
    request_type: str
    route: str
    stream: bool
    outcome: Outcome
    status: int
    """The status the caller was to get; 499 if it left, and of a failed stream the error's own."""
    error_class: ErrorClass | None = None
    error_code: str | None = None
    error_message: str | None = None
    """Scrubbed of secrets before it came here."""
    provider: str
    model: str
    hops: tuple[HopRecord, ...] = ()
    fallback_index: int = 0
    retries: int = 0
    """Of the last hop."""
    key_id: str = ""
    key_name: str = ""
    usage: Usage | None = None
    started_unix_s: float
    total_s: float
    queue_wait_s: float = 0.0
    backoff_s: float = 0.0
    upstream_s: float = 0.0
    downstream_s: float = 0.0
    """Time spent waiting for a slow caller to take what was ready for it."""
    first_event_s: float | None = None
    """From receipt of the request to its first event."""
    events: int = 0
    inter_event_s: float = 0.0
    """Sum of the gaps between events of a stream."""
    body_bytes: int = 0
    identity: Identity = NOBODY
    """Whose virtual key it was."""
    routing: Routing = UNROUTED
    remote_addr: str = ""
    user_agent: str = ""
    traceparent: str | None = None
    """The caller's trace, in W3C's words."""
    prom_labels: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}))
    log_metadata: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}))

    @property
    def overhead_s(self) -> float:
        """The gateway's own part: what is left when every wait for somebody else is taken away.

        Waiting for the upstream, in a provider's line, in a back-off or for a slow caller is not overhead; each of
        those has a figure of its own.
        """
        waited = self.upstream_s + self.queue_wait_s + self.backoff_s + self.downstream_s
        return max(0.0, self.total_s - waited)
