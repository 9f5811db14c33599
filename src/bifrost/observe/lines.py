"""A ``CallRecord`` as the one log line of its exchange. Pure; there is no secret in a record to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bifrost.schema.call import NOBODY, UNROUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bifrost.actors.discovery import KeyModels
    from bifrost.record import AttemptRecord, CallRecord, HopRecord
    from bifrost.schema.call import Identity, Routing

__all__ = ["call_level", "call_line", "models_line"]

MAX_TEXT = 2048

MAX_KEYS = 50
"""That one line names."""

NANO = 1_000_000_000


def call_level(record: CallRecord) -> str:
    """``error`` for 500 and above, ``warning`` for 400 and above, else ``info``."""
    if record.status >= 500:
        return "error"
    return "warning" if record.status >= 400 else "info"


def call_line(record: CallRecord) -> dict[str, object]:
    """The line's fields. Absent ones are left out; times say their unit in their names."""
    line: dict[str, object] = {
        "request_id": record.call_id,
        "request_type": record.request_type,
        "route": record.route,
        "provider": record.provider,
        "model": _short(record.model),
        "status": record.status,
        "outcome": record.outcome.value,
        "key_id": record.key_id,
        "key_name": record.key_name,
        "total_ms": _ms(record.total_s),
        "upstream_ms": _ms(record.upstream_s),
        "overhead_us": round(record.overhead_s * 1_000_000),
    }
    line.update(_said(record))
    if record.retries or record.fallback_index:
        line["retries"] = record.retries
        line["fallback_index"] = record.fallback_index
        line["hops"] = [_hop(hop) for hop in record.hops]
    return line


def models_line(call_id: str, failed: Sequence[KeyModels]) -> dict[str, object]:
    """The fields of the line about keys that brought no list of models."""
    told = [
        {
            "provider": row.provider,
            "key_id": row.key.id,
            "status": row.error.status,
            "error_class": row.error.error_class.value,
            "error": _short(row.error.message),
        }
        for row in failed[:MAX_KEYS]
        if row.error is not None
    ]
    return {"request_id": call_id, "failed": len(failed), "attempts": told}


def _said(record: CallRecord) -> dict[str, object]:
    """What is worth a field only when there is something to say."""
    said: dict[str, object] = {}
    if record.traceparent is not None:
        said |= _trace(record.traceparent)
    if record.error_class is not None or record.error_message is not None:
        said |= _error(record)
    if (usage := record.usage) is not None:
        said["prompt_tokens"] = usage.prompt_tokens
        said["completion_tokens"] = usage.completion_tokens
        said["total_tokens"] = usage.total_tokens
    if record.first_event_s is not None:
        said["first_event_ms"] = _ms(record.first_event_s)
    if record.stream:
        said["events"] = record.events
    if record.queue_wait_s or record.backoff_s or record.downstream_s:
        said |= _waits(record)
    if record.identity is not NOBODY:
        said |= _whose(record.identity)
    if record.routing is not UNROUTED:
        said |= _routing(record.routing)
    said |= _cost(record.hops)
    if record.remote_addr:
        said["remote_addr"] = record.remote_addr
    if record.user_agent:
        said["user_agent"] = record.user_agent
    if record.log_metadata:
        said["metadata"] = dict(record.log_metadata)
    return said


def _trace(traceparent: str) -> dict[str, object]:
    _, trace_id, span_id, _ = traceparent.split("-")
    return {"trace_id": trace_id, "parent_span_id": span_id}


def _error(record: CallRecord) -> dict[str, object]:
    told: dict[str, object | None] = {
        "error_class": None if record.error_class is None else record.error_class.value,
        "error_code": record.error_code,
        "error": None if record.error_message is None else _short(record.error_message),
    }
    return {name: value for name, value in told.items() if value is not None}


def _waits(record: CallRecord) -> dict[str, object]:
    waits = {
        "queue_wait_ms": _ms(record.queue_wait_s),
        "backoff_ms": _ms(record.backoff_s),
        "downstream_ms": _ms(record.downstream_s),
    }
    return {name: value for name, value in waits.items() if value}


def _whose(identity: Identity) -> dict[str, object]:
    whose = {
        "virtual_key_id": identity.virtual_key_id,
        "virtual_key_name": identity.virtual_key_name,
        "team_id": identity.team_id,
        "customer_id": identity.customer_id,
    }
    return {name: value for name, value in whose.items() if value}


def _routing(routing: Routing) -> dict[str, object]:
    told: dict[str, object] = {
        "routing_engines_used": list(routing.engines),
        "routing_rule_id": routing.rule_id,
        "routing_rule_name": routing.rule_name,
        "routing_engine_logs": list(routing.log),
    }
    return {name: value for name, value in told.items() if value}


def _cost(hops: tuple[HopRecord, ...]) -> dict[str, object]:
    """In US dollars, with whether that is our own count in part. Nothing where nobody counts."""
    bills = [hop.bill for hop in hops if hop.bill is not None]
    if not bills:
        return {}
    told: dict[str, object] = {"cost_usd": sum([bill.nano_usd for bill in bills]) / NANO}
    if any(bill.is_estimated for bill in bills):
        told["cost_estimated"] = True
    return told


def _hop(hop: HopRecord) -> dict[str, object]:
    return {
        "target": _short(f"{hop.provider}/{hop.model}"),
        "attempts": [_attempt(attempt) for attempt in hop.attempts],
    }


def _attempt(attempt: AttemptRecord) -> dict[str, object]:
    return {
        "key_id": attempt.key_id,
        "outcome": attempt.error_class.value if attempt.error_class else "success",
        "status": attempt.status,
        "upstream_ms": _ms(attempt.upstream_s),
    }


def _ms(seconds: float) -> float:
    # Not round(…, 3), which goes by way of text.
    return round(seconds * 1_000_000) / 1000


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
