"""Every message between actors. Frozen, with units in the names of fields and no callables inside.

An *ask* carries a ``Reply``; a *tell* does not.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from bifrost.actors.mailbox import Reply
from bifrost.config.secret import Token
from bifrost.config.settings import KeySettings, ProviderSettings
from bifrost.errors import ErrorClass
from bifrost.policy.token_sources import TokenSource
from bifrost.providers.base import Adapter, RateHint
from bifrost.record import Usage
from bifrost.schema.call import Operation
from bifrost.transport.base import Upstream
from bifrost.values import frozen

__all__ = [
    "Abandon",
    "Acquire",
    "Applied",
    "AttemptOutcome",
    "Drain",
    "Drained",
    "Generation",
    "Granted",
    "KeyView",
    "Need",
    "Opened",
    "PoolMessage",
    "PoolView",
    "Probe",
    "Reconfigure",
    "Refusal",
    "Refused",
    "Settle",
    "Snapshot",
    "TokenLacking",
    "TokenRefreshed",
    "TokenRefused",
]


@frozen(kw_only=True, eq=False)
class Generation:
    """A provider under one configuration: settings, adapter and connections that belong together.

    A lease keeps its generation to its end, however often the pool is reconfigured meanwhile.
    """

    number: int
    settings: ProviderSettings
    adapter: Adapter
    upstream: Upstream


@frozen(kw_only=True)
class Need:
    """What a hop wants of a pool; the same for all of its attempts."""

    model: str
    operation: Operation
    need_tokens: int = 0
    """Estimate of prompt and output, to pass over keys that have not that many left."""
    pin_id: str | None = None
    pin_name: str | None = None
    include_only: frozenset[str] | None = None
    session: str | None = None
    """Hash of session and model; ``None`` for no stickiness. Only hop 0 sets it."""
    session_ttl_s: float = 3600.0
    owner: str | None = None
    """The key that has what is asked for: taken before others, if it can be lent."""
    direct: bool = False
    """The caller brings its own key: a slot is wanted, no key."""


class Refusal:
    """Reasons of ``Refused``; plain strings, so that they are labels too."""

    NO_KEYS = "no_keys"
    NO_KEY_FOR_MODEL = "no_key_for_model"
    UNKNOWN_KEY_ID = "unknown_key_id"
    UNKNOWN_KEY_NAME = "unknown_key_name"
    NOT_FOR_BATCH = "not_for_batch"
    EXHAUSTED = "exhausted"
    """Every candidate is in ``avoid``."""
    COOLING_DOWN = "cooling_down"
    QUEUE_FULL = "queue_full"
    WAIT_DEADLINE = "wait_deadline"
    NO_SLOT = "no_slot"
    """Asked not to wait (a hedge), and there is no free slot."""
    SHUTTING_DOWN = "shutting_down"
    BROKEN = "broken"


@frozen(kw_only=True)
class Granted:
    """A key lent for one attempt. The secret travels only in here."""

    lease_id: int
    key: KeySettings | None = attrs.field(repr=False)
    """``None`` for a direct key: the caller's own is used."""
    generation: Generation = attrs.field(repr=False)
    untried_left: int
    """Further usable keys that this hop has not tried; what decides whether rotation is possible."""
    queue_wait_s: float = 0.0

    @property
    def key_id(self) -> str:
        return "header-provided" if self.key is None else self.key.id

    @property
    def key_name(self) -> str:
        return "header-provided" if self.key is None else self.key.name


@frozen(kw_only=True)
class Refused:
    """No lease. ``retry_after_s`` where waiting would help."""

    reason: str
    retry_after_s: float | None = None


@frozen(kw_only=True)
class AttemptOutcome:
    """How an attempt ended, as far as a pool is concerned.

    ``error_class`` is ``None`` for a success; CANCELLED and CLIENT leave a key's health alone, and so does INTERNAL.
    """

    error_class: ErrorClass | None = None
    status: int | None = None
    rate: RateHint | None = None
    latency_s: float = 0.0
    first_event_s: float | None = None
    streamed: bool = False
    usage: Usage | None = None
    retry_after_s: float | None = None


