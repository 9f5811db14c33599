"""Records to metrics: names and labels as dashboards know them, and a bound on what callers can make up."""

from __future__ import annotations

from typing import Any

import pytest

from bifrost.actors.messages import KeyView, PoolView
from bifrost.config.settings import ClientSettings
from bifrost.errors import ErrorClass
from bifrost.observe import prometheus
from bifrost.observe.http import HttpMeter
from bifrost.observe.prometheus import BASE, JobsView, Metrics, StoreView, custom_labels
from bifrost.record import AttemptRecord, Bill, CallRecord, HopRecord, Outcome, Usage
from bifrost.store.base import JobCounts


def record(**more: Any) -> CallRecord:
    attempt = AttemptRecord(key_id="k", key_name="n", error_class=None, status=200)
    values: dict[str, Any] = {
        "call_id": "c", "request_type": "chat_completion", "route": "/r", "stream": False,
        "outcome": Outcome.SUCCESS, "status": 200, "provider": "openai", "model": "m",
        "hops": (HopRecord(provider="openai", model="m", attempts=(attempt,)),),
        "started_unix_s": 1.0, "total_s": 2.0, "upstream_s": 1.5, "first_event_s": 1.0,
        "key_id": "k", "key_name": "n",
    }  # fmt: skip
    return CallRecord(**{**values, **more})


@pytest.fixture
def metrics() -> Metrics:
    return Metrics.of(ClientSettings(prometheus_labels=("x-team", "model")), inflight=lambda: 3)


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The sum over all series that have these labels."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_a_good_call(metrics: Metrics) -> None:
    metrics.record(record(usage=Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)))

    assert value(metrics, "bifrost_upstream_requests_total", provider="openai", model="m", method="chat_completion", selected_key_id="k") == 1  # fmt: skip
    assert value(metrics, "bifrost_success_requests_total") == 1
    assert value(metrics, "bifrost_error_requests_total") == 0
    assert value(metrics, "bifrost_upstream_latency_seconds_sum", is_success="true") == 2.0
    assert value(metrics, "bifrost_input_tokens_total") == 3
    assert value(metrics, "bifrost_output_tokens_total") == 2
    assert value(metrics, "bifrost_gateway_overhead_seconds_sum") == 0.5
    assert value(metrics, "bifrost_attempts_total", outcome="success") == 1
    assert value(metrics, "bifrost_time_to_first_event_seconds_sum") == 1.0
    assert value(metrics, "bifrost_stream_first_token_latency_seconds_count") == 0
    assert value(metrics, "bifrost_inflight_requests") == 3


def test_what_calls_cost(metrics: Metrics) -> None:
    hops = tuple(
        HopRecord(provider="openai", model="m", bill=bill)
        for bill in (Bill(1, 5, 1_500_000), None, Bill(0, 1, 500_000))
    )
    metrics.record(record(hops=hops))
    text = metrics.render((), "", store=StoreView(is_up=False, waiting=7))[0].decode()
    (line,) = [line for line in text.splitlines() if line.startswith("bifrost_cost_total{")]
    assert line.endswith(" 0.002")
    assert 'bifrost_store_up{store="config"} 0.0' in text
    assert 'bifrost_store_waiting{store="config"} 7.0' in text


def test_a_failed_call(metrics: Metrics) -> None:
    failed = AttemptRecord(key_id="k", key_name="n", error_class=ErrorClass.RATE_LIMIT, status=429)
    hop = HopRecord(provider="openai", model="m", attempts=(failed, failed))
    metrics.record(record(outcome=Outcome.ERROR, status=429, hops=(hop,), first_event_s=None))

    assert value(metrics, "bifrost_error_requests_total", status_code="429") == 1
    assert value(metrics, "bifrost_attempts_total", outcome="rate_limit") == 2
    assert value(metrics, "bifrost_upstream_latency_seconds_count", is_success="false") == 1
    assert value(metrics, "bifrost_time_to_first_event_seconds_count") == 0


def test_a_stream(metrics: Metrics) -> None:
    metrics.record(record(stream=True, events=5, inter_event_s=2.0))

    assert value(metrics, "bifrost_stream_first_token_latency_seconds_sum") == 1.0
    assert value(metrics, "bifrost_stream_inter_token_latency_seconds_sum") == 0.5


def test_labels_of_ones_own(metrics: Metrics) -> None:
    """A record has them as ``client.prometheus_labels`` spells them."""
    metrics.record(record(prom_labels={"x-team": "t" * 500}))

    assert value(metrics, "bifrost_upstream_requests_total", x_team="t" * 128) == 1


