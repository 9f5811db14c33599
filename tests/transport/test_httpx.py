from __future__ import annotations

import base64
import builtins
import gc
import gzip
import importlib
from typing import TYPE_CHECKING, Any, Literal

import attrs
import httpx
import pytest
import trio

from bifrost.config.secret import Secret
from bifrost.config.settings import NetworkSettings, ProviderSettings, ProxySettings
from bifrost.errors import (
    BadRequest,
    ConfigurationMissing,
    GatewayError,
    NetworkError,
    QueueFull,
    UpstreamTimeout,
)
from bifrost.providers.base import Origin
from bifrost.transport import faults
from bifrost.transport.base import Limits
from bifrost.transport.httpx import HttpxUpstream, LeanTransport
from bifrost.transport.pool import Connections
from transport.lines import CUT, HELLO, ORIGIN, Exchanges, Lines, request
from transport.test_dial import serving

if TYPE_CHECKING:
    from trio.testing import MockClock

    from bifrost.transport.wire import Line

LIMITS = Limits(connect_s=5, first_byte_s=5, idle_s=5)
PASSWORD = "hush-hush"


async def test_client_speaks_through_our_connections(nursery: trio.Nursery) -> None:
    server = Exchanges([[HELLO]])
    pool = Connections(Lines(nursery, server).dial)

    async with httpx.AsyncClient(transport=LeanTransport(pool)) as client:
        got = await client.post("http://upstream.test/v1/x?y=1", json={"a": 1})
        again = await client.get("http://upstream.test/v1/x")

    assert (got.status_code, got.text, again.text) == (200, "hello", "hello")
    assert server.requests[0].startswith(b"POST /v1/x?y=1 HTTP/1.1\r\nhost: upstream.test\r\n")
    assert server.requests[0].endswith(b'{"a":1}')
    assert pool.statistics().created == 1
    assert pool.statistics().open == 0


async def test_client_gets_unpacked_bodies(nursery: trio.Nursery) -> None:
    packed = gzip.compress(b"hello" * 100)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    pool = Connections(Lines(nursery, Exchanges([[head + packed]])).dial)

    async with httpx.AsyncClient(transport=LeanTransport(pool)) as client:
        got = await client.get("http://upstream.test/")

    assert got.content == b"hello" * 100


async def test_stream_left_early_closes_the_connection(nursery: trio.Nursery) -> None:
    lines = Lines(nursery, Exchanges([[HELLO[:-1]]]))
    pool = Connections(lines.dial)

    async with (
        httpx.AsyncClient(transport=LeanTransport(pool)) as client,
        client.stream("GET", "http://upstream.test/") as got,
    ):
        assert got.status_code == 200

    assert lines.hung_up == [0]


async def test_client_sees_a_cut_body(nursery: trio.Nursery) -> None:
    pool = Connections(Lines(nursery, Exchanges([[HELLO[:-1], CUT]])).dial)

    async with httpx.AsyncClient(transport=LeanTransport(pool)) as client:
        with pytest.raises(httpx.ReadError):
            await client.get("http://upstream.test/")


@pytest.mark.parametrize(
    ("given", "after_s"), [(httpx.Timeout(7.0), 7.0), (httpx.Timeout(None), 50.0)]
)
async def test_clients_timeouts_are_kept(
    nursery: trio.Nursery, autojump_clock: MockClock, given: httpx.Timeout, after_s: float
) -> None:
    pool = Connections(Lines(nursery, Exchanges([[50.0, CUT]])).dial)

    async with httpx.AsyncClient(transport=LeanTransport(pool), timeout=given) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("http://upstream.test/")

    assert trio.current_time() == pytest.approx(after_s)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (faults.connect_timeout(1), httpx.ReadTimeout),
        (faults.unconnected("x"), httpx.ConnectError),
        (faults.broken("x"), httpx.ReadError),
        (faults.bad_request("x"), httpx.LocalProtocolError),
        (QueueFull("x"), httpx.PoolTimeout),
    ],
)
async def test_client_sees_httpx_errors(ours: GatewayError, theirs: type[Exception]) -> None:
    async def fail(_: Origin) -> Line:
        await trio.lowlevel.checkpoint()
        raise ours

    async with httpx.AsyncClient(transport=LeanTransport(Connections(fail))) as client:
        with pytest.raises(theirs):
            await client.get("http://upstream.test/")


