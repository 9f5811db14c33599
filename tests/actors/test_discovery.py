"""Listing models: one attempt for each key that can be asked, and a row for each, whatever comes back."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from actors.fakes import AUTH, key, need, provider, rate_limited
from actors.scripted import NEVER, REFUSED, Answer, House, by_key, house, refusal
from bifrost.actors.discovery import Discovery, KeyModels
from bifrost.actors.messages import Refused, Snapshot
from bifrost.codecs.json import dumps
from bifrost.config.settings import BreakerSettings, CustomProviderSettings, NetworkSettings
from bifrost.errors import ErrorClass
from bifrost.schema.call import Call, Operation, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

    from bifrost.actors.messages import AttemptOutcome

A, B = key("a"), key("b")


def listing(*names: str) -> Answer:
    return Answer(pieces=(dumps({"data": [{"id": name} for name in names]}),))


async def listed(
    here: House,
    *providers: str,
    within_s: float = 60.0,
    on_failed: Callable[[Call, tuple[KeyModels, ...]], None] = lambda *_: None,
) -> tuple[KeyModels, ...]:
    discovery = Discovery(here.pools, random.Random(0), lambda: 1_800_000_000.0, on_failed)
    call = Call(
        id="c",
        operation=Operation.LIST_MODELS,
        stream=False,
        target=Target("", ""),
        deadline_s=trio.current_time() + within_s,
    )
    return await discovery.list_all(providers or tuple(here.pools), call)


def told(rows: tuple[KeyModels, ...]) -> list[tuple[str, str, list[object]]]:
    """Provider, key and the names of its models, or the error's code or class."""
    return [
        (row.provider, row.key.id, [m["id"] for m in row.models])
        if row.error is None
        else (row.provider, row.key.id, [row.error.code or row.error.error_class])
        for row in rows
    ]


async def state_of(here: House, key_id: str) -> str:
    view = await here.pools["openai"].ask_snapshot()
    return next(each.state for each in view.keys if each.id == key_id)


async def outcome(here: House, key_id: str, how: AttemptOutcome) -> None:
    """Let an attempt with ``key_id`` end so."""
    lease = here.pools["openai"].lease(need(pin_id=key_id), draw=0.0, deadline_s=1e9)
    async with lease as held:
        assert not isinstance(held, Refused)
        held.outcome = how


async def test_every_key_is_asked_with_its_own_credential() -> None:
    script = by_key(a=listing("gpt-4o"), b=listing("o3", "gpt-4o"))
    async with house((provider(A, B), script)) as here:
        rows = await listed(here)

        assert told(rows) == [("openai", "a", ["gpt-4o"]), ("openai", "b", ["o3", "gpt-4o"])]
        assert await here.quiet()


async def test_providers_come_in_order_of_their_names() -> None:
    async with house((provider(A), listing("m")), (provider(B, name="groq"), listing("n"))) as here:
        rows = await listed(here, "openai", "groq")

    assert told(rows) == [("groq", "b", ["n"]), ("openai", "a", ["m"])]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(500), ErrorClass.SERVER),
        (refusal(401), ErrorClass.AUTH),
        (refusal(404), ErrorClass.NOT_FOUND),
        (REFUSED, ErrorClass.NETWORK),
        (Answer(pieces=(b"<html>",)), ErrorClass.SERVER),
        (Answer(pieces=(b'{"data":{}}',)), ErrorClass.SERVER),
        (
            Answer(pieces=(b'{"data":[{"id":"m","a":' + b"[" * 300 + b"]" * 300 + b"}]}",)),
            ErrorClass.SERVER,
        ),
    ],
    ids=["500", "401", "404", "unconnected", "no json", "no list", "too deep"],
)
async def test_a_key_that_fails_is_a_row_and_harms_no_other(
    answer: Answer, error: ErrorClass
) -> None:
    async with house((provider(A, B), by_key(a=answer, b=listing("m")))) as here:
        rows = await listed(here)

        assert told(rows) == [("openai", "a", [error]), ("openai", "b", ["m"])]
        assert rows[0].key == A
        assert await here.quiet()


async def test_silence_ends_at_the_call_s_deadline(autojump_clock: MockClock) -> None:
    async with house((provider(A), NEVER)) as here:
        rows = await listed(here, within_s=7.0)

    assert told(rows) == [("openai", "a", [ErrorClass.TIMEOUT])]
    assert trio.current_time() == pytest.approx(7.0)


async def test_silence_ends_at_the_provider_s_limit(autojump_clock: MockClock) -> None:
    network = NetworkSettings(default_request_timeout_in_seconds=3.0)
    async with house((provider(A, network=network), NEVER)) as here:
        await listed(here)

    assert trio.current_time() == pytest.approx(3.0)


async def test_keys_that_cannot_be_used_are_not_asked() -> None:
    blank, off = key("blank", value=""), key("off", enabled=False)
    async with house((provider(blank, A, off), listing("m"))) as here:
        rows = await listed(here)

        assert told(rows) == [("openai", "a", ["m"])]
        assert [seen.key for seen in here.seen] == ["sk-a"]


