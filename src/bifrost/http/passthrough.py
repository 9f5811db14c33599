"""The doors of the passthrough routes: a request goes on to the provider as it came, and the answer comes back so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.errors import GatewayError
from bifrost.http.body import CallerGone
from bifrost.http.inference import MIB, Inference
from bifrost.http.received import JSON_BYTES
from bifrost.http.spool import spooled
from bifrost.integrations.async_wish import NOT_HERE, refuse_async
from bifrost.integrations.body_model import may_be_object
from bifrost.integrations.passthrough import (
    NOTHING_SAID,
    PREFIXES,
    TOO_LONG,
    FormReading,
    PassthroughRoute,
    Said,
    passthrough_request,
    passthrough_route,
    said_in_json,
)
from bifrost.integrations.relay import BodyKind, body_kind, first_line
from bifrost.integrations.relay_routes import METHODS
from bifrost.schema.call import Call, Operation, Relay, Surface
from bifrost.service import Failed

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, HTTPScope

    from bifrost.http.doors import Views
    from bifrost.http.reply import Reply
    from bifrost.integrations.headers import HeaderLines
    from bifrost.schema.payload import Payload

__all__ = ["PassthroughDoor", "looked_at"]

BEGINNINGS = tuple(PREFIXES)
ALLOW = ", ".join((*METHODS, "OPTIONS")).encode("ascii")


@attrs.define(eq=False)
class PassthroughDoor:
    """Serves what is below the prefixes of ``integrations.passthrough``."""

    inference: Inference

    @staticmethod
    def may_be_for(path: str) -> bool:
        """Whether ``path`` is in its realm."""
        return path.startswith(BEGINNINGS)

    async def serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply) -> None:
        """Answer one request."""
        views = self.inference.doors.views
        try:
            route = passthrough_route(scope["method"], scope["raw_path"])
            reply.template = route.template
            await self._pass(route, scope, receive, reply, views)
        except CallerGone:
            pass
        except GatewayError as error:
            if error.status == 405:
                reply.always.append((b"allow", ALLOW))
            await self.inference.refuse(reply, Failed(error), None, views, Surface.NATIVE)

    async def _pass(
        self,
        route: PassthroughRoute,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
        views: Views,
    ) -> None:
        headers: HeaderLines = tuple(scope["headers"])
        refuse_async(headers, NOT_HERE)

        def tell_size(size: int) -> None:
            reply.request_bytes = size

        content_type = first_line(headers, b"content-type") or b""
        max_bytes = views.client.max_request_body_size_mb * MIB
        if body_kind(content_type) is BodyKind.JSON:
            max_bytes = min(max_bytes, JSON_BYTES)
        timeout_s = views.client.body_timeout_s
        async with spooled(
            receive, headers, max_bytes=max_bytes, timeout_s=timeout_s, tell_size=tell_size
        ) as payload:
            body, said = await looked_at(payload, content_type)
            call = _call(route, scope, headers, body, said, reply, views)
            await self.inference.answer(call, scope, receive, reply, views)


async def looked_at(payload: Payload, content_type: bytes) -> tuple[bytes | Payload, Said]:
    """The body as it is to be sent, which is as it came, and what it says."""
    if not payload.size:
        return b"", NOTHING_SAID
    if body_kind(content_type) is BodyKind.FORM:
        return payload, await _look_through(payload, FormReading(content_type))
    # Whatever its type is said to be: some upstreams do not look at that either.
    if not may_be_object(await anext(payload.blocks(), b"")):
        return payload, NOTHING_SAID
    if payload.size > JSON_BYTES:
        return payload, TOO_LONG
    body = b"".join([block async for block in payload.blocks()])
    return body, said_in_json(body)


async def _look_through(payload: Payload, reading: FormReading) -> Said:
    async for block in payload.blocks():
        reading.feed(block)
        if reading.is_over:
            break
    return reading.said()


def _call(
    route: PassthroughRoute,
    scope: HTTPScope,
    headers: HeaderLines,
    body: bytes | Payload,
    said: Said,
    reply: Reply,
    views: Views,
) -> Call:
    peer = scope["client"]
    caller = views.headers.read(headers, peer[0] if peer else "")
    request = passthrough_request(
        route,
        scope["method"],
        scope["query_string"],
        headers,
        caller=caller,
        catalog=views.catalog,
        forwarding=views.headers.forwarding,
        said=said,
        relay_admin=views.client.relay_admin_routes,
    )
    relay = Relay(
        method=scope["method"],
        path=route.path,
        query=request.query,
        content_type=request.content_type,
        body=body,
        verbatim=True,
        is_generation=request.is_generation,
    )
    return Call(
        id=reply.request_id,
        operation=Operation.RELAY,
        stream=request.stream,
        target=request.target,
        relay=relay,
        ids=request.ids,
        body_bytes=reply.request_bytes,
        caller=attrs.evolve(caller, extra_headers=request.headers),
        surface=Surface.NATIVE,
        route=reply.template,
        received_s=trio.current_time(),
    )
