"""The one generic handler of inference routes, plain ASGI: body to call, call to exchange, exchange to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import attrs
import trio

from bifrost.errors import GatewayError, Verbatim
from bifrost.http.body import CallerGone, read_body
from bifrost.http.doors import Doors
from bifrost.http.form import is_form, new_boundary, reading_form
from bifrost.http.lane import BODY, GONE
from bifrost.http.relay import Relay
from bifrost.integrations.base import Request, unpack
from bifrost.integrations.finder import Finder, Found
from bifrost.integrations.manners import manner_of
from bifrost.schema.payload import LARGE_BYTES
from bifrost.service import Exchange, Failed, Service

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, HTTPScope

    from bifrost.http.doors import Views
    from bifrost.http.reply import HeaderLines, Reply
    from bifrost.integrations.headers import HeaderLines as RequestLines
    from bifrost.schema.call import Call, Surface
    from bifrost.schema.payload import Form

__all__ = ["JSON_TYPE", "MIB", "Inference", "parsed", "tell_verbatim", "while_there"]

MIB = 1024 * 1024

JSON_TYPE = (b"content-type", b"application/json")


@attrs.define(eq=False)
class Inference:
    """Serves every route that ``finder`` finds; all are POST."""

    finder: Finder
    doors: Doors
    service: Service
    new_id: Callable[[], str]

    async def serve(
        self,
        found: Found,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
    ) -> None:
        """Answer one request. Returns when the answer is out; is cancelled, or returns, when nobody is left to take it."""
        views = self.doors.views
        headers: RequestLines = tuple(scope["headers"])
        try:
            if found[0].takes_form and is_form(headers):
                await self._serve_form(found, headers, scope, receive, reply, views)
                return
            body = await self._body(headers, scope, receive, reply, views)
            request = self._request(found, headers, scope, reply, body=body)
            call = await parsed(request, views)
        except CallerGone:
            return
        except GatewayError as error:
            await self.refuse(reply, Failed(error), None, views, found[0].integration.surface)
            return
        await self.answer(call, scope, receive, reply, views)

    async def _serve_form(
        self,
        found: Found,
        headers: RequestLines,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
        views: Views,
    ) -> None:
        """The same for a form, whose files are there until the exchange is over."""

        def tell_size(size: int) -> None:
            reply.request_bytes = size

        client = views.client
        async with reading_form(
            receive,
            headers,
            max_bytes=client.max_request_body_size_mb * MIB,
            timeout_s=client.body_timeout_s,
            tell_size=tell_size,
        ) as form:
            request = self._request(found, headers, scope, reply, form=form)
            call = await parsed(request, views)
            await self.answer(call, scope, receive, reply, views)

    async def _body(
        self,
        headers: RequestLines,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
        views: Views,
    ) -> bytes:
        client = views.client
        max_bytes = client.max_request_body_size_mb * MIB
        body = await read_body(
            receive,
            _first(headers, b"content-length"),
            max_bytes=max_bytes,
            timeout_s=client.body_timeout_s,
            at_hand=cast("Any", scope["extensions"]).get(BODY),
        )
        reply.request_bytes = len(body)
        coding = _first(headers, b"content-encoding")
        return body if coding is None else unpack(body, coding.decode("latin-1"), max_bytes)

    def _request(
        self,
        found: Found,
        headers: RequestLines,
        scope: HTTPScope,
        reply: Reply,
        *,
        body: bytes = b"",
        form: Form | None = None,
    ) -> Request:
        peer = scope["client"]
        return Request(
            id=reply.request_id,
            route=found[0],
            params=found[1],
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body,
            form=form,
            boundary=b"" if form is None else new_boundary(),
            body_bytes=reply.request_bytes,
            remote_addr=peer[0] if peer else "",
            received_s=trio.current_time(),
        )

    async def answer(
        self, call: Call, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply, views: Views
    ) -> None:
        """Serve ``call`` for as long as its caller is there; to its end, if something is made by it."""
        if call.outlives_caller:
            with trio.CancelScope(shield=True):
                await self._exchange(call, reply, views)
            return
        work = partial(self._exchange, call, reply, views)
        await while_there(scope, receive, work)

    async def _exchange(self, call: Call, reply: Reply, views: Views) -> None:
        try:
            async with self.service(call) as exchange:
                reply.is_accounted = True
                failure = await self._relay(exchange, call, reply, views)
        except GatewayError as error:
            failure = Failed(error)
        if failure is None:
            return
        if failure.error.verbatim is not None:
            await tell_verbatim(reply, failure.error.verbatim)
            return
        await self.refuse(reply, failure, call, views, call.surface)

    async def _relay(
        self, exchange: Exchange, call: Call, reply: Reply, views: Views
    ) -> Failed | None:
        manner = manner_of(call.surface)

        def told(failure: Failed) -> bytes:
            return manner.event(failure.error, call=call, target=failure.target)

        relay = Relay(exchange, reply, views.client.sse_keepalive_s, told, manner)
        # A verbatim answer begins with the upstream's own status, however long that takes.
        is_stream = call.stream and not call.is_verbatim
        return await (relay.stream() if is_stream else relay.plain())

    async def refuse(
        self, reply: Reply, failure: Failed, call: Call | None, views: Views, surface: Surface
    ) -> None:
        manner = manner_of(surface)
        attempts = failure.attempts if views.client.include_attempts else ()
        body = manner.body(failure.error, call=call, target=failure.target, attempts=attempts)
        if call is None:
            body = manner.sign(body, reply.request_id)
        lines: HeaderLines = [JSON_TYPE, *manner.headers(failure.error)]
        lines = manner.with_id(lines, reply.request_id)
        await reply.whole(failure.error.status, lines, body)


async def parsed(request: Request, views: Views) -> Call:
    """The call that ``request`` asks for; a large body is read in a thread. Raises BadRequest."""
    parse = partial(request.route.parse, request, views.catalog, views.headers)
    if len(request.body) < LARGE_BYTES:
        return parse()
    return await trio.to_thread.run_sync(parse, abandon_on_cancel=True)


async def tell_verbatim(reply: Reply, answer: Verbatim) -> None:
    """A refusal as its upstream said it."""
    lines = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.content_type:
        lines.append((b"content-type", answer.content_type.encode("latin-1")))
    await reply.whole(answer.status, lines, answer.body)


def _first(headers: tuple[tuple[bytes, bytes], ...], wanted: bytes) -> bytes | None:
    return next((value for name, value in headers if name == wanted), None)


async def while_there(
    scope: HTTPScope, receive: ASGIReceiveCallable, work: Callable[[], Awaitable[None]]
) -> None:
    """Do ``work`` for as long as the caller is there."""
    gone: Any = scope["extensions"].get(GONE)
    if gone is not None:
        with gone():
            await work()
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
        await work()
        nursery.cancel_scope.cancel()


async def _until_gone(receive: ASGIReceiveCallable, scope: trio.CancelScope) -> None:
    """Cancel ``scope`` when the caller hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
