"""What the holder of a virtual key may see of his own limits. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bifrost.governance.model import Unit, dollars

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.actors.ledger_messages import Counted
    from bifrost.governance.model import Governance, Limit, Limits, VirtualKey

__all__ = ["counters_of", "told_limits", "usage_of"]

Holder = tuple[str, str | int, str, "Limits"]
"""Its level, its id as the management API has it, its name."""


def counters_of(governance: Governance, key: VirtualKey) -> frozenset[str]:
    """The ids of all that ``key`` counts towards."""
    holders = _holders(governance, key)
    return frozenset(limit.id for *_, limits in holders for limit in limits.all)


def usage_of(
    governance: Governance, key: VirtualKey, counted: Mapping[str, Counted], now_unix_s: float
) -> dict[str, object]:
    """The answer: the key, and its limits with what is used of them, from its provider configs up to its customer."""
    return {
        "object": "usage",
        "virtual_key": {"id": key.id, "name": key.name, "is_active": key.is_active},
        "limits": [
            {
                "level": level,
                "id": noun_id,
                "name": name,
                **told_limits(limits, counted, now_unix_s),
            }
            for level, noun_id, name, limits in _holders(governance, key)
            if limits
        ],
    }


def told_limits(
    limits: Limits, counted: Mapping[str, Counted], now_unix_s: float
) -> dict[str, object]:
    """``budget`` and ``rate_limit`` of a holder, as far as it has them."""
    told: dict[str, object] = {}
    for limit in limits.money:
        used, held, since = _state(limit, counted, now_unix_s)
        told["budget"] = {
            "max_limit": dollars(limit.amount),
            "current_usage": dollars(used),
            "held": dollars(held),
            **_times(limit, since, now_unix_s),
        }
    if limits.rates:
        told["rate_limit"] = {
            f"{limit.unit.value}s": _rate(limit, counted, now_unix_s) for limit in limits.rates
        }
    return told


def _rate(limit: Limit, counted: Mapping[str, Counted], now_unix_s: float) -> dict[str, object]:
    used, held, since = _state(limit, counted, now_unix_s)
    return {
        "max_limit": limit.amount,
        "current_usage": used,
        "held": held,
        **_times(limit, since, now_unix_s),
    }


def _state(
    limit: Limit, counted: Mapping[str, Counted], now_unix_s: float
) -> tuple[int, int, float]:
    """What is used, what is held, and since when; nothing, where its time is over."""
    found = counted.get(limit.id)
    if found is None:
        return 0, 0, limit.period.start(now_unix_s)
    if limit.period.is_over(found.since_unix_s, now_unix_s):
        return 0, found.held, limit.period.start(now_unix_s)
    return found.used, found.held, found.since_unix_s


def _times(limit: Limit, since: float, now_unix_s: float) -> dict[str, object]:
    left_s = limit.period.left_s(since, now_unix_s)
    return {
        "reset_duration": limit.period.text,
        "calendar_aligned": limit.period.calendar is not None,
        "last_reset": _moment(since),
        "resets_at": _moment(now_unix_s + left_s),
    } | ({} if limit.unit is Unit.NANO_USD else {"resets_in_s": round(left_s, 3)})


def _moment(unix_s: float) -> str:
    """RFC 3339."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def _holders(governance: Governance, key: VirtualKey) -> Iterator[Holder]:
    for config in key.provider_configs.values():
        yield "provider_config", config.id, config.provider, config.limits
    yield "virtual_key", key.id, key.name, key.limits
    team, customer = governance.owners(key)
    if team is not None:
        yield "team", team.id, team.name, team.limits
    if customer is not None:
        yield "customer", customer.id, customer.name, customer.limits
