"""Budgets and rate limits as the management API takes and tells them. Pure; times are Unix seconds.

A limit stands in its owner's body. One that is sent changes the one that is there, member by member; ``{}`` or ``null`` takes
it away. What is used of it, and since when, is told beside what is allowed, and never taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import attrs

from bifrost.actors.ledger_messages import Counted
from bifrost.config.faults import ConfigError, ConfigErrors, below, kind_of, nearest
from bifrost.errors import BadRequest
from bifrost.governance.model import dollars
from bifrost.governance.periods import Period

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


__all__ = ["JSON", "LIMITS", "Usage", "counters_of", "moment", "patched_limit", "refuse_unknown"]

JSON = Mapping[str, Any]
"""A noun's body, or a part of one, or what is sent for it."""

LimitKind = Literal["budget", "rate_limit"]

LIMITS: tuple[LimitKind, LimitKind] = ("budget", "rate_limit")

HALVES = ("token", "request")
"""Of a rate limit. Each is a limit of its own."""

TAKEN: Mapping[LimitKind, tuple[str, ...]] = MappingProxyType(
    {
        "budget": ("max_limit", "reset_duration", "calendar_aligned"),
        "rate_limit": tuple(
            f"{half}_{name}" for half in HALVES for name in ("max_limit", "reset_duration")
        ),
    }
)
TOLD_ONLY: Mapping[LimitKind, tuple[str, ...]] = MappingProxyType(
    {
        "budget": ("id", "last_reset", "current_usage"),
        "rate_limit": (
            "id",
            *(f"{half}_{name}" for half in HALVES for name in ("last_reset", "current_usage")),
        ),
    }
)


def refuse_unknown(sent: Iterable[str], known: tuple[str, ...], path: str) -> None:
    """Raise ConfigErrors for each member that is none of ``known``."""
    errors = [
        ConfigError(below(path, name), "an unknown key", ", ".join(known), nearest(name, known))
        for name in sent
        if name not in known
    ]
    if errors:
        raise ConfigErrors(errors)


def patched_limit(
    kind: LimitKind, present: JSON | None, sent: object, path: str, new_id: Callable[[], str]
) -> dict[str, Any] | None:
    """The limit at ``path`` after ``sent``; ``None``: there is none then.

    Raises BadRequest with the words for what is out of bounds, ConfigErrors for what is no member. What is of a wrong sort
    stays, for the check of the whole to see.
    """
    if sent is None or sent == {}:
        return None
    if not isinstance(sent, Mapping):
        raise ConfigErrors([ConfigError(path, kind_of(sent), "a mapping")])
    refuse_unknown(sent, (*TAKEN[kind], *TOLD_ONLY[kind]), path)
    if sent.get("id") not in (None, present and present.get("id")):
        allowed = "the id that it has, or none"
        raise ConfigErrors([ConfigError(below(path, "id"), "another id", allowed)])
    limit = _merged(kind, present or {}, sent)
    if not limit:
        return None
    _check(kind, limit, path)
    return {"id": present["id"] if present else new_id(), **limit}


def _merged(kind: LimitKind, present: JSON, sent: JSON) -> dict[str, Any]:
    limit = {name: present[name] for name in TAKEN[kind] if present.get(name) is not None}
    for name in TAKEN[kind]:
        # Told of every budget, said of few.
        is_said = name != "calendar_aligned" or sent.get(name) is not False or name in limit
        if name in sent and is_said:
            limit[name] = sent[name]
    if kind == "rate_limit":
        for half in HALVES:
            if limit.get(f"{half}_max_limit") is None:
                # A limit that is taken away needs no duration.
                limit.pop(f"{half}_max_limit", None)
                if f"{half}_max_limit" in sent:
                    limit.pop(f"{half}_reset_duration", None)
    return {name: value for name, value in limit.items() if value is not None}


