"""Operations: ``/health``, ``/ready``, ``/metrics``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import attrs
import trio
from quart import Blueprint, Response, request

from bifrost.errors import InternalError
from bifrost.http.openapi import described
from bifrost.integrations.openapi import About, Access

if TYPE_CHECKING:
    from bifrost.http.doors import Doors

__all__ = ["StoreHealth", "health_routes"]

PING_S = 10.0


@attrs.frozen(kw_only=True)
class StoreHealth:
    """How a store fares. ``name`` is as it is told: "log"."""

    name: str
    is_away: Callable[[], bool]
    """Whether it failed when it was used last."""
    ping: Callable[[], Awaitable[bool]]
    """Asks it; whether it answers."""


HEALTH = About(
    summary="Whether the gateway and its stores live",
    tag="operations",
    statuses=("503",),
    is_open=True,
    access=Access.PUBLIC,
)

READY = About(
    summary="Whether it takes requests",
    tag="operations",
    other_answers={503: "object"},
    is_open=True,
    access=Access.PUBLIC,
)

METRICS = About(
    summary="Figures for Prometheus",
    tag="operations",
    answers={"text/plain": "text", "application/openmetrics-text": "text"},
    is_open=True,
)


def health_routes(
    doors: Doors,
    render_metrics: Callable[[str], Awaitable[tuple[bytes, str]]],
    stores: tuple[StoreHealth, ...] = (),
) -> Blueprint:
    """The blueprint. ``render_metrics`` takes an ``Accept`` value and gives a body and its content type."""
    routes = Blueprint("health", __name__)

    @routes.get("/health")
    @described(HEALTH)
    async def health() -> dict[str, object]:
        if doors.views.client.disable_db_pings_in_health:
            return {"status": "ok", "components": {"db_pings": "disabled"}}
        for store in stores:
            await _ping(store)
        return {"status": "ok", "components": {"db_pings": "ok"}}

    @routes.get("/ready")
    @described(READY)
    async def ready() -> tuple[dict[str, object], int]:
        told: dict[str, object] = {"status": doors.phase.value}
        # A store that is away is no reason to send calls elsewhere: they are served without it.
        if away := {store.name: "not available" for store in stores if store.is_away()}:
            told["stores"] = away
        return told, 200 if doors.is_ready else 503

    @routes.get("/metrics")
    @described(METRICS)
    async def metrics() -> Response:
        body, content_type = await render_metrics(request.headers.get("accept", ""))
        return Response(body, content_type=content_type)

    return routes


async def _ping(store: StoreHealth) -> None:
    is_there = False
    with trio.move_on_after(PING_S):
        is_there = await store.ping()
    if not is_there:
        raise InternalError(f"{store.name} store not available", status=503)
