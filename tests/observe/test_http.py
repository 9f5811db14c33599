"""The meter of the HTTP surface: what it counts, and that callers cannot make up series."""

from __future__ import annotations

import pytest

from bifrost.config.settings import ClientSettings
from bifrost.observe.http import METHODS, HttpMeter
from bifrost.observe.prometheus import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics.of(ClientSettings(), inflight=lambda: 0)


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_request_is_counted_timed_and_weighed(metrics: Metrics) -> None:
    meter = HttpMeter(metrics)
    meter.observe("/v1/chat/completions", "POST", 200, 0.3, 150, 2000)
    meter.observe("/v1/chat/completions", "POST", 200, 0.2, 50, 1000)

    where = {"path": "/v1/chat/completions", "method": "POST", "status": "200"}
    assert sample(metrics, "http_requests_total", **where) == 2
    assert sample(metrics, "http_request_duration_seconds_sum", **where) == 0.5
    assert sample(metrics, "http_request_duration_seconds_bucket", **where, le="0.25") == 1
    assert sample(metrics, "http_request_size_bytes_sum", **where) == 200
    assert sample(metrics, "http_request_size_bytes_bucket", **where, le="100.0") == 1
    assert sample(metrics, "http_response_size_bytes_sum", **where) == 3000


@pytest.mark.parametrize("method", sorted(METHODS))
def test_methods_that_are_known_go_by_their_names(metrics: Metrics, method: str) -> None:
    HttpMeter(metrics).observe("/", method, 204, 0.1, 0, 0)

    assert sample(metrics, "http_requests_total", path="/", method=method, status="204") == 1


def test_methods_that_callers_make_up_share_one_series(metrics: Metrics) -> None:
    for n in range(100):
        HttpMeter(metrics).observe("/", f"M{n}", 405, 0.1, 0, 0)

    assert sample(metrics, "http_requests_total", path="/", method="_other", status="405") == 100
