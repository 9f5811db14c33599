"""The front: inference and WebSocket go to their handlers, all else through Quart; what every answer carries is added here."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from bifrost.errors import BadRequest, GatewayError, InternalError, MethodNotAllowed, RouteNotFound
from bifrost.http.async_jobs import PREFIX as ASYNC_PREFIX
from bifrost.http.cors import SECURITY_HEADERS
from bifrost.http.openapi import about_of
from bifrost.http.reply import REQUEST_ID, CutShort, HeaderLines, Reply
from bifrost.integrations.async_wish import asks_async
from bifrost.integrations.azure import PREFIXES as DEPLOYMENTS
from bifrost.integrations.headers import request_id as request_id_of
from bifrost.integrations.manners import manner_at
from bifrost.integrations.openapi import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hypercorn.typing import (
        ASGIReceiveCallable,
        ASGISendCallable,
        ASGISendEvent,
        HTTPScope,
        Scope,
        WebsocketScope,
    )

    from bifrost.http.anthropic_objects import AnthropicObjectsDoor
    from bifrost.http.async_jobs import AsyncJobs
    from bifrost.http.doors import Doors
    from bifrost.http.gate import Gate
    from bifrost.http.genai_files import GenaiFilesDoor
    from bifrost.http.inference import Inference
    from bifrost.http.passthrough import PassthroughDoor
    from bifrost.http.relayed import RelayDoor
    from bifrost.http.responses_socket import ResponsesDoor, Talk
    from bifrost.integrations.finder import Found
    from bifrost.observe.http import HttpMeter

__all__ = ["Front"]

JSON_TYPE = (b"content-type", b"application/json")
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")

MAX_TOLD_PATH = 256

_MODELS = re.compile(r"(?:/openai){1,2}(?:/v1)?/models(?:/.*)?", re.DOTALL)

UNLOGGED = frozenset({"/health", "/ready", "/metrics", "_preflight"})

TEMPLATE = "bifrost.template"
"""Where a route's template is left in the ASGI scope."""

"""Where the request's id is."""


