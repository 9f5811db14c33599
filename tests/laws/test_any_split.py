"""However the bytes of a stream are cut, the caller gets the same, and the gateway learns the same."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost.dialects.base import AnswerFacts
from bifrost.dialects.openai_chat import ChatStreamDecoder
from bifrost.record import Usage

RECORDED = sorted((Path(__file__).parent.parent / "recorded").glob("*.sse"))

FACTS = AnswerFacts(
    request_type="chat_completion_stream", provider="p", model_requested="m", sent_s=1.0
)

VARIANTS = (
    FACTS,
    attrs.evolve(FACTS, ends_without_done=True),
    attrs.evolve(FACTS, send_extra_fields=False),
    attrs.evolve(FACTS, raw_response=True, raw_request=b"{}"),
)


@attrs.frozen
class End:
    """All that a stream came to."""

    data: bytes
    events: int
    is_done: bool
    error: tuple[str, int] | None
    usage: Usage | None


def read(pieces: list[bytes], facts: AnswerFacts) -> End:
    decoder = ChatStreamDecoder(facts)
    data, events = b"", 0
    for piece in [*pieces, None]:
        progress = decoder.close(1.5) if piece is None else decoder.feed(piece, 1.5)
        data, events = data + progress.data, events + progress.events
        if progress.done or progress.error is not None:
            error = progress.error
            told = None if error is None else (error.message, error.status)
            return End(data, events, progress.done, told, decoder.usage)
    raise AssertionError("a stream has an end")


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    return [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_stream_cut_at_every_place(path: Path) -> None:
    stream = path.read_bytes()

    for facts in VARIANTS:
        whole = read([stream], facts)
        assert read([stream[i : i + 1] for i in range(len(stream))], facts) == whole
        for at in range(0, len(stream), 7):
            assert read(cut(stream, [at]), facts) == whole


@given(st.sampled_from(RECORDED), st.data())
@settings(max_examples=100)
def test_recorded_stream_cut_in_many_places(path: Path, data: st.DataObject) -> None:
    stream = path.read_bytes()
    at = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))

    assert read(cut(stream, at), FACTS) == read([stream], FACTS)


@pytest.mark.parametrize(
    ("name", "is_done", "usage"),
    [
        ("openai-text", True, Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12, cached_read_tokens=4, reasoning_tokens=2)),
        ("openai-two-choices-tools", True, Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12, cached_read_tokens=4, reasoning_tokens=2)),
        ("openrouter-comments", True, Usage(prompt_tokens=9, completion_tokens=3, total_tokens=12, cached_read_tokens=4, reasoning_tokens=2)),
        ("perplexity-cumulative", True, Usage(prompt_tokens=5, completion_tokens=2, total_tokens=7, searches=1)),
        ("openrouter-error-midway", False, None),
        ("vllm-unframed-error", False, None),
        ("groq-cut", False, None),
    ],
)  # fmt: skip
def test_recorded_stream_keeps_its_usage_and_its_end(
    name: str, is_done: bool, usage: Usage | None
) -> None:
    path = next(path for path in RECORDED if path.stem == name)
    facts = attrs.evolve(FACTS, ends_without_done=name.startswith("perplexity"))

    end = read([path.read_bytes()], facts)

    assert (end.is_done, end.usage) == (is_done, usage)
    assert (end.error is None) is is_done
    assert end.data.endswith(b"data: [DONE]\n\n") is is_done
