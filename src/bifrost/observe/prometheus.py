"""Prometheus metrics: names, labels and buckets that dashboards know, and a few of ours. Fed with CallRecords.

Children are bound once for each set of labels and kept in a bounded map: a caller that makes up model names gets series
up to ``MAX_SERIES`` and then shares one (``_other``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import choose_encoder

from bifrost.observe.instruments import Counter, Histogram
from bifrost.record import Outcome
from bifrost.store.base import JobCounts
from bifrost.values import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bifrost.actors.messages import PoolView
    from bifrost.config.settings import ClientSettings
    from bifrost.record import AttemptRecord, CallRecord

__all__ = ["BASE", "MAX_SERIES", "JobsView", "Metrics", "StoreView", "custom_labels"]

BASE = (
    "provider",
    "model",
    "method",
    "virtual_key_id",
    "virtual_key_name",
    "routing_engine_used",
    "routing_rule_id",
    "routing_rule_name",
    "selected_key_id",
    "selected_key_name",
    "number_of_retries",
    "fallback_index",
    "team_id",
    "team_name",
    "customer_id",
    "customer_name",
)

DEFAULT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UPSTREAM = (*DEFAULT, 15, 30, 45, 60, 90)
SIZES = tuple(100 * 10.0**k for k in range(8))
OVERHEAD = (
    0.00005,
    0.0001,
    0.0002,
    0.0003,
    0.0005,
    0.00075,
    0.001,
    0.002,
    0.005,
    0.01,
    0.025,
    0.1,
    0.5,
    1,
)

MAX_SERIES = 2000
OTHER = "_other"
MAX_LABEL = 128

LOGS = "logs"
"""The store of asynchronous jobs, as labels name it."""

CONFIG = "config"
"""The configuration's."""

NANO = 1_000_000_000

KEY_STATES = (
    "healthy",
    "degraded",
    "recovering",
    "cooling",
    "open",
    "half_open",
    "failed",
    "disabled",
    "blank",
)


