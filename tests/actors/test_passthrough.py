"""Requests that are passed through, over real pools: to adapters with headers of their own, answered as the upstream did."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
import pytest

from actors.fakes import key, provider
from actors.scripted import JSON, SSE, Answer, call, house, listen, refusal
from bifrost.config.settings import NetworkSettings, ProviderSettings
from bifrost.errors import ErrorClass, NetworkError, UnsupportedOperation
from bifrost.providers.foreign import ForeignSpec, foreign
from bifrost.providers.passthrough import relayed_below
from bifrost.providers.request_headers import header_line
from bifrost.record import Outcome
from bifrost.schema.call import Call, Dialect, Operation, Relay

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

    from bifrost.providers.base import Adapter


def with_header(header: str) -> Callable[[ProviderSettings], Adapter]:
    """Makes adapters of another dialect that knows nothing but passthrough, and sends keys in ``header``."""

    def never(*_: object, **__: object) -> NoReturn:
        raise AssertionError

    spec = ForeignSpec(
        name="anthropic",
        dialect=Dialect.ANTHROPIC,
        base_url="https://api.example.com/v1",
        locate=never,
        coders={},
        credential=lambda key: (header_line(header, key.value.reveal()),),
        headers=lambda call, body: ((b"anthropic-version", b"2023-06-01"),),
        decode_models=never,
        relay_place=relayed_below("v1"),
    )
    return partial(foreign, spec)


other = with_header("x-api-key")


def passed(*, stream: bool = False, verbatim: bool = True, **more: Any) -> Call:
    asked = {"method": "POST", "path": "/v1/messages", "body": b"{}", **more}
    relay = Relay(**asked, verbatim=verbatim)
    return attrs.evolve(
        call("anthropic/m", stream=stream), operation=Operation.RELAY, relay=relay, members={}
    )


def settings(*names: str, max_retries: int = 2) -> ProviderSettings:
    keys = tuple(key(name) for name in names)
    return provider(*keys, name="anthropic", network=NetworkSettings(max_retries=max_retries))


@pytest.mark.parametrize("header", ["x-api-key", "x-goog-api-key"])
async def test_an_adapter_needs_no_more_than_address_and_credentials(
    header: str, autojump_clock: MockClock
) -> None:
    answer = Answer(status=201, headers=((b"content-type", b"a/b"), (b"x-y", b"z")), pieces=(b"1", b"2"))  # fmt: skip
    async with house((settings("a"), answer), adapt=with_header(header)) as at:
        heard = await listen(at, passed())

        [seen] = at.seen
        assert (seen.headers[header.encode()], seen.body) == (b"sk-a", b"{}")
        assert seen.headers[b"anthropic-version"] == b"2023-06-01"
        assert b"authorization" not in seen.headers
        assert heard.began is not None
        assert (heard.began.status, heard.began.content_type, heard.data) == (201, "a/b", b"12")
        assert dict(heard.began.headers)["x-y"] == "z"
        assert heard.record.outcome is Outcome.SUCCESS
        assert await at.quiet()


async def test_what_is_only_relayed_is_not_for_another_dialect(autojump_clock: MockClock) -> None:
    async with house((settings("a"), Answer()), adapt=other) as at:
        heard = await listen(at, passed(verbatim=False))

        assert isinstance(heard.error, UnsupportedOperation)
        assert at.seen == []


async def test_a_refusal_is_kept_as_it_came_and_counts_for_pool_and_record(
    autojump_clock: MockClock,
) -> None:
    told = Answer(status=429, headers=(*JSON, (b"retry-after", b"7")), pieces=(b' {"a" :1', b"}\n"))
    async with house((settings("a", "b", max_retries=0), told), adapt=other) as at:
        heard = await listen(at, passed())

        assert heard.error is not None
        answer = heard.error.verbatim
        assert answer is not None
        assert (answer.status, answer.content_type) == (429, "application/json")
        assert (answer.body, dict(answer.headers)) == (b' {"a" :1}\n', {"retry-after": "7"})
        assert (heard.record.status, heard.record.error_class) == (429, ErrorClass.RATE_LIMIT)
        assert len(at.seen) == 2
        view = await at.pools["anthropic"].ask_snapshot()
        assert {each.state for each in view.keys} == {"cooling"}


@pytest.mark.parametrize("status", [401, 402, 403])
async def test_another_key_may_do_better(status: int, autojump_clock: MockClock) -> None:
    def script(seen: Any) -> Answer:
        bad = seen.headers[b"x-api-key"] == b"sk-a"
        return refusal(status) if bad else Answer(pieces=(b"ok",))

    async with house((settings("a", "b"), script), adapt=other) as at:
        heard = [await listen(at, passed()) for _ in range(6)]

        assert {each.data for each in heard} == {b"ok"}
        assert len([each for each in at.seen if each.headers[b"x-api-key"] == b"sk-a"]) == 1


@pytest.mark.parametrize(("method", "tries"), [("POST", 1), ("PUT", 1), ("GET", 3), ("HEAD", 3)])
@pytest.mark.parametrize("answer", [refusal(500), Answer(error=NetworkError("reset", sent=True))])
async def test_only_what_changes_nothing_is_tried_again(
    method: str, tries: int, answer: Answer, autojump_clock: MockClock
) -> None:
    async with house((settings("a"), answer), adapt=other) as at:
        heard = await listen(at, passed(method=method))

        assert heard.error is not None
        assert len(at.seen) == tries


async def test_what_was_never_sent_is_sent_again(autojump_clock: MockClock) -> None:
    unsent = Answer(error=NetworkError("connection refused", sent=False))
    async with house((settings("a"), unsent), adapt=other) as at:
        await listen(at, passed())

        assert len(at.seen) == 3


@pytest.mark.parametrize("status", [302, 304, 307])
async def test_a_redirect_is_an_answer(status: int, autojump_clock: MockClock) -> None:
    answer = Answer(status=status, headers=((b"location", b"http://x/"),))
    async with house((settings("a"), answer), adapt=other) as at:
        heard = await listen(at, passed())

        assert heard.began is not None
        assert (heard.began.status, heard.began.content_type) == (status, "")
        assert dict(heard.began.headers) == {"location": "http://x/"}
        assert heard.error is None


async def test_the_head_of_a_stream_does_not_wait(autojump_clock: MockClock) -> None:
    broken = NetworkError("cut")
    async with house((settings("a"), Answer(headers=SSE, pieces=(5.0, broken))), adapt=other) as at:
        heard = await listen(at, passed(stream=True, method="GET"))

        assert heard.began is not None
        assert heard.began.at_once
        assert heard.error is broken
        assert len(at.seen) == 1


async def test_a_plain_answer_that_breaks_off_at_once_is_asked_for_again(
    autojump_clock: MockClock,
) -> None:
    broken = Answer(pieces=(NetworkError("cut"),))
    async with house((settings("a"), broken), adapt=other) as at:
        heard = await listen(at, passed(method="GET"))

        assert (heard.began, len(at.seen)) == (None, 3)


@pytest.mark.parametrize("rest", [(b"x" * 1024 * 1024,), (NetworkError("cut"),)])
async def test_a_refusal_that_cannot_be_held_is_told(
    rest: tuple[Any, ...], autojump_clock: MockClock
) -> None:
    body = b'{"error": {"message": "no"}}'
    answer = Answer(status=404, headers=JSON, pieces=(body, *rest))
    async with house((settings("a"), answer), adapt=other) as at:
        heard = await listen(at, passed())

        assert heard.error is not None
        assert (heard.error.status, heard.error.verbatim) == (404, None)


async def test_a_status_that_is_none_is_told(autojump_clock: MockClock) -> None:
    async with house((settings("a", max_retries=0), refusal(999)), adapt=other) as at:
        heard = await listen(at, passed())

        assert heard.error is not None
        assert (heard.error.status, heard.error.verbatim) == (502, None)


async def test_a_refusal_is_told_without_the_key(autojump_clock: MockClock) -> None:
    echo = refusal(400, message="bad key \u00fc sk-a")
    async with house((settings("a"), echo), adapt=other) as at:
        heard = await listen(at, passed())

        assert heard.error is not None
        assert heard.error.verbatim is not None
        assert heard.error.verbatim.body == echo.pieces[0].replace(b"sk-a", b"***")  # type: ignore[union-attr]  # None would fail it as well
