"""The formulas, in exact nano-dollars."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from bifrost.policy.pricing_cost import MAX_NANO_USD, CallFacts, cost
from bifrost.policy.pricing_rates import Rates, read_tariff
from bifrost.record import MediaUsage, Usage
from bifrost.schema.call import Operation

IN, OUT = {"input_cost_per_token": 1e-6}, {"output_cost_per_token": 4e-6}
CHAT: dict[str, Any] = IN | OUT | {
    "cache_read_input_token_cost": 1e-7,
    "cache_creation_input_token_cost": "1.25e-6",
    "search_context_cost_per_query": 0.01,
}  # fmt: skip
TIERED: dict[str, Any] = IN | {
    "input_cost_per_token_above_128k_tokens": 2e-6,
    "input_cost_per_token_above_200k_tokens": 3e-6,
    "output_cost_per_token": 4e-6,
    "output_cost_per_token_above_128k_tokens": 8e-6,
}
SOUND: dict[str, Any] = IN | OUT | {
    "input_cost_per_audio_token": 1e-5,
    "output_cost_per_audio_token": 2e-5,
}  # fmt: skip
IMAGE: dict[str, Any] = IN | OUT | {
    "input_cost_per_image_token": 8e-6,
    "output_cost_per_image_token": 3e-5,
}  # fmt: skip
EACH: dict[str, Any] = {
    "output_cost_per_image": 0.01,
    "output_cost_per_image_low_quality": 0.02,
    "output_cost_per_image_high_quality": 0.08,
    "output_cost_per_image_above_512_and_512_pixels": 0.03,
    "output_cost_per_image_above_1024_and_1024_pixels": 0.04,
}
EMBED, RERANK = Operation.EMBEDDING, Operation.RERANK
SPEECH, HEAR, DRAW = Operation.SPEECH, Operation.TRANSCRIPTION, Operation.IMAGE
FILM = Operation.VIDEO


MEDIA = [field.name for field in attrs.fields(MediaUsage)]


def used(prompt: int = 0, completion: int = 0, **more: Any) -> Usage:
    media = {name: more.pop(name) for name in MEDIA if name in more}
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=more.pop("total", prompt + completion),
        media=MediaUsage(**media) if media else None,
        **more,
    )


@pytest.mark.parametrize(
    ("prices", "operation", "usage", "nano_usd"),
    [
        (CHAT, Operation.CHAT, used(1000, 500), 1_000_000 + 2_000_000),
        (CHAT, Operation.TEXT, used(1000, 500), 3_000_000),
        (CHAT, Operation.RESPONSES, used(1000, 500), 3_000_000),
        (CHAT, Operation.CHAT, used(1000, 0, cached_read_tokens=400), 600_000 + 40_000),
        (CHAT, Operation.CHAT, used(1000, 0, cached_read_tokens=400, cached_write_tokens=200), 400_000 + 40_000 + 250_000),
        # Cached counts are never more than the prompt.
        (CHAT, Operation.CHAT, used(100, 0, cached_read_tokens=400, cached_write_tokens=9), 10_000),
        (CHAT, Operation.CHAT, used(100, 0, cached_read_tokens=90, cached_write_tokens=90), 9_000 + 12_500),
        (CHAT, Operation.CHAT, used(0, 1, searches=2), 4_000 + 20_000_000),
        # Without rates of their own, cached tokens are tokens.
        (IN | OUT, Operation.CHAT, used(1000, 0, cached_read_tokens=400, cached_write_tokens=200), 1_000_000),
        (IN | OUT, Operation.CHAT, used(10, 10, reasoning_tokens=4), 10_000 + 40_000),
        (IN | OUT | {"output_cost_per_reasoning_token": 1e-6}, Operation.CHAT, used(0, 10, reasoning_tokens=4), 24_000 + 4_000),
        (SOUND, Operation.CHAT, used(100, 50, audio_in_tokens=40, audio_out_tokens=20), 60_000 + 400_000 + 120_000 + 400_000),
        (IN | OUT, Operation.CHAT, used(100, 50, audio_in_tokens=40, image_out_tokens=20), 100_000 + 200_000),
        (IMAGE, Operation.CHAT, used(100, 50, image_in_tokens=40, image_out_tokens=20), 60_000 + 320_000 + 120_000 + 600_000),
        ({"cost_per_request": 0.014} | IN, Operation.CHAT, used(10), 14_000_000 + 10_000),
        # Tiers go by all tokens, and move the whole call.
        (TIERED, Operation.CHAT, used(128_000), 128_000_000),
        (TIERED, Operation.CHAT, used(128_001), 256_002_000),
        (TIERED, Operation.CHAT, used(100_000, 28_001), 200_000_000 + 224_008_000),
        (TIERED, Operation.CHAT, used(200_000), 400_000_000),
        (TIERED, Operation.CHAT, used(200_001), 600_003_000),
        # A rate without the higher tier is that of the lower.
        (TIERED, Operation.CHAT, used(200_000, 1), 600_000_000 + 8_000),
        (CHAT, EMBED, used(1000), 1_000_000),
        (CHAT, EMBED, used(1000, 7), 1_000_000),
        (CHAT, RERANK, used(10, 5, searches=3), 10_000 + 20_000 + 30_000_000),
        (SOUND | {"input_cost_per_character": 1.5e-5}, SPEECH, used(characters=200), 3_000_000),
        (SOUND, SPEECH, used(10, 100), 10_000 + 2_000_000),
        (IN | OUT, SPEECH, used(10, 100), 10_000 + 400_000),
        (IN, SPEECH, used(characters=200), 200_000),
        ({"output_cost_per_second": 0.002}, SPEECH, used(audio_ms=1500), 3_000_000),
        ({"output_cost_per_second": 0.1}, FILM, used(video_ms=8000), 800_000_000),
        ({"output_cost_per_second": 0.1, "output_cost_per_video_per_second": 0.3}, FILM, used(video_ms=8000), 2_400_000_000),
        (IN | OUT, FILM, used(video_ms=8000), 0),
        (SOUND, HEAR, used(100, 10, audio_in_tokens=90), 10_000 + 900_000 + 40_000),
        (SOUND, HEAR, used(0, 10, audio_in_tokens=90), 900_000 + 40_000),
        (SOUND, HEAR, used(100, 10), 100_000 + 40_000),
        ({"input_cost_per_second": 0.0001}, HEAR, used(audio_ms=8_500), 850_000),
        ({"input_cost_per_second": 0.0001, "input_cost_per_audio_per_second": 0.0002}, HEAR, used(audio_ms=8_500), 1_700_000),
        ({"input_cost_per_second": 0.0001}, HEAR, used(100, 10, audio_ms=10_000), 1_000_000),
        ({"input_cost_per_second": 0.0001}, Operation.TRANSLATION, used(audio_ms=10_000), 1_000_000),
        (IMAGE, DRAW, used(100, 50, image_in_tokens=40, image_out_tokens=50), 60_000 + 320_000 + 1_500_000),
        (IMAGE, DRAW, used(100, 50), 100_000 + 1_500_000),
        (IN | OUT, DRAW, used(100, 50), 100_000 + 200_000),
        (EACH, DRAW, used(images=3), 30_000_000),
        (EACH, DRAW, used(), 10_000_000),
        ({"input_cost_per_image": 0.001} | EACH, Operation.IMAGE_VARIATION, used(images=3), 33_000_000),
    ],
)  # fmt: skip
def test_costs_are_exact(
    prices: dict[str, Any], operation: Operation, usage: Usage, nano_usd: int
) -> None:
    assert cost(Rates(read_tariff(prices)), usage, operation) == nano_usd


@pytest.mark.parametrize(
    ("prices", "facts", "nano_usd"),
    [
        (EACH, CallFacts(choices=2), 20_000_000),
        (EACH, CallFacts(quality="low"), 20_000_000),
        (EACH, CallFacts(quality="high", pixels=10**8), 80_000_000),
        (EACH, CallFacts(quality="medium"), 10_000_000),
        (EACH | {"output_cost_per_image_auto_quality": 0.05}, CallFacts(), 50_000_000),
        (EACH, CallFacts(pixels=511 * 512), 10_000_000),
        (EACH, CallFacts(pixels=512 * 512), 30_000_000),
        (EACH, CallFacts(pixels=1024 * 1024, choices=2), 80_000_000),
        (EACH, CallFacts(pixels=4096 * 4096), 40_000_000),
        ({"output_cost_per_pixel": 1e-8}, CallFacts(pixels=1024 * 1024, choices=2), 20_971_520),
        ({"input_cost_per_pixel": 1e-8, "output_cost_per_image": 0.01}, CallFacts(pixels=100), 10_001_000),
        ({"output_cost_per_pixel": 1e-8}, CallFacts(), 0),
        ({}, CallFacts(), 0),
    ],
)  # fmt: skip
def test_an_image_without_usage_costs_what_was_asked_for(
    prices: dict[str, Any], facts: CallFacts, nano_usd: int
) -> None:
    assert cost(Rates(read_tariff(prices)), None, Operation.IMAGE, facts) == nano_usd


def test_speech_without_usage_costs_its_characters() -> None:
    rates = Rates(read_tariff({"input_cost_per_character": 1.5e-5}))

    assert cost(rates, None, Operation.SPEECH, CallFacts(characters=100)) == 1_500_000


@pytest.mark.parametrize(
    ("service", "nano_usd"),
    [
        ("", 1_000_000 + 4_000_000),
        ("priority", 2_000_000 + 4_000_000),
        ("flex", 500_000 + 2_000_000),
        ("batch", 500_000 + 4_000_000),
        ("of a caller's own making", 5_000_000),
    ],
)
def test_a_class_of_service_has_its_own_rates_where_they_are_given(
    service: str, nano_usd: int
) -> None:
    more = {
        "input_cost_per_token_priority": 2e-6,
        "input_cost_per_token_batches": 5e-7,
        "input_cost_per_token_flex": 5e-7,
        "output_cost_per_token_flex": 2e-6,
    }
    rates = Rates(read_tariff(IN | OUT | more))

    for _ in range(2):
        facts = CallFacts(service=service)
        assert cost(rates, used(1000, 1000), Operation.CHAT, facts) == nano_usd


def test_a_tier_of_a_class_of_service_goes_before_the_ordinary_tier() -> None:
    more = {"input_cost_per_token_above_128k_tokens_priority": 7e-6}
    rates = Rates(read_tariff(TIERED | more))

    assert cost(rates, used(128_001), Operation.CHAT, CallFacts(service="priority")) == 896_007_000


def test_what_the_provider_says_it_costs_wins() -> None:
    told = used(1000, 1000, cost_nano_usd=42)

    assert cost(Rates(read_tariff(CHAT)), told, Operation.CHAT) == 42
    assert cost(None, told, Operation.CHAT) == 42


@pytest.mark.parametrize(
    ("rates", "usage"),
    [(None, used(1000)), (Rates({}), used(1000)), (Rates(read_tariff(CHAT)), None)],
)
def test_what_is_not_known_costs_nothing(rates: Rates | None, usage: Usage | None) -> None:
    assert cost(rates, usage, Operation.CHAT) == 0


def test_half_a_nano_dollar_is_rounded_once_and_up() -> None:
    rates = Rates(read_tariff({"input_cost_per_token": "3.5e-9", "output_cost_per_token": "1e-9"}))

    assert cost(rates, used(1), Operation.CHAT) == 4
    assert cost(rates, used(2), Operation.CHAT) == 7
    assert cost(rates, used(3), Operation.CHAT) == 11


def test_a_cost_has_a_bound() -> None:
    rates = Rates(read_tariff({"input_cost_per_token": 999_999_999}))

    assert cost(rates, used(2**53), Operation.CHAT) == MAX_NANO_USD
    assert cost(rates, used(1, cost_nano_usd=10**30), Operation.CHAT) == MAX_NANO_USD
