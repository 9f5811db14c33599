"""An exchange that is over is gone at once, its body with it: nothing waits for the garbage collector."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from actors.fakes import key, provider
from actors.scripted import Answer, call, chunk, completion, house, listen, refusal, streamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio.testing import MockClock


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