def _check(kind: LimitKind, limit: JSON, path: str) -> None:
    if kind == "budget":
        _check_sum(limit.get("max_limit"), below(path, "max_limit"))
        is_aligned = limit.get("calendar_aligned") is True
        _check_duration(limit.get("reset_duration"), below(path, "reset_duration"), is_aligned)
        return
    for half in HALVES:
        amount, duration = limit.get(f"{half}_max_limit"), limit.get(f"{half}_reset_duration")
        at = below(path, f"{half}_max_limit")
        if _is_number(amount) and amount <= 0:
            text = f"rate limit {half} max limit cannot be negative or zero: {amount}"
            raise BadRequest(text, param=at)
        at = below(path, f"{half}_reset_duration")
        if amount is not None and not duration:
            raise BadRequest(f"rate limit {half} reset duration is required", param=at)
        _check_duration(duration, at)


def _check_sum(amount: object, path: str) -> None:
    if amount is None:
        raise BadRequest("budget max_limit is required", param=path)
    if _is_number(amount) and amount < 0:
        raise BadRequest(f"Budget max_limit cannot be negative: {amount:.2f}", param=path)
    if _is_number(amount) and amount == 0:
        raise BadRequest("budget max limit cannot be negative or zero: 0.00", param=path)


def _check_duration(duration: object, path: str, is_aligned: bool = False) -> None:
    if not isinstance(duration, str):
        return
    try:
        Period.parse(duration, calendar_aligned=is_aligned)
    except ValueError as error:
        raise BadRequest(str(error)[:200], param=path) from None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


# Telling


def moment(unix_s: float) -> str:
    """RFC 3339, in UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def counters_of(body: JSON) -> Iterable[str]:
    """The ids of the counters of the limits in a body, and in the provider configs in it."""
    configs = body.get("provider_configs")
    for holder in (body, *(configs if isinstance(configs, list) else ())):
        if isinstance(budget := holder.get("budget"), Mapping):
            yield budget["id"]
        if isinstance(rate := holder.get("rate_limit"), Mapping):
            yield from (f"{rate['id']}:{half}s" for half in HALVES)


@attrs.frozen
class Usage:
    """What counters stand at, at a moment. A time that is over is no usage."""

    counted: Mapping[str, Counted]
    now_unix_s: float

    def spent(self, body: JSON) -> int:
        """Nano-dollars of the budget in a body; 0 without one."""
        budget = body.get("budget")
        if not isinstance(budget, Mapping):
            return 0
        return self._state(budget["id"], _period(budget))[0]

    def told(self, body: JSON) -> dict[str, Any]:
        """``budget`` and ``rate_limit`` of a body with their ids beside them, ``None`` where there is none."""
        budget, rate = body.get("budget"), body.get("rate_limit")
        return {
            "budget_id": budget["id"] if budget else None,
            "budget": self.told_budget(budget) if budget else None,
            "rate_limit_id": rate["id"] if rate else None,
            "rate_limit": self.told_rate(rate) if rate else None,
        }

    def told_budget(self, budget: JSON) -> dict[str, Any]:
        """A budget; money in US dollars."""
        used, since = self._state(budget["id"], _period(budget))
        return {
            "id": budget["id"],
            "max_limit": budget["max_limit"],
            "reset_duration": budget["reset_duration"],
            "calendar_aligned": budget.get("calendar_aligned", False),
            "last_reset": moment(since),
            "current_usage": dollars(used),
        }

    def told_rate(self, rate: JSON) -> dict[str, Any]:
        """A rate limit, both halves; ``None`` for what is not limited."""
        told: dict[str, Any] = {"id": rate["id"]}
        for half in HALVES:
            duration, used, since = rate.get(f"{half}_reset_duration"), 0, None
            if rate.get(f"{half}_max_limit") is not None and duration is not None:
                used, since = self._state(f"{rate['id']}:{half}s", Period.parse(duration))
            told |= {
                f"{half}_max_limit": rate.get(f"{half}_max_limit"),
                f"{half}_reset_duration": duration,
                f"{half}_current_usage": used,
                f"{half}_last_reset": None if since is None else moment(since),
            }
        return told

    def _state(self, counter_id: str, period: Period) -> tuple[int, float]:
        found = self.counted.get(counter_id)
        if found is None or period.is_over(found.since_unix_s, self.now_unix_s):
            return 0, period.start(self.now_unix_s)
        return found.used, found.since_unix_s


def _period(budget: JSON) -> Period:
    aligned = budget.get("calendar_aligned") is True
    return Period.parse(str(budget["reset_duration"]), calendar_aligned=aligned)
