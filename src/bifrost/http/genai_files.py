"""The door of files at ``/genai``: they go on to a provider of Gemini's dialect as they came, and stay with their key."""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import attrs
import trio

from bifrost.errors import GatewayError
from bifrost.http.body import CallerGone
from bifrost.http.inference import JSON_TYPE, MIB, Inference, tell_verbatim, while_there
from bifrost.http.listing import Listing
from bifrost.http.relay import answer_lines
from bifrost.http.spool import spooled
from bifrost.http.whole import relayed_answer
from bifrost.integrations.async_wish import NOT_FOR_FILES, refuse_async
from bifrost.integrations.genai import with_key
from bifrost.integrations.genai_files import (
    GONE,
    asking_page,
    file_route,
    is_of_files,
    is_of_uploads,
    page_told,
    provider_of,
    public_url,
    session_token,
    told_headers,
    unknown_upload,
    upload_place,
)
from bifrost.integrations.list_cursor import Cursor
from bifrost.integrations.passthrough import without_credentials
from bifrost.integrations.relay import checked_query, first_line, relayed_lines
from bifrost.policy.upload_sessions import UploadSession, UploadSessions
from bifrost.schema.call import Call, Operation, Relay, Surface, Target
from bifrost.service import Failed

if TYPE_CHECKING:
    from hypercorn.typing import ASGIReceiveCallable, HTTPScope

    from bifrost.http.doors import Views
    from bifrost.http.reply import Reply
    from bifrost.http.whole import WholeAnswer
    from bifrost.integrations.genai_files import FileRoute
    from bifrost.integrations.headers import HeaderLines
    from bifrost.schema.call import Caller
    from bifrost.schema.payload import Payload

__all__ = ["GenaiFilesDoor"]


