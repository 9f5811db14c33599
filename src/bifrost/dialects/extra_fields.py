"""``extra_fields``: what the gateway adds to an answer in the OpenAI dialect, ready to be spliced in."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from bifrost.codecs import json

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts

__all__ = ["NAME", "begin", "milliseconds", "of_whole", "rest"]

NAME = "extra_fields"

MAX_KEPT = 256
"""Characters of a model's name in what is made once."""


def begin(facts: AnswerFacts) -> bytes:
    """The member up to and with ``"latency":``; there follow the number, the chunk's index, ``rest`` and ``}``."""
    model, deployment = facts.model_requested, facts.model_deployment
    # A caller may call a model as he likes: what is as long as a body is not kept.
    make = _begin if len(model) <= MAX_KEPT else _begin.__wrapped__
    return make(facts.request_type, facts.provider, model, deployment)


@lru_cache(maxsize=256)
def _begin(request_type: str, provider: str, model: str, deployment: str | None) -> bytes:
    members = {"request_type": request_type, "provider": provider, "model_requested": model}
    if deployment is not None:
        members["model_deployment"] = deployment
    told = b",".join(
        [
            b'"%b":%b' % (name.encode(), json.dumps_str(text))
            for name, text in members.items()
            if text
        ]
    )
    return b'"%b":{%b%b"latency":' % (NAME.encode(), told, b"," if told else b"")


def milliseconds(from_s: float, to_s: float) -> int:
    return max(0, round((to_s - from_s) * 1000))


def rest(facts: AnswerFacts, raw_response: bytes | None) -> bytes:
    """What stands once in an answer: raw echoes, dropped parameters, the upstream's headers. Begins with a comma.

    ``raw_response`` is JSON, or ``None`` for no echo.
    """
    parts: list[bytes] = []
    if facts.raw_request is not None:
        parts.append(b',"raw_request":%b' % raw_json(facts.raw_request))
    if raw_response is not None:
        parts.append(b',"raw_response":%b' % raw_response)
    if facts.dropped_params:
        parts.append(b',"dropped_params":%b' % json.dumps(list(facts.dropped_params)))
    if facts.response_headers:
        parts.append(b',"provider_response_headers":' + _object(facts.response_headers))
    return b"".join(parts)


def of_whole(facts: AnswerFacts, body: bytes) -> bytes:
    """The whole member for an answer in one piece; ``body`` is the upstream's, echoed where that is asked for."""
    received_s = facts.sent_s if facts.received_s is None else facts.received_s
    raw = json.one_line(body) if facts.raw_response else None
    return b'%b%d,"chunk_index":0%b}' % (
        begin(facts),
        milliseconds(facts.sent_s, received_s),
        rest(facts, raw),
    )


def _object(pairs: tuple[tuple[str, str], ...]) -> bytes:
    """All ``pairs`` as an object, those of one name too."""
    members = dict(pairs)
    if len(members) == len(pairs):
        return json.dumps(members)
    told = [b"%b:%b" % (json.dumps_str(name), json.dumps_str(value)) for name, value in pairs]
    return b"{%b}" % b",".join(told)


def raw_json(body: bytes) -> bytes:
    """``body`` as a JSON value on one line: itself if it is JSON, else its text as a string."""
    try:
        json.loads(body)
    except json.InvalidJSON:
        return json.dumps_str(body.decode("utf-8", "replace"))
    return json.one_line(body)
