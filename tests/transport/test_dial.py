from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trustme

from bifrost.config.settings import NetworkSettings
from bifrost.errors import BadRequest, ConfigurationMissing, NetworkError, StreamIdleTimeout
from bifrost.providers.base import Origin
from bifrost.quick_stream import QuickStream
from bifrost.transport.base import Limits, Patience
from bifrost.transport.dial import dial_with, is_public, tls_context
from bifrost.transport.pool import Connections, connections
from transport.lines import HELLO, Exchanges, Server, request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LIMITS = Limits(connect_s=5, first_byte_s=5, idle_s=5, deadline_s=float("inf"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def server_context(authority: trustme.CA, name: str = "localhost") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@contextlib.asynccontextmanager
async def serving(server: Server, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a real server on loopback."""

    async def serve(tcp: trio.SocketStream) -> None:
        stream = tcp if context is None else trio.SSLStream(tcp, context, server_side=True)
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await server(stream)
        tcp.socket.close()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@contextlib.contextmanager
def retiring(pool: Connections) -> Iterator[Connections]:
    try:
        yield pool
    finally:
        pool.retire()


async def ask(
    pool: Connections, port: int, *, scheme: str = "http", host: str = "127.0.0.1"
) -> bytes:
    async with pool.open(request(origin=Origin(scheme, host, port)), LIMITS) as answer:
        return await answer.read()


async def test_plain_connection_is_kept() -> None:
    async with serving(Exchanges([[HELLO]])) as port:
        with retiring(connections(NetworkSettings())) as pool:
            assert [await ask(pool, port) for _ in range(3)] == [b"hello"] * 3
            assert pool.statistics().created == 1

        assert pool.statistics().open == 0


async def test_connection_has_its_options() -> None:
    async with serving(Exchanges([[HELLO]])) as port:
        line = await dial_with(tls_context(NetworkSettings()))(Origin("http", "127.0.0.1", port))
        stream = line.stream
        assert isinstance(stream, QuickStream)
        got = {
            name: stream.socket.getsockopt(level, getattr(socket, name))
            for level, name in (
                (socket.IPPROTO_TCP, "TCP_NODELAY"),
                (socket.SOL_SOCKET, "SO_KEEPALIVE"),
                (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
                (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
                (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
            )
        }
        line.hang_up()

    assert got == {
        "TCP_NODELAY": 1,
        "SO_KEEPALIVE": 1,
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
    }


async def test_connection_the_upstream_has_closed_is_not_used_again() -> None:
    may_close = trio.Event()
    server = Exchanges([[HELLO]])

    async def serve(stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server, stream)
            await may_close.wait()
            nursery.cancel_scope.cancel()

    async with serving(serve) as port:
        origin = Origin("http", "127.0.0.1", port)
        with retiring(connections(NetworkSettings())) as pool:
            await ask(pool, port)
            wire = pool.lend_kept(origin, trio.current_time())
            assert wire is not None
            assert isinstance(wire.line.stream, QuickStream)
            may_close.set()
            await trio.lowlevel.wait_readable(wire.line.stream.socket)
            pool.take_back(origin, wire, is_reusable=True)

            assert pool.lend_kept(origin, trio.current_time()) is None
            assert pool.statistics().open == 0


@pytest.mark.parametrize("is_secure", [False, True])
async def test_silence_ends_when_somebody_looks(authority: trustme.CA, *, is_secure: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome"

    async def stall(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(head)
        await trio.sleep_forever()

    patience = Patience()
    limits = Limits(idle_s=60, patience=patience)
    context = server_context(authority) if is_secure else None
    async with serving(stall, context) as port, trio.open_nursery() as nursery:
        with retiring(connections(NetworkSettings(ca_cert_pem=pem(authority)))) as pool:
            asked = request(origin=Origin("https" if is_secure else "http", "localhost", port))
            async with pool.open(asked, limits) as answer:
                assert await answer.receive() == b"some"

                async def look() -> None:
                    await trio.testing.wait_all_tasks_blocked()
                    patience.look(trio.current_time() + 61)

                nursery.start_soon(look)
                with pytest.raises(StreamIdleTimeout):
                    await answer.receive()

            assert pool.statistics().open == 0


async def test_refusal_of_a_large_body_is_read() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"

    async def refuse(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(refusal)
        await trio.sleep_forever()

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    origin = Origin("http", *listeners[0].socket.getsockname())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(functools.partial(trio.serve_listeners, refuse, listeners))
        pool = connections(NetworkSettings())
        async with pool.open(request(b"x" * 50_000_000, origin=origin), LIMITS) as answer:
            assert (answer.status, await answer.read()) == (413, b"big")
        nursery.cancel_scope.cancel()

    assert pool.statistics().open == 0


async def test_refused_connection_is_told_without_more_words_than_needed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        with pytest.raises(NetworkError) as caught:
            await ask(connections(NetworkSettings()), port)

    assert not caught.value.sent
    assert caught.value.message.endswith("(DNS lookup, connection refused, etc.)")
    assert caught.value.cause is not None
    assert "refused" in caught.value.cause


@pytest.mark.parametrize("host", ["nosuch.invalid", "a" * 70, "x..y"])
async def test_name_that_does_not_exist_is_a_network_error(host: str) -> None:
    with pytest.raises(NetworkError) as caught:
        await ask(connections(NetworkSettings()), 80, host=host)

    assert not caught.value.sent


async def test_good_certificate_of_an_added_authority_is_accepted(authority: trustme.CA) -> None:
    settings = NetworkSettings(ca_cert_pem=pem(authority))

    async with serving(Exchanges([[HELLO]]), server_context(authority)) as port:
        with retiring(connections(settings)) as pool:
            answers = [await ask(pool, port, scheme="https", host="localhost") for _ in range(3)]

    assert answers == [b"hello"] * 3
    assert pool.statistics().created == 1


@pytest.mark.parametrize("issued_to", ["127.0.0.1", "localhost"])
async def test_tls_speaks_http_1_1_and_nothing_old(authority: trustme.CA, issued_to: str) -> None:
    context = tls_context(NetworkSettings(ca_cert_pem=pem(authority)))

    async with serving(Exchanges([[HELLO]]), server_context(authority, issued_to)) as port:
        line = await dial_with(context)(Origin("https", issued_to, port))
        stream = line.stream
        assert isinstance(stream, trio.SSLStream)
        agreed = stream.selected_alpn_protocol(), stream.version()
        line.hang_up()

    assert agreed == ("http/1.1", "TLSv1.3")
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


BAD: dict[str, tuple[str, bool, str]] = {
    "another name": ("other.test", True, "certificate not accepted"),
    "unknown authority": ("localhost", False, "certificate not accepted"),
}


@pytest.mark.parametrize(("name", "is_known", "words"), BAD.values(), ids=BAD)
async def test_bad_certificate_is_refused(
    authority: trustme.CA, name: str, is_known: bool, words: str
) -> None:
    server = Exchanges([[HELLO]])
    settings = NetworkSettings(ca_cert_pem=pem(authority) if is_known else "")

    async with serving(server, server_context(authority, name)) as port:
        pool = connections(settings)
        with pytest.raises(NetworkError) as caught:
            await ask(pool, port, scheme="https", host="localhost")

    assert words in (caught.value.cause or "")
    assert not caught.value.sent
    assert server.requests == []
    assert pool.statistics().open == 0


async def test_checks_can_be_turned_off(authority: trustme.CA) -> None:
    settings = NetworkSettings(insecure_skip_verify=True)

    async with serving(Exchanges([[HELLO]]), server_context(authority, "other.test")) as port:
        with retiring(connections(settings)) as pool:
            assert await ask(pool, port, scheme="https", host="localhost") == b"hello"


async def test_unread_record_behind_the_answer_spoils_the_connection(authority: trustme.CA) -> None:
    async def serve(tcp: trio.abc.Stream) -> None:
        held = Held(tcp)
        tls = trio.SSLStream(held, server_context(authority), server_side=True)
        await tls.receive_some()
        held.is_holding = True
        await tls.send_all(HELLO)
        await tls.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        await tcp.send_all(held.kept)
        await trio.sleep_forever()

    async with serving(serve) as port:
        with retiring(connections(NetworkSettings(ca_cert_pem=pem(authority)))) as pool:
            assert await ask(pool, port, scheme="https", host="localhost") == b"hello"
            assert await ask(pool, port, scheme="https", host="localhost") == b"hello"
            assert pool.statistics().created == 2


class Held(trio.abc.Stream):
    """Keeps back what is sent, so that two records leave in one piece."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.is_holding = False
        self.kept = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_holding:
            self.kept += data
        else:
            await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_upstream_that_speaks_no_tls_is_a_network_error() -> None:
    async def greet(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"220 ready\r\n")

    async with serving(greet) as port:
        with pytest.raises(NetworkError) as caught:
            await ask(connections(NetworkSettings()), port, scheme="https", host="localhost")

    assert "TLS" in (caught.value.cause or "")
    assert not caught.value.sent


@pytest.mark.parametrize("says_farewell", [True, False])
async def test_end_of_tls_without_farewell_is_a_cut(
    authority: trustme.CA, says_farewell: bool
) -> None:
    async def serve(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
        if says_farewell:
            await stream.aclose()

    pool = connections(NetworkSettings(ca_cert_pem=pem(authority)))
    async with serving(serve, server_context(authority)) as port:
        if says_farewell:
            assert await ask(pool, port, scheme="https", host="localhost") == b"hello"
        else:
            with pytest.raises(NetworkError):
                await ask(pool, port, scheme="https", host="localhost")


@pytest.mark.parametrize(
    "text", ["no certificate", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"]
)
def test_authority_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationMissing, match="ca_cert_pem"):
        connections(NetworkSettings(ca_cert_pem=text))


async def test_cancelled_handshake_leaves_no_socket_open() -> None:
    ended = trio.Event()

    async def listen(stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            started.set()
        ended.set()

    started = trio.Event()
    async with serving(listen) as port, trio.open_nursery() as nursery:
        pool = connections(NetworkSettings())
        nursery.start_soon(functools.partial(ask, pool, port, scheme="https", host="localhost"))
        await started.wait()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await ended.wait()

    assert pool.statistics().open == 0


# Hosts that callers name


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("20.42.0.1", True),
        ("2603:1030::1", True),
        ("127.0.0.1", False),
        ("127.1.2.3", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff0e::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b::142a:1", True),
        ("2002:a9fe:a9fe::1", False),
        ("2001:db8::1", False),
    ],
)
def test_which_addresses_can_be_somebody_elses(address: str, public: bool) -> None:
    assert is_public(address) is public


class Names(trio.abc.HostnameResolver):
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked = 0

    async def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        self.asked += 1
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.addresses
        ]

    async def getnameinfo(self, *args: Any) -> tuple[str, str]:
        raise NotImplementedError


def callers(port: int, host: str = "his.example") -> Origin:
    return Origin("http", host, port, public_only=True)


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("20.42.0.1", "127.0.0.1"), ("169.254.169.254", "20.42.0.1")]
)
async def test_a_callers_host_with_a_private_address_is_refused(addresses: tuple[str, ...]) -> None:
    server = Exchanges([[HELLO]])
    async with serving(server) as port:
        with retiring(connections(NetworkSettings())) as pool:
            trio.socket.set_custom_hostname_resolver(Names(*addresses))
            with pytest.raises(BadRequest, match="it leads to a private address") as caught:
                async with pool.open(request(origin=callers(port)), LIMITS):
                    pass
            assert caught.value.status == 400
            assert pool.statistics().open == 0
            assert server.requests == []


async def test_a_callers_literal_address_is_looked_at_too() -> None:
    async with serving(Exchanges([[HELLO]])) as port:
        with retiring(connections(NetworkSettings())) as pool:
            for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "::ffff:127.0.0.1"):
                with pytest.raises((BadRequest, NetworkError)):
                    async with pool.open(request(origin=callers(port, host)), LIMITS):
                        pass


