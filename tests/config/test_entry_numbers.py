from __future__ import annotations

from bifrost.config.entry_numbers import entry_id, entry_ids


def test_a_number_that_is_taken_gives_way() -> None:
    first = entry_id("vk", "openai", frozenset())
    assert entry_id("vk", "openai", frozenset({first})) != first
    assert entry_id("vk", "openai", frozenset()) == first


def test_numbers_that_are_given_stay_and_the_others_are_made_beside_them() -> None:
    first = entry_id("vk", "openai", frozenset())

    numbers = list(entry_ids("vk", [(None, "openai"), (first, "groq"), ("7", "xai")]))

    assert numbers[1] == first
    assert len({*numbers}) == 3
    assert numbers == list(entry_ids("vk", zip(numbers, ("openai", "groq", "xai"), strict=True)))
