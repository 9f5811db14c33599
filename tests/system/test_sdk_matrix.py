"""Every SDK to every provider foreign to it: plain, streamed, with a tool and its result, with a picture, and with thinking.

The upstreams are as strict as the real ones, and each SDK gives back what came as it came: whatever the gateway loses or
puts in a wrong order on the way is refused with 400.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from system.providers import MODELS, all_of_them
from system.sdk import in_thread
from system.talks import TALKS, Talk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trio

    from system.process import Gateway

pytestmark = pytest.mark.system


@pytest.fixture
async def gateway(nursery: trio.Nursery, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with all_of_them(nursery, tmp_path) as it:
        yield it


OWN = {"openai": "openai", "openai-responses": "openai", "anthropic": "anthropic", "google-genai": "gemini", "boto3": "bedrock", "cohere": "cohere"}  # fmt: skip
"""Whose SDK it is: those calls go as they came, and have tests of their own."""

PAIRS = [
    (name, model) for name in TALKS for model in MODELS if model.partition("/")[0] != OWN[name]
]


@pytest.mark.parametrize(("name", "model"), PAIRS)
async def test_a_talk(name: str, model: str, gateway: Gateway) -> None:
    def talk(*, thinks: bool = False) -> Talk:
        return TALKS[name](gateway, model, thinks=thinks)

    for streams in (False, True):
        greeted = await in_thread(talk().say, "Say hello", streams=streams)
        seen = await in_thread(talk().say, "What is this?", picture=True, streams=streams)
        assert greeted == "Hello"
        assert seen == "A picture of type image/png"
        for thinks in (False, True):
            asking = talk(thinks=thinks)
            told = await in_thread(asking.say, "And Oslo?", tools=True, streams=streams)
            again = await in_thread(asking.say, "And now?", tools=True, streams=streams)
            assert "sunny in Oslo for 2 days" in told
            assert "sunny in Oslo for 2 days" in again


UNSERVED = ("openai-responses", "openai/gpt-5")
"""The upstream has chat only."""

BEGUN = [(name, first) for name in TALKS for first in MODELS if (name, first) != UNSERVED]


@pytest.mark.parametrize(("name", "first"), BEGUN)
async def test_a_talk_goes_on_with_another_model(name: str, first: str, gateway: Gateway) -> None:
    """As a fallback does, or a caller who changes his mind: thoughts and signatures of one are nothing to the others."""
    begun = TALKS[name](gateway, first, thinks=True)
    await in_thread(begun.say, "And Oslo?", tools=True, streams=True)
    for second in MODELS:
        if (name, second) == UNSERVED:
            continue
        talk = TALKS[name](gateway, second, thinks=True)
        talk.history = copy.deepcopy(begun.history)

        told = await in_thread(talk.say, "And now?", tools=True)

        assert "sunny in Oslo for 2 days" in told, second
