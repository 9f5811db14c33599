"""Reading what Cohere sent: decoded JSON of which nothing is certain.

Sources: Cohere API reference, v2 (chat, embed, rerank) and v1 (tokenize, models), and its SDK 7.3, 2026-11.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.codecs import json
from bifrost.dialects.openai_answer import BOM, checked
from bifrost.dialects.openai_errors import Told, read_error_body, told_error
from bifrost.dialects.scrub import scrubber
from bifrost.errors import UpstreamError

if TYPE_CHECKING:
    from bifrost.dialects.base import AnswerFacts
    from bifrost.errors import GatewayError

__all__ = [
    "TOOL_PLAN",
    "Object",
    "counted",
    "items_of",
    "object_at",
    "opened",
    "refusal",
    "text_at",
    "usage_of",
]

Object = dict[str, Any]

TOOL_PLAN = "tool_plan"
"""The id of the block of ``reasoning_details`` that says what is to be done with tools: Cohere keeps it apart from thinking."""


def opened(body: bytes) -> Object:
    """A whole 2xx body, decoded. Raises UpstreamError if it is no JSON object."""
    value = checked(body.removeprefix(BOM), json.loads)
    if not isinstance(value, dict):
        raise UpstreamError(
            "failed to unmarshal response from provider API", cause="not a JSON object"
        )
    return value


def refusal(value: Object, body: bytes, facts: AnswerFacts, holds: str) -> GatewayError | None:
    """The error that a 2xx ``body`` tells, where it has not the member ``holds`` that it should."""
    if value.get(holds) is not None:
        return None
    scrub = scrubber(facts.key)
    told = read_error_body(body, scrub) or Told(message=f"the answer has no {holds}")
    return told_error(told, None, scrub)


def object_at(value: object, *path: str) -> Object:
    """The object at ``path``; an empty one if there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items_of(value: object) -> list[Object]:
    """The objects of a list; of one object, that."""
    found = value if isinstance(value, list) else [value]
    return [item for item in found if isinstance(item, dict)]


def text_at(source: Object, name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""


def counted(value: object) -> int | None:
    """A count of tokens; Cohere's are floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < 2**53 else None


def usage_of(usage: object) -> Object:
    """OpenAI's usage out of ``usage`` or, of other answers than chat's, ``meta``; empty if it tells of nothing.

    ``tokens`` are what went through the model, ``billed_units`` what is paid for: the first count, the second are kept
    beside them, and stand in where there are no others.
    """
    tokens, billed = object_at(usage, "tokens"), object_at(usage, "billed_units")
    counts = [_first(name, tokens, billed) for name in ("input_tokens", "output_tokens")]
    if counts == [None, None] and not billed:
        return {}
    prompt, completion = (count or 0 for count in counts)
    told: Object = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    cached = counted(object_at(usage).get("cached_tokens"))
    if cached:
        told["prompt_tokens_details"] = {"cached_tokens": cached, "cached_read_tokens": cached}
    if billed:
        told["billed_units"] = billed
    return told


def _first(name: str, *sources: Object) -> int | None:
    counts = (counted(source.get(name)) for source in sources)
    return next((count for count in counts if count is not None), None)
