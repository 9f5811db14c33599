"""``GET /v1/usage``: the holder of a virtual key asks what he has used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request

from bifrost.actors.mailbox import ActorDied
from bifrost.codecs.json import dumps
from bifrost.errors import Denial, ProviderUnavailable
from bifrost.governance.filter import NOT_LOADED
from bifrost.governance.usage import counters_of, usage_of
from bifrost.http.openapi import described
from bifrost.integrations.openapi import OF_CALLS, About, Access
from bifrost.integrations.openapi_shapes import JSON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bifrost.actors.ledger_messages import Counted
    from bifrost.http.doors import Doors

__all__ = ["PATH", "usage_routes"]

PATH = "/v1/usage"

USAGE = About(
    summary="What the virtual key that asks has used of its limits",
    tag="governance",
    answers={JSON: "object"},
    headers=OF_CALLS,
    statuses=("400", "401", "403", "503"),
    # The virtual key is the login: without one there is nothing to be told.
    access=Access.PUBLIC,
)


def usage_routes(
    doors: Doors,
    read_usage: Callable[[frozenset[str]], Awaitable[Mapping[str, Counted]]],
    wall: Callable[[], float],
    is_complete: Callable[[], bool],
) -> Blueprint:
    """The blueprint. ``read_usage`` gives what counters stand at, ``is_complete`` says whether all virtual keys are known."""
    routes = Blueprint("usage", __name__)

    @routes.get(PATH)
    @described(USAGE)
    async def usage() -> Response:
        views = doors.views
        lines = tuple(
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in request.headers.items()
        )
        caller = views.headers.without_required().read(lines, request.remote_addr or "")
        if not caller.virtual_key_hash:
            text = "virtual key is required. Provide a virtual key via the x-bf-vk header."
            raise Denial(text, kind="virtual_key_required", status=401)
        key = views.governance.by_hash.get(caller.virtual_key_hash)
        if key is None and not is_complete():
            raise ProviderUnavailable(NOT_LOADED, code="virtual_keys_not_loaded")
        if key is None:
            raise Denial("Virtual key not found", kind="virtual_key_not_found")
        try:
            counted = await read_usage(counters_of(views.governance, key))
        except ActorDied:
            text = "usage cannot be counted at the moment"
            raise ProviderUnavailable(text, code="ledger_broken") from None
        told = usage_of(views.governance, key, counted, wall())
        return Response(dumps(told), content_type="application/json")

    return routes
