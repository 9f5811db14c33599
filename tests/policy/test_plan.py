from __future__ import annotations

from bifrost.policy.plan import plan
from bifrost.schema.call import Call, Operation, Target

PRIMARY = Target("openai", "gpt-4o")


def call(*fallbacks: Target) -> Call:
    return Call(id="1", operation=Operation.CHAT, stream=False, target=PRIMARY, fallbacks=fallbacks)


def test_the_primary_comes_first_even_if_nobody_serves_it() -> None:
    assert plan(call(), ()) == (PRIMARY,)


def test_fallbacks_keep_their_order() -> None:
    one, two = Target("groq", "a"), Target("xai", "b")

    assert plan(call(one, two), {"openai", "groq", "xai"}) == (PRIMARY, one, two)


def test_a_fallback_nobody_serves_is_skipped() -> None:
    one, two = Target("groq", "a"), Target("xai", "b")

    assert plan(call(one, two), {"openai", "xai"}) == (PRIMARY, two)


def test_a_target_is_listed_once() -> None:
    one = Target("groq", "a")

    assert plan(call(PRIMARY, one, one), {"openai", "groq"}) == (PRIMARY, one)