class Front(QuartTrio):
    """The ASGI application. Inference and WebSocket never enter Quart."""

    def __init__(
        self,
        *,
        doors: Doors,
        gate: Gate,
        inference: Inference,
        async_jobs: AsyncJobs,
        responses: ResponsesDoor,
        relays: RelayDoor,
        passthrough: PassthroughDoor,
        genai_files: GenaiFilesDoor,
        anthropic_objects: AnthropicObjectsDoor,
        meter: HttpMeter,
        new_id: Callable[[], str],
        log: Callable[[str, dict[str, object]], None],
        on_defect: Callable[[BaseException], None],
    ) -> None:
        super().__init__("bifrost", static_folder=None)
        self._doors = doors
        self._gate = gate
        self._inference = inference
        self._async_jobs = async_jobs
        self._responses = responses
        self._relays = relays
        self._passthrough = passthrough
        self._genai_files = genai_files
        self._anthropic_objects = anthropic_objects
        self._meter = meter
        self._new_id = new_id
        self._log = log
        self._on_defect = on_defect
        # Quart would cut a long answer after 60 s.
        self.config["RESPONSE_TIMEOUT"] = None
        self.before_request(_note_template)
        self.before_request(self._admit_view)
        self.register_error_handler(HTTPException, _told_http_error)
        self.register_error_handler(GatewayError, _told)
        self.register_error_handler(Exception, self._told_defect)

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one scope; the lifespan is Quart's."""
        if scope["type"] == "websocket":
            await self._converse(scope, receive, send)
            return
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        began_s = trio.current_time()
        sent = _sent(scope)
        reply = self._reply(scope, send, sent)
        try:
            await self._serve(scope, receive, reply, sent)
        except Exception as defect:  # noqa: BLE001  the request's root: a defect is told, not let out
            self._on_defect(defect)
            reply.template = "_defect"
            if not reply.is_started:
                await _refuse(reply, InternalError("internal error"), scope["path"])
        finally:
            # Also of a request whose client has gone: it ends by being cancelled.
            self._account(scope, scope["method"], reply, trio.current_time() - began_s)
        if reply.is_cut:
            raise CutShort

    def _account(
        self, scope: HTTPScope | WebsocketScope, method: str, reply: Reply, duration_s: float
    ) -> None:
        """Meter the request, and give it its log line if no exchange did."""
        status = 499 if reply.status is None else reply.status
        self._meter.observe(
            reply.template, method, status, duration_s, reply.request_bytes, reply.body_bytes
        )
        if reply.is_accounted or reply.template in UNLOGGED:
            return
        level = "error" if status >= 500 else "warning" if status >= 400 else "info"
        self._log(
            level,
            {
                "request_id": reply.request_id,
                "method": method[:16],
                "route": reply.template,
                "path": scope["path"][:MAX_TOLD_PATH],
                "status": status,
                "total_ms": round(duration_s * 1000, 3),
                "remote_addr": address_of(scope),
            },
        )

    async def _converse(
        self, scope: WebsocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer a request to upgrade. It is over, for meter and log, once it is accepted: its responses are calls of their own."""
        began_s = trio.current_time()
        reply = self._reply(scope, partial(_refusing, send), _sent(scope))
        talk: Talk | None = None
        try:
            await receive()
            if self._gate.guards_inference:
                where = scope["path"], _sent(scope), address_of(scope)
                await self._gate.admit(Access.INFERENCE, *where)
            talk = await self._upgrade(scope, send, reply)
        except GatewayError as error:
            await _refuse(reply, error, scope["path"])
        finally:
            self._account(scope, "GET", reply, trio.current_time() - began_s)
        if talk is not None:
            await talk.run(receive, send)

    async def _upgrade(self, scope: WebsocketScope, send: ASGISendCallable, reply: Reply) -> Talk:
        """Accept, if there is something to accept. Raises GatewayError."""
        if self._responses.route(scope["path"]) is not None:
            reply.template = scope["path"]
        talk = self._responses.open(scope, reply.request_id)
        await send({"type": "websocket.accept", "subprotocol": None, "headers": reply.always})
        reply.status = 101
        return talk

    async def _serve(
        self,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        reply: Reply,
        sent: Mapping[bytes, bytes],
    ) -> None:
        """Answer, and leave the route's template in ``reply``."""
        path, method = scope["path"], scope["method"]
        if method == "OPTIONS":
            reply.template = "_preflight"
            await self._preflight(scope, reply)
            return
        found = self._inference.finder.find(path)
        if self._gate.guards_inference and (refusal := await self._shut(found, scope, sent)):
            reply.template = "_refused"
            await _refuse(reply, refusal, path)
            return
        if found is not None and method == "POST":
            reply.template = found[0].path
            door = self._async_jobs if asks_async(sent) else self._inference
            await door.serve(found, scope, receive, reply)
        elif self._relays.may_be_for(path) and not _is_our_own(method, path):
            if not await self._relays.serve(scope, receive, reply):
                await self._through_quart(scope, receive, reply)
        elif found is None:
            await self._serve_other(scope, receive, reply)
        else:
            reply.template = found[0].path
            reply.always.append((b"allow", b"POST, OPTIONS"))
            await _refuse(reply, MethodNotAllowed(f"Method not allowed: {path}"), path)

    def _is_for_quart(self, found: Found | None, method: str, path: str) -> bool:
        """Whether it is one of Quart's own views, which are guarded where they are found."""
        if found is not None or self._passthrough.may_be_for(path):
            return False
        if self._genai_files.may_be_for(path) or self._anthropic_objects.may_be_for(path):
            return False
        if path.startswith(ASYNC_PREFIX):
            return False
        return not self._relays.may_be_for(path) or _is_our_own(method, path)

    async def _shut(
        self, found: Found | None, scope: HTTPScope, sent: Mapping[bytes, bytes]
    ) -> GatewayError | None:
        """Why a call is not let in."""
        if self._is_for_quart(found, scope["method"], scope["path"]):
            return None
        # Parts of an upload bring no key: their address was told to somebody who was let in.
        if self._genai_files.goes_on(scope["path"], scope["query_string"]):
            return None
        try:
            await self._gate.admit(Access.INFERENCE, scope["path"], sent, address_of(scope))
        except GatewayError as error:
            return error
        return None

    async def _admit_view(self) -> None:
        """Shut every view that does not say otherwise. Raises GatewayError."""
        if request.url_rule is None:
            return
        scope = cast("HTTPScope", request.scope)
        access = about_of(self, request.url_rule.endpoint).access
        await self._gate.admit(access, request.path, _sent(scope), address_of(scope))

    async def _serve_other(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply
    ) -> None:
        for door in (self._passthrough, self._genai_files, self._anthropic_objects):
            if door.may_be_for(scope["path"]):
                await door.serve(scope, receive, reply)
                return
        is_async = scope["path"].startswith(ASYNC_PREFIX)
        if is_async and await self._async_jobs.serve_path(scope, receive, reply):
            return
        await self._through_quart(scope, receive, reply)

    def _reply(
        self,
        scope: HTTPScope | WebsocketScope,
        send: ASGISendCallable,
        sent: Mapping[bytes, bytes],
    ) -> Reply:
        call_id = request_id_of(sent.get(b"x-request-id"), self._new_id)
        always: HeaderLines = [(b"x-request-id", call_id.encode("latin-1")), *SECURITY_HEADERS]
        if scope["scheme"] in {"https", "wss"} or sent.get(b"x-forwarded-proto") == b"https":
            always.append(HSTS)
        origin = sent.get(b"origin")
        if origin is not None and scope.get("method") != "OPTIONS":
            always.extend(self._doors.views.cors.answer(origin))
        return Reply(send, request_id=call_id, always=always)

    async def _preflight(self, scope: HTTPScope, reply: Reply) -> None:
        cors, origin = self._doors.views.cors, _header(scope, b"origin")
        asked = _header(scope, b"access-control-request-headers")
        reply.always.extend(cors.preflight(origin, asked))
        await reply.whole(200 if cors.allows(origin) else 403, [], b"")

    async def _through_quart(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, reply: Reply
    ) -> None:
        notes = cast("dict[str, Any]", scope)
        notes[REQUEST_ID] = reply.request_id
        await super().__call__(scope, receive, reply.pass_on)
        reply.template = str(notes.get(TEMPLATE, reply.template))

    async def _told_defect(self, defect: Exception) -> Response:
        self._on_defect(defect)
        return await _told(InternalError("internal error"))


def _sent(scope: HTTPScope | WebsocketScope) -> Mapping[bytes, bytes]:
    """The request's headers. Of a repeated one the first counts."""
    return dict(reversed([*scope["headers"]]))


def address_of(scope: HTTPScope | WebsocketScope) -> str:
    """Where the request came from."""
    client = scope["client"]
    return client[0] if client else ""


def _is_our_own(method: str, path: str) -> bool:
    """Whether the gateway itself answers for it: models, and the paths of Azure's deployments."""
    return _is_of_models(method, path) or path.startswith(DEPLOYMENTS)


def _is_of_models(method: str, path: str) -> bool:
    """Whether it asks for the list of models or one of them, whose name may have slashes."""
    return method in {"GET", "HEAD"} and _MODELS.fullmatch(path) is not None


async def _note_template() -> None:
    """Leave the route's template in the scope, for the meter: paths themselves are without number."""
    if request.url_rule is not None:
        cast("dict[str, Any]", request.scope)[TEMPLATE] = request.url_rule.rule


async def _told(error: GatewayError) -> Response:
    manner = manner_at(request.path)
    request_id = str(cast("dict[str, Any]", request.scope)[REQUEST_ID])
    body = manner.sign(manner.body(error), request_id)
    answer = Response(body, error.status, content_type="application/json")
    for name, value in manner.with_id(manner.headers(error), request_id):
        answer.headers.add(name.decode("latin-1"), value.decode("latin-1"))
    return answer


async def _told_http_error(error: HTTPException) -> Response:
    path = request.path[:MAX_TOLD_PATH]
    if isinstance(error, NotFound):
        return await _told(RouteNotFound(f"Route not found: {path}"))
    if isinstance(error, WrongMethod):
        answer = await _told(MethodNotAllowed(f"Method not allowed: {path}"))
        answer.headers["allow"] = ", ".join(sorted(error.valid_methods or ()))
        return answer
    return await _told(BadRequest(error.name, status=error.code or 400))


async def _refusing(send: ASGISendCallable, message: ASGISendEvent) -> None:
    """Send a part of an ordinary answer in place of an upgrade."""
    await send(cast("ASGISendEvent", {**message, "type": f"websocket.{message['type']}"}))


async def _refuse(reply: Reply, error: GatewayError, path: str) -> None:
    manner = manner_at(path)
    body = manner.sign(manner.body(error), reply.request_id)
    await reply.whole(error.status, manner.with_id([JSON_TYPE], reply.request_id), body)


def _header(scope: HTTPScope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)
