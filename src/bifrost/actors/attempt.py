"""One try at one target with one key: encode, send, read, hand on. The waiting and the sockets of an exchange."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.actors.exchange import EXACT_S, LiveExchange, LiveHop
from bifrost.actors.follow_up import followed
from bifrost.actors.key_pool import Lease
from bifrost.actors.messages import AttemptOutcome, Granted
from bifrost.actors.objects import Sighting
from bifrost.actors.reading import read_some
from bifrost.actors.retold import Retold
from bifrost.actors.telling import Telling
from bifrost.dialects.base import AnswerFacts, Progress
from bifrost.dialects.scrub import scrubber
from bifrost.errors import BodyTooLarge, ErrorClass, GatewayError, UpstreamError, Verbatim
from bifrost.providers.answer_headers import caller_headers, dropped_header
from bifrost.providers.base import Headers, RateHint, UpstreamRequest
from bifrost.record import AttemptRecord, Usage
from bifrost.schema.call import DIRECT, Call, Operation, Surface
from bifrost.schema.payload import LARGE_BYTES
from bifrost.service import Began, Chunk
from bifrost.transport.base import Limits, UpstreamAnswer

if TYPE_CHECKING:
    from bifrost.config.settings import KeySettings, NetworkSettings

__all__ = ["Attempt"]

VERBATIM_BYTES = 1024 * 1024
"""Of a refusal that is relayed as it came: it is held back, for another key may still do better. A longer one is told."""

SIGNED_BYTES = 32 * 1024 * 1024
"""Of a body that is signed, and has to be read beforehand. AWS's own bound for InvokeModel is 25 MB."""

BYTES_PER_TOKEN = 4

LINGER_S = 0.05
"""After a stream's own end, for the end of its body to come, so that the connection can be kept."""


