"""A record as its log line: what is always there, what only where there is something to say, and in which unit."""

from __future__ import annotations

from typing import Any

import pytest

from actors.fakes import key
from bifrost.actors.discovery import KeyModels
from bifrost.errors import ErrorClass, UpstreamError
from bifrost.observe.lines import MAX_KEYS, MAX_TEXT, call_level, call_line, models_line
from bifrost.record import AttemptRecord, Bill, CallRecord, HopRecord, Outcome, Usage
from bifrost.schema.call import Identity, Routing


def record(**more: Any) -> CallRecord:
    values: dict[str, Any] = {
        "call_id": "c-1",
        "request_type": "chat_completion",
        "route": "/v1/chat/completions",
        "stream": False,
        "outcome": Outcome.SUCCESS,
        "status": 200,
        "provider": "openai",
        "model": "m",
        "started_unix_s": 1.0,
        "total_s": 2.0,
        "upstream_s": 1.9995,
        "key_id": "k",
        "key_name": "n",
    }
    return CallRecord(**{**values, **more})


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (200, "info"),
        (399, "info"),
        (400, "warning"),
        (499, "warning"),
        (500, "error"),
        (504, "error"),
    ],
)
def test_the_level_follows_the_status(status: int, level: str) -> None:
    assert call_level(record(status=status)) == level


def test_a_plain_line_says_this_and_no_more() -> None:
    assert call_line(record()) == {
        "request_id": "c-1",
        "request_type": "chat_completion",
        "route": "/v1/chat/completions",
        "provider": "openai",
        "model": "m",
        "status": 200,
        "outcome": "success",
        "key_id": "k",
        "key_name": "n",
        "total_ms": 2000.0,
        "upstream_ms": 1999.5,
        "overhead_us": 500,
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"first_event_s": 0.0}, {"first_event_ms": 0.0}),
        ({"first_event_s": 0.25}, {"first_event_ms": 250.0}),
        ({"stream": True, "events": 0}, {"events": 0}),
        ({"queue_wait_s": 0.5}, {"queue_wait_ms": 500.0}),
        ({"backoff_s": 0.5}, {"backoff_ms": 500.0}),
        ({"downstream_s": 0.5}, {"downstream_ms": 500.0}),
        ({"identity": Identity(virtual_key_id="v")}, {"virtual_key_id": "v"}),
        (
            {
                "identity": Identity(
                    virtual_key_id="v",
                    virtual_key_name="n",
                    team_id="t",
                    team_name="T",
                    customer_id="c",
                )
            },
            {
                "virtual_key_id": "v",
                "virtual_key_name": "n",
                "team_id": "t",
                "customer_id": "c",
            },
        ),
        (
            {"routing": Routing(engines=("routing-rule",), rule_id="r", rule_name="R", log=("a",))},
            {
                "routing_engines_used": ["routing-rule"],
                "routing_rule_id": "r",
                "routing_rule_name": "R",
                "routing_engine_logs": ["a"],
            },
        ),
        (
            {
                "hops": (
                    HopRecord(provider="p", model="m", bill=Bill(1, 5, 1_500_000)),
                    HopRecord(provider="p", model="m"),
                )
            },
            {"cost_usd": 0.0015},
        ),
        (
            {"hops": (HopRecord(provider="p", model="m", bill=Bill(1, 5, 0, is_estimated=True)),)},
            {"cost_usd": 0.0, "cost_estimated": True},
        ),
        ({"remote_addr": "::1"}, {"remote_addr": "::1"}),
        ({"user_agent": "curl"}, {"user_agent": "curl"}),
        (
            {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
            {"trace_id": "a" * 32, "parent_span_id": "b" * 16},
        ),
        ({"log_metadata": {"team": "a"}}, {"metadata": {"team": "a"}}),
        (
            {"usage": Usage(prompt_tokens=3, completion_tokens=0, total_tokens=3)},
            {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
        ),
        (
            {"error_class": ErrorClass.RATE_LIMIT, "error_code": "slow", "error_message": "wait"},
            {"error_class": "rate_limit", "error_code": "slow", "error": "wait"},
        ),
    ],
)
def test_what_there_is_to_say_is_said(said: dict[str, Any], told: dict[str, Any]) -> None:
    line = call_line(record(**said))

    assert {name: line[name] for name in line.keys() - call_line(record()).keys()} == told


def test_waits_are_no_overhead() -> None:
    line = call_line(record(upstream_s=1.0, queue_wait_s=0.25, backoff_s=0.25, downstream_s=0.25))

    assert line["overhead_us"] == 250_000


@pytest.mark.parametrize("tried", [{"retries": 1}, {"fallback_index": 1}])
def test_retries_and_fallbacks_show_every_attempt(tried: dict[str, int]) -> None:
    bad = AttemptRecord(key_id="a", key_name="A", error_class=ErrorClass.SERVER, status=500)
    good = AttemptRecord(key_id="b", key_name="B", error_class=None, status=200, upstream_s=0.5)
    hop = HopRecord(provider="openai", model="m", attempts=(bad, good))

    line = call_line(record(hops=(hop,), **tried))

    assert (line["retries"], line["fallback_index"]) == (
        tried.get("retries", 0),
        tried.get("fallback_index", 0),
    )
    assert line["hops"] == [
        {
            "target": "openai/m",
            "attempts": [
                {"key_id": "a", "outcome": "server", "status": 500, "upstream_ms": 0.0},
                {"key_id": "b", "outcome": "success", "status": 200, "upstream_ms": 500.0},
            ],
        }
    ]


def test_long_texts_are_cut() -> None:
    long = "x" * MAX_TEXT
    hop = HopRecord(provider="p", model=long)

    line: Any = call_line(record(model=f"{long}y", error_message=long, hops=(hop,), retries=1))

    assert line["model"] == f"{long}…"
    assert line["error"] == long
    assert line["hops"][0]["target"] == f"p/{long}"[:MAX_TEXT] + "…"


def test_keys_without_a_list_are_named_up_to_a_bound() -> None:
    error = UpstreamError("x" * 5000, status=401, error_class=ErrorClass.AUTH)
    failed = [KeyModels(provider="groq", key=key(f"k{n}"), error=error) for n in range(60)]

    line = models_line("c-1", failed)

    assert line["request_id"] == "c-1"
    assert line["failed"] == 60
    told = line["attempts"]
    assert isinstance(told, list)
    assert len(told) == MAX_KEYS
    assert told[1] == {
        "provider": "groq",
        "key_id": "k1",
        "status": 401,
        "error_class": "auth",
        "error": "x" * MAX_TEXT + "…",
    }