CANCELLED_OUTCOME = AttemptOutcome(error_class=ErrorClass.CANCELLED)


@frozen(kw_only=True, eq=False)
class Acquire:
    """Ask for a lease. ``avoid`` are keys this hop has tried and does not want again; ``tried`` those it has tried at all.

    ``priority`` puts a waiter at the front (a retry after its back-off), and is never refused for a full line.
    ``draw`` in [0, 1) is the router's randomness. ``prefer_not`` is a key to take only if there is no other.
    """

    need: Need
    reply: Reply[Granted | Refused]
    draw: float
    deadline_s: float
    avoid: frozenset[str] = frozenset()
    prefer_not: str | None = None
    tried: frozenset[str] = frozenset()
    priority: bool = False
    may_wait: bool = True


@frozen(kw_only=True)
class Settle:
    """Tell how the attempt ended. Idempotent by ``lease_id``."""

    lease_id: int
    outcome: AttemptOutcome


@frozen
class Opened:
    """Tell that the first event of a stream is there: its slot is free where ``count_streams`` is off. Idempotent."""

    lease_id: int


@frozen(eq=False)
class Abandon:
    """Tell that nobody waits for ``reply`` any more: takes a waiter out, or takes back a grant nobody has read."""

    reply: Reply[Granted | Refused]


@frozen(kw_only=True)
class Probe:
    """Tell what model discovery learned of a key; one success clears an authentication failure."""

    key_id: str
    ok: bool
    error: str | None = None


@frozen
class Applied:
    """Answer to ``Reconfigure``: no lease granted from now on is of an older generation."""


@frozen(kw_only=True, eq=False)
class Reconfigure:
    """Ask to serve by ``generation`` from now on. Waiters are filtered again, leases run on."""

    generation: Generation
    reply: Reply[Applied]
    drop_excess: bool = False


@frozen(kw_only=True)
class KeyView:
    """A key as a snapshot shows it: no secret."""

    id: str
    name: str
    state: str
    """``healthy``, ``degraded``, ``recovering``, ``cooling``, ``open``, ``half_open``, ``failed``, ``disabled`` or ``blank``."""
    in_flight: int
    weight: float
    effective_weight: float
    cool_down_left_s: float = 0.0
    failures_in_a_row: int = 0
    remaining_requests: int | None = None
    remaining_tokens: int | None = None
    models: tuple[str, ...] = ()
    granted: int = 0


@frozen(kw_only=True)
class PoolView:
    """A pool at one moment."""

    provider: str
    generation: int
    keys: tuple[KeyView, ...]
    running: int
    waiting: int
    granted: int
    settled: int
    is_draining: bool = False
    chances: Mapping[str, float] | None = None
    """Key id to probability, where the snapshot asked for a need."""
    reasons: Mapping[str, str] | None = None
    """Key id to why it is not eligible, likewise."""


@frozen(kw_only=True, eq=False)
class Snapshot:
    """Ask for a view; with ``need`` also who would be drawn for it."""

    reply: Reply[PoolView]
    need: Need | None = None


@frozen
class Drained:
    """Answer to ``Drain``: nothing is lent any more."""


@frozen(kw_only=True, eq=False)
class Drain:
    """Ask to refuse new work and waiters, and to answer when the last lease is settled."""

    reply: Reply[Drained]


@frozen(kw_only=True)
class TokenRefreshed:
    """Tell that there is a token of ``source``; keys that have it are lent with it until ``expires_s``, on trio's clock."""

    source: TokenSource
    token: Token
    expires_s: float


@frozen(kw_only=True)
class TokenLacking:
    """Tell that no token of ``source`` could be had. It is tried again at ``until_s``; infinite: it was refused."""

    source: TokenSource
    until_s: float


@frozen
class TokenRefused:
    """Tell whoever fetches tokens that the upstream did not accept this one."""

    source: TokenSource
    token: Token


PoolMessage = (
    Acquire
    | Settle
    | Opened
    | Abandon
    | Probe
    | Reconfigure
    | Snapshot
    | Drain
    | TokenRefreshed
    | TokenLacking
)
