"""One connection of Responses under a clock of the test's own: bounds, turns and farewells. The wire is tested elsewhere."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
import trio.testing

from bifrost.config.settings import ClientSettings, Config, ProviderSettings
from bifrost.errors import BadRequest, InternalError, NetworkError, Overloaded, RouteNotFound
from bifrost.http.doors import Doors, compile_views
from bifrost.http.responses_socket import IDLE_S, MAX_REFUSALS, WAITING, ResponsesDoor, Talk
from bifrost.http.websocket import DRAINING
from bifrost.integrations import native, openai
from bifrost.integrations.finder import Finder
from bifrost.schema.call import Call
from bifrost.service import Began, Chunk, Event, Failed, Finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


DELTA = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta"}\n\n'
DONE = b'event: response.completed\ndata: {"type":"response.completed"}\n\n'
FINDER = Finder.of((*openai.ROUTES, *native.ROUTES))


@attrs.define(eq=False)
class House:
    """A service that answers with ``events``, after ``may_answer``; and both ends of a connection."""

    events: list[Event]
    calls: list[Call] = attrs.field(factory=list)
    ended: int = 0
    may_answer: trio.Event = attrs.field(factory=trio.Event)
    draining: trio.Event = attrs.field(factory=trio.Event)
    said: list[dict[str, Any]] = attrs.field(factory=list)
    inbox: Any = attrs.field(factory=lambda: trio.open_memory_channel[Any](10_000))

    @property
    def told(self) -> list[Any]:
        return [json.loads(message["text"]) for message in self.said if "text" in message]

    @asynccontextmanager
    async def service(self, call: Call) -> AsyncIterator[Any]:
        self.calls.append(call)
        if call.target.model == "shed":
            raise Overloaded("too much")
        try:
            yield Exchange(self, list(self.events))
        finally:
            self.ended += 1

    def create(self, **members: Any) -> None:
        whole = {"type": "response.create", "model": "openai/m", "input": "x", **members}
        self.hear(json.dumps(whole))

    def hear(self, text: str | None, data: bytes | None = None) -> None:
        self.inbox[0].send_nowait({"type": "websocket.receive", "text": text, "bytes": data})

    def go(self) -> None:
        self.inbox[0].send_nowait({"type": "websocket.disconnect", "code": 1006})

    async def run(self, talk: Talk) -> None:
        async def send(message: Any) -> None:
            await trio.lowlevel.checkpoint()
            self.said.append(message)

        await talk.run(self.inbox[1].receive, send)


@attrs.define(eq=False)
class Exchange:
    house: House
    events: list[Event]

    def receive_nowait(self) -> Event | None:
        return None

    async def receive(self) -> Event:
        await self.house.may_answer.wait()
        return self.events.pop(0)


def scope_of(house: House, path: str = "/v1/responses", **more: Any) -> Any:
    return {
        "path": path,
        "http_version": "1.1",
        "headers": [(b"sec-websocket-key", b"k"), (b"x-bf-eh-a", b"b")],
        "client": ("127.0.0.1", 1),
        "extensions": {DRAINING: house.draining},
        **more,
    }


def door_of(house: House, **client: Any) -> ResponsesDoor:
    providers = {"openai": ProviderSettings(name="openai")}
    doors = Doors(compile_views(Config(client=ClientSettings(**client), providers=providers)))
    return ResponsesDoor(FINDER, doors, house.service)


@pytest.fixture
def house() -> House:
    target: Any = None
    began = Began(headers=(), target=target, overhead_s=0)
    return House([began, Chunk(DELTA + DELTA), Chunk(DONE), Finished()])


@pytest.fixture
def open_talk(house: House, nursery: trio.Nursery) -> Callable[..., None]:
    def opened(**client: Any) -> None:
        talk = door_of(house, **client).open(scope_of(house), "id")
        nursery.start_soon(house.run, talk)

    return opened


async def test_answers_in_turn(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    house.may_answer.set()
    open_talk()
    house.create(stream_id="a")
    house.create()
    await trio.testing.wait_all_tasks_blocked()

    kinds = ["response.output_text.delta"] * 2 + ["response.completed"]
    assert [event["type"] for event in house.told] == kinds * 2
    assert [event.get("stream_id") for event in house.told] == ["a"] * 3 + [None] * 3
    assert [call.id for call in house.calls] == ["id-1", "id-2"]
    assert house.calls[0].caller.extra_headers == (("a", "b"),)
    assert house.calls[0].caller.remote_addr == "127.0.0.1"


async def test_a_full_line_refuses_and_in_the_end_cuts_off(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    open_talk()
    house.create()
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(WAITING + 1):
        house.create()
    await trio.testing.wait_all_tasks_blocked()

    [refusal] = house.told
    assert (refusal["status"], refusal["error"]["code"]) == (429, "queue_full")
    for _ in range(MAX_REFUSALS):
        house.create()
    await trio.testing.wait_all_tasks_blocked()
    assert len(house.told) == MAX_REFUSALS
    assert house.said[-1] == {
        "type": "websocket.close",
        "code": 1008,
        "reason": "too many events",
    }
    assert len(house.calls) == house.ended == 1


async def test_a_large_event_waits_alone(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    open_talk()
    house.create()
    await trio.testing.wait_all_tasks_blocked()
    house.create(input="x" * (9 * 1024 * 1024))
    house.create()
    await trio.testing.wait_all_tasks_blocked()

    assert [event["error"]["code"] for event in house.told] == ["queue_full"]
    house.may_answer.set()
    await trio.testing.wait_all_tasks_blocked()
    assert len(house.calls) == 2


async def test_who_goes_takes_the_work_along(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    open_talk()
    house.create()
    await trio.testing.wait_all_tasks_blocked()
    assert (len(house.calls), house.ended) == (1, 0)

    house.go()
    await trio.testing.wait_all_tasks_blocked()

    assert house.ended == 1
    assert house.said == []


async def test_idleness_ends_but_a_long_answer_is_none(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    open_talk()
    house.create()
    await trio.sleep(2 * IDLE_S)
    assert house.said == []

    house.may_answer.set()
    await trio.sleep(IDLE_S - 1)
    assert house.told[-1]["type"] == "response.completed"
    await trio.sleep(2)

    assert house.said[-1] == {"type": "websocket.close", "code": 1000, "reason": None}


async def test_a_drain_waits_for_what_runs_and_no_more(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    open_talk()
    house.create()
    house.create()
    await trio.testing.wait_all_tasks_blocked()
    house.draining.set()
    await trio.testing.wait_all_tasks_blocked()
    assert house.said == []

    house.may_answer.set()
    await trio.testing.wait_all_tasks_blocked()

    assert house.told[-1]["type"] == "response.completed"
    assert house.said[-1]["code"] == 1001
    assert len(house.calls) == 1


async def test_a_drain_ends_an_idle_connection_at_once(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    open_talk()
    await trio.testing.wait_all_tasks_blocked()
    house.draining.set()
    await trio.testing.wait_all_tasks_blocked()

    assert [message["code"] for message in house.said] == [1001]


async def test_binary_is_refused(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    open_talk()
    house.create()
    await trio.testing.wait_all_tasks_blocked()
    house.hear(None, b"{}")
    await trio.testing.wait_all_tasks_blocked()

    assert [message["code"] for message in house.said] == [1003]
    assert house.ended == 1


async def test_failures_are_told_and_end_nothing(
    house: House, open_talk: Callable[..., None], autojump_clock: trio.testing.MockClock
) -> None:
    house.may_answer.set()
    open_talk(include_attempts=True)
    house.hear("{")
    house.create(model="openai/shed")
    house.events = [Chunk(DELTA), Failed(NetworkError("cut"), None, ({"n": 1},))]
    house.create()
    await trio.testing.wait_all_tasks_blocked()
    house.events = [Failed(InternalError("oh"))]
    house.create()
    await trio.testing.wait_all_tasks_blocked()

    codes = [event["error"]["code"] for event in house.told if event["type"] == "error"]
    assert codes == [
        "invalid_request_error",
        "overloaded",
        "upstream_connection_error",
        "server_error",
    ]
    assert house.told[-2]["extra_fields"]["attempts"] == [{"n": 1}]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/realtime", "/v1/responses/"])
def test_other_paths_have_no_such_connection(house: House, path: str) -> None:
    with pytest.raises(RouteNotFound):
        door_of(house).open(scope_of(house, path), "id")


@pytest.mark.parametrize(
    ("more", "client", "status"),
    [
        ({"http_version": "2"}, {}, 505),
        ({"headers": [(b"origin", b"https://x.example")]}, {"allowed_origins": ()}, 403),
        ({}, {"required_headers": ("x-team",)}, 400),
        ({"headers": [(b"x-bf-async", b"true")]}, {}, 400),
        ({"headers": [(b"x-api-key", b"sk-bf-\xb0")]}, {}, 400),
    ],
)
def test_upgrades_that_are_refused(
    house: House, more: dict[str, Any], client: dict[str, Any], status: int
) -> None:
    with pytest.raises(BadRequest) as caught:
        door_of(house, **client).open(scope_of(house, **more), "id")

    assert caught.value.status == status


@pytest.mark.parametrize("origin", [b"http://localhost:3000", b"https://x.example"])
def test_origins_that_may(house: House, origin: bytes) -> None:
    door = door_of(house, allowed_origins=("https://x.example",))

    talk = door.open(scope_of(house, headers=[(b"origin", origin)], client=None), "id")

    assert talk.remote_addr == ""
