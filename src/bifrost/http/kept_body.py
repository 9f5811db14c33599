"""A request whose body is in memory as it came, because it is going to be made a call again later."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.http.form import is_form, new_boundary, reading_form
from bifrost.schema.payload import BLOCK_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hypercorn.typing import ASGIReceiveCallable, HTTPRequestEvent

    from bifrost.http.doors import Views
    from bifrost.integrations.base import Request
    from bifrost.integrations.headers import HeaderRules
    from bifrost.schema.call import Call

__all__ = ["kept_call"]


@asynccontextmanager
async def kept_call(request: Request, views: Views, rules: HeaderRules) -> AsyncIterator[Call]:
    """The call that ``request`` asks for; the files of a form can be read until this is left.

    The body has no coding any more, whatever the headers say. Raises BadRequest, BodyTooLarge for too many fields of a
    form, and Overloaded where the disk takes no more.
    """
    route = request.route
    if not (route.takes_form and is_form(request.headers)):
        yield route.parse(request, views.catalog, rules)
        return
    # The length and the coding are those of the body as it came.
    content_type = tuple(line for line in request.headers if line[0] == b"content-type")
    async with reading_form(
        _replayed(request.body),
        content_type,
        max_bytes=len(request.body),
        timeout_s=views.client.body_timeout_s,
    ) as form:
        request = attrs.evolve(request, form=form, boundary=new_boundary())
        yield route.parse(request, views.catalog, rules)


def _replayed(body: bytes) -> ASGIReceiveCallable:
    """``body`` as if it came from a caller, in blocks, with room for others between them."""
    at = 0

    async def receive() -> HTTPRequestEvent:
        nonlocal at
        await trio.lowlevel.checkpoint()
        block = body[at : at + BLOCK_BYTES]
        at += BLOCK_BYTES
        return {"type": "http.request", "body": block, "more_body": at < len(body)}

    return receive
