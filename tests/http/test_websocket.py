"""A WebSocket under a clock of the test's own: a wsproto client, the lane, and an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage

from bifrost.errors import BadRequest
from bifrost.http.answer import BadAnswer, ServerLines
from bifrost.http.head import parse_head
from bifrost.http.lane import Lane, Site
from bifrost.http.link import Link
from bifrost.http.watch import Limits
from bifrost.http.websocket import DRAINING, handshake_key

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = (
    b"GET /a%20b?q HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: WebSocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"sec-websocket-protocol: one, two\r\n\r\n"
)
LIMITS = Limits(message_bytes=100, ping_s=30.0, linger_s=2.0, write_stall_s=10.0)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says what it hears, ``bye`` closes."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": None, "headers": [(b"x-a", b"b")]})
    while (message := await receive())["type"] == "websocket.receive":
        if message["text"] == "bye":
            await send({"type": "websocket.close", "code": 1000, "reason": "bye"})
            return
        await send({**message, "type": "websocket.send"})
    await send({"type": "websocket.send", "text": "to nobody", "bytes": None})
    scope["state"]["codes"].append(message["code"])


@attrs.define(eq=False)
class Client:
    """The far end."""

    stream: Any
    site: Site
    defects: list[BaseException]
    hangs: list[bool]
    codes: list[int]
    wire: Connection = attrs.field(factory=lambda: Connection(ConnectionType.CLIENT))
    heard: list[Event] = attrs.field(factory=list)
    is_over: trio.Event = attrs.field(factory=trio.Event)

    async def upgrade(self, behind: bytes = b"") -> bytes:
        """The head that answers."""
        await self.stream.send_all(HELLO + behind)
        return await self.answer()

    async def answer(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = await self.stream.receive_some()
            assert piece, data
            data += piece
        head, rest = data.split(b"\r\n\r\n", 1)
        self.wire.receive_data(rest)
        self.heard += self.wire.events()
        return head + b"\r\n\r\n" + (rest if b" 101 " not in head else b"")

    async def say(self, *events: Event) -> None:
        await self.stream.send_all(b"".join(self.wire.send(event) for event in events))

    async def hear(self) -> Event:
        while not self.heard:
            data = await self.stream.receive_some()
            assert data
            self.wire.receive_data(data)
            self.heard += self.wire.events()
        return self.heard.pop(0)

    async def end(self) -> None:
        """Until the connection is closed by the other side."""
        while await self.stream.receive_some():
            pass
        await self.is_over.wait()


@pytest.fixture
def with_client(nursery: trio.Nursery) -> Callable[..., Client]:
    def opened(app: Any = echo, *, is_full: bool = False) -> Client:
        pair: Any = (
            trio.testing.lockstep_stream_pair if is_full else trio.testing.memory_stream_pair
        )
        near, far = pair()
        defects: list[BaseException] = []
        hangs: list[bool] = []
        codes: list[int] = []
        site = Site(
            app=app,
            on_defect=defects.append,
            wall_clock=lambda: 0.0,
            limits=LIMITS,
            lines=ServerLines(None, date=False),
            state={"codes": codes},
        )

        def hang_up(reset: bool) -> None:
            hangs.append(reset)
            near.send_stream.close()
            near.receive_stream.close()

        client = Client(far, site, defects, hangs, codes)

        async def run() -> None:
            assert await Lane(site, Link(stream=near, hang_up=hang_up)).run() == b""
            client.is_over.set()

        nursery.start_soon(site.watch.run)
        nursery.start_soon(run)
        return client

    return opened


async def test_the_upgrade(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "two", "headers": [(b"x-a", b"b")]})

    client = with_client(app)
    head = await client.upgrade()

    assert head == (
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"sec-websocket-protocol: two\r\nx-a: b\r\n"
        b"upgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
    )
    [scope] = scopes
    assert scope["type"] == "websocket"
    assert (scope["scheme"], scope["path"], scope["query_string"]) == ("ws", "/a b", b"q")
    assert scope["subprotocols"] == ["one", "two"]
    # An application that returns without a word of farewell.
    closed = await client.hear()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1000


@settings(deadline=None)
@given(
    texts=st.lists(st.one_of(st.text(max_size=20), st.binary(max_size=20)), max_size=6),
    cuts=st.lists(st.integers(1, 40), max_size=30),
    fragment=st.integers(1, 7),
)
def test_any_split_gives_the_same_messages(
    texts: list[str | bytes], cuts: list[int], fragment: int
) -> None:
    heard: list[str | bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            heard.append(message["bytes"] if message["text"] is None else message["text"])

    async def main() -> None:
        near, far = trio.testing.memory_stream_pair()
        defects: list[BaseException] = []
        site = Site(app=app, on_defect=defects.append, wall_clock=lambda: 0.0, limits=LIMITS)
        wire = Connection(ConnectionType.CLIENT)
        data = b"".join(fragments(wire, text, fragment) for text in texts)
        data = HELLO + data + wire.send(CloseConnection(1000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Lane(site, Link(stream=near, hang_up=lambda _: None)).run)
            at = 0
            for cut in [*cuts, len(data)]:
                await far.send_all(data[at : at + cut])
                at += cut
        assert not defects

    trio.run(main)
    assert heard == texts


def fragments(wire: Connection, whole: str | bytes, size: int) -> bytes:
    """``whole`` as one message of many frames."""
    kind: Any = TextMessage if isinstance(whole, str) else BytesMessage
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)] or [whole]
    last = len(pieces) - 1
    return b"".join(
        wire.send(kind(data=piece, message_finished=n == last)) for n, piece in enumerate(pieces)
    )


async def test_messages_and_a_close_of_ours(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.upgrade(bytes(client.wire.send(TextMessage("early"))))
    await client.say(BytesMessage(b"\xff"), Ping(b"p"), TextMessage("bye"), TextMessage("more"))

    heard = [await client.hear() for _ in range(4)]

    assert isinstance(heard[0], TextMessage)
    assert heard[0].data == "early"
    assert isinstance(heard[1], BytesMessage)
    assert heard[1].data == b"\xff"
    assert isinstance(heard[2], Pong)
    assert heard[3] == CloseConnection(1000, "bye")
    began_s = trio.current_time()
    await client.say(heard[3].response())
    await client.end()
    assert trio.current_time() - began_s < 1
    assert not client.defects


async def test_a_client_that_never_answers_a_close_is_not_waited_for(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.upgrade()
    await client.say(TextMessage("bye"))

    await client.end()

    assert 1 < trio.current_time() < 4


async def test_a_close_of_the_client_s(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.upgrade()
    await client.say(CloseConnection(4000, "enough"))

    assert await client.hear() == CloseConnection(4000, "enough")
    await client.end()
    assert client.codes == [4000]
    assert not client.defects


async def test_a_client_that_is_gone(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.upgrade()
    await client.stream.aclose()
    await client.is_over.wait()

    assert client.codes == [1006]


BREACHES: list[tuple[bytes, int]] = [
    (b"\x81\x82\0\0\0\0\xff\xfe", 1007),
    (b"\x81\x02hi", 1002),
    (b"\x83\x80\0\0\0\0", 1002),
    (b"\xc1\x80\0\0\0\0", 1002),
]


@pytest.mark.parametrize(("data", "code"), BREACHES)
async def test_breaches(
    with_client: Callable[..., Client],
    autojump_clock: trio.testing.MockClock,
    data: bytes,
    code: int,
) -> None:
    client = with_client()
    await client.upgrade()
    await client.stream.send_all(data + b"and whatever comes behind")

    closed = await client.hear()

    assert isinstance(closed, CloseConnection)
    assert closed.code == code
    await client.end()
    assert client.codes == [code]


@pytest.mark.parametrize("size", [1, 60, 101, 1000])
async def test_a_message_has_a_bound_whatever_it_is_made_of(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock, size: int
) -> None:
    client = with_client()
    await client.upgrade()
    await client.say(TextMessage("x" * 100))
    await client.say(
        *(TextMessage("x" * size, message_finished=False) for _ in range(101 // size + 1))
    )

    fits, closed = await client.hear(), await client.hear()

    assert isinstance(fits, Message)
    assert closed == CloseConnection(1009, "messages may have 100 bytes")
    await client.end()
    assert client.codes == [1009]


async def test_a_silent_client_is_asked_and_then_given_up(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client()
    await client.upgrade()

    for _ in range(3):
        ping = await client.hear()
        assert isinstance(ping, Ping)
        await client.say(ping.response())
    assert trio.current_time() == pytest.approx(90, abs=1)
    assert isinstance(await client.hear(), Ping)
    await client.is_over.wait()

    assert trio.current_time() == pytest.approx(150, abs=1)
    assert client.codes == [1006]
    assert client.hangs[0] is True


async def test_a_client_that_takes_nothing_is_hung_up_on(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    client = with_client(is_full=True)
    await client.upgrade()
    await client.say(TextMessage("x"))

    await client.is_over.wait()

    assert trio.current_time() < 20
    assert client.hangs[0] is True


async def test_frames_of_several_tasks_do_not_mix(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        async with trio.open_nursery() as nursery:
            for letter in "abc":
                message = {"type": "websocket.send", "text": letter * 100_000}
                nursery.start_soon(send, message)

    client = with_client(app, is_full=True)
    await client.upgrade()
    whole = ""
    while len(whole) < 300_000:
        event = await client.hear()
        assert isinstance(event, TextMessage)
        whole += event.data

    assert sorted({whole[at : at + 100_000] for at in (0, 100_000, 200_000)}) == [
        letter * 100_000 for letter in "abc"
    ]


async def test_the_application_hears_of_a_drain(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await scope["extensions"][DRAINING].wait()
        await send({"type": "websocket.close", "code": 1001})

    client = with_client(app)
    await client.upgrade()
    client.site.watch.drain()

    assert await client.hear() == CloseConnection(1001, "")


# Refusals


@pytest.mark.parametrize(
    ("line", "instead", "status"),
    [
        (b"version: 13", b"version: 8", 426),
        (b"sec-websocket-version: 13\r\n", b"", 426),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"*", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"", 400),
    ],
)
async def test_handshakes_that_are_none(
    with_client: Callable[..., Client],
    autojump_clock: trio.testing.MockClock,
    line: bytes,
    instead: bytes,
    status: int,
) -> None:
    hello = HELLO.replace(line, instead)
    client = with_client()
    await client.stream.send_all(hello)

    answer = await client.answer()

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b"sec-websocket-version: 13" in answer) == (status == 426)
    with pytest.raises(BadRequest):
        handshake_key(parse_head(hello))


async def test_an_application_may_refuse(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})

    client = with_client(app)
    answer = await client.upgrade()

    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answer.endswith(b"\r\n\r\nno")
    assert not client.defects


async def test_a_close_before_the_upgrade_refuses_it(
    with_client: Callable[..., Client], autojump_clock: trio.testing.MockClock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    answer = await with_client(app).upgrade()

    assert answer.startswith(b"HTTP/1.1 403 ")


START = {"type": "websocket.http.response.start", "status": 404, "headers": []}
PART = {"type": "websocket.http.response.body", "body": b"no", "more_body": True}
ACCEPT = {"type": "websocket.accept"}
SAY = {"type": "websocket.send", "text": "x"}
HEAR = {"type": "hear"}

DEFECTS: list[tuple[tuple[dict[str, Any], ...], bytes, type[Exception] | None]] = [
    ((), b"HTTP/1.1 500 ", None),
    ((SAY,), b"HTTP/1.1 500 ", BadAnswer),
    ((HEAR,), b"HTTP/1.1 500 ", BadAnswer),
    ((START, ACCEPT), b"HTTP/1.1 500 ", BadAnswer),
    ((START, PART), b"HTTP/1.1 404 ", None),
    ((START, PART, ACCEPT), b"HTTP/1.1 404 ", BadAnswer),
    ((ACCEPT, START), b"HTTP/1.1 101 ", BadAnswer),
    ((ACCEPT, ACCEPT), b"HTTP/1.1 101 ", BadAnswer),
    ((ACCEPT, {"type": "http.response.start"}), b"HTTP/1.1 101 ", BadAnswer),
]


@pytest.mark.parametrize(("messages", "head", "defect"), DEFECTS)
async def test_applications_that_do_not_keep_the_order(
    with_client: Callable[..., Client],
    autojump_clock: trio.testing.MockClock,
    messages: tuple[dict[str, Any], ...],
    head: bytes,
    defect: type[Exception] | None,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in messages:
            await (receive() if message is HEAR else send(message))

    client = with_client(app)
    answer = await client.upgrade()

    assert answer.startswith(head)
    if b" 101 " in head:
        closed = await client.hear()
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1011
    await client.is_over.wait()
    assert [type(each) for each in client.defects] == ([defect] if defect else [])
