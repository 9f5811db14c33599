"""The two meetings with httpx: our connections under an httpx client, and httpx's own as an ``Upstream``.

``LeanTransport`` serves what is off the hot path and wants an ordinary client. ``HttpxUpstream`` serves what our own
HTTP does not speak: proxies and HTTP/2.
"""

from __future__ import annotations

import ssl
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import httpx
import trio

from bifrost.config.settings import ProxySettings
from bifrost.errors import (
    BadRequest,
    ConfigurationMissing,
    GatewayError,
    NetworkError,
    QueueFull,
    UpstreamTimeout,
)
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.transport.answer import Answer
from bifrost.transport.base import Limits, Upstream, UpstreamAnswer
from bifrost.transport.dial import tls_context
from bifrost.transport.faults import (
    bad_request,
    broken,
    connect_timeout,
    deadline_passed,
    first_byte_timeout,
    not_public,
    unconnected,
)
from bifrost.transport.outgoing import Outgoing
from bifrost.transport.pool import MAX_IDLE_S
from bifrost.transport.wire import DEFAULT_PORTS, OURS, encode_head

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bifrost.config.settings import NetworkSettings, ProviderSettings
    from bifrost.schema.payload import Payload

__all__ = ["HttpxUpstream", "LeanTransport"]

CLOSE_S = 2.0
"""For httpx to close what was given up."""

PROXY_SCHEMES = {"http": ("http", "https"), "socks5": ("socks5", "socks5h")}


class LeanTransport(httpx.AsyncBaseTransport):
    """An ``Upstream`` under an ``httpx.AsyncClient``. Bodies go out whole; codings are off those that come.

    Of httpx's time-outs, ``connect`` bounds the connection and ``read`` the head and each read of the body.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises what httpx's own transports raise."""
        opening = self._upstream.open(
            _to_upstream(request, await request.aread()), _limits(request)
        )
        try:
            answer = await opening.__aenter__()
        except GatewayError as error:
            raise _to_httpx(error, request) from error
        stream = _AnswerStream(opening, answer, request)
        return httpx.Response(answer.status, headers=list(answer.headers), stream=stream)

    async def aclose(self) -> None:
        self._upstream.retire()


class _AnswerStream(httpx.AsyncByteStream):
    def __init__(
        self,
        opening: AbstractAsyncContextManager[UpstreamAnswer],
        answer: UpstreamAnswer,
        request: httpx.Request,
    ) -> None:
        self._opening: AbstractAsyncContextManager[UpstreamAnswer] | None = opening
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:  # noqa: ASYNC900  the form that httpx asks for
        try:
            while data := await self._answer.receive():
                yield data
        except GatewayError as error:
            raise _to_httpx(error, self._request) from error

    async def aclose(self) -> None:
        opening, self._opening = self._opening, None
        if opening is not None:
            await opening.__aexit__(None, None, None)


def _to_upstream(request: httpx.Request, body: bytes) -> UpstreamRequest:
    url = request.url
    return UpstreamRequest(
        method=request.method.encode(),
        origin=Origin(url.scheme, url.host, url.port or DEFAULT_PORTS.get(url.scheme, 0)),
        target=url.raw_path,
        headers=tuple((name.lower(), value) for name, value in request.headers.raw),
        body=body,
    )


def _limits(request: httpx.Request) -> Limits:
    given: dict[str, float | None] = request.extensions.get("timeout", {})
    connect_s, read_s = (_or_never(given.get(name)) for name in ("connect", "read"))
    return Limits(connect_s=connect_s, first_byte_s=read_s, idle_s=read_s)


def _or_never(limit_s: float | None) -> float:
    return float("inf") if limit_s is None else limit_s


