"""The whole server on loopback: its doors, its lifespan, its end, and what it leaves to hypercorn."""

from __future__ import annotations

import gc
import logging
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
import trio
import trio.testing
import trustme
from h2.connection import H2Connection
from h2.events import DataReceived, Event, StreamEnded
from hypercorn.config import Config
from hypercorn.utils import LifespanFailureError
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Request, TextMessage

from bifrost.http.lane import Site
from bifrost.http.server import BREATH_S, Server, _Door, serve
from bifrost.http.watch import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GET = b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
LAST = b"GET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
PATIENCE_S = 10.0


class App:
    """Says what it was asked; ``/slow`` begins and waits for ``may_end``. Its lifespan leaves marks in ``life``."""

    def __init__(self) -> None:
        self.life: list[str] = []
        self.may_end = trio.Event()
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any, *_: Any) -> None:
        self.scopes.append(scope)
        match scope["type"]:
            case "lifespan":
                await self._live(scope, receive, send)
            case "websocket":
                await self._talk(receive, send)
            case _:
                await self._answer(scope, send)

    async def _live(self, scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["began"] = True
        self.life.append("began")
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        self.life.append("ended")
        await send({"type": "lifespan.shutdown.complete"})

    async def _talk(self, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": f"heard {message['text']}"})
        await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Any, send: Any) -> None:
        version = scope["http_version"].encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/slow":
            await send({"type": "http.response.body", "body": b"slow", "more_body": True})
            await self.may_end.wait()
        await send({"type": "http.response.body", "body": b"over " + version})


@attrs.define(eq=False)
class House:
    """A server that runs."""

    app: App
    url: str
    shutdown: trio.Event
    defects: list[BaseException]
    is_over: trio.Event
    scope: trio.CancelScope

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def says(self, data: bytes) -> bytes:
        """What comes back on a connection of its own until it ends."""
        async with await self.connect() as stream:
            await stream.send_all(data)
            return await hears_all(stream)


async def hears_all(stream: trio.abc.ReceiveStream) -> bytes:
    with trio.fail_after(PATIENCE_S):
        return b"".join([bytes(piece) async for piece in stream])


async def hears(stream: trio.abc.ReceiveStream, until: bytes) -> bytes:
    heard = b""
    with trio.fail_after(PATIENCE_S):
        while until not in heard:
            data = await stream.receive_some()
            assert data, heard
            heard += data
    return heard


def settings(**changes: Any) -> Config:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = 5.0
    for name, value in changes.items():
        setattr(config, name, value)
    return config


@asynccontextmanager
async def serving(
    app: Any = None, limits: Limits | None = None, **changes: Any
) -> AsyncIterator[House]:
    """A server while the block runs; after it, drained and gone."""
    app = App() if app is None else app
    shutdown, is_over = trio.Event(), trio.Event()
    defects: list[BaseException] = []
    scope = trio.CancelScope()

    async def run(task_status: trio.TaskStatus[list[str]]) -> None:
        with scope:
            await serve(
                app,
                settings(**changes),
                shutdown,
                limits=limits,
                on_defect=defects.append,
                task_status=task_status,
            )
        is_over.set()

    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(run)
        yield House(app, url, shutdown, defects, is_over, scope)
        shutdown.set()
        with trio.fail_after(PATIENCE_S):
            await is_over.wait()


# Requests


async def test_a_request_is_answered() -> None:
    async with serving() as house:
        heard = await house.says(LAST)

    assert heard.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert b"\r\nserver: bifrost\r\n" in heard
    assert heard.endswith(b"\r\n\r\nover 1.1")
    assert not house.defects


async def test_the_servers_own_lines_may_be_left_out() -> None:
    async with serving(include_date_header=False, include_server_header=False) as house:
        heard = await house.says(LAST)

    assert b"date:" not in heard
    assert b"server:" not in heard


async def test_many_requests_share_a_connection() -> None:
    async with serving() as house, httpx.AsyncClient() as client:
        first = await client.get(house.url)
        second = await client.get(house.url)

    assert (first.text, second.text) == ("over 1.1", "over 1.1")
    requests = [each for each in house.app.scopes if each["type"] == "http"]
    assert len({each["client"] for each in requests}) == 1
    assert requests[0]["server"] == ("127.0.0.1", house.port)


async def test_what_the_lifespan_kept_is_there_for_requests() -> None:
    async with serving() as house:
        await house.says(LAST)
        assert house.app.life == ["began"]

    assert house.app.scopes[1]["state"] == {"began": True}
    assert house.app.life == ["began", "ended"]


async def test_a_defect_is_told_and_others_hear_nothing_of_it() -> None:
    async def broken(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        if scope["type"] == "lifespan":
            return
        raise ValueError

    async with serving(broken) as house:
        for _ in range(2):
            assert (await house.says(GET)).startswith(b"HTTP/1.1 500 ")

    assert [type(each) for each in house.defects] == [ValueError, ValueError]


async def test_a_defect_in_the_connection_itself_is_told_too() -> None:
    def no_clock() -> float:
        raise ZeroDivisionError

    async def answer(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        raise ValueError

    defects: list[BaseException] = []
    site = Site(app=answer, on_defect=defects.append, wall_clock=no_clock)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(_run_server, Server(site, settings()), stop)
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rsplit(":", 1)[1]))
        async with stream:
            await stream.send_all(GET)
            with pytest.raises(trio.BrokenResourceError):
                await hears_all(stream)
        stop.set()

    assert isinstance(defects[0], ValueError)
    assert isinstance(defects[1], ExceptionGroup)
    assert defects[1].subgroup(ZeroDivisionError) is not None


async def _run_server(
    server: Server, stop: trio.Event, task_status: trio.TaskStatus[list[str]]
) -> None:
    await server.run(stop.wait, task_status)


async def test_defects_go_to_the_log_unless_told_otherwise(caplog: Any) -> None:
    async def broken(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        if scope["type"] != "lifespan":
            raise ValueError("seen")

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(serve, broken, settings(), stop.wait)
        stream = await trio.open_tcp_stream("127.0.0.1", int(url.rsplit(":", 1)[1]))
        async with stream:
            await stream.send_all(GET)
            await hears_all(stream)
        stop.set()

    (line,) = [each for each in caplog.records if each.name == "bifrost.http"]
    assert line.levelno == logging.ERROR
    assert line.exc_info[0] is ValueError


async def test_a_client_that_leaves_at_once_is_no_defect() -> None:
    async with serving() as house:
        for _ in range(3):
            stream = await house.connect()
            await stream.aclose()
        assert (await house.says(LAST)).endswith(b"over 1.1")

    assert not house.defects


# Doors


async def test_beyond_the_bound_nobody_is_let_in_until_one_has_left() -> None:
    async with serving(limits=Limits(connections=1)) as house:
        first = await house.connect()
        await first.send_all(GET)
        await hears(first, b"over 1.1")
        async with await house.connect() as second:
            await second.send_all(LAST)
            with trio.move_on_after(0.05) as waited:
                await second.receive_some()
            assert waited.cancelled_caught

            await first.aclose()

            assert (await hears_all(second)).endswith(b"over 1.1")


# hypercorn leaves a socket that it could not bind to the collector, who says so: here, then, and not in a later test.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_port_that_is_taken_is_told() -> None:
    async with serving() as house:
        with pytest.RaisesGroup(OSError, flatten_subgroups=True):
            await serve(App(), settings(bind=[f"127.0.0.1:{house.port}"]), trio.Event())
    gc.collect()


async def test_quic_is_not_served() -> None:
    with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
        await serve(App(), settings(quic_bind=["127.0.0.1:0"]), trio.Event())


async def test_several_doors() -> None:
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        binds = settings(bind=["127.0.0.1:0", "127.0.0.1:0"])
        urls = await nursery.start(serve, App(), binds, stop)
        for url in urls:
            async with httpx.AsyncClient() as client:
                assert (await client.get(url)).text == "over 1.1"
        stop.set()

    assert len(set(urls)) == 2


async def test_no_more_files_is_told_and_tried_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Full:
        tries = 0

        async def accept(self) -> trio.SocketStream:
            await trio.lowlevel.checkpoint()
            self.tries += 1
            raise OSError(24, "Too many open files")

    full = Full()
    defects: list[BaseException] = []
    server = Server(Site(app=App(), on_defect=defects.append, wall_clock=lambda: 0.0), settings())
    async with trio.open_nursery() as nursery:
        door: Any = _Door(full, None, "http://full")  # type: ignore[arg-type]  # a listener, as far as used
        nursery.start_soon(server._accept, door, nursery)
        await trio.sleep(BREATH_S * 3.5)
        nursery.cancel_scope.cancel()

    assert full.tries == len(defects) == 4


# Lifespan


async def test_an_application_without_lifespan_is_served() -> None:
    async def plain(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("none")
        await App()(scope, receive, send)

    async with serving(plain) as house:
        assert (await house.says(LAST)).endswith(b"over 1.1")


async def test_an_application_that_fails_to_start_is_not_served() -> None:
    async def failing(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.RaisesGroup(LifespanFailureError, flatten_subgroups=True):
        await serve(failing, settings(), trio.Event())


# The end


async def test_what_runs_has_its_time_and_the_idle_have_none() -> None:
    async with serving() as house:
        idle, slow = await house.connect(), await house.connect()
        async with idle, slow:
            await idle.send_all(GET)
            await hears(idle, b"over 1.1")
            await slow.send_all(GET.replace(b"/a", b"/slow"))
            await hears(slow, b"slow")

            house.shutdown.set()

            assert await hears_all(idle) == b""
            assert not house.is_over.is_set()
            with pytest.raises(OSError, match="connect"):
                await house.connect()
            assert house.app.life == ["began"]
            house.app.may_end.set()
            assert (await hears_all(slow)).endswith(b"over 1.1\r\n0\r\n\r\n")
    assert house.app.life == ["began", "ended"]


async def test_who_is_late_is_cut_off() -> None:
    async with serving(graceful_timeout=0.05) as house, await house.connect() as slow:
        await slow.send_all(GET.replace(b"/a", b"/slow"))
        await hears(slow, b"slow")

        house.shutdown.set()

        with pytest.raises(trio.BrokenResourceError):
            await hears_all(slow)
    assert house.app.life == ["began", "ended"]
    assert not house.defects


async def test_cancelled_it_leaves_no_door_open() -> None:
    async with serving() as house, await house.connect() as stream:
        await stream.send_all(GET)
        await hears(stream, b"over 1.1")

        house.scope.cancel()

        await house.is_over.wait()
        with pytest.raises(OSError, match="connect"):
            await house.connect()


# Other protocols


async def test_http_2_with_prior_knowledge_is_left_to_hypercorn() -> None:
    async with serving() as house, httpx.AsyncClient(http1=False, http2=True) as client:
        answer = await client.get(house.url + "/a")
        again = await client.get(house.url + "/a")

    assert (answer.http_version, answer.text, again.text) == ("HTTP/2", "over 2", "over 2")
    assert not house.defects


async def test_http_2_has_its_time_at_the_end_too() -> None:
    """By hand: httpx takes the server's word that it ends (GOAWAY) for the end."""
    talk = H2Connection()
    talk.initiate_connection()
    talk.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "/slow"), (":authority", "h")], end_stream=True)  # fmt: skip
    async with serving() as house, await house.connect() as stream:

        async def hear(until: type[Event]) -> bytes:
            heard = b""
            with trio.fail_after(PATIENCE_S):
                while True:
                    events = talk.receive_data(bytes(await stream.receive_some()))
                    heard += b"".join(e.data for e in events if isinstance(e, DataReceived))
                    if any(isinstance(each, until) for each in events):
                        return heard

        await stream.send_all(talk.data_to_send())
        assert await hear(DataReceived) == b"slow"

        house.shutdown.set()

        await trio.testing.wait_all_tasks_blocked()
        assert not house.is_over.is_set()
        house.app.may_end.set()
        assert await hear(StreamEnded) == b"over 2"


async def test_http_2_that_is_late_is_cut_off() -> None:
    async with (
        serving(graceful_timeout=0.05) as house,
        httpx.AsyncClient(http1=False, http2=True) as client,
    ):
        with pytest.raises(httpx.TransportError):
            async with client.stream("GET", house.url + "/slow") as answer:
                parts = answer.aiter_text()
                assert await anext(parts) == "slow"
                house.shutdown.set()
                [part async for part in parts]


async def test_a_websocket() -> None:
    async with serving() as house, await house.connect() as stream:
        await talks(stream)

    assert house.app.scopes[-1]["state"] == {"began": True}
    assert not house.defects


async def talks(stream: trio.abc.Stream) -> None:
    """Have a word with ``App`` over WebSocket, to a good end."""
    talk = WSConnection(ConnectionType.CLIENT)
    events: list[object] = []
    await stream.send_all(talk.send(Request("h", "/ws")))
    with trio.fail_after(PATIENCE_S):
        while not any(isinstance(each, CloseConnection) for each in events):
            talk.receive_data(bytes(await stream.receive_some()))
            for event in talk.events():
                events.append(event)
                if isinstance(event, AcceptConnection):
                    await stream.send_all(talk.send(TextMessage("you")))
                if isinstance(event, CloseConnection):
                    await stream.send_all(talk.send(event.response()))

    assert [type(each) for each in events] == [AcceptConnection, TextMessage, CloseConnection]
    assert isinstance(events[1], TextMessage)
    assert events[1].data == "heard you"


async def test_an_upgrade_may_follow_a_request() -> None:
    upgrade = (
        b"GET /ws HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    async with serving() as house, await house.connect() as stream:
        await stream.send_all(GET + upgrade)

        heard = await hears(stream, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"over 1.1HTTP/1.1 101 " in heard


# TLS


@attrs.frozen
class Papers:
    """A server's certificate on disk, and what a client needs to believe it."""

    certfile: str
    keyfile: str
    authority: trustme.CA

    def context(self) -> ssl.SSLContext:
        """A new one each time: httpx writes into what it is given."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    folder: Path = tmp_path_factory.mktemp("papers")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return Papers(str(folder / "cert.pem"), str(folder / "key.pem"), authority)


@pytest.mark.parametrize(("http2", "version"), [(False, "1.1"), (True, "2")])
async def test_tls_speaks_what_was_agreed_on(papers: Papers, http2: bool, version: str) -> None:
    async with (
        serving(certfile=papers.certfile, keyfile=papers.keyfile) as house,
        httpx.AsyncClient(verify=papers.context(), http2=http2) as client,
    ):
        answer = await client.get(house.url)

    assert house.url.startswith("https://127.0.0.1:")
    assert answer.text == f"over {version}"
    assert house.app.scopes[1]["scheme"] == "https"
    assert not house.defects


async def test_who_does_not_get_through_the_handshake_is_no_defect(papers: Papers) -> None:
    files: dict[str, Any] = {"certfile": papers.certfile, "keyfile": papers.keyfile}
    async with serving(**files, ssl_handshake_timeout=0.05) as house:
        with pytest.raises((trio.BrokenResourceError, AssertionError)):
            assert await house.says(GET)
        async with await house.connect() as silent:
            assert await hears_all(silent) == b""

    assert not house.defects


async def test_over_tls_too_a_cut_is_no_end(papers: Papers) -> None:
    files: dict[str, Any] = {"certfile": papers.certfile, "keyfile": papers.keyfile}
    async with serving(**files, graceful_timeout=0.05) as house:
        stream = trio.SSLStream(
            await house.connect(), papers.context(), server_hostname="127.0.0.1"
        )
        await stream.send_all(GET.replace(b"/a", b"/slow"))
        await hears(stream, b"slow")

        house.shutdown.set()

        with pytest.raises(trio.BrokenResourceError):
            await hears_all(stream)
        await trio.aclose_forcefully(stream)


async def test_a_websocket_over_tls(papers: Papers) -> None:
    files: dict[str, Any] = {"certfile": papers.certfile, "keyfile": papers.keyfile}
    async with serving(**files) as house:
        stream = trio.SSLStream(
            await house.connect(), papers.context(), server_hostname="127.0.0.1"
        )
        async with stream:
            await talks(stream)

    assert house.app.scopes[-1]["scheme"] == "wss"
    assert not house.defects
