"""Recorded streams of Bedrock: cut at every place they come to the same, and to what came as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.bedrock_answer import read_converse
from bifrost.dialects.bedrock_stream import RelayedFrames, read_converse_stream
from bifrost.dialects.bedrock_telling import ConverseTeller
from bifrost.dialects.chat_teller import ChatTeller
from bifrost.record import Usage
from dialects.converse import events_of, parsed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.dialects.base import StreamDecoder

FOLDER = Path(__file__).parents[1] / "recorded/bedrock"
STREAMS = sorted(FOLDER.glob("*.eventstream"))

FACTS = AnswerFacts(
    request_type="chat_completion_stream",
    provider="bedrock",
    model_requested="claude",
    sent_s=1.0,
    send_extra_fields=False,
)


@attrs.frozen
class End:
    """All that a stream came to."""

    data: bytes
    events: int
    is_done: bool
    error: tuple[str, int] | None
    usage: Usage | None


DECODERS: dict[str, Callable[[], StreamDecoder]] = {
    "chat": lambda: read_converse_stream(FACTS, ChatTeller(FACTS)),
    "converse": lambda: read_converse_stream(FACTS, ConverseTeller(FACTS)),
    "relayed": lambda: RelayedFrames(FACTS),
}


def read(pieces: list[bytes], decoder: StreamDecoder) -> End:
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(1.5) if piece is None else decoder.feed(piece, 1.5)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error is not None:
            error = progress.error
            told = None if error is None else (error.message, error.status)
            return End(data, events, progress.done, told, decoder.usage)
    raise AssertionError("a stream has an end")


@pytest.mark.parametrize("how", DECODERS)
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_recorded_stream_cut_at_every_place(path: Path, how: str) -> None:
    stream = path.read_bytes()
    whole = read([stream], DECODERS[how]())

    assert read([stream[i : i + 1] for i in range(len(stream))], DECODERS[how]()) == whole
    for at in range(0, len(stream), 7):
        assert read([stream[:at], stream[at:]], DECODERS[how]()) == whole


@pytest.mark.parametrize(
    ("name", "error", "usage"),
    [
        ("text", None, Usage(prompt_tokens=532, completion_tokens=58, total_tokens=590, cached_read_tokens=100, cached_write_tokens=20)),
        ("thinking-and-tool", None, Usage(prompt_tokens=412, completion_tokens=58, total_tokens=470)),
        ("throttled-midway", ("Too many tokens, please wait before trying again.", 429), None),
        ("cut-midway", ("Error reading stream: the stream ended before its end marker", 502), None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", DECODERS)
def test_recorded_stream_keeps_its_usage_and_its_end(
    name: str, error: Any, usage: Usage | None, how: str
) -> None:
    end = read([(FOLDER / f"{name}.eventstream").read_bytes()], DECODERS[how]())

    assert (end.error, end.usage) == (error, usage)
    assert end.is_done is (error is None)


def test_a_stream_says_what_the_whole_answer_says() -> None:
    whole = (FOLDER / "thinking-and-tool.json").read_bytes()
    stream = (FOLDER / "thinking-and-tool.eventstream").read_bytes()

    message = read_converse(whole, FACTS).value["choices"][0]["message"]
    lines = read([stream], DECODERS["chat"]()).data.decode().split("\n\n")[:-2]
    deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in lines]

    def joined(name: str) -> str:
        return "".join(delta.get(name) or "" for delta in deltas)

    assert joined("content") == message["content"]
    assert joined("reasoning") == message["reasoning"]
    [detail] = message["reasoning_details"]
    pieces = [piece for delta in deltas for piece in delta.get("reasoning_details", ())]
    for member in ("text", "signature"):
        assert "".join(piece.get(member, "") for piece in pieces) == detail[member]
    calls = [call["function"] for delta in deltas for call in delta.get("tool_calls", ())]
    [called] = message["tool_calls"]
    assert json.loads("".join(call["arguments"] for call in calls)) == json.loads(
        called["function"]["arguments"]
    )


def test_told_again_it_is_what_botocore_read_before() -> None:
    stream = (FOLDER / "thinking-and-tool.eventstream").read_bytes()
    again = read([stream], DECODERS["converse"]()).data

    def said(events: list[Any]) -> list[Any]:
        kept = [e for e in events if "metadata" not in e]
        return [e for e in kept if e.get("contentBlockDelta", {}).get("delta") != {"toolUse": {"input": ""}}]  # fmt: skip

    assert said(events_of(again)) == said(events_of(stream))
    assert parsed((FOLDER / "thinking-and-tool.json").read_bytes())["stopReason"] == "tool_use"
