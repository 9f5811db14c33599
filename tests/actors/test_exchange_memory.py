"""An exchange that is over is gone at once, its body with it: nothing waits for the garbage collector."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio

from actors.fakes import key, provider
from actors.scripted import (
    Answer,
    by_order,
    call,
    chunk,
    completion,
    house,
    listen,
    refusal,
    streamed,
)
from bifrost.codecs.json import dumps
from bifrost.config.settings import NetworkSettings
from bifrost.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock


def prediction(status: str, **more: Any) -> Answer:
    return Answer(pieces=(dumps({"id": "p", "status": status, **more}),))


RUNNING = prediction("processing")
STREAMED = prediction("processing", urls={"stream": "https://stream.replicate.com/p"})
DONE = prediction("succeeded", output="Hi")
FAILED = prediction("failed", error="no")


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("answer", "is_stream"),
    [
        pytest.param(completion(), False, id="plain"),
        pytest.param(streamed(chunk("one"), chunk("two")), True, id="streamed"),
        pytest.param(streamed(chunk("one"), whole=False), True, id="cut short"),
        pytest.param(refusal(400), False, id="refused"),
        pytest.param(refusal(429), False, id="tried again"),
    ],
)
async def test_nothing_of_an_exchange_is_left(
    answer: Answer, is_stream: bool, autojump_clock: MockClock
) -> None:
    async with house((provider(key("a")), answer)) as at:
        made = call(stream=is_stream)
        gone = weakref.ref(made)
        await listen(at, made)
        del made
        await at.quiet()

        assert gone() is None


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("answers", "is_stream"),
    [
        pytest.param([RUNNING, RUNNING, DONE], False, id="asked for"),
        pytest.param([RUNNING, FAILED], False, id="failed"),
        pytest.param([RUNNING, refusal(401)], False, id="refused later"),
        pytest.param([Answer(error=NetworkError("broken"))], False, id="never begun"),
        pytest.param([RUNNING, DONE], True, id="told as a stream"),
        pytest.param([STREAMED, streamed(chunk("one"), whole=False)], True, id="cut short"),
    ],
)
async def test_nothing_of_several_requests_is_left(
    answers: list[Answer], is_stream: bool, autojump_clock: MockClock
) -> None:
    settings = provider(key("a"), name="replicate", network=NetworkSettings(max_retries=0))
    async with house((settings, by_order(*answers))) as at:
        made = call("replicate/o/m", stream=is_stream)
        gone = weakref.ref(made)
        await listen(at, made)
        del made
        await at.quiet()

        assert gone() is None


@pytest.mark.usefixtures("no_collector")
async def test_nothing_is_left_of_what_was_called_off(autojump_clock: MockClock) -> None:
    settings = provider(key("a"), name="replicate")
    for begun in (RUNNING, attrs.evolve(RUNNING, delay_s=1), Answer(delay_s=1e6)):
        async with house((settings, by_order(begun, RUNNING))) as at:
            made = call("replicate/o/m")
            gone = weakref.ref(made)
            with trio.move_on_after(0.5):
                await listen(at, made)
            del made
            await trio.sleep(3)
            await at.quiet()

            assert gone() is None
