"""Calls of several requests: waited for, read as a stream, and called off where nobody waits any more."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import attrs
import trio
import trio.testing

from actors.scripted import JSON, Answer, House, Seen, call, house, listen, refusal, streamed
from bifrost.actors.follow_up import CALL_OFF_S, MAX_REQUESTS
from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.errors import DeadlineExceeded, ErrorClass, NetworkError
from bifrost.service import Chunk
from bifrost.transport.faults import bad_request, not_public

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

SETTINGS = ProviderSettings(
    name="replicate",
    keys=(KeySettings(id="k", name="k", value=Secret("sk-k")),),
    network=NetworkSettings(max_retries=0),
)
MODEL = "replicate/meta/llama"
BEGUN = "/v1/models/meta/llama/predictions"
ASKED = "/v1/predictions/p1"
CANCEL = "/v1/predictions/p1/cancel"
STREAM = "https://stream.replicate.com/v1/files/p1"
AT_ONCE: dict[str, Any] = {"urls": {"stream": STREAM}}


def prediction(status: str = "processing", **more: Any) -> Answer:
    value = {"id": "p1", "status": status, **more}
    return Answer(status=201, pieces=(json.dumps(value).encode(),))


DONE = prediction("succeeded", output=["Hel", "lo"])


def events(*pieces: bytes | float | Exception) -> Answer:
    return streamed(*pieces, whole=False)


def output(text: str) -> bytes:
    return f"event: output\nid: 1:0\ndata: {text}\n\n".encode()


END = b"event: done\nid: 2:0\ndata: {}\n\n"


def by_path(**answers: Answer | list[Answer]) -> Callable[[Seen], Answer]:
    """Answers by what is asked for: ``begin``, ``ask``, ``stream`` and ``cancel``; lists one after the other."""
    left = {name: iter(told) for name, told in answers.items() if isinstance(told, list)}

    def script(seen: Seen) -> Answer:
        name = named(seen)
        told = answers.get(name, prediction("canceled"))
        return next(left[name]) if isinstance(told, list) else told

    return script


def named(seen: Seen) -> str:
    if seen.url == STREAM:
        return "stream"
    path = seen.url.removeprefix("https://api.replicate.com")
    return {BEGUN: "begin", ASKED: "ask", CANCEL: "cancel"}[path]


def names(here: House) -> list[str]:
    return [named(seen) for seen in here.seen]


async def leave_after(here: House, seconds: float, *, stream: bool = False) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen, here, call(MODEL, stream=stream))
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()


async def test_what_is_done_at_once_takes_one_request(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, by_path(begin=DONE))) as here:
        heard = await listen(here, call(MODEL))

        assert json.loads(heard.data)["choices"][0]["message"]["content"] == "Hello"
        assert names(here) == ["begin"]


async def test_it_is_asked_for_until_it_is_done(autojump_clock: MockClock) -> None:
    asked = [prediction("starting"), *[prediction()] * 6, DONE]
    async with house((SETTINGS, by_path(begin=prediction("starting"), ask=asked))) as here:
        heard = await listen(here, call(MODEL))

        assert heard.error is None
        assert json.loads(heard.data)["choices"][0]["message"]["content"] == "Hello"
        assert names(here) == ["begin", *["ask"] * 8]
        at_s = [seen.at_s for seen in here.seen]
        pauses = [round(b - a, 3) for a, b in pairwise(at_s)]
        assert pauses == [0.25, 0.5, 0.5, 1.0, 1.0, 2.0, 2.0, 2.0]
        begun, first, *_ = here.seen
        assert first.headers[b"authorization"] == begun.headers[b"authorization"] == b"Bearer sk-k"
        assert first.body == b""
        assert b"prefer" not in first.headers
        assert b"content-type" not in first.headers
        # The pauses are the upstream's time, not the gateway's.
        assert heard.record.upstream_s == heard.record.total_s
        assert await here.quiet()


async def test_a_stream_is_read_where_the_prediction_says(autojump_clock: MockClock) -> None:
    stream = events(output("Hel"), 1.0, output("lo"), END)
    async with house((SETTINGS, by_path(begin=prediction(**AT_ONCE), stream=stream))) as here:
        heard = await listen(here, call(MODEL, stream=True))

        assert heard.error is None
        assert heard.data.endswith(b"data: [DONE]\n\n")
        assert names(here) == ["begin", "stream"]
        begun, opened = here.seen
        assert json.loads(begun.body)["stream"] is True
        assert b"prefer" not in begun.headers
        assert begun.headers[b"accept"] == b"application/json"
        assert opened.headers[b"accept"] == b"text/event-stream"
        assert opened.headers[b"host"] == b"stream.replicate.com"
        assert opened.headers[b"authorization"] == b"Bearer sk-k"
        assert heard.record.upstream_s == 1.0


async def test_without_a_stream_the_whole_is_told_as_one(autojump_clock: MockClock) -> None:
    metrics = {"input_token_count": 3, "output_token_count": 4}
    done = attrs.evolve(prediction("succeeded", output=["Hel", "lo"], metrics=metrics))
    async with house((SETTINGS, by_path(begin=prediction(), ask=[prediction(), done]))) as here:
        heard = await listen(here, call(MODEL, stream=True))

        assert heard.error is None
        assert b'"content":"Hello"' in heard.data
        assert heard.data.endswith(b"data: [DONE]\n\n")
        assert heard.record.usage.total_tokens == 7
        assert names(here) == ["begin", "ask", "ask"]


async def test_one_that_nobody_waits_for_is_called_off(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, by_path(begin=prediction(), ask=prediction()))) as here:
        await leave_after(here, 2.0)

        assert names(here)[-1] == "cancel"
        assert names(here).count("cancel") == 1
        assert here.seen[-1].at_s == 2.0
        assert here.seen[-1].headers[b"authorization"] == b"Bearer sk-k"
        assert await here.quiet()


async def test_a_stream_that_nobody_reads_is_called_off(autojump_clock: MockClock) -> None:
    stream = events(output("Hel"), 1e6, END)
    async with house((SETTINGS, by_path(begin=prediction(**AT_ONCE), stream=stream))) as here:
        await leave_after(here, 2.0, stream=True)

        assert names(here) == ["begin", "stream", "cancel"]
        assert await here.quiet()


async def test_one_that_is_just_being_begun_is_called_off_too(autojump_clock: MockClock) -> None:
    begin = attrs.evolve(prediction(), delay_s=1.0)
    async with house((SETTINGS, by_path(begin=begin))) as here:
        await leave_after(here, 0.5)
        await trio.sleep(1)

        assert names(here) == ["begin", "cancel"]
        assert here.seen[-1].at_s == 1.0
        assert await here.quiet()


async def test_what_does_not_begin_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, by_path(begin=Answer(delay_s=20)))) as here:
        await leave_after(here, 0.5)
        await trio.sleep(CALL_OFF_S)

        assert names(here) == ["begin"]
        assert await here.quiet()


async def test_calling_off_has_its_time_and_fails_for_itself(autojump_clock: MockClock) -> None:
    for cancel in (Answer(delay_s=20), Answer(error=NetworkError("gone")), refusal(500)):
        script = by_path(begin=prediction(), ask=prediction(), cancel=cancel)
        async with house((SETTINGS, script)) as here:
            began_s = trio.current_time()
            await leave_after(here, 2.0)

            assert trio.current_time() - began_s <= 2.0 + CALL_OFF_S
            assert names(here)[-1] == "cancel"
            assert await here.quiet()


async def test_a_cut_stream_is_an_error_and_called_off(autojump_clock: MockClock) -> None:
    for pieces in ((output("Hel"),), (output("Hel"), NetworkError("cut"))):
        script = by_path(begin=prediction(**AT_ONCE), stream=events(*pieces))
        async with house((SETTINGS, script)) as here:
            heard = await listen(here, call(MODEL, stream=True))

            assert heard.error is not None
            assert heard.error.error_class is ErrorClass.NETWORK
            assert b"[DONE]" not in heard.data
            assert names(here) == ["begin", "stream", "cancel"]


async def test_what_failed_by_itself_is_not_called_off(autojump_clock: MockClock) -> None:
    failed = prediction("failed", error="out of memory")
    told = events(output("a"), b'event: error\ndata: {"detail": "out of memory"}\n\n')
    for script, stream in (
        (by_path(begin=prediction(), ask=failed), False),
        (by_path(begin=prediction(**AT_ONCE), stream=told), True),
    ):
        async with house((SETTINGS, script)) as here:
            heard = await listen(here, call(MODEL, stream=stream))

            assert heard.error is not None
            assert "out of memory" in heard.error.message
            assert "cancel" not in names(here)


async def test_a_refusal_is_told_as_ever(autojump_clock: MockClock) -> None:
    refused = Answer(status=401, headers=JSON, pieces=(b'{"detail": "no such token"}',))
    for script, asked in (
        (by_path(begin=refused), ["begin"]),
        # What was begun goes on, as far as is known.
        (by_path(begin=prediction(), ask=refused), ["begin", "ask", "cancel"]),
    ):
        async with house((SETTINGS, script)) as here:
            heard = await listen(here, call(MODEL))

            assert heard.error is not None
            assert heard.error.message == "no such token"
            assert heard.error.error_class is ErrorClass.AUTH
            assert names(here) == asked


async def test_a_stream_that_is_refused_is_called_off(autojump_clock: MockClock) -> None:
    script = by_path(begin=prediction(**AT_ONCE), stream=refusal(404))
    async with house((SETTINGS, script)) as here:
        heard = await listen(here, call(MODEL, stream=True))

        assert heard.error is not None
        assert heard.error.status == 404
        assert names(here) == ["begin", "stream", "cancel"]


async def test_a_failure_to_ask_is_overlooked_for_a_while(autojump_clock: MockClock) -> None:
    asked = [refusal(502), refusal(429), prediction(), *[refusal(500)] * 5, DONE]
    async with house((SETTINGS, by_path(begin=prediction(), ask=asked))) as here:
        assert (await listen(here, call(MODEL))).error is None
    async with house((SETTINGS, by_path(begin=prediction(), ask=refusal(502)))) as here:
        heard = await listen(here, call(MODEL))

        assert heard.error is not None
        assert heard.error.status == 502
        assert names(here).count("ask") == 6
        assert names(here)[-1] == "cancel"


async def test_a_stream_in_a_private_network_is_not_looked_at(autojump_clock: MockClock) -> None:
    begin = prediction(urls={"stream": "https://10.0.0.1/"})

    def script(seen: Seen) -> Answer:
        if seen.url == "https://10.0.0.1/":
            return Answer(error=not_public())
        return begin if named(seen) == "begin" else prediction("canceled")

    async with house((SETTINGS, script)) as here:
        heard = await listen(here, call(MODEL, stream=True))

        assert heard.error is not None
        assert heard.error.error_class is ErrorClass.SERVER
        assert "named an address that cannot be used" in heard.error.message
        assert named(here.seen[-1]) == "cancel"


async def test_a_request_that_cannot_be_written_is_the_callers_as_ever(
    autojump_clock: MockClock,
) -> None:
    async with house((SETTINGS, by_path(begin=Answer(error=bad_request("header"))))) as here:
        heard = await listen(here, call(MODEL))

        assert heard.error is not None
        assert heard.error.error_class is ErrorClass.CLIENT


async def test_the_deadline_holds_for_all_of_it(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, by_path(begin=prediction(), ask=prediction()))) as here:
        heard = await listen(here, call(MODEL, within_s=10))

        assert isinstance(heard.error, DeadlineExceeded)
        assert names(here)[-1] == "cancel"
        assert await here.quiet()


async def test_an_attempt_has_its_time_for_all_of_it(autojump_clock: MockClock) -> None:
    settings = attrs.evolve(SETTINGS, network=NetworkSettings(max_retries=0, total_timeout_s=10))
    async with house((settings, by_path(begin=prediction(), ask=prediction()))) as here:
        heard = await listen(here, call(MODEL))

        assert heard.error is not None
        assert heard.error.error_class is ErrorClass.TIMEOUT
        assert trio.current_time() == 10
        assert names(here)[-1] == "cancel"
        assert here.seen[-1].deadline_s == 10 + CALL_OFF_S


async def test_requests_are_counted(autojump_clock: MockClock) -> None:
    network = NetworkSettings(max_retries=0, total_timeout_s=1e5)
    settings = attrs.evolve(SETTINGS, network=network)
    async with house((settings, by_path(begin=prediction(), ask=prediction()))) as here:
        heard = await listen(here, call(MODEL))

        assert heard.error is not None
        assert heard.error.error_class is ErrorClass.TIMEOUT
        assert len(here.seen) == MAX_REQUESTS + 1
        assert names(here)[-1] == "cancel"


async def test_nothing_goes_out_before_it_is_there(autojump_clock: MockClock) -> None:
    async with house((SETTINGS, by_path(begin=prediction(), ask=[prediction(), DONE]))) as here:
        dispatch = here.router.dispatch(call(MODEL))
        async with dispatch as exchange:
            await exchange.receive()
            assert trio.current_time() == 0.75
            assert isinstance(await exchange.receive(), Chunk)