def test_which_labels_can_be_had() -> None:
    assert custom_labels(["a-b", "model", "a_b", "__x", "1x", "ä", "status-code", "le", "ok"]) == (
        ("a_b", "ok"),
        ("model", "a_b", "__x", "1x", "ä", "status-code", "le"),
    )


@pytest.mark.parametrize("name", [*BASE, "le", "status_code", "is-success", "cache_type"])
def test_a_label_that_is_taken_stops_no_gateway(name: str) -> None:
    taken = Metrics.of(ClientSettings(prometheus_labels=(name, "team")), inflight=lambda: 0)
    taken.record(record(prom_labels={"team": "t"}))

    assert value(taken, "bifrost_upstream_requests_total", team="t") == 1


def test_made_up_models_have_a_bound(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MAX_SERIES", 10)
    for n in range(200):
        metrics.record(record(model=f"m{n}"))
        metrics.record(record(model=f"m{n}", outcome=Outcome.ERROR, status=400))

    models = {s.labels["model"] for f in metrics.registry.collect() for s in f.samples if "model" in s.labels}  # fmt: skip
    assert len(models) < 25
    assert value(metrics, "bifrost_upstream_requests_total") == 400
    assert value(metrics, "bifrost_error_requests_total") == 200
    assert value(metrics, "bifrost_upstream_requests_total", model="_other") == 380


def test_made_up_anything_has_a_bound(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MAX_SERIES", 1)
    for n in range(50):
        metrics.shed(f"r{n}")

    assert value(metrics, "bifrost_shed_total") == 50
    assert value(metrics, "bifrost_shed_total", reason="_other") == 40


def test_http_requests(metrics: Metrics) -> None:
    meter = HttpMeter(metrics)
    meter.observe("/r", "GET", 200, 0.1, 10, 20)
    meter.observe("/r", "BREW", 501, 0.1, 10, 20)

    assert value(metrics, "http_requests_total", path="/r", method="GET", status="200") == 1
    assert value(metrics, "http_requests_total", method="_other") == 1
    assert value(metrics, "http_request_size_bytes_sum") == 20
    assert value(metrics, "http_response_size_bytes_sum") == 40


def pool(state: str) -> PoolView:
    view = KeyView(id="k", name="n", state=state, in_flight=0, weight=1.0, effective_weight=1.0)
    return PoolView(provider="openai", generation=1, keys=(view,), running=2, waiting=1, granted=3, settled=1)  # fmt: skip


def test_a_pool_that_is_gone_is_not_shown(metrics: Metrics) -> None:
    metrics.render([pool("healthy")], "")
    text, _ = metrics.render([], "")

    assert b'provider="openai"' not in text


def test_jobs_as_they_are_and_no_old_figures(metrics: Metrics) -> None:
    counts = JobCounts(open_jobs=3, stored_bytes=40)
    shown, _ = metrics.render([], "", JobsView(running=2, counts=counts, is_store_up=True))
    away, _ = metrics.render([], "", JobsView(running=1, counts=None, is_store_up=False))
    metrics.store_failed("claim")

    assert b'bifrost_store_up{store="logs"} 1.0' in shown
    assert b'bifrost_async_jobs_running{store="logs"} 2.0' in shown
    assert b'bifrost_async_jobs_open{store="logs"} 3.0' in shown
    assert b'bifrost_async_jobs_stored_bytes{store="logs"} 40.0' in shown
    assert b'bifrost_store_up{store="logs"} 0.0' in away
    assert b"bifrost_async_jobs_open{" not in away
    assert value(metrics, "bifrost_store_failures_total", store="logs", operation="claim") == 1


def test_a_stream_of_one_event_has_no_gap(metrics: Metrics) -> None:
    metrics.record(record(stream=True, events=1))

    assert value(metrics, "bifrost_stream_first_token_latency_seconds_count") == 1
    assert value(metrics, "bifrost_stream_inter_token_latency_seconds_count") == 0


def test_dropped_log_lines_are_asked_for_at_the_scrape() -> None:
    dropped = 0
    asked = Metrics.of(ClientSettings(), inflight=lambda: 0, log_lines_dropped=lambda: dropped)
    dropped = 7

    assert value(asked, "bifrost_log_lines_dropped_total") == 7


def test_the_exposition(metrics: Metrics) -> None:
    metrics.render([pool("cooling")], "")
    text, kind = metrics.render([pool("healthy")], "")

    assert kind.startswith("text/plain")
    assert b'bifrost_key_state{key_id="k",key_name="n",provider="openai",state="healthy"} 1.0' in text  # fmt: skip
    assert b'state="cooling"} 0.0' in text
    assert b'bifrost_pool_running{provider="openai"} 2.0' in text
    _, kind = metrics.render([], "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
