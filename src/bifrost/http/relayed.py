"""What goes on to the provider as it came: the rest of the OpenAI API, files and batches among it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.codecs.multipart import encode_form, form_content_type
from bifrost.errors import GatewayError
from bifrost.http.batch_results import BatchResults
from bifrost.http.body import CallerGone
from bifrost.http.form import new_boundary
from bifrost.http.inference import JSON_TYPE, Inference, while_there
from bifrost.http.inline_batches import InlineBatches
from bifrost.http.listing import Listing
from bifrost.http.received import Received, received
from bifrost.integrations.async_wish import NOT_FOR_FILES, NOT_HERE, refuse_async
from bifrost.integrations.base import versioned
from bifrost.integrations.batch_results import ResultsAnswer
from bifrost.integrations.object_routes import operation_of
from bifrost.integrations.paths import safe_path
from bifrost.integrations.relay import (
    RelayRequest,
    batch_model,
    body_kind,
    changed_form,
    relay_request,
)
from bifrost.integrations.relay_routes import Refused, Relayed, Understood, classify
from bifrost.schema.call import Call, Operation, Relay, Surface, Target
from bifrost.schema.payload import Field, Form
from bifrost.service import Failed

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, HTTPScope

    from bifrost.http.doors import Views
    from bifrost.http.reply import Reply
    from bifrost.integrations.headers import HeaderLines

__all__ = ["RelayDoor"]

NATIVE = ("/v1/files", "/v1/batches")
BELOW_NATIVE = tuple(f"{path}/" for path in NATIVE)

WITH_FILES = frozenset({"files", "batches", "containers"})
"""Families that are refused as jobs by name."""


@attrs.define(eq=False)
class RelayDoor:
    """Serves what is below ``/openai`` and nobody else's, and natively files and batches."""

    inference: Inference
    listing: Listing
    results: BatchResults
    inline: InlineBatches

    @staticmethod
    def may_be_for(path: str) -> bool:
        """Whether ``path`` is in its realm."""
        return path.startswith("/openai/") or path in NATIVE or path.startswith(BELOW_NATIVE)

    async def serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply) -> bool:
        """Answer one request; ``False`` if it is one that the gateway understands, or means nothing to it."""
        views = self.inference.doors.views
        try:
            path = safe_path(scope["raw_path"])
            is_native = path.startswith("/v1/")
            below = f"/openai{path}" if is_native else path
            match classify(scope["method"], below, relay_admin=views.client.relay_admin_routes):
                case Refused() as refused:
                    reply.template = "_refused"
                    await self._refuse(refused, reply, views)
                case Understood(onward=Relayed() as route) | (Relayed() as route):
                    surface = Surface.NATIVE if is_native else Surface.OPENAI
                    reply.template = route.template.removeprefix("/openai" if is_native else "")
                    await self._relay(route, surface, scope, receive, reply, views)
                case Understood():
                    return False
        except CallerGone:
            pass
        except GatewayError as error:
            await self.inference.refuse(reply, Failed(error), None, views, Surface.OPENAI)
        return True

    async def _refuse(self, refused: Refused, reply: Reply, views: Views) -> None:
        if refused.allow:
            reply.always.append((b"allow", ", ".join(refused.allow).encode("ascii")))
        await self.inference.refuse(reply, Failed(refused.error()), None, views, Surface.OPENAI)

    async def _relay(
        self,
        route: Relayed,
        surface: Surface,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
        views: Views,
    ) -> None:
        headers: HeaderLines = tuple(scope["headers"])
        refuse_async(headers, NOT_FOR_FILES if route.family in WITH_FILES else NOT_HERE)
        kind = body_kind(next((v for n, v in headers if n == b"content-type"), None))
        async with received(kind, headers, receive, reply, views) as body:
            call = _call(route, surface, scope, headers, body, reply, views)
            if call.relay is not None and call.operation is Operation.BATCH_RESULTS:
                told = views.client.send_extra_fields
                answer = ResultsAnswer(call.ids[0], call.target.provider, told)
                work = partial(self.results.write, call, call.relay, reply, answer)
                reply.is_accounted = True
                await while_there(scope, receive, work)
            elif batch := self.inline.find(call, views.catalog.base(call.target.provider)):
                await self.inline.create(batch, reply)
            elif call.relay is not None and self.listing.spans_keys(call):
                await while_there(scope, receive, partial(self._list, call, call.relay, reply))
            else:
                await self.inference.answer(call, scope, receive, reply, views)

    async def _list(self, call: Call, relay: Relay, reply: Reply) -> None:
        reply.is_accounted = True
        await reply.whole(200, [JSON_TYPE], await self.listing.page(call, relay))


def _call(
    route: Relayed,
    surface: Surface,
    scope: HTTPScope,
    headers: HeaderLines,
    body: Received,
    reply: Reply,
    views: Views,
) -> Call:
    peer = scope["client"]
    said = views.headers.read(headers, peer[0] if peer else "")
    caller = versioned(said, scope["query_string"].decode("latin-1"))
    request = relay_request(
        route,
        scope["method"],
        scope["query_string"],
        headers,
        caller=caller,
        catalog=views.catalog,
        forwarding=views.headers.forwarding,
        json=body.json,
        fields=_fields(body.form),
        names_provider=surface is Surface.NATIVE,
    )
    operation = operation_of(scope["method"], route.template)
    boundary = b"" if body.form is None else new_boundary()
    form = None if body.form is None else changed_form(body.form, request.form_changes)
    return Call(
        id=reply.request_id,
        operation=operation,
        # Files and batches are never events, and what was made must not be told as a failure.
        stream=request.stream and operation is Operation.RELAY,
        target=_target(request, operation),
        form=form if operation is Operation.FILE_UPLOAD else None,
        boundary=boundary,
        relay=_onward(request, body, form, boundary),
        ids=request.ids,
        body_bytes=reply.request_bytes,
        caller=attrs.evolve(caller, extra_headers=request.headers),
        surface=surface,
        route=reply.template,
        received_s=trio.current_time(),
    )


def _fields(form: Form | None) -> tuple[tuple[str, bytes], ...]:
    return tuple((part.name, part.value) for part in form or () if isinstance(part, Field))


def _target(request: RelayRequest, operation: Operation) -> Target:
    """Of a batch whose requests stand in it, the model is theirs where it has none itself."""
    target = request.target
    if operation is not Operation.BATCH_CREATE or target.model:
        return target
    return attrs.evolve(target, model=batch_model(request.json, target.provider))


def _onward(request: RelayRequest, body: Received, form: Form | None, boundary: bytes) -> Relay:
    onward = Relay(
        method=request.method,
        path=request.route.path,
        query=request.query,
        content_type=request.content_type,
        body=request.json,
    )
    if form is not None:
        return attrs.evolve(
            onward,
            content_type=form_content_type(boundary),
            body=encode_form(form, boundary),
        )
    if body.payload is not None and body.payload.size:
        return attrs.evolve(onward, body=body.payload)
    return onward