@attrs.define(eq=False)
class GenaiFilesDoor:
    """Serves them. What is remembered of uploads is bounded by ``UploadSessions``."""

    inference: Inference
    listing: Listing
    uploads: UploadSessions = attrs.field(factory=UploadSessions)

    @staticmethod
    def may_be_for(path: str) -> bool:
        """Whether ``path`` is in its realm."""
        return is_of_files(path)

    def goes_on(self, path: str, query: bytes) -> bool:
        """Whether it is a part of an upload that was begun here."""
        if not is_of_uploads(path):
            return False
        token = session_token(query.decode("latin-1"))
        return self.uploads.find(token, trio.current_time()) is not None

    async def serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply) -> None:
        """Answer one request."""
        views = self.inference.doors.views
        try:
            route = file_route(scope["method"], scope["raw_path"])
            reply.template = route.template
            await self._serve(route, scope, receive, reply, views)
        except CallerGone:
            pass
        except GatewayError as error:
            if error.verbatim is not None:
                await tell_verbatim(reply, error.verbatim)
                return
            await self.inference.refuse(reply, Failed(error), None, views, Surface.GENAI)

    async def _serve(
        self,
        route: FileRoute,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
        views: Views,
    ) -> None:
        headers: HeaderLines = tuple(scope["headers"])
        refuse_async(headers, NOT_FOR_FILES)

        def tell_size(size: int) -> None:
            reply.request_bytes = size

        max_bytes = views.client.max_request_body_size_mb * MIB
        timeout_s = views.client.body_timeout_s
        async with spooled(
            receive, headers, max_bytes=max_bytes, timeout_s=timeout_s, tell_size=tell_size
        ) as payload:
            query = checked_query(scope["query_string"])
            match route.operation:
                case Operation.FILE_UPLOAD:
                    # Like all that makes something: it is seen to its end, whether its caller is there or not.
                    with trio.CancelScope(shield=True):
                        await self._upload(route, scope, headers, query, payload, reply, views)
                case Operation.FILE_LIST:
                    call = self._call(route, scope, headers, query, payload, reply, views)
                    await while_there(scope, receive, partial(self._list, call, reply))
                case _:
                    call = self._call(route, scope, headers, query, payload, reply, views)
                    await self.inference.answer(call, scope, receive, reply, views)

    async def _upload(
        self,
        route: FileRoute,
        scope: HTTPScope,
        headers: HeaderLines,
        query: str,
        payload: Payload,
        reply: Reply,
        views: Views,
    ) -> None:
        """All of an upload, its beginning, or a further part of it."""
        token = session_token(query)
        call = self._call(route, scope, headers, query, payload, reply, views)
        if token:
            call = self._going_on(call, token, headers, reply, views)
        reply.is_accounted = True
        answer = await relayed_answer(self.inference.service, call)
        token = token or self._begun(call, answer)
        url = public_url(headers, scope["scheme"], route, token) if token else None
        await _tell(reply, answer, url)

    def _begun(self, call: Call, answer: WholeAnswer) -> str:
        """The token of the upload that ``answer`` begins; ``""`` if all of it has been sent."""
        place = upload_place(answer.began.headers)
        if place is None:
            return ""
        token = secrets.token_urlsafe(32)
        session = UploadSession(
            provider=call.target.provider,
            caller=_held_to(call.caller, call.target.provider, answer.key_id),
            path=place.path,
            query=place.query,
        )
        self.uploads.begin(token, session, trio.current_time())
        return token

    def _going_on(
        self, call: Call, token: str, headers: HeaderLines, reply: Reply, views: Views
    ) -> Call:
        """``call`` as a further part of the upload that ``token`` names, by whoever began it. Raises BadRequest."""
        session = self.uploads.find(token, trio.current_time())
        if session is None or call.relay is None:
            reply.always.append(GONE)
            raise unknown_upload()
        now = call.caller
        begun = session.caller
        caller = attrs.evolve(
            now,
            key_id=begun.key_id,
            key_name=begun.key_name,
            direct_key=begun.direct_key,
            virtual_key=begun.virtual_key,
        )
        lines = relayed_lines(headers, caller, views.headers.forwarding, session.provider)
        return attrs.evolve(
            call,
            target=Target(session.provider, ""),
            caller=attrs.evolve(caller, extra_headers=lines),
            relay=attrs.evolve(call.relay, path=session.path, query=session.query),
        )

    async def _list(self, call: Call, reply: Reply) -> None:
        """One page of what all keys have, each of which knows its own."""
        reply.is_accounted = True
        keys = self.listing.keys(call)
        relay = call.relay
        if relay is None:
            return
        at, query = asking_page(relay.query, len(keys))
        while True:
            asked = _asking(call, relay, keys[at.key], at, query)
            answer = await relayed_answer(self.inference.service, asked)
            body, has_files = page_told(answer.body, at, len(keys))
            if has_files or at.key + 1 >= len(keys):
                await reply.whole(200, [JSON_TYPE, *answer_lines(answer.began)], body)
                return
            at = Cursor(at.key + 1)

    def _call(
        self,
        route: FileRoute,
        scope: HTTPScope,
        headers: HeaderLines,
        query: str,
        payload: Payload,
        reply: Reply,
        views: Views,
    ) -> Call:
        peer = scope["client"]
        caller = views.headers.read(with_key(headers, query), peer[0] if peer else "")
        provider = provider_of(headers, views.catalog, route.operation)
        lines = relayed_lines(headers, caller, views.headers.forwarding, provider)
        relay = Relay(
            method=scope["method"],
            path=route.path,
            query=without_credentials(query),
            content_type=first_line(headers, b"content-type"),
            body=payload if payload.size else b"",
            verbatim=True,
        )
        return Call(
            id=reply.request_id,
            operation=route.operation,
            stream=False,
            target=Target(provider, ""),
            relay=relay,
            ids=route.ids,
            body_bytes=reply.request_bytes,
            caller=attrs.evolve(caller, extra_headers=lines),
            surface=Surface.GENAI,
            route=route.template,
            received_s=trio.current_time(),
        )


def _held_to(caller: Caller, provider: str, key_id: str) -> Caller:
    """``caller`` with the key that served him, if it was not his own."""
    if caller.own_key(provider) is not None or not key_id:
        return caller
    return attrs.evolve(caller, key_id=key_id)


def _asking(call: Call, relay: Relay, key_id: str, at: Cursor, query: str) -> Call:
    """``call`` for the page at ``at`` of what one key has."""
    token = f"pageToken={quote_plus(at.native)}" if at.native else ""
    onward = attrs.evolve(relay, query="&".join(filter(None, (query, token))))
    caller = attrs.evolve(call.caller, key_id=key_id) if key_id else call.caller
    return attrs.evolve(call, relay=onward, caller=caller)


async def _tell(reply: Reply, answer: WholeAnswer, url: str | None) -> None:
    began = attrs.evolve(answer.began, headers=told_headers(answer.began.headers, url))
    kind = (began.content_type or "").encode("latin-1", "replace")
    typed = [(b"content-type", kind)] if kind else []
    await reply.whole(began.status, [*typed, *answer_lines(began)], answer.body)