async def test_a_provider_without_usable_keys_is_one_row() -> None:
    async with house((provider(key("blank", value="")), listing("m"))) as here:
        rows = await listed(here)

        assert told(rows) == [("openai", "", [ErrorClass.CONFIG])]
        assert here.seen == []


async def test_a_provider_that_is_not_served_is_one_row() -> None:
    async with house() as here:
        assert told(await listed(here, "groq")) == [("groq", "", [ErrorClass.CONFIG])]


async def test_a_provider_that_may_not_list_is_not_asked() -> None:
    custom = CustomProviderSettings(
        base_provider_type="openai", allowed_requests={"chat_completion": True}
    )
    network = NetworkSettings(base_url="http://h")
    settings = provider(A, name="mine", custom=custom, network=network)
    async with house((settings, listing("m"))) as here:
        rows = await listed(here)

        assert told(rows) == [("mine", "", ["unsupported_operation"])]
        assert here.seen == []


async def test_a_keyless_provider_is_asked_without_a_credential() -> None:
    async with house((provider(name="mock"), listing("m"))) as here:
        rows = await listed(here)

        assert told(rows) == [("mock", "keyless", ["m"])]
        assert b"authorization" not in here.seen[0].headers


async def test_a_key_that_rests_is_told_as_unavailable_with_its_time(
    autojump_clock: MockClock,
) -> None:
    async with house((provider(A), listing("m"))) as here:
        await outcome(here, "a", rate_limited(20.0))
        (row,) = await listed(here)

        assert row.error is not None
        assert (row.error.status, row.error.code) == (503, "provider_unavailable")
        assert row.error.retry_after_s == pytest.approx(20.0)
        assert here.seen == []


async def test_a_listing_that_is_refused_for_its_rate_rests_the_key(
    autojump_clock: MockClock,
) -> None:
    async with house((provider(A), refusal(429, retry_after_s=20))) as here:
        assert told(await listed(here)) == [("openai", "a", [ErrorClass.RATE_LIMIT])]
        (row,) = await listed(here)

        assert row.error is not None
        assert row.error.retry_after_s == pytest.approx(20.0)
        assert len(here.seen) == 1


async def test_a_listing_proves_a_key_that_was_not_accepted(autojump_clock: MockClock) -> None:
    async with house((provider(A), listing("m"))) as here:
        for _ in range(3):
            await outcome(here, "a", AUTH)
            await trio.sleep(61)
        assert await state_of(here, "a") == "failed"

        assert told(await listed(here)) == [("openai", "a", ["m"])]
        assert await state_of(here, "a") == "healthy"
        assert await here.quiet()


async def test_a_key_that_still_is_not_accepted_stays_failed(autojump_clock: MockClock) -> None:
    async with house((provider(A), refusal(401))) as here:
        for _ in range(3):
            await outcome(here, "a", AUTH)
            await trio.sleep(61)
        rows = await listed(here)

        assert told(rows) == [("openai", "a", [ErrorClass.AUTH])]
        assert await state_of(here, "a") == "failed"


async def test_a_pool_that_crashes_once_is_asked_again() -> None:
    async with house((provider(A), listing("m"))) as here:
        here.crashes.plan(Snapshot)

        assert told(await listed(here)) == [("openai", "a", ["m"])]


async def test_a_pool_that_keeps_crashing_does_not_take_the_others_with_it(
    autojump_clock: MockClock,
) -> None:
    async with house((provider(A), listing("m")), (provider(B, name="groq"), listing("n"))) as here:
        here.crashes.plan(Snapshot, 4)
        rows = await listed(here, "openai")
        others = await listed(here, "groq")

    assert told(rows) == [("openai", "", ["pool_broken"])]
    assert told(others) == [("groq", "b", ["n"])]


async def test_leaving_gives_every_key_back(autojump_clock: MockClock) -> None:
    async with house((provider(A, B), NEVER)) as here:
        with trio.move_on_after(1):
            await listed(here)
        await trio.testing.wait_all_tasks_blocked()

        assert len(here.seen) == 2
        assert await here.quiet()


@pytest.mark.parametrize(
    "answer", [refusal(500), refusal(503), REFUSED, Answer(pieces=(b"no list",))]
)
async def test_lists_that_fail_do_not_close_a_key_to_other_calls(
    answer: Answer, autojump_clock: MockClock
) -> None:
    settings = provider(A, breaker=BreakerSettings(failure_threshold=2))
    async with house((settings, answer)) as here:
        for _ in range(5):
            await listed(here, "openai")

        assert await state_of(here, "a") == "healthy"


async def test_what_failed_is_told_once_but_for_what_was_not_to_be_had(
    autojump_clock: MockClock,
) -> None:
    failures: list[tuple[KeyModels, ...]] = []

    def note(call: Call, failed: tuple[KeyModels, ...]) -> None:
        assert call.id == "c"
        failures.append(failed)

    keyless = provider(key("k", value=""), name="groq")
    script = by_key(a=listing("m"), b=refusal(401))
    async with house((provider(A, B), script), (keyless, listing())) as here:
        rows = await listed(here, "openai", "groq", "nobody", on_failed=note)
        await listed(here, "groq", on_failed=note)

    assert failures == [tuple(row for row in rows if row.key.id == "b")]
