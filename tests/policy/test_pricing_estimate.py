from __future__ import annotations

import pytest

from bifrost.policy.pricing_cost import CallFacts, cost
from bifrost.policy.pricing_estimate import (
    UNLEARNED_TOKENS,
    Estimate,
    OutputSizes,
    ToldCosts,
    estimate,
)
from bifrost.policy.pricing_rates import Rates, read_tariff
from bifrost.schema.call import Operation

RATES = Rates(
    read_tariff(
        {
            "input_cost_per_token": 1e-6,
            "output_cost_per_token": 4e-6,
            "search_context_cost_per_query": 0.002,
            "input_cost_per_character": 1e-5,
            "input_cost_per_second": 1e-4,
            "output_cost_per_image": 0.04,
        }
    )
)


@pytest.mark.parametrize(
    ("facts", "learned", "tokens", "nano_usd"),
    [
        (CallFacts(text_bytes=400), 50, 100 + 50, 100_000 + 200_000),
        (CallFacts(text_bytes=401), 50, 101 + 50, 101_000 + 200_000),
        (CallFacts(text_bytes=400, max_output_tokens=20), 50, 100 + 20, 100_000 + 80_000),
        (CallFacts(text_bytes=400, max_output_tokens=900), 50, 100 + 50, 100_000 + 200_000),
        (CallFacts(text_bytes=400, max_output_tokens=0), 50, 100, 100_000),
        (CallFacts(text_bytes=400, choices=3), 50, 100 + 150, 100_000 + 600_000),
        (CallFacts(choices=10**9), 50, 128 * 50, 25_600_000),
        (CallFacts(choices=0), 50, 50, 200_000),
        (CallFacts(text_bytes=400, media_tokens=2048), 0, 2148, 2_148_000),
        (CallFacts(operation=Operation.EMBEDDING, text_bytes=400), 50, 100, 100_000),
        (CallFacts(operation=Operation.RERANK, text_bytes=400), 50, 100, 100_000 + 2_000_000),
        (CallFacts(operation=Operation.SPEECH, characters=7), 50, 50, 70_000 + 200_000),
        (CallFacts(operation=Operation.TRANSCRIPTION, audio_ms=60_000), 50, 50, 6_000_000 + 200_000),
        (CallFacts(text_bytes=2**60), 0, 2**40, 2**40 * 1000),
    ],
)  # fmt: skip
def test_an_estimate_is_prompt_by_bytes_and_output_by_what_was_learned(
    facts: CallFacts, learned: int, tokens: int, nano_usd: int
) -> None:
    guess = estimate(RATES, facts, learned)
    assert (guess.tokens, guess.nano_usd) == (tokens, nano_usd)


def test_what_has_no_price_has_tokens_all_the_same() -> None:
    assert estimate(None, CallFacts(text_bytes=4)) == Estimate(1, UNLEARNED_TOKENS, 0)


def test_images_by_the_piece_are_held_by_the_piece() -> None:
    rates = Rates(read_tariff({"output_cost_per_image": 0.04}))
    facts = CallFacts(operation=Operation.IMAGE, text_bytes=40, choices=3)

    assert estimate(rates, facts).nano_usd == 120_000_000


def test_what_providers_say_an_answer_costs_is_expected_of_the_next() -> None:
    costs = ToldCosts(window=2, models=2)
    assert costs.expected("p", "m") == 0
    for nano_usd in (9, 5, 3):
        costs.note("p", "m", nano_usd)
    assert costs.expected("p", "m") == 5, "the dearest of the last two"
    costs.note("p", "n", 1)
    costs.note("p", "m", 1)
    costs.note("p", "o", 1)
    assert (costs.expected("p", "m"), costs.expected("p", "n")) == (3, 0)


def test_a_model_is_learned_by_its_outputs() -> None:
    sizes = OutputSizes()
    for _ in range(15):
        sizes.note("p", "m", 10)
    assert sizes.learned("p", "m") == UNLEARNED_TOKENS
    sizes.note("p", "m", 0)
    assert sizes.learned("p", "m") == UNLEARNED_TOKENS
    sizes.note("p", "m", 70)

    assert sizes.learned("p", "m") == 70
    assert sizes.learned("q", "m") == UNLEARNED_TOKENS
    for _ in range(100):
        sizes.note("p", "m", 20)
    assert sizes.learned("p", "m") == 20


def test_old_outputs_are_forgotten() -> None:
    sizes = OutputSizes(window=20, enough=1)
    for tokens in (500, *range(1, 21)):
        sizes.note("p", "m", tokens)

    assert sizes.learned("p", "m") == 19
    assert len(sizes._known["p", "m"].ordered) == 20


def test_the_model_longest_unused_is_forgotten() -> None:
    sizes = OutputSizes(models=2, enough=1)
    for model in ("a", "b", "a", "c"):
        sizes.note("p", model, 5)

    assert [sizes.learned("p", model) for model in "abc"] == [5, UNLEARNED_TOKENS, 5]


def test_what_broke_off_is_charged_by_what_was_delivered() -> None:
    facts = CallFacts(text_bytes=400, max_output_tokens=5000)
    guess = estimate(RATES, facts)

    assert cost(RATES, guess.delivered(30), Operation.CHAT, facts) == 100_000 + 120_000
    assert cost(RATES, guess.delivered(0), Operation.CHAT, facts) == 100_000