def _to_httpx(error: GatewayError, request: httpx.Request) -> httpx.TransportError:
    text = error.cause or error.message
    match error:
        case UpstreamTimeout():
            return httpx.ReadTimeout(text, request=request)
        case NetworkError(sent=False):
            return httpx.ConnectError(text, request=request)
        case QueueFull():
            return httpx.PoolTimeout(text, request=request)
        case BadRequest():
            return httpx.LocalProtocolError(text, request=request)
        case _:
            return httpx.ReadError(text, request=request)


class HttpxUpstream:
    """An httpx client to one provider. Implements ``Upstream`` but for the second try on a stale connection.

    That is the caller's: httpx does not tell whether a byte of an answer had come. A connection that is known to be
    dead is not used, as with ours.

    Cookies, redirects and httpx's own headers are off. The environment is read where the configuration says so, and
    only when this is made.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        """Raises ConfigurationMissing for a proxy that is not fully described, or where the extra is not installed."""
        self._client = _client(settings.network, settings.proxy or ProxySettings())
        self._under_way = 0
        self._is_retired = False

    @asynccontextmanager
    async def open(self, request: UpstreamRequest, limits: Limits) -> AsyncIterator[UpstreamAnswer]:
        """As ``Upstream.open``. Also raises BadRequest if ``request`` cannot be written."""
        self._under_way += 1
        body: _RawBody | None = None
        try:
            begun_s = trio.current_time()
            response = await _send(self._client, request, limits)
            body = _RawBody(response)
            headers = tuple((name.lower(), value) for name, value in response.headers.raw)
            waited_s = trio.current_time() - begun_s
            yield Answer(body, response.status_code, headers, limits, waited_s)
        finally:
            self._under_way -= 1
            with trio.move_on_after(CLOSE_S, shield=True):
                if body is not None:
                    await body.aclose()
                if self._is_retired and not self._under_way:
                    await self._client.aclose()

    def retire(self) -> None:
        """As ``Upstream.retire``. httpx closes with awaits only: the last exchange does it, or a task of its own."""
        self._is_retired = True
        if not self._under_way:
            trio.lowlevel.spawn_system_task(self._close)

    async def _close(self) -> None:
        with trio.move_on_after(CLOSE_S, shield=True):
            try:
                await self._client.aclose()
            except Exception:  # noqa: BLE001  a system task's root: what is raised here ends the process
                # Nobody waits for these connections any more.
                return


class _RawBody:
    """A ``Source``: the body of an httpx response with its codings still on."""

    hang_up = None

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pieces = response.aiter_raw()
        self._piece: bytes | None = None
        self._has_ended = False

    def ready(self) -> bytes | None:
        piece, self._piece = self._piece, None
        return piece or (b"" if self._has_ended else None)

    async def wait(self) -> float:
        try:
            self._piece = await anext(self._pieces, None)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise _from_httpx(error) from error
        self._has_ended = self._piece is None
        return trio.current_time()

    async def aclose(self) -> None:
        # Beneath lie five generators one in another, and only what is thrown in the innermost ends them all.
        with trio.CancelScope() as scope, suppress(httpx.HTTPError):
            scope.cancel()
            async for _ in self._pieces:
                pass
        await self._response.aclose()


async def _send(
    client: httpx.AsyncClient, request: UpstreamRequest, limits: Limits
) -> httpx.Response:
    encode_head(request)  # only to refuse what cannot be written
    if request.origin.public_only:
        raise not_public("behind a proxy, or over HTTP/2, its address cannot be checked")
    is_connected = False
    with trio.CancelScope() as scope:
        scope.deadline = min(trio.current_time() + limits.connect_s, limits.deadline_s)

        def limit_answer() -> None:
            scope.deadline = min(trio.current_time() + limits.first_byte_s, limits.deadline_s)

        async def trace(event: str, _: dict[str, Any]) -> None:
            nonlocal is_connected
            await trio.lowlevel.checkpoint_if_cancelled()
            if event.endswith("send_request_headers.started"):
                is_connected = True
                limit_answer()
                if limits.on_sent is not None:
                    limits.on_sent()

        try:
            return await client.send(_to_request(request, trace, limit_answer), stream=True)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _from_httpx(error) from error
    if trio.current_time() >= limits.deadline_s:
        raise deadline_passed()
    raise (
        first_byte_timeout(limits.first_byte_s)
        if is_connected
        else connect_timeout(limits.connect_s)
    )


class _Sent(httpx.AsyncByteStream):
    """A payload for httpx. That the next block is asked for tells that the last one has been written."""

    def __init__(self, payload: Payload, progress: Callable[[], None]) -> None:
        self._payload = payload
        self._progress = progress

    async def __aiter__(self) -> AsyncIterator[bytes]:  # noqa: ASYNC900  the form that httpx asks for
        async for block in Outgoing(self._payload):
            yield block
            self._progress()


def _to_request(
    request: UpstreamRequest, trace: object, progress: Callable[[], None]
) -> httpx.Request:
    origin = request.origin
    url = httpx.URL(
        scheme=origin.scheme, host=origin.host, port=origin.port, raw_path=request.target
    )
    headers = [header for header in request.headers if header[0] not in OURS]
    content: bytes | _Sent
    if isinstance(request.body, bytes):
        content = request.body
    else:
        headers.append((b"content-length", b"%d" % request.body.size))
        content = _Sent(request.body, progress)
    return httpx.Request(
        request.method.decode(),
        url,
        headers=headers,
        content=content,
        extensions={"trace": trace},
    )


def _from_httpx(error: Exception) -> GatewayError:
    """Ours for theirs. Their texts stay behind: they may name a proxy with its password."""
    match error:
        case httpx.ConnectError() | httpx.ProxyError() | httpx.UnsupportedProtocol():
            return unconnected(_words(error))
        case httpx.LocalProtocolError() | httpx.InvalidURL():
            return bad_request(type(error).__name__)
        case _:
            return broken(_words(error))


def _words(error: BaseException) -> str:
    """The system's own words beneath an httpx error, or its name."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: certificate not accepted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = (
            cause.exceptions[0]
            if isinstance(cause, BaseExceptionGroup)
            else cause.__cause__ or cause.__context__
        )
    return type(error).__name__


