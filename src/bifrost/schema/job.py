"""An asynchronous job: a request that is answered later, and what became of it."""

from __future__ import annotations

import enum

import attrs

from bifrost.config.secret import Secret

__all__ = ["MAX_TTL_S", "Claim", "Job", "JobRequest", "JobResult", "JobState", "result_ttl_s"]

MAX_TTL_S = 30 * 86400
"""The longest that a result is kept, whatever its submitter wishes."""


class JobState(enum.Enum):
    """From top to bottom, and never back to the caller's knowledge."""

    PENDING = "pending"
    """Written down; waits for its turn."""
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (JobState.COMPLETED, JobState.FAILED)


@attrs.frozen(kw_only=True)
class JobRequest:
    """All that it takes to make the call again, later and perhaps in another process.

    ``operation`` is an ``Operation``'s value, ``route`` the path that was asked (with its query, where that matters), ``body`` the unpacked body. ``headers``
    are the caller's lines, names in lower case, without anything secret; ``secrets`` are the lines that are, which are
    kept in memory only. ``virtual_key_id`` names the submitter's virtual key (``Call.virtual_key_hash``), empty for none.
    """

    request_id: str
    operation: str
    route: str
    model: str = ""
    """As the caller named it: what a poller is shown before there is an answer."""
    body: bytes = attrs.field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = attrs.field(default=(), repr=False)
    secrets: tuple[tuple[bytes, Secret], ...] = ()
    virtual_key_id: str = ""
    remote_addr: str = ""
    result_ttl_s: int = 3600
    """How long the result is kept, from its completion on."""


@attrs.frozen(kw_only=True)
class JobResult:
    """How a job ended: the answer's body as the synchronous route gives it, or the native error object."""

    status: int
    body: bytes = attrs.field(repr=False)
    content_type: str = "application/json"
    is_error: bool = False


@attrs.frozen(kw_only=True)
class Job:
    """What a poller may know. Times are Unix seconds; ``result`` and two of them come with the end."""

    id: str
    state: JobState
    operation: str
    route: str
    model: str
    virtual_key_id: str
    created_s: float
    completed_s: float | None = None
    expires_s: float | None = None
    result: JobResult | None = None


@attrs.frozen(kw_only=True)
class Claim:
    """A job whose turn it is. ``needs_secret`` if it came with secrets, which ``request`` is without."""

    id: str
    request: JobRequest
    needs_secret: bool


def result_ttl_s(wish: str | None, default_s: int) -> int:
    """Seconds, from the header ``x-bf-async-job-result-ttl``: ``default_s`` unless it is a whole number above 0.

    More than ``MAX_TTL_S`` counts as that much.
    """
    text = (wish or "").strip()
    if not (text.isascii() and text.isdigit()):
        return default_s
    digits = text.lstrip("0")
    if len(digits) > len(str(MAX_TTL_S)):
        return MAX_TTL_S
    return min(int(digits or "0"), MAX_TTL_S) or default_s
