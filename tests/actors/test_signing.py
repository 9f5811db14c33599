"""Requests that are signed when they are sent, by the wall clock of that moment."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio

from actors.scripted import WALL_S, Answer, built, call, completion, house, listen, refusal
from bifrost.actors.attempt import SIGNED_BYTES
from bifrost.actors.discovery import Discovery
from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.errors import BadRequest, BodyTooLarge, ConfigurationMissing
from bifrost.schema.call import Operation
from bifrost.schema.payload import BLOCK_BYTES, BytesPayload, Payload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


@attrs.frozen
class Huge:
    """A payload that says it is one byte too large to be read beforehand."""

    size = SIGNED_BYTES + 1

    def blocks(self) -> AsyncIterator[bytes]:
        raise AssertionError("it is not read")


@attrs.frozen
class Carrying(Signing):
    """One whose requests have a body that is not in memory."""

    body: Payload = attrs.field(kw_only=True)

    def encode(self, *args: Any) -> UpstreamRequest:
        return attrs.evolve(Signing.encode(self, *args), body=self.body)


async def carried(here: Any, body: Payload) -> list[Any]:
    """The bodies that are signed, where requests carry ``body``."""
    met: list[Any] = []

    def sign(request: UpstreamRequest, now_unix_s: float) -> UpstreamRequest:
        met.append(request.body)
        return stamp(request, now_unix_s)

    fresh = built(SETTINGS, here.upstreams["openai"], 2)
    fresh = attrs.evolve(fresh, adapter=Carrying(fresh.adapter, sign, body=body))
    await here.pools["openai"].ask_reconfigure(fresh, drop_excess=False)
    return met


async def test_a_body_is_read_before_it_is_signed(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, completion())) as here:
        met = await carried(here, BytesPayload(b"x" * BLOCK_BYTES + b"y"))
        heard = await listen(here, call())

        assert heard.error is None
        assert met == [b"x" * BLOCK_BYTES + b"y"]


async def test_a_body_too_large_to_be_signed_is_refused(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, completion())) as here:
        met = await carried(here, Huge())
        heard = await listen(here, call())

        assert isinstance(heard.error, BodyTooLarge)
        assert (met, here.seen) == ([], [])


async def test_a_refusal_has_the_callers_own_name(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, completion())) as here:
        asked = attrs.evolve(call(), names={"temperature": "config.heat"})
        await signing(here, complain)
        heard = await listen(here, asked)

        assert heard.error is not None
        assert (heard.error.message, heard.error.param) == ("config.heat is odd", "config.heat")


def complain(request: UpstreamRequest, now_unix_s: float) -> UpstreamRequest:
    raise BadRequest("temperature is odd", param="temperature")
