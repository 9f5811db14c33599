"""A ``CallRecord`` as the one log line of its exchange. Pure; there is no secret in a record to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bifrost.actors.discovery import KeyModels
    from bifrost.record import AttemptRecord, CallRecord, HopRecord

__all__ = ["call_level", "call_line", "models_line"]

MAX_TEXT = 2048

MAX_KEYS = 50
"""That one line names."""

NANO = 1_000_000_000

NO_TRACE = "---"
"""As ``traceparent`` would say that there is none."""


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
    usage = record.usage
    _, trace_id, span_id, _ = (record.traceparent or NO_TRACE).split("-")
    maybe: dict[str, object] = {
        "trace_id": trace_id or None,
        "parent_span_id": span_id or None,
        "error_class": record.error_class.value if record.error_class else None,
        "error_code": record.error_code,
        "error": None if record.error_message is None else _short(record.error_message),
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "total_tokens": usage.total_tokens if usage else None,
        "first_event_ms": None if record.first_event_s is None else _ms(record.first_event_s),
        "events": record.events if record.stream else None,
        "queue_wait_ms": _ms(record.queue_wait_s) or None,
        "backoff_ms": _ms(record.backoff_s) or None,
        "downstream_ms": _ms(record.downstream_s) or None,
        "virtual_key_id": record.identity.virtual_key_id or None,
        "virtual_key_name": record.identity.virtual_key_name or None,
        "team_id": record.identity.team_id or None,
        "customer_id": record.identity.customer_id or None,
        "routing_engines_used": list(record.routing.engines) or None,
        "routing_rule_id": record.routing.rule_id or None,
        "routing_rule_name": record.routing.rule_name or None,
        "routing_engine_logs": list(record.routing.log) or None,
        **_cost(record),
        "remote_addr": record.remote_addr or None,
        "user_agent": record.user_agent or None,
        "metadata": dict(record.log_metadata) or None,
    }
    return {name: value for name, value in maybe.items() if value is not None}


def _cost(record: CallRecord) -> dict[str, object]:
    """In US dollars, with whether that is our own count in part. Nothing where nobody counts."""
    bills = [hop.bill for hop in record.hops if hop.bill is not None]
    if not bills:
        return {}
    cost = sum(bill.nano_usd for bill in bills) / NANO
    return {
        "cost_usd": cost,
        "cost_estimated": any(bill.is_estimated for bill in bills) or None,
    }


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
