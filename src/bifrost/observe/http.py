"""The meter of the HTTP surface."""

from __future__ import annotations

import attrs

from bifrost.observe.prometheus import Metrics

__all__ = ["HttpMeter"]

METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})


@attrs.frozen
class HttpMeter:
    """Feeds the ``http_*`` metrics. ``path`` is a route's template, never a path that a caller made up."""

    metrics: Metrics

    def observe(
        self,
        path: str,
        method: str,
        status: int,
        duration_s: float,
        request_bytes: int,
        response_bytes: int,
    ) -> None:
        """Note one request."""
        labels = (path, method if method in METHODS else "_other", str(status))
        child = self.metrics.child
        child("http_requests_total", *labels).inc()
        child("http_request_duration_seconds", *labels).observe(duration_s)
        child("http_request_size_bytes", *labels).observe(request_bytes)
        child("http_response_size_bytes", *labels).observe(response_bytes)