@attrs.define(eq=False)
class Delivered:
    """What of an answer went to the caller, for the estimate of its tokens should their count never come.

    Most upstreams send a token an event. Those that send more in one show by its length: what an event has beyond the
    lightest one is text.
    """

    size: int = 0
    events: int = 0
    lightest: float = math.inf
    """Bytes of an event, in the piece whose events were smallest."""

    def count(self, size: int, events: int) -> None:
        """Note ``size`` bytes with ``events`` events of the answer; of what comes in one piece there are none."""
        self.size += size
        if events:
            self.events += events
            each = size / events
            self.lightest = min(self.lightest, each)

    @property
    def tokens(self) -> int:
        """About so many; 0 if nothing was."""
        if not self.events:
            return -(-self.size // BYTES_PER_TOKEN)
        text = self.size - self.events * self.lightest
        return max(self.events, round(text / BYTES_PER_TOKEN))


@attrs.define(eq=False, kw_only=True)
class Attempt:
    """A lease put to use. ``run`` raises what went wrong; the outcome and the record are read from it afterwards.

    ``claim`` is awaited before the first event goes out: where two attempts race, only one gets past it.
    """

    hop: LiveHop
    lease: Lease
    claim: Callable[[], Awaitable[None]] | None = None
    hedge: bool = False
    wall: Callable[[], float]
    send_extra_fields: bool
    sighting: Sighting | None = None
    telling: Telling | None = None
    status: int | None = None
    rate: RateHint | None = None
    usage: Usage | None = None
    sent_s: float = 0.0
    sent_unix_s: float = 0.0
    upstream_s: float = 0.0
    first_event_s: float | None = None
    error: GatewayError | None = None
    is_sent: bool = False
    """Whether the upstream may be at work on it."""
    _deployment: str = ""
    _begun: bool = False
    _delivered: Delivered = attrs.field(factory=Delivered)
    _headers: tuple[tuple[str, str], ...] = ()
    _dropped: tuple[str, ...] = ()
    _bytes_of: Headers | None = None
    """The upstream's headers, where its answer is relayed as bytes; those of what was made of it, where that is bytes."""

    @property
    def granted(self) -> Granted:
        return self.lease.granted

    @property
    def _live(self) -> LiveExchange:
        return self.hop.live

    @property
    def _key(self) -> KeySettings:
        return self.granted.key or self.hop.call.caller.own_key(self.hop.target.provider) or DIRECT

    async def run(self) -> None:
        """Do it, to the last event. Raises GatewayError."""
        generation, call = self.granted.generation, self.hop.call
        self.sent_s, self.sent_unix_s = trio.current_time(), self.wall()
        limits = self._limits(generation.settings.network)
        try:
            request = await self._request()
            self._deployment = request.model_deployment or ""
            if request.follow_up is None:
                if request.sign is not None:
                    request = (await _in_memory(request)).signed(self.wall())
                opening = generation.upstream.open(request, limits)
            else:
                opening = followed(generation.upstream, request, limits, self.wall)
            async with opening as answer:
                try:
                    await self._read(answer, request)
                finally:
                    self.upstream_s = answer.waited_s
        except GatewayError as error:
            if call.names:
                error.rename(call.named)
            self.error = error
            raise
        finally:
            if self.telling is not None:
                self.telling.ends()
            # Nothing came, whatever ended the wait: the upstream's failure, or a caller who left.
            if not self.status:
                self.upstream_s = trio.current_time() - self.sent_s

    def _limits(self, network: NetworkSettings) -> Limits:
        call = self.hop.call
        first_byte_s = network.default_request_timeout_in_seconds
        idle_s = network.stream_idle_timeout_in_seconds if call.stream else first_byte_s
        shortest_s = min(first_byte_s, idle_s, network.total_timeout_s)
        return Limits(
            connect_s=network.connect_timeout_s,
            first_byte_s=first_byte_s,
            idle_s=idle_s,
            deadline_s=min(call.deadline_s, self.sent_s + network.total_timeout_s),
            on_sent=self._note_sent,
            patience=self._live.patience() if shortest_s >= EXACT_S else None,
        )

    async def _request(self) -> UpstreamRequest:
        """What to send. A large body is said in a thread; one that goes on as it came is not said at all."""
        call, adapter = self.hop.call, self.granted.generation.adapter
        encode = partial(adapter.encode, call, self.hop.target, self._key)
        relay = call.relay
        makes_file = relay is not None and relay.batch_endpoint
        is_said = relay is None or call.operation is Operation.BATCH_CREATE or makes_file
        if not is_said or call.form is not None or call.body_bytes < LARGE_BYTES:
            return encode()
        return await trio.to_thread.run_sync(encode, abandon_on_cancel=True)

    async def _read(self, answer: UpstreamAnswer, request: UpstreamRequest) -> None:
        self.status = answer.status
        self._dropped = tuple(dict.fromkeys(map(self.hop.call.named, request.dropped_params)))
        adapter = self.granted.generation.adapter
        self.rate = adapter.rate_hint(answer.headers, self.wall())
        self._headers = caller_headers(answer.headers)
        call = self.hop.call
        if call.is_verbatim and answer.status >= 400:
            raise await self._verbatim_refusal(answer, request)
        if not call.is_verbatim and not 200 <= answer.status < 300:
            raise await self._refusal(answer, request)
        kind = content_type(answer.headers)
        if self.sighting is not None:
            self.sighting.begins(kind)
        if self.telling is not None:
            self.telling.begins(kind)
        if call.is_verbatim:
            await self._relay_verbatim(answer)
        elif adapter.answers_in_bytes(call.operation, kind, stream=call.stream):
            await self._relay_bytes(answer, request)
        elif call.stream:
            await self._relay_stream(answer, self._facts(request))
        else:
            await self._relay_plain(answer, request)

    async def _refusal(self, answer: UpstreamAnswer, request: UpstreamRequest) -> GatewayError:
        body, _ = await read_some(answer)
        error = self._told(answer, body, _meant(answer.status, request))
        error.headers = self._headers
        return error

    async def _verbatim_refusal(
        self, answer: UpstreamAnswer, request: UpstreamRequest
    ) -> GatewayError:
        """The refusal, classified for pool and record, with what the caller is to see of it."""
        body, is_whole = await read_some(answer, VERBATIM_BYTES)
        error = self._told(answer, body, _meant(answer.status, request))
        error.headers = self._headers
        # Nobody can be told of a status that is none.
        if is_whole and answer.status < 600:
            error.status = answer.status
            error.verbatim = Verbatim(
                status=answer.status,
                headers=self._headers,
                content_type=content_type(answer.headers).decode("latin-1"),
                # Not a byte is changed but those of a key.
                body=scrubber(self._key.value)(body.decode("latin-1")).encode("latin-1"),
            )
        return error

    def _told(self, answer: UpstreamAnswer, body: bytes, status: int) -> GatewayError:
        return self.granted.generation.adapter.decode_error(
            status,
            answer.headers,
            body,
            self._key,
            now_unix_s=self.wall(),
            raw=self.hop.call.caller.send_back_raw_response,
        )

    async def _relay_plain(self, answer: UpstreamAnswer, request: UpstreamRequest) -> None:
        body = await answer.read()
        facts = self._facts(request, received_s=trio.current_time())
        plain = self.granted.generation.adapter.decode_plain(body, facts)
        self.usage = plain.usage
        if plain.error is not None:
            raise plain.error
        if plain.content_type:
            self._bytes_of = ((b"content-type", plain.content_type),)
        # Of an answer in other words, the caller's: it has the ids that he will ask by.
        seen = body if request.reading is None else plain.body
        self._sight(seen)
        self._sight(b"")
        await self._hand_on(Progress(plain.body, 1), answer, seen)

    async def _relay_bytes(
        self, answer: UpstreamAnswer, request: UpstreamRequest | None = None
    ) -> None:
        """Block by block. The first is there before anything goes out, so that another try may still be made."""
        receive, self._bytes_of = answer.receive, answer.headers
        reading = None if request is None else request.reading
        if request is not None and reading is not None and reading.retell is not None:
            receive = Retold(answer.receive, reading.retell(self._facts(request))).receive
            self._bytes_of = ((b"content-type", reading.content_type),)
        data = await receive()
        if not data and self.hop.call.operation is Operation.SPEECH:
            raise UpstreamError("empty response received from provider")
        self._sight(data)
        await self._hand_on(Progress(data, 1), answer, data)
        while data:
            data = await receive()
            self._sight(data)
            if data:
                await self._hand_on(Progress(data), answer, data)

    async def _relay_verbatim(self, answer: UpstreamAnswer) -> None:
        """As ``_relay_bytes``, but that the head of a stream does not wait for its first byte."""
        if self.hop.call.stream:
            self._bytes_of = answer.headers
            await self._hand_on(Progress(b""), answer)
        await self._relay_bytes(answer)

    def _sight(self, data: bytes) -> None:
        """Let the passing answer be looked at; no data is its end."""
        if self.sighting is None:
            return
        now_s = trio.current_time()
        if data:
            self.sighting.passes(data, now_s)
        else:
            self.sighting.ends(now_s)

    async def _relay_stream(self, answer: UpstreamAnswer, facts: AnswerFacts) -> None:
        if _is_json(answer.headers):
            raise await self._no_stream(answer)
        decoder = self.granted.generation.adapter.stream_decoder(facts)
        try:
            while True:
                data = await answer.receive()
                now_s = trio.current_time()
                if self.sighting is not None:
                    self.sighting.passes(data, now_s)
                if self.telling is not None:
                    self.telling.passes(data)
                progress = decoder.feed(data, now_s) if data else decoder.close(now_s)
                if progress.data:
                    await self._hand_on(progress, answer)
                if progress.error is not None:
                    raise progress.error
                if progress.done:
                    break
        finally:
            self.usage = decoder.usage
        if data:
            await _linger(answer)

    async def _no_stream(self, answer: UpstreamAnswer) -> GatewayError:
        body, _ = await read_some(answer)
        told = self._told(answer, body, answer.status)
        if told.type is not None or told.code is not None:
            return told
        return UpstreamError("provider returned non-SSE response for streaming request", status=502)

    async def _hand_on(self, progress: Progress, answer: UpstreamAnswer, told: bytes = b"") -> None:
        """Give the caller ``progress``; ``told`` is what came with it, for whoever listens: only the winner of a race is heard."""
        now_s = trio.current_time()
        if not self._begun:
            await self._begin(answer, now_s)
        if told and self.telling is not None:
            self.telling.passes(told)
        self._live.tally.count(progress.events, now_s)
        self._delivered.count(len(progress.data), self._events_in(progress))
        await self.hop.send(Chunk(progress.data))

    def _events_in(self, progress: Progress) -> int:
        """Of a stream; nobody else has counted those of one that passes as it came."""
        if not self.hop.call.stream:
            return 0
        data = progress.data
        is_counted = not self.hop.call.is_verbatim
        return progress.events if is_counted else data.count(b"\n\n") + data.count(b"\r\n\r\n")

    async def _begin(self, answer: UpstreamAnswer, now_s: float) -> None:
        if self.claim is not None:
            await self.claim()
        self._begun = True
        if self.hop.call.stream:
            self.lease.opened()
        self.first_event_s = now_s - self.sent_s
        overhead_s = self._live.overhead_s(answer.waited_s)
        headers = (*self._headers, *dropped_header(self._dropped))
        began = Began(headers=headers, target=self.hop.target, overhead_s=overhead_s)
        if self._bytes_of is not None:
            began = _of_bytes(began, answer.status, self._bytes_of, self.hop.call)
        await self.hop.send(began)

    def _note_sent(self) -> None:
        self.is_sent = True

    def _facts(self, request: UpstreamRequest, received_s: float | None = None) -> AnswerFacts:
        call, settings = self.hop.call, self.granted.generation.settings
        body = request.body
        raw_response = settings.send_back_raw_response or call.caller.send_back_raw_response
        raw_request = settings.send_back_raw_request or call.caller.send_back_raw_request
        return AnswerFacts(
            request_type=call.request_type,
            provider=self.hop.target.provider,
            model_requested=self.hop.target.model,
            sent_s=self.sent_s,
            received_s=received_s,
            sent_unix_s=self.sent_unix_s,
            operation=call.operation,
            dialect=call.surface.dialect,
            is_native=request.is_native,
            members=call.members,
            native=call.native,
            send_extra_fields=self.send_extra_fields,
            raw_request=body if raw_request and isinstance(body, bytes) else None,
            raw_response=raw_response,
            raw_verbatim=raw_response and self._is_own_dialect(),
            response_headers=self._headers,
            dropped_params=request.dropped_params,
            reading=request.reading,
            model_deployment=request.model_deployment,
            key=self._key.value,
        )

    def _is_own_dialect(self) -> bool:
        return self.hop.target.provider == "openai" and self.hop.call.surface is Surface.OPENAI

    def outcome(self) -> AttemptOutcome:
        """What the pool is to learn of it."""
        error = self.error
        return AttemptOutcome(
            error_class=None if error is None else error.error_class,
            status=self.status,
            rate=self.rate,
            latency_s=trio.current_time() - self.sent_s,
            first_event_s=self.first_event_s,
            streamed=self.hop.call.stream,
            usage=self.usage,
            retry_after_s=None if error is None else error.retry_after_s,
        )

    def account(self, error_class: ErrorClass | None) -> AttemptRecord:
        """What the record is to say of it."""
        return AttemptRecord(
            key_id=self.granted.key_id,
            key_name=self.granted.key_name,
            error_class=error_class,
            status=self.status,
            code=None if self.error is None else self.error.code,
            queue_wait_s=self.granted.queue_wait_s,
            upstream_s=self.upstream_s,
            first_event_s=self.first_event_s,
            hedge=self.hedge,
            is_sent=self.is_sent,
            usage=self.usage,
            delivered_tokens=self._delivered.tokens,
            deployment=self._deployment,
        )


def _meant(status: int, request: UpstreamRequest) -> int:
    """The status that is meant by a refusal's: 404 where this provider says so by another one."""
    reading = request.reading
    return 404 if reading is not None and status in reading.absent else status


def content_type(headers: Headers) -> bytes:
    return next((value for name, value in headers if name == b"content-type"), b"")


def _is_json(headers: Headers) -> bool:
    return content_type(headers).lower().startswith(b"application/json")


def _of_bytes(began: Began, status: int, headers: Headers, call: Call) -> Began:
    unsaid = "" if call.is_verbatim else "application/octet-stream"
    return attrs.evolve(
        began,
        status=status,
        content_type=content_type(headers).decode("latin-1") or unsaid,
        length=_length(headers),
        at_once=call.is_verbatim and call.stream,
    )


def _length(headers: Headers) -> int | None:
    """Bytes of the body, where it comes as it was counted."""
    told = dict(headers)
    value = told.get(b"content-length", b"")
    is_coded = told.get(b"content-encoding", b"identity").lower() != b"identity"
    return int(value) if value.isdigit() and not is_coded else None


async def _in_memory(request: UpstreamRequest) -> UpstreamRequest:
    """``request`` with its body as bytes: a signature is over all of it. Raises BodyTooLarge."""
    if isinstance(request.body, bytes):
        return request
    if request.body.size > SIGNED_BYTES:
        raise BodyTooLarge(f"a body that is signed for AWS must have at most {SIGNED_BYTES} bytes")
    body = b"".join([block async for block in request.body.blocks()])
    return attrs.evolve(request, body=body)


async def _linger(answer: UpstreamAnswer) -> None:
    """Read past the stream's own end to the body's, if it comes at once."""
    try:
        with trio.move_on_after(LINGER_S):
            while await answer.receive():
                pass
    except GatewayError:
        # The caller has the whole stream; the connection just is not kept.
        pass
