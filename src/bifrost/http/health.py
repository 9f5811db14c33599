"""Operations: ``/health``, ``/ready``, ``/metrics``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request

from bifrost.http.openapi import described
from bifrost.integrations.openapi import About

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bifrost.http.doors import Doors

__all__ = ["health_routes"]

HEALTH = About(summary="Whether the gateway lives", tag="operations", is_open=True)

READY = About(
    summary="Whether it takes requests",
    tag="operations",
    other_answers={503: "object"},
    is_open=True,
)

METRICS = About(
    summary="Figures for Prometheus",
    tag="operations",
    answers={"text/plain": "text", "application/openmetrics-text": "text"},
    is_open=True,
)


def health_routes(
    doors: Doors, render_metrics: Callable[[str], Awaitable[tuple[bytes, str]]]
) -> Blueprint:
    """The blueprint. ``render_metrics`` takes an ``Accept`` value and gives a body and its content type."""
    routes = Blueprint("health", __name__)

    @routes.get("/health")
    @described(HEALTH)
    async def health() -> dict[str, object]:
        # No store is configured in this build, so there is none to ping and none that could be away.
        pings = "disabled" if doors.views.client.disable_db_pings_in_health else "ok"
        return {"status": "ok", "components": {"db_pings": pings}}

    @routes.get("/ready")
    @described(READY)
    async def ready() -> tuple[dict[str, object], int]:
        return {"status": doors.phase.value}, 200 if doors.is_ready else 503

    @routes.get("/metrics")
    @described(METRICS)
    async def metrics() -> Response:
        body, content_type = await render_metrics(request.headers.get("accept", ""))
        return Response(body, content_type=content_type)

    return routes
