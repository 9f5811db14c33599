"""The observer: each exchange is read once, however it ends; no reader harms the call or the next reader."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import attrs
import pytest

from bifrost.errors import BadRequest, GatewayError, Overloaded
from bifrost.observe.filter import Observer
from bifrost.record import CallRecord, Outcome
from bifrost.schema.call import Call, Operation, Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bifrost.service import Event, Exchange

CALL = Call(id="c", operation=Operation.CHAT, stream=False, target=Target("openai", "m"))
RECORD = CallRecord(
    call_id="c",
    request_type="chat_completion",
    route="/r",
    stream=False,
    outcome=Outcome.SUCCESS,
    status=200,
    provider="openai",
    model="m",
    started_unix_s=1.0,
    total_s=2.0,
)


@attrs.define(eq=False)
class Served:
    """An exchange whose record is complete once it has been left."""

    call: Call = CALL
    is_left: bool = False

    @property
    def record(self) -> CallRecord:
        assert self.is_left
        return RECORD

    async def receive(self) -> Event:
        raise NotImplementedError

    def receive_nowait(self) -> Event | None:
        raise NotImplementedError


@attrs.define(eq=False)
class House:
    """A service under observation, and what was observed."""

    refusal: GatewayError | None = None
    last_words: Exception | None = None
    """Raised by the service when it is left."""
    first_reader: Exception | None = None
    reads: list[CallRecord] = attrs.field(factory=list)
    shed: list[str] = attrs.field(factory=list)
    defects: list[BaseException] = attrs.field(factory=list)

    @asynccontextmanager
    async def service(self, call: Call) -> AsyncIterator[Exchange]:
        if self.refusal is not None:
            raise self.refusal
        served = Served(call)
        try:
            yield cast("Exchange", served)
        finally:
            served.is_left = True
        if self.last_words is not None:
            raise self.last_words

    def first(self, record: CallRecord) -> None:
        if self.first_reader is not None:
            raise self.first_reader

    async def make_a_call(self, failing_with: Exception | None = None) -> None:
        observer = Observer(
            readers=(self.first, self.reads.append),
            on_shed=self.shed.append,
            on_defect=self.defects.append,
        )
        async with observer.around(self.service)(CALL) as exchange:
            assert exchange.call is CALL
            assert self.reads == []
            if failing_with is not None:
                raise failing_with


async def test_a_record_is_read_once_its_exchange_is_over() -> None:
    house = House()
    await house.make_a_call()

    assert house.reads == [RECORD]
    assert house.shed == []


async def test_a_call_that_breaks_off_is_read_all_the_same() -> None:
    house, error = House(), RuntimeError("caller's own")
    with pytest.raises(RuntimeError) as raised:
        await house.make_a_call(failing_with=error)

    assert raised.value is error
    assert house.reads == [RECORD]


async def test_a_service_that_fails_at_its_end_is_read_all_the_same() -> None:
    house = House(last_words=RuntimeError("at the end"))
    with pytest.raises(RuntimeError, match="at the end"):
        await house.make_a_call()

    assert house.reads == [RECORD]


@pytest.mark.parametrize(
    ("refusal", "reason"), [(Overloaded("full"), "overloaded"), (BadRequest("no"), "client")]
)
async def test_a_call_refused_at_the_door_is_shed_and_has_no_record(
    refusal: GatewayError, reason: str
) -> None:
    house = House(refusal=refusal)
    with pytest.raises(GatewayError) as raised:
        await house.make_a_call()

    assert raised.value is refusal
    assert house.shed == [reason]
    assert house.reads == []


async def test_a_reader_that_raises_harms_neither_the_call_nor_the_next_reader() -> None:
    house = House(first_reader=ValueError("a reader's own"))
    await house.make_a_call()

    assert house.reads == [RECORD]
    assert house.defects == [house.first_reader]
