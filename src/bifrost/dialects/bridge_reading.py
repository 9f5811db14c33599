"""What a chat message or delta says, in the words of the Responses API.

Everything here takes whatever JSON an upstream may send, and makes nothing of what has not the shape it should have.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.openai_stream import sound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "CallDelta",
    "Saying",
    "Thought",
    "annotations_of",
    "call_deltas",
    "logprobs_of",
    "sayings_of",
    "thoughts_of",
]

CITATION: Mapping[str, str | int] = {"url": "", "title": "", "start_index": 0, "end_index": 0}
"""The members of a citation, and what stands for one that is not there."""


class Saying(enum.Enum):
    """In which voice a text is said."""

    REASONING = "summary_text"
    TEXT = "output_text"
    REFUSAL = "refusal"


@attrs.frozen
class CallDelta:
    """What a delta tells of one tool call. ``text`` is of its arguments, or of a custom tool's input."""

    index: int | None
    id: str
    name: str
    text: str
    is_custom: bool = False


@attrs.frozen
class Thought:
    """What a message or delta tells of one block of thinking: some of its text, and the ``detail`` that has its seal.

    ``index`` tells the blocks apart; ``None`` is any.
    """

    text: str = ""
    index: int | None = None
    detail: dict[str, Any] | None = None


def thoughts_of(message: dict[str, Any]) -> Iterator[Thought]:
    """The thinking of a message or delta. Where none of it is sealed, the blocks are one."""
    details = [*_objects(message.get("reasoning_details"))]
    told = [thought for detail in details if (thought := _thought(detail)) is not None]
    reasoning = _reasoning_of(message)
    if reasoning and not any(thought.text for thought in told):
        yield Thought(reasoning, told[0].index if told else None)
    yield from told


def _thought(detail: dict[str, Any]) -> Thought | None:
    text = "".join(_texts([detail], "text", "summary"))
    is_sealed = any(isinstance(detail.get(name), str) and detail[name] for name in SEALS)
    if not text and not is_sealed:
        return None
    index = detail.get("index")
    return Thought(text, index if type(index) is int else None, detail if is_sealed else None)


SEALS = ("signature", "data")


def sayings_of(message: dict[str, Any]) -> Iterator[tuple[Saying, str]]:
    """The texts of a message or delta, none of them empty, in the order in which a model says them.

    Not those of its thinking, but for what stands among its content.
    """
    yield from _contents_of(message.get("content"))
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield Saying.REFUSAL, refusal


def _reasoning_of(message: dict[str, Any]) -> str:
    """The members that tell it repeat one another, so the first counts."""
    for name in ("reasoning", "reasoning_content"):
        text = message.get(name)
        if isinstance(text, str) and text:
            return text
    return ""


def _contents_of(content: object) -> Iterator[tuple[Saying, str]]:
    """A string, or a list of parts; Mistral's thinking comes as a part with texts of its own."""
    if isinstance(content, str) and content:
        yield Saying.TEXT, content
    if not isinstance(content, list):
        return
    for part in content:
        match part:
            case {"type": "text", "text": str(text)} if text:
                yield Saying.TEXT, text
            case {"type": "refusal", "refusal": str(text)} if text:
                yield Saying.REFUSAL, text
            case {"type": "thinking", "thinking": str(text)} if text:
                yield Saying.REASONING, text
            case {"type": "thinking", "thinking": list(inner)}:
                if text := "".join(_texts(inner, "text")):
                    yield Saying.REASONING, text
            case _:  # what a Response has no word for
                pass


def _texts(parts: object, *names: str) -> Iterator[str]:
    for part in _objects(parts):
        yield from (part[name] for name in names if isinstance(part.get(name), str))


def _objects(items: object) -> Iterator[dict[str, Any]]:
    if isinstance(items, list):
        yield from (item for item in items if isinstance(item, dict))


def annotations_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The citations of URLs; chat knows no others."""
    found: list[dict[str, Any]] = []
    for item in _objects(message.get("annotations")):
        cited = item.get("url_citation")
        if item.get("type") == "url_citation" and isinstance(cited, dict):
            told = {name: sound(cited.get(name), spare) for name, spare in CITATION.items()}
            found.append({"type": "url_citation", **told})
    return found


def logprobs_of(logprobs: object) -> list[dict[str, Any]]:
    """Those of the text; chat's of a refusal have no place in a Response."""
    if not isinstance(logprobs, dict):
        return []
    return [
        {
            **_logprob(item),
            "top_logprobs": [_logprob(top) for top in _objects(item.get("top_logprobs"))],
        }
        for item in _objects(logprobs.get("content"))
    ]


def _logprob(item: dict[str, Any]) -> dict[str, Any]:
    token, value, octets = item.get("token"), item.get("logprob"), item.get("bytes")
    return {
        "token": token if isinstance(token, str) else "",
        "bytes": [b for b in octets if type(b) is int] if isinstance(octets, list) else [],
        "logprob": value if isinstance(value, int | float) else 0.0,
    }


def call_deltas(message: dict[str, Any]) -> Iterator[CallDelta]:
    """What a message or delta tells of tool calls, all of them."""
    for item in _objects(message.get("tool_calls")):
        function, custom = item.get("function"), item.get("custom")
        is_custom = isinstance(custom, dict) and not isinstance(function, dict)
        what = custom if is_custom else function
        what = what if isinstance(what, dict) else {}
        index = item.get("index")
        yield CallDelta(
            index=index if type(index) is int else None,
            id=_word(item.get("id")),
            name=_word(what.get("name")),
            text=_arguments(what.get("input" if is_custom else "arguments")),
            is_custom=is_custom,
        )


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: object) -> str:
    """JSON in a string, as it should be; some servers send the object itself."""
    if not isinstance(value, dict | list):
        return _word(value)
    try:
        return json.dumps(value).decode()
    except TypeError:  # nested more deeply than can be written
        return ""
