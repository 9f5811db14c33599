"""Files and batches as Anthropic's SDKs ask for them: relayed to providers of that dialect, translated to and from all others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.codecs.json import dumps, loads
from bifrost.dialects.anthropic_object_telling import tell_batches, tell_files
from bifrost.errors import GatewayError
from bifrost.http.batch_results import BatchResults
from bifrost.http.body import CallerGone
from bifrost.http.form import new_boundary
from bifrost.http.inference import JSON_TYPE, Inference, while_there
from bifrost.http.inline_batches import InlineBatches
from bifrost.http.listing import Listing
from bifrost.http.received import received
from bifrost.integrations.anthropic_lists import AS_ANTHROPIC
from bifrost.integrations.anthropic_objects import (
    LISTS,
    ObjectRoute,
    ObjectsAsked,
    as_openai,
    is_for_objects,
    object_route,
)
from bifrost.integrations.anthropic_results import MessageResults
from bifrost.integrations.async_wish import NOT_FOR_FILES, refuse_async
from bifrost.integrations.manners import manner_of
from bifrost.integrations.paths import safe_path
from bifrost.integrations.relay import body_kind, first_line
from bifrost.schema.call import Operation, Surface
from bifrost.service import Failed

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, HTTPScope

    from bifrost.http.doors import Views
    from bifrost.http.received import Received
    from bifrost.http.reply import Reply
    from bifrost.schema.call import Call, Relay

__all__ = ["AnthropicObjectsDoor"]


@attrs.define(eq=False)
class AnthropicObjectsDoor:
    """Serves files and batches below ``/anthropic``."""

    inference: Inference
    listing: Listing
    results: BatchResults
    inline: InlineBatches

    @staticmethod
    def may_be_for(path: str) -> bool:
        """Whether ``path`` is in its realm."""
        return is_for_objects(path)

    async def serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply) -> None:
        """Answer one request."""
        views = self.inference.doors.views
        try:
            route = object_route(scope["method"], safe_path(scope["raw_path"]))
            reply.template = route.template
            await self._received(route, scope, receive, reply, views)
        except CallerGone:
            pass
        except GatewayError as error:
            if error.status == 405:
                reply.always.append((b"allow", str(error.param).encode("ascii")))
            await self.inference.refuse(reply, Failed(error), None, views, Surface.ANTHROPIC)

    async def _received(
        self,
        route: ObjectRoute,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
        views: Views,
    ) -> None:
        headers = tuple(scope["headers"])
        refuse_async(headers, NOT_FOR_FILES)
        kind = body_kind(first_line(headers, b"content-type"))
        async with received(kind, headers, receive, reply, views) as body:
            call = _call(route, scope, body, reply, views)
            await self._answer(call, scope, receive, reply, views)

    async def _answer(
        self, call: Call, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply, views: Views
    ) -> None:
        base = views.catalog.base(call.target.provider)
        if base == "anthropic":
            await self._native(call, scope, receive, reply, views)
        elif call.operation in LISTS:
            await while_there(scope, receive, partial(self._translated_list, call, reply))
        elif call.operation is Operation.BATCH_RESULTS:
            await while_there(scope, receive, partial(self._translated_results, call, reply))
        elif batch := self.inline.find(call, base):
            await self.inline.create(batch, reply)
        else:
            await self.inference.answer(call, scope, receive, reply, views)

    async def _native(
        self, call: Call, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply, views: Views
    ) -> None:
        if call.operation in LISTS and self.listing.spans_keys(call):
            await while_there(scope, receive, partial(self._native_list, call, reply))
        else:
            await self.inference.answer(call, scope, receive, reply, views)

    async def _native_list(self, call: Call, reply: Reply) -> None:
        reply.is_accounted = True
        page = await self.listing.page(call, _native_relay(call), AS_ANTHROPIC)
        await _write(reply, page)

    async def _translated_list(self, call: Call, reply: Reply) -> None:
        reply.is_accounted = True
        page = loads(await self.listing.page(as_openai(call), _relay(call)))
        tell = tell_files if call.operation is Operation.FILE_LIST else tell_batches
        await _write(reply, dumps(tell(page, call.target.provider)))

    async def _translated_results(self, call: Call, reply: Reply) -> None:
        reply.is_accounted = True
        answer = MessageResults(call.target.provider)
        await self.results.write(as_openai(call), _relay(call), reply, answer)


def _call(route: ObjectRoute, scope: HTTPScope, body: Received, reply: Reply, views: Views) -> Call:
    headers = tuple(scope["headers"])
    peer = scope["client"]
    asked = ObjectsAsked(
        route=route,
        method=scope["method"],
        query=scope["query_string"],
        headers=headers,
        json=body.json,
        form=body.form,
        boundary=b"" if body.form is None else new_boundary(),
    )
    caller = views.headers.read(headers, peer[0] if peer else "")
    call = asked.call(reply.request_id, caller, views.catalog, views.headers)
    now_s = trio.current_time()
    return attrs.evolve(call, received_s=now_s, body_bytes=reply.request_bytes)


def _relay(call: Call) -> Relay:
    assert call.relay is not None  # noqa: S101  ``ObjectsAsked`` gives each call one
    return call.relay


def _native_relay(call: Call) -> Relay:
    assert call.native is not None  # noqa: S101  and one as it came
    assert call.native.relay is not None  # noqa: S101  a native call of theirs is a relay
    return call.native.relay


async def _write(reply: Reply, body: bytes) -> None:
    lines = manner_of(Surface.ANTHROPIC).with_id([JSON_TYPE], reply.request_id)
    await reply.whole(200, lines, body)
