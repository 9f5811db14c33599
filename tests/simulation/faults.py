"""What an upstream may do, drawn by chance: every class of failure, each marked with how a caller may find it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from actors.scripted import NEVER, REFUSED, SSE, Answer, Seen, chunk, completion, refusal, streamed
from bifrost.codecs.json import dumps
from bifrost.codecs.sse import data_frame
from bifrost.errors import NetworkError

if TYPE_CHECKING:
    from random import Random

__all__ = ["Deed", "draw"]


@attrs.frozen
class Deed:
    """What was done with a request. ``tag`` stands in the answer's text; only a ``whole`` one may look complete."""

    kind: str
    answer: Answer
    tag: str
    whole: bool = False


def draw(rng: Random, seen: Seen, tag: str) -> Deed:
    """One deed; more than half of them are good."""
    streams = b'"stream":true' in seen.body
    delay_s = rng.choice([0.0, 0.01, 0.3, 2.0])
    if rng.random() < 0.55:
        return _good(rng, tag, streams=streams, delay_s=delay_s)
    if streams and rng.random() < 0.5:
        return _broken_stream(rng, tag, delay_s)
    return _refusal(rng, seen, tag, delay_s)


def _good(rng: Random, tag: str, *, streams: bool, delay_s: float) -> Deed:
    if not streams:
        return Deed("good", completion(tag, delay_s=delay_s), tag, whole=True)
    return Deed("good", streamed(*_pieces(rng, tag), delay_s=delay_s), tag, whole=True)


def _pieces(rng: Random, tag: str) -> list[bytes | float | Exception]:
    pieces: list[bytes | float | Exception] = [chunk(tag)]
    for _ in range(rng.randrange(6)):
        pieces += [rng.choice([0.0, 0.05, 1.0]), chunk(tag)]
    return pieces


def _broken_stream(rng: Random, tag: str, delay_s: float) -> Deed:
    error = data_frame(dumps({"error": {"message": "overloaded", "type": "server_error"}}))
    ends: dict[str, list[bytes | float | Exception]] = {
        "cut": [NetworkError("connection broke")],
        "short": [],
        "stall": [1e6],
        "error_event": [error],
        "garbage": [b"data: {not json\n\n"],
        "noise": [b"\xff\xfe\x00" * 50],
    }
    kind = rng.choice(sorted(ends))
    begun = _pieces(rng, tag) if rng.random() < 0.6 else [b": ping\n\n"]
    pieces = (*begun, *ends[kind])
    return Deed(kind, Answer(headers=SSE, pieces=pieces, delay_s=delay_s), tag)


def _refusal(rng: Random, seen: Seen, tag: str, delay_s: float) -> Deed:
    echo = f"refused with {seen.key}"
    answers = {
        "refused": REFUSED,
        "never": NEVER,
        "html": Answer(pieces=(b"<html>busy</html>",), delay_s=delay_s),
        "half_json": Answer(pieces=(b'{"choices": [', NetworkError("cut")), delay_s=delay_s),
        **{
            str(status): refusal(status, message=echo, delay_s=delay_s)
            for status in (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529)
        },
        "429-after": refusal(429, retry_after_s=rng.randrange(1, 20), message=echo),
    }
    kind = rng.choice(sorted(answers))
    return Deed(kind, answers[kind], tag)