def custom_labels(wanted: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels of ``client.prometheus_labels`` that can be had, as label names, and those that cannot.

    A name that is one of the contract's already, hyphens and underscores alike, is dropped.
    """
    # "le" is the histograms' own: the client library takes no other label of that name.
    taken = {*BASE, "path", "status", "status_code", "is_success", "cache_type", "le"}
    good: list[str] = []
    bad: list[str] = []
    for name in wanted:
        label = name.replace("-", "_")
        is_fine = label.isidentifier() and label.isascii() and not label.startswith("__")
        if is_fine and label not in taken:
            taken.add(label)
            good.append(label)
        else:
            bad.append(name)
    return tuple(good), tuple(bad)


@frozen(kw_only=True)
class StoreView:
    """The configuration store at a scrape. ``waiting`` counts what is to be written there yet."""

    is_up: bool
    waiting: int


@frozen(kw_only=True)
class JobsView:
    """Asynchronous jobs at a scrape. ``counts`` is absent when the store was not there to tell."""

    running: int
    counts: JobCounts | None
    is_store_up: bool


@attrs.define(eq=False)
class Series:
    """The bound children for one set of base labels, those of families with fewer labels among them."""

    upstream: Counter
    success: Counter
    latency_good: Histogram
    latency_bad: Histogram
    tokens_in: Counter
    tokens_out: Counter
    cost: Counter
    first_event: Histogram
    inter_event: Histogram
    overhead: Histogram
    queue_wait: Histogram
    to_first_event: Histogram


@attrs.define(eq=False)
class Metrics:
    """All metrics of one gateway, in a registry of their own."""

    registry: CollectorRegistry
    labels: tuple[str, ...]
    """Custom labels, as Prometheus may have them."""
    spellings: tuple[str, ...]
    """The same as ``client.prometheus_labels`` and records spell them, hyphens included."""
    _families: dict[str, Any] = attrs.field(factory=dict, init=False)
    _series: dict[tuple[str, ...], Series] = attrs.field(factory=dict, init=False)
    _children: dict[tuple[str, ...], Any] = attrs.field(factory=dict, init=False)

    @classmethod
    def of(
        cls,
        client: ClientSettings,
        *,
        inflight: Callable[[], int],
        log_lines_dropped: Callable[[], int] = lambda: 0,
    ) -> Metrics:
        """The metrics for ``client``'s custom labels. ``inflight`` and ``log_lines_dropped`` are asked at a scrape."""
        registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        labels, _ = custom_labels(client.prometheus_labels)
        spelt = {name.replace("-", "_"): name for name in reversed(client.prometheus_labels)}
        metrics = cls(registry, labels, tuple(spelt[label] for label in labels))
        metrics._declare_calls()
        metrics._declare_own(inflight, log_lines_dropped)
        return metrics

    def _declare_calls(self) -> None:
        base = (*BASE, *self.labels)
        self._counter("bifrost_upstream_requests_total", "Calls.", base)
        self._counter("bifrost_success_requests_total", "Calls that were answered.", base)
        self._counter("bifrost_error_requests_total", "Calls that failed.", (*base, "status_code"))
        self._histogram(
            "bifrost_upstream_latency_seconds", "Time of a call.", (*base, "is_success"), UPSTREAM
        )
        self._counter("bifrost_input_tokens_total", "Prompt tokens.", base)
        self._counter("bifrost_output_tokens_total", "Completion tokens.", base)
        self._counter("bifrost_cache_hits_total", "Cache hits.", (*base, "cache_type"))
        self._counter("bifrost_cost_total", "Cost in USD.", base)
        self._histogram(
            "bifrost_stream_first_token_latency_seconds",
            "To a stream's first event.",
            base,
            DEFAULT,
        )
        self._histogram(
            "bifrost_stream_inter_token_latency_seconds",
            "Mean gap between the events of a stream, one observation a stream.",
            base,
            DEFAULT,
        )

    def _declare_own(self, inflight: Callable[[], int], dropped: Callable[[], int]) -> None:
        http = ("path", "method", "status")
        self._counter("http_requests_total", "HTTP requests.", http)
        self._histogram("http_request_duration_seconds", "Time of a request.", http, DEFAULT)
        self._histogram("http_request_size_bytes", "Request bodies.", http, SIZES)
        self._histogram("http_response_size_bytes", "Response bodies.", http, SIZES)
        key = ("provider", "key_id", "key_name")
        self._counter("bifrost_attempts_total", "Attempts, by how they ended.", (*key, "outcome"))
        self._gauge("bifrost_key_state", "1 for the state a key is in.", (*key, "state"))
        self._gauge("bifrost_pool_running", "Leases of a pool.", ("provider",))
        self._gauge("bifrost_pool_waiting", "Callers in a pool's line.", ("provider",))
        self._histogram("bifrost_queue_wait_seconds", "In a pool's line.", ("provider",), DEFAULT)
        self._histogram(
            "bifrost_time_to_first_event_seconds",
            "From receipt to the first event.",
            ("provider",),
            UPSTREAM,
        )
        self._histogram(
            "bifrost_gateway_overhead_seconds",
            "The gateway's own part of a call: total time without any wait for somebody else.",
            ("provider", "method"),
            OVERHEAD,
        )
        self._counter("bifrost_shed_total", "Calls refused at the door.", ("reason",))
        self._gauge("bifrost_inflight_requests", "Calls being served.", ()).set_function(inflight)
        store = ("store",)
        self._gauge("bifrost_store_up", "0 for a store that failed when it was used last.", store)
        self._gauge("bifrost_store_waiting", "Counters and sessions to be written yet.", store)
        self._counter(
            "bifrost_store_failures_total", "What a store did not do.", (*store, "operation")
        )
        self._gauge("bifrost_async_jobs_running", "Asynchronous jobs at work.", store)
        self._gauge("bifrost_async_jobs_open", "Asynchronous jobs that wait or run.", store)
        self._gauge("bifrost_async_jobs_stored_bytes", "Of their bodies and results.", store)
        self._gauge("bifrost_log_lines_dropped_total", "Log lines dropped.", ()).set_function(
            dropped
        )

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._families[name] = Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        gauge = Gauge(name, text, labels, registry=self.registry)
        self._families[name] = gauge
        return gauge

    def _histogram(
        self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]
    ) -> None:
        self._families[name] = Histogram(
            name, text, labels, registry=self.registry, buckets=(*buckets, math.inf)
        )

    def child(self, name: str, *labels: str) -> Any:  # noqa: ANN401  a bound counter, gauge or histogram
        """The child of a family, bound once. Past ``MAX_SERIES`` all new label values become ``_other``."""
        where = (name, *labels)
        child = self._children.get(where)
        if child is None:
            if len(self._children) >= MAX_SERIES * 10:
                labels = tuple(OTHER for _ in labels)
                where = (name, *labels)
            child = self._children.get(where) or self._families[name].labels(*labels)
            self._children[where] = child
        return child

    def record(self, record: CallRecord) -> None:
        """Read one record."""
        labels = self._labels(record)
        series = self._bound(labels)
        series.upstream.inc()
        if record.outcome is Outcome.SUCCESS:
            series.success.inc()
            series.latency_good.observe(record.total_s)
        else:
            series.latency_bad.observe(record.total_s)
            where = (*labels, str(record.status))
            self._error_child(where).inc()
        self._usage(record, series)
        self._timing(record, series)
        for hop in record.hops:
            for attempt in hop.attempts:
                self._attempt(hop.provider, attempt)

    def _usage(self, record: CallRecord, series: Series) -> None:
        if record.usage is not None:
            series.tokens_in.inc(max(0, record.usage.prompt_tokens))
            series.tokens_out.inc(max(0, record.usage.completion_tokens))
        if nano_usd := sum(hop.bill.nano_usd for hop in record.hops if hop.bill is not None):
            series.cost.inc(nano_usd / NANO)

    @staticmethod
    def _timing(record: CallRecord, series: Series) -> None:
        series.overhead.observe(record.overhead_s)
        series.queue_wait.observe(record.queue_wait_s)
        if record.first_event_s is None:
            return
        series.to_first_event.observe(record.first_event_s)
        if record.stream:
            series.first_event.observe(record.first_event_s)
            if record.events > 1:
                series.inter_event.observe(record.inter_event_s / (record.events - 1))

    def _attempt(self, provider: str, attempt: AttemptRecord) -> None:
        outcome = attempt.error_class.value if attempt.error_class else "success"
        self.child(
            "bifrost_attempts_total", provider, attempt.key_id, attempt.key_name, outcome
        ).inc()

    def _labels(self, record: CallRecord) -> tuple[str, ...]:
        whose, routing = record.identity, record.routing
        return (
            record.provider,
            record.model[:MAX_LABEL],
            record.request_type,
            whose.virtual_key_id,
            whose.virtual_key_name[:MAX_LABEL],
            ",".join(routing.engines),
            routing.rule_id,
            routing.rule_name[:MAX_LABEL],
            record.key_id,
            record.key_name,
            str(record.retries),
            str(record.fallback_index),
            whose.team_id,
            whose.team_name[:MAX_LABEL],
            whose.customer_id,
            whose.customer_name[:MAX_LABEL],
            *(record.prom_labels.get(name, "")[:MAX_LABEL] for name in self.spellings),
        )

    def _bound(self, labels: tuple[str, ...]) -> Series:
        series = self._series.get(labels)
        if series is None:
            if len(self._series) >= MAX_SERIES:
                labels = self._anonymous(labels)
                series = self._series.get(labels)
            if series is None:
                series = self._series[labels] = self._bind(labels)
        return series

    def _anonymous(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The labels without what callers choose: model, virtual key, custom labels."""
        provider, _, method = labels[:3]
        custom = tuple(OTHER for _ in self.labels)
        return (provider, OTHER, method, OTHER, *labels[4 : len(BASE)], *custom)

    def _error_child(self, labels: tuple[str, ...]) -> Any:  # noqa: ANN401  a bound counter
        where = ("bifrost_error_requests_total", *labels)
        if where not in self._children and len(self._children) >= MAX_SERIES:
            labels = (*self._anonymous(labels[:-1]), labels[-1])
        return self.child("bifrost_error_requests_total", *labels)

    def _bind(self, labels: tuple[str, ...]) -> Series:
        family, child = self._families, self.child
        provider, _, method = labels[:3]
        return Series(
            upstream=family["bifrost_upstream_requests_total"].labels(*labels),
            success=family["bifrost_success_requests_total"].labels(*labels),
            latency_good=family["bifrost_upstream_latency_seconds"].labels(*labels, "true"),
            latency_bad=family["bifrost_upstream_latency_seconds"].labels(*labels, "false"),
            tokens_in=family["bifrost_input_tokens_total"].labels(*labels),
            tokens_out=family["bifrost_output_tokens_total"].labels(*labels),
            cost=family["bifrost_cost_total"].labels(*labels),
            first_event=family["bifrost_stream_first_token_latency_seconds"].labels(*labels),
            inter_event=family["bifrost_stream_inter_token_latency_seconds"].labels(*labels),
            overhead=child("bifrost_gateway_overhead_seconds", provider, method),
            queue_wait=child("bifrost_queue_wait_seconds", provider),
            to_first_event=child("bifrost_time_to_first_event_seconds", provider),
        )

    def shed(self, reason: str) -> None:
        """A call was refused at the door."""
        self.child("bifrost_shed_total", reason).inc()

    def store_failed(self, operation: str) -> None:
        """The log store did not do this, on its own account (a caller's request is told by its answer)."""
        self.child("bifrost_store_failures_total", LOGS, operation).inc()

    def _show_jobs(self, jobs: JobsView) -> None:
        told: dict[str, int] = {
            "bifrost_store_up": int(jobs.is_store_up),
            "bifrost_async_jobs_running": jobs.running,
        }
        if jobs.counts is None:
            # Better no figures than old ones.
            self._families["bifrost_async_jobs_open"].clear()
            self._families["bifrost_async_jobs_stored_bytes"].clear()
        else:
            told["bifrost_async_jobs_open"] = jobs.counts.open_jobs
            told["bifrost_async_jobs_stored_bytes"] = jobs.counts.stored_bytes
        for name, value in told.items():
            self._families[name].labels(LOGS).set(value)

    def render(
        self,
        pools: Iterable[PoolView],
        accept: str,
        jobs: JobsView | None = None,
        store: StoreView | None = None,
    ) -> tuple[bytes, str]:
        """The exposition and its content type, with the pools, the jobs and the configuration store as they are now."""
        if jobs is not None:
            self._show_jobs(jobs)
        if store is not None:
            self._families["bifrost_store_up"].labels(CONFIG).set(int(store.is_up))
            self._families["bifrost_store_waiting"].labels(CONFIG).set(store.waiting)
        # Pools and keys that are gone must not be shown as they last were.
        for name in ("bifrost_key_state", "bifrost_pool_running", "bifrost_pool_waiting"):
            self._families[name].clear()
        for pool in pools:
            self._families["bifrost_pool_running"].labels(pool.provider).set(pool.running)
            self._families["bifrost_pool_waiting"].labels(pool.provider).set(pool.waiting)
            for key in pool.keys:
                for state in KEY_STATES:
                    child = self._families["bifrost_key_state"].labels(
                        pool.provider, key.id, key.name, state
                    )
                    child.set(1 if key.state == state else 0)
        encode, content_type = choose_encoder(accept) if accept else (generate_latest, TEXT)
        return encode(self.registry), content_type


TEXT = "text/plain; version=0.0.4; charset=utf-8"
