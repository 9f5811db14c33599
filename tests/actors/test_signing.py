"""Requests that are signed when they are sent, by the wall clock of that moment."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio

from actors.scripted import WALL_S, Answer, built, call, completion, house, listen, refusal
from bifrost.actors.discovery import Discovery
from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.errors import ConfigurationMissing
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from trio.testing import MockClock

    from bifrost.providers.base import UpstreamRequest

SETTINGS = ProviderSettings(
    name="openai",
    keys=(KeySettings(id="k", name="k", value=Secret("sk-k")),),
    network=NetworkSettings(retry_backoff_initial=1000, max_retries=1),
)


def stamp(request: UpstreamRequest, now_unix_s: float) -> UpstreamRequest:
    line = (b"x-signed", b"%d" % (now_unix_s - WALL_S))
    return attrs.evolve(request, headers=(*request.headers, line))


def refuse(request: UpstreamRequest, now_unix_s: float) -> UpstreamRequest:
    raise ConfigurationMissing("nothing to sign with")


@attrs.frozen
class Signing:
    """An adapter whose requests are signed."""

    inner: Any
    sign: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def encode(self, *args: Any) -> UpstreamRequest:
        request: UpstreamRequest = attrs.evolve(self.inner.encode(*args), sign=self.sign)
        return request


async def signing(here: Any, sign: Any) -> None:
    """Have what ``here`` sends signed from now on."""
    pool = here.pools["openai"]
    fresh = built(SETTINGS, here.upstreams["openai"], 2)
    fresh = attrs.evolve(fresh, adapter=Signing(fresh.adapter, sign))
    await pool.ask_reconfigure(fresh, drop_excess=False)


async def test_each_attempt_is_signed_by_its_own_time(autojump_clock: MockClock) -> None:
    answers = iter((refusal(500), completion()))
    async with house((SETTINGS, lambda _: next(answers))) as here:
        await signing(here, stamp)
        await trio.sleep(10)
        heard = await listen(here, call())

        assert heard.error is None
        signed = [int(seen.headers[b"x-signed"]) for seen in here.seen]
        assert signed[0] == 10
        assert signed[1] > 10


async def test_what_cannot_be_signed_is_not_sent(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, completion())) as here:
        await signing(here, refuse)
        heard = await listen(here, call())

        assert heard.error is not None
        assert heard.error.message == "nothing to sign with"
        assert here.seen == []


@pytest.mark.parametrize("wait_s", [0, 7])
async def test_lists_of_models_are_signed_too(wait_s: int, autojump_clock: MockClock) -> None:
    models = Answer(pieces=(b'{"data": [{"id": "m"}]}',))
    async with house((SETTINGS, models)) as here:
        await signing(here, stamp)
        await trio.sleep(wait_s)
        discovery = Discovery(
            here.pools, random.Random(), lambda: WALL_S + trio.current_time(), lambda *_: None
        )
        (row,) = await discovery.list_all(
            ("openai",), attrs.evolve(call(), operation=Operation.LIST_MODELS)
        )

        assert row.error is None
        assert [seen.headers[b"x-signed"] for seen in here.seen] == [b"%d" % wait_s]
