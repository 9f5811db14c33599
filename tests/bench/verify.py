"""Before anything is measured: does each gateway answer right, whatever it is asked, and use all its keys?"""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any

from bench.gateways import KEYS, Gateway
from bench.pacer import PACED_EVENTS
from bench.upstream import ANSWER, EMBEDDINGS, RESPONSE, TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["WrongAnswer", "verify"]

TRIES = 60
"""With three keys of at least 0.2, one is not seen in 60 draws once in 600,000 times."""

SAID = {"plain": ANSWER, "governed": ANSWER, "responses": RESPONSE, "embeddings": EMBEDDINGS}


class WrongAnswer(Exception):
    """A gateway gives something else than its upstream said."""


def verify(gateway: Gateway) -> None:
    """Raises WrongAnswer."""
    seen = {_plain(gateway) for _ in range(TRIES if gateway.command else 1)}
    if gateway.command and seen != {f"Bearer {key}" for key in KEYS}:
        raise WrongAnswer(f"{gateway.name} used the keys {sorted(seen)}")
    if "governed" in gateway.routes:
        _answer(gateway, "governed", _chat_told)
    for kind in ("stream", "translated"):
        if kind in gateway.routes and (text := _stream(gateway, kind)) != TEXT:
            raise WrongAnswer(f"{gateway.name} streamed ({kind}) {text[:200]!r}")
    if (text := _stream(gateway, "paced")).count("@") != PACED_EVENTS:
        raise WrongAnswer(f"{gateway.name} streamed at a pace {text[:200]!r}")
    for kind, read in (("responses", _response_told), ("embeddings", _embedding_told)):
        if kind in gateway.routes:
            _answer(gateway, kind, read)


def _plain(gateway: Gateway) -> str:
    """The credential the upstream saw."""
    return str(_answer(gateway, "plain", _chat_told)["system_fingerprint"])


def _answer(gateway: Gateway, kind: str, read: Callable[[Any], object]) -> Any:
    """The answer, in which what ``read`` finds is as the upstream said it."""
    answer: Any = json.loads(_ask(gateway, kind))
    try:
        told = read(answer)
    except (KeyError, TypeError, IndexError, ValueError):
        told = None
    if told != read(SAID[kind]):
        raise WrongAnswer(f"{gateway.name} answered {answer}")
    return answer


def _chat_told(answer: Any) -> object:
    content = answer["choices"][0]["message"]["content"]
    return content, answer["usage"]["total_tokens"], "system_fingerprint" in answer


def _response_told(answer: Any) -> object:
    [message] = answer["output"]
    return message["content"][0]["text"], answer["status"], answer["usage"]["total_tokens"]


def _embedding_told(answer: Any) -> object:
    return answer["data"][0]["embedding"], answer["usage"]["total_tokens"]


def _stream(gateway: Gateway, kind: str) -> str:
    """The text of a whole stream."""
    lines = _ask(gateway, kind).decode().splitlines()
    events = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    if not events or events.pop() != "[DONE]":
        raise WrongAnswer(f"{gateway.name} did not end its stream: {lines[-3:]}")
    choices = [choice for event in events for choice in json.loads(event).get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def _ask(gateway: Gateway, kind: str) -> bytes:
    route = gateway.routes[kind]
    connection = http.client.HTTPConnection("127.0.0.1", route.port, timeout=30)
    try:
        headers = {"Content-Type": "application/json", **route.headers}
        connection.request("POST", route.path, route.body(kind), headers)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise WrongAnswer(f"{gateway.name} did not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise WrongAnswer(f"{gateway.name} answered {answer.status}: {body[:500]!r}")
    return body
