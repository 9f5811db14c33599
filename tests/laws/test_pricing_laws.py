"""Laws of money: more costs more, nothing is lost between two answers, nothing is rounded twice; and of quantiles."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.policy.pricing_cost import FORMULAS, NO_FACTS, cost
from bifrost.policy.pricing_estimate import UNLEARNED_TOKENS, OutputSizes
from bifrost.policy.pricing_rates import Rates, read_tariff
from bifrost.record import MediaUsage, Usage
from bifrost.schema.call import Operation

UNITS = (
    "input_cost_per_token",
    "output_cost_per_token",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
    "input_cost_per_image_token",
    "output_cost_per_image_token",
    "search_context_cost_per_query",
    "input_cost_per_second",
)

counts = st.integers(0, 10**7)
amounts = st.decimals(0, 1, allow_nan=False, places=15)
tariffs = st.dictionaries(st.sampled_from(UNITS), amounts)
some_media = st.builds(
    MediaUsage,
    audio_in_tokens=counts,
    audio_out_tokens=counts,
    image_in_tokens=counts,
    image_out_tokens=counts,
    audio_ms=counts.map(lambda seconds: seconds * 1000),
)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """A usage whose parts are parts of it."""
    media = draw(st.none() | some_media)
    shut = media or MediaUsage()
    prompt = draw(counts) + shut.audio_in_tokens + shut.image_in_tokens
    completion = draw(counts) + shut.audio_out_tokens + shut.image_out_tokens
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        searches=draw(st.integers(0, 100)),
        media=media,
    )


@given(
    tariffs,
    usages(),
    st.sampled_from(["prompt_tokens", "completion_tokens", "searches"]),
    st.integers(1, 10**6),
    st.sampled_from([*sorted(FORMULAS, key=str), Operation.CHAT, Operation.RERANK]),
)
def test_more_of_anything_never_costs_less(
    prices: dict[str, Any], usage: Usage, name: str, more: int, operation: Operation
) -> None:
    if operation is Operation.TRANSCRIPTION or operation is Operation.TRANSLATION:
        # A length of sound counts only while there are no tokens: another unit, not more of one.
        prices.pop("input_cost_per_second", None)
    rates = Rates(read_tariff(prices))
    larger = attrs.evolve(usage, **{name: getattr(usage, name) + more})

    assert cost(rates, larger, operation) >= cost(rates, usage, operation)


@given(tariffs, usages(), usages())
def test_two_answers_cost_what_they_cost_together(
    prices: dict[str, Any], one: Usage, other: Usage
) -> None:
    rates = Rates(read_tariff(prices))
    apart = cost(rates, one, Operation.CHAT) + cost(rates, other, Operation.CHAT)

    assert abs(cost(rates, _sum(one, other), Operation.CHAT) - apart) <= 1


def _sum(one: Usage, other: Usage) -> Usage:
    media = [usage.media or MediaUsage() for usage in (one, other)]
    names = [field.name for field in attrs.fields(MediaUsage)]
    total = MediaUsage(**{name: sum(getattr(m, name) for m in media) for name in names})
    counted = ("prompt_tokens", "completion_tokens", "total_tokens", "searches")
    sums = {name: getattr(one, name) + getattr(other, name) for name in counted}
    return Usage(**sums, media=total)


@given(amounts, amounts, counts, counts)
def test_a_cost_is_off_by_half_a_nano_dollar_at_most(
    into: Any, out: Any, prompt: int, completion: int
) -> None:
    prices = {"input_cost_per_token": into, "output_cost_per_token": out}
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion)
    exact = (Fraction(into) * prompt + Fraction(out) * completion) * 10**9

    assert abs(cost(Rates(read_tariff(prices)), usage, Operation.CHAT) - exact) <= Fraction(1, 2)


@given(tariffs, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_discount_for_cached_tokens_never_makes_a_call_dearer(
    prices: dict[str, Any], prompt: int, read: int, written: int
) -> None:
    plain = Usage(prompt_tokens=prompt, total_tokens=prompt)
    cached = attrs.evolve(plain, cached_read_tokens=read, cached_write_tokens=written)
    rates = Rates(read_tariff(prices | {"cache_read_input_token_cost": 0}))

    assert cost(rates, cached, Operation.CHAT) <= cost(rates, plain, Operation.CHAT)


@given(st.sampled_from(list(Operation)), st.none() | usages())
def test_without_prices_nothing_costs_anything(operation: Operation, usage: Usage | None) -> None:
    assert cost(Rates({}), usage, operation, NO_FACTS) == 0


@given(st.lists(st.integers(1, 100_000), max_size=200))
def test_few_outputs_are_larger_than_what_was_learned_and_one_was_as_large(
    outputs: list[int],
) -> None:
    sizes = OutputSizes(window=64, enough=16)
    for tokens in outputs:
        sizes.note("p", "m", tokens)
    recent = outputs[-64:]
    learned = sizes.learned("p", "m")

    if len(recent) < 16:
        assert learned == UNLEARNED_TOKENS
    else:
        assert learned in recent
        assert sum(each > learned for each in recent) * 100 <= 5 * len(recent)
        assert sum(each >= learned for each in recent) * 100 >= 5 * len(recent)


@pytest.mark.parametrize("models", [1, 3])
@given(names=st.lists(st.text("abcdef", min_size=1, max_size=1), max_size=50))
def test_no_more_models_are_remembered_than_is_said(models: int, names: list[str]) -> None:
    sizes = OutputSizes(models=models, enough=1)
    for name in names:
        sizes.note("p", name, 7)

    assert len(sizes) <= models
    if names:
        assert sizes.learned("p", names[-1]) == 7
