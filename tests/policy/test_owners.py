from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bifrost.policy.owners import ENTRY_BYTES, EXPIRES_S, ID_MAX, Owners


def test_an_object_has_the_key_that_was_last_seen_to_have_it() -> None:
    owners = Owners()
    owners.note(["file-1", "file-2"], "openai", "a", 0.0)
    owners.note(["file-2"], "openai", "b", 0.0)

    assert owners.owner(["file-1"], "openai", 1.0) == "a"
    assert owners.owner(["file-2"], "openai", 1.0) == "b"
    assert owners.owner(["file-3"], "openai", 1.0) is None


def test_objects_of_different_providers_do_not_meet() -> None:
    owners = Owners()
    owners.note(["file-1"], "openai", "a", 0.0)
    owners.note(["file-1"], "azure", "b", 0.0)

    assert owners.owner(["file-1"], "azure", 0.0) == "b"
    assert owners.owner(["file-1"], "groq", 0.0) is None


def test_the_first_object_with_a_known_key_decides() -> None:
    owners = Owners()
    owners.note(["file-1"], "openai", "a", 0.0)
    owners.note(["vs_1"], "openai", "b", 0.0)

    assert owners.owner(["unknown", "vs_1", "file-1"], "openai", 0.0) == "b"
    assert owners.owner([], "openai", 0.0) is None


def test_memory_ends_when_the_object_was_not_seen_for_long() -> None:
    owners = Owners()
    owners.note(["file-1"], "openai", "a", 0.0)
    owners.note(["file-1"], "openai", "a", 100.0)

    assert owners.owner(["file-1"], "openai", EXPIRES_S + 99.9) == "a"
    assert owners.owner(["file-1"], "openai", EXPIRES_S + 100.0) is None
    assert len(owners) == 0


def test_an_expired_one_does_not_decide() -> None:
    owners = Owners(expires_s=10.0)
    owners.note(["old"], "openai", "a", 0.0)
    owners.note(["new"], "openai", "b", 5.0)

    assert owners.owner(["old", "new"], "openai", 12.0) == "b"


def test_what_is_gone_is_forgotten() -> None:
    owners = Owners()
    owners.note(["file-1", "file-2"], "openai", "a", 0.0)
    owners.forget(["file-1", "never-seen"], "openai")

    assert owners.owner(["file-1"], "openai", 0.0) is None
    assert owners.owner(["file-2"], "openai", 0.0) == "a"


def test_the_longest_unused_is_forgotten_first() -> None:
    owners = Owners(limit=2)
    owners.note(["one", "two"], "openai", "a", 0.0)
    owners.owner(["one"], "openai", 0.0)
    owners.note(["three"], "openai", "a", 0.0)

    known = [owners.owner([name], "openai", 0.0) for name in ("one", "two", "three")]
    assert known == ["a", None, "a"]


def test_bytes_are_bounded_too() -> None:
    cost = ENTRY_BYTES + len("openai") + len("a") + 1
    owners = Owners(max_bytes=2 * cost)
    owners.note("xyz", "openai", "a", 0.0)

    assert len(owners) == 2
    assert owners.owner(["x"], "openai", 0.0) is None


def test_an_id_without_end_and_one_without_beginning_are_passed_over() -> None:
    owners = Owners()
    owners.note(["", "x" * (ID_MAX + 1), "x" * ID_MAX], "openai", "a", 0.0)

    assert len(owners) == 1


NAMES = st.sampled_from("abcdefgh")
STEPS = st.tuples(st.sampled_from(["note", "owner", "forget"]), st.lists(NAMES, max_size=4), NAMES)


@given(st.lists(STEPS, max_size=60))
def test_its_bounds_hold_and_it_never_tells_a_key_that_was_not_noted(
    steps: list[tuple[str, list[str], str]],
) -> None:
    owners = Owners(limit=4, max_bytes=3 * (ENTRY_BYTES + 3), expires_s=10.0)
    last: dict[str, str] = {}

    for now, (step, names, key) in enumerate(steps):
        if step == "note":
            owners.note(names, "p", key, now)
            last.update(dict.fromkeys(names, key))
        elif step == "forget":
            owners.forget(names, "p")
            last = {name: key for name, key in last.items() if name not in names}
        else:
            found = owners.owner(names, "p", now)
            assert found is None or found in {last.get(name) for name in names}
        assert len(owners) <= 3
        assert owners._bytes == len(owners) * (ENTRY_BYTES + 3)