def settings_for(
    kind: Literal["none", "http", "socks5", "environment"] = "none",
    url: str | None = None,
    *,
    username: str | None = None,
    password: str | None = None,
    network: NetworkSettings | None = None,
) -> ProviderSettings:
    secret = None if password is None else Secret(password)
    proxy = ProxySettings(type=kind, url=url, username=username, password=secret)
    return ProviderSettings(name="p", proxy=proxy, network=network or NetworkSettings())


async def ask(upstream: HttpxUpstream, origin: Origin = ORIGIN, limits: Limits = LIMITS) -> bytes:
    async with upstream.open(request(origin=origin), limits) as answer:
        return await answer.read()


async def test_request_goes_through_the_proxy_with_its_credentials() -> None:
    server = Exchanges([[HELLO]])

    async with serving(server) as port:
        upstream = HttpxUpstream(
            settings_for("http", f"http://127.0.0.1:{port}", username="u", password=PASSWORD)
        )
        assert [await ask(upstream) for _ in range(2)] == [b"hello"] * 2
        await retire(upstream)

    head = server.requests[0].lower()
    assert head.startswith(b"post http://upstream.test/v1/x http/1.1\r\n")
    assert (
        b"proxy-authorization: basic " + base64.b64encode(f"u:{PASSWORD}".encode()).lower() in head
    )
    assert b"user-agent" not in head
    assert b"accept-encoding" not in head


async def retire(upstream: HttpxUpstream) -> None:
    upstream.retire()
    await trio.testing.wait_all_tasks_blocked()


async def test_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Exchanges([[HELLO]])

    async with serving(server) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.test")
        upstream = HttpxUpstream(settings_for("environment"))
        assert await ask(upstream) == b"hello"
        await retire(upstream)

    assert server.requests[0].startswith(b"POST http://upstream.test/v1/x")


async def test_answer_is_as_from_our_own() -> None:
    packed = gzip.compress(b"hello")
    moved = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nSet-Cookie: a=b\r\nContent-Encoding: gzip\r\n"
    server = Exchanges([[moved + b"Content-Length: %d\r\n\r\n" % len(packed) + packed]])

    async with serving(server) as port:
        upstream = HttpxUpstream(settings_for())
        origin = Origin("http", "127.0.0.1", port)
        for _ in range(2):
            async with upstream.open(request(origin=origin), LIMITS) as answer:
                assert (answer.status, await answer.read()) == (302, b"hello")
                assert answer.headers == ((b"location", b"/x"), (b"set-cookie", b"a=b"))
        await retire(upstream)

    assert len(server.requests) == 2
    assert b"cookie" not in server.requests[1].lower()


FAULTS: dict[str, tuple[list[bytes | float], type[GatewayError]]] = {
    "no answer": ([CUT], NetworkError),
    "no HTTP": ([b"220 ready\r\n\r\n", CUT], NetworkError),
    "cut body": ([HELLO[:-1], CUT], NetworkError),
}


@pytest.mark.parametrize(("script", "kind"), FAULTS.values(), ids=FAULTS)
async def test_misbehaviour_is_a_typed_error(
    script: list[bytes | float], kind: type[GatewayError]
) -> None:
    async with serving(Exchanges([script])) as port:
        upstream = HttpxUpstream(settings_for())
        with pytest.raises(kind) as caught:
            await ask(upstream, Origin("http", "127.0.0.1", port))
        await retire(upstream)

    assert caught.value.message == "failed to execute HTTP request to provider API"


async def test_silence_before_the_head_is_a_timeout(autojump_clock: MockClock) -> None:
    upstream = upstream_over(sleepy)

    with pytest.raises(UpstreamTimeout, match="default_request_timeout_in_seconds"):
        await ask(upstream)

    assert trio.current_time() == pytest.approx(1 + 5)


async def test_silence_while_connecting_is_a_timeout(autojump_clock: MockClock) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await trio.sleep_forever()
        raise AssertionError

    with pytest.raises(UpstreamTimeout, match="connect_timeout_s"):
        await ask(upstream_over(never))


async def test_deadline_is_a_timeout_of_its_own(autojump_clock: MockClock) -> None:
    with pytest.raises(UpstreamTimeout, match="total_timeout_s"):
        await ask(upstream_over(sleepy), limits=Limits(deadline_s=trio.current_time() + 2))


async def sleepy(asked: httpx.Request) -> httpx.Response:
    await trio.sleep(1)
    await asked.extensions["trace"]("http11.send_request_headers.started", {})
    await trio.sleep_forever()
    raise AssertionError


def upstream_over(handler: Any) -> HttpxUpstream:
    upstream = HttpxUpstream(settings_for())
    upstream._client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    return upstream


