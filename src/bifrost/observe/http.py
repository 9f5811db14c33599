"""The meter of the HTTP surface."""

from __future__ import annotations

import attrs

from bifrost.observe.instruments import Counter, Histogram
from bifrost.observe.prometheus import Metrics
from bifrost.values import frozen

__all__ = ["HttpMeter"]

METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})


@frozen
class HttpMeter:
    """Feeds the ``http_*`` metrics. ``path`` is a route's template, never a path that a caller made up."""

    metrics: Metrics
    _bound: dict[tuple[str, str, int], _Bound] = attrs.field(factory=dict, init=False)
    """As many as there are templates, methods and statuses, none of which callers make up."""

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
        where = (path, method if method in METHODS else "_other", status)
        bound = self._bound.get(where)
        if bound is None:
            bound = self._bound[where] = self._bind(*where)
        bound.requests.inc()
        bound.duration_s.observe(duration_s)
        bound.request_bytes.observe(request_bytes)
        bound.response_bytes.observe(response_bytes)

    def _bind(self, path: str, method: str, status: int) -> _Bound:
        labels, child = (path, method, str(status)), self.metrics.child
        return _Bound(
            requests=child("http_requests_total", *labels),
            duration_s=child("http_request_duration_seconds", *labels),
            request_bytes=child("http_request_size_bytes", *labels),
            response_bytes=child("http_response_size_bytes", *labels),
        )


@frozen(kw_only=True)
class _Bound:
    """The children for one path, method and status."""

    requests: Counter
    duration_s: Histogram
    request_bytes: Histogram
    response_bytes: Histogram
