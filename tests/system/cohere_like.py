"""A strict upstream that speaks Cohere's API: what its own SDK's types do not know it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from dialects.cohere_wire import check_chat, check_embed
from system.upstream import Upstream, plain, raw, status

if TYPE_CHECKING:
    from system.upstream import Behaviour, Received

__all__ = ["KEY", "CohereLike"]

KEY = "co-canary-aaaaaaaaaaaaaaaaaaaaaaaa"

RECORDED = Path(__file__).parent.parent / "recorded" / "cohere"

MODELS = {"models": [{"name": "command-a", "endpoints": ["chat"], "context_length": 256000}]}


class CohereLike(Upstream):
    """Answers a model with the recorded answer of its name."""

    def _next(self, received: Received) -> Behaviour:
        scripted = self.scripts.get(received.model)
        if scripted:
            return scripted.pop(0) if len(scripted) > 1 else scripted[0]
        if received.header("authorization") != f"Bearer {KEY}":
            return status(401, {"message": "invalid api token"})
        path = received.path.partition("?")[0]
        try:
            return self._answer(path, received)
        except (AssertionError, pydantic.ValidationError) as error:
            return status(400, {"message": f"invalid request: {error}"})

    def _answer(self, path: str, received: Received) -> Behaviour:
        match path:
            case "/v1/models":
                return plain(MODELS)
            case "/v2/chat":
                check_chat(received.json)
                return _chat(received)
            case "/v2/embed":
                check_embed(received.json)
                return plain(_embedded(received.json))
            case "/v2/rerank":
                count = len(received.json["documents"])
                results = [{"index": n, "relevance_score": 1 / (n + 2)} for n in range(count)]
                return plain({"id": "r", "results": results[: received.json.get("top_n", count)]})
            case "/v1/tokenize":
                words = received.json["text"].split()
                return plain({"tokens": [*range(len(words))], "token_strings": words})
            case _:
                return status(404, {"message": f"no such path: {path}"})


def _chat(received: Received) -> Behaviour:
    name = received.json["model"]
    if not received.json["stream"]:
        return plain(json.loads((RECORDED / f"{name}.json").read_bytes()))
    body = (RECORDED / f"{name}.sse").read_bytes()
    head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n"
    middle = len(body) // 2
    return raw(head.format(len(body)).encode(), body[:middle], 0.02, body[middle:], close=False)


def _embedded(body: dict[str, Any]) -> dict[str, Any]:
    given = body.get("texts") or body.get("images") or body.get("inputs")
    assert given
    floats = [[float(n), 0.5] for n in range(len(given))]
    kinds = {"float": floats, "int8": [[n] for n in range(len(given))]}
    return {
        "id": "e",
        "embeddings": {kind: kinds[kind] for kind in body["embedding_types"]},
        "meta": {"billed_units": {"input_tokens": 5}},
    }