async def test_a_kept_connection_of_ours_does_not_serve_a_caller() -> None:
    async with serving(Exchanges([[HELLO]])) as port:
        with retiring(connections(NetworkSettings())) as pool:
            assert await ask(pool, port) == b"hello"
            with pytest.raises(BadRequest, match="private address"):
                async with pool.open(request(origin=callers(port, "127.0.0.1")), LIMITS):
                    pass


def admitting() -> Connections:
    """A pool to which every address is public."""
    return Connections(dial_with(tls_context(NetworkSettings()), admits=lambda address: True))


async def test_what_is_connected_to_is_what_was_looked_at() -> None:
    async with serving(Exchanges([[HELLO]])) as port:
        with retiring(admitting()) as pool:
            names = Names("127.0.0.1")
            trio.socket.set_custom_hostname_resolver(names)
            async with pool.open(request(origin=callers(port)), LIMITS) as answer:
                assert await answer.read() == b"hello"
            assert names.asked == 1


async def test_a_callers_host_is_tried_at_each_of_its_addresses() -> None:
    async with serving(Exchanges([[HELLO]])) as port:
        with retiring(admitting()) as pool:
            trio.socket.set_custom_hostname_resolver(Names("127.0.0.2", "127.0.0.1"))
            async with pool.open(request(origin=callers(port)), LIMITS) as answer:
                assert await answer.read() == b"hello"
            trio.socket.set_custom_hostname_resolver(Names("127.0.0.2", "127.0.0.3"))
            with pytest.raises(NetworkError):
                async with pool.open(request(origin=callers(port, "x.example")), LIMITS):
                    pass