def _client(network: NetworkSettings, settings: ProxySettings) -> httpx.AsyncClient:
    context = tls_context(network, more_ca_pem=settings.ca_cert_pem)
    try:
        return httpx.AsyncClient(
            verify=context,
            http2=network.enforce_http2,
            proxy=_proxy(settings, context),
            trust_env=settings.type == "environment",
            timeout=None,  # noqa: S113  limits are cancel scopes
            limits=httpx.Limits(
                max_connections=network.max_conns_per_host, keepalive_expiry=MAX_IDLE_S
            ),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
        )
    except ImportError as error:
        raise ConfigurationMissing(
            "HTTP/2 and SOCKS proxies need the extra `proxy`: pip install 'bifrost-trio[proxy]'"
        ) from error
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationMissing(
            "the proxy's address in the environment cannot be used"
        ) from error


def _proxy(settings: ProxySettings, context: ssl.SSLContext) -> httpx.Proxy | None:
    if settings.type in {"none", "environment"}:
        return None
    if (settings.username is None) != (settings.password is None):
        raise ConfigurationMissing("proxy_config: username and password go together")
    try:
        url = httpx.URL(settings.url or "")
    except httpx.InvalidURL as error:
        raise ConfigurationMissing("proxy_config.url is not a URL") from error
    schemes = PROXY_SCHEMES[settings.type]
    if url.scheme not in schemes or not url.host:
        expected = " or ".join(f"{scheme}://host:port" for scheme in schemes)
        raise ConfigurationMissing(
            f"proxy_config.url must be {expected} where type is {settings.type}"
        )
    auth = None
    if settings.username is not None and settings.password is not None:
        auth = (settings.username, settings.password.reveal())
    return httpx.Proxy(url, auth=auth, ssl_context=context if url.scheme == "https" else None)