ERRORS: list[tuple[Exception, type[GatewayError], str]] = [
    (httpx.ConnectError("All connection attempts failed"), NetworkError, "ConnectError"),
    (httpx.ProxyError(f"407 for {PASSWORD}"), NetworkError, "ProxyError"),
    (httpx.ReadError(""), NetworkError, "ReadError"),
    (httpx.RemoteProtocolError(f"{PASSWORD}"), NetworkError, "RemoteProtocolError"),
    (httpx.LocalProtocolError(""), BadRequest, "LocalProtocolError"),
]


@pytest.mark.parametrize(
    ("theirs", "ours", "cause"), ERRORS, ids=lambda value: type(value).__name__
)
async def test_foreign_errors_become_ours(
    theirs: Exception, ours: type[GatewayError], cause: str
) -> None:
    async def fail(_: httpx.Request) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        raise theirs

    with pytest.raises(ours) as caught:
        await ask(upstream_over(fail))

    assert caught.value.cause == cause


async def test_system_words_are_found_beneath_foreign_errors() -> None:
    upstream = HttpxUpstream(settings_for("http", "http://127.0.0.1:1"))

    with pytest.raises(NetworkError) as caught:
        await ask(upstream)

    assert not caught.value.sent
    assert "refused" in (caught.value.cause or "")


async def test_request_that_cannot_be_written_is_refused() -> None:
    upstream = HttpxUpstream(settings_for())

    with pytest.raises(BadRequest):
        async with upstream.open(request(headers=((b"a", b"b\r\nc: d"),)), LIMITS):
            pytest.fail("it was opened")


async def test_a_callers_host_is_not_asked_past_what_can_be_checked() -> None:
    upstream = HttpxUpstream(settings_for())

    with pytest.raises(BadRequest, match="its address cannot be checked"):
        await ask(upstream, attrs.evolve(ORIGIN, public_only=True))

    await retire(upstream)


async def test_answer_left_early_leaves_nothing_behind() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(Exchanges([[head + b"5\r\nhello\r\n"]])) as port:
        upstream = HttpxUpstream(settings_for())
        async with upstream.open(
            request(origin=Origin("http", "127.0.0.1", port)), LIMITS
        ) as answer:
            assert await answer.receive() == b"hello"
        gc.collect()
        await retire(upstream)

    assert upstream._client.is_closed


async def test_retired_upstream_ends_with_its_last_answer() -> None:
    async with serving(Exchanges([[HELLO]])) as port:
        upstream = HttpxUpstream(settings_for())
        async with upstream.open(
            request(origin=Origin("http", "127.0.0.1", port)), LIMITS
        ) as answer:
            upstream.retire()
            assert await answer.read() == b"hello"
            assert not upstream._client.is_closed

    assert upstream._client.is_closed


WRONG: list[tuple[ProviderSettings, str]] = [
    (settings_for("http"), "must be http://host:port"),
    (settings_for("http", "socks5://h:1"), "must be http://host:port"),
    (settings_for("socks5", "http://h:1"), "must be socks5://host:port"),
    (settings_for("http", "h:1"), "must be http://host:port"),
    (settings_for("http", "http://h:port"), "not a URL"),
    (settings_for("http", "http://h:1", username="u"), "go together"),
    (settings_for("http", "http://h:1", password=PASSWORD), "go together"),
]


@pytest.mark.parametrize(("settings", "words"), WRONG)
def test_proxy_that_is_not_fully_described_is_refused(
    settings: ProviderSettings, words: str
) -> None:
    with pytest.raises(ConfigurationMissing, match=words) as caught:
        HttpxUpstream(settings)

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("package", ["h2", "socksio"])
def test_missing_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (
        settings_for(network=NetworkSettings(enforce_http2=True))
        if package == "h2"
        else settings_for("socks5", "socks5://h:1")
    )
    importlib.import_module("httpcore")  # whole, before the package is gone
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(ConfigurationMissing, match="extra `proxy`"):
        HttpxUpstream(settings)


def test_installed_extras_are_used() -> None:
    HttpxUpstream(settings_for(network=NetworkSettings(enforce_http2=True)))
    HttpxUpstream(settings_for("socks5", "socks5h://h:1", username="u", password=PASSWORD))
    HttpxUpstream(settings_for("http", "https://h:1"))


def test_proxy_in_the_environment_that_makes_no_sense_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://h:1")

    with pytest.raises(ConfigurationMissing, match="environment"):
        HttpxUpstream(settings_for("environment"))
