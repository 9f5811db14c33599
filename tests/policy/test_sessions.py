from __future__ import annotations

from bifrost.policy.sessions import Sessions


def test_a_session_keeps_its_key_while_it_is_used() -> None:
    sessions = Sessions()
    sessions.bind("s", "a", 10.0)
    assert sessions.key_of("s", 9.9) == "a"

    sessions.bind("s", "a", 19.0)

    assert sessions.key_of("s", 18.9) == "a"
    assert sessions.key_of("s", 19.0) is None
    assert len(sessions) == 0


def test_the_longest_unused_is_forgotten_first() -> None:
    sessions = Sessions(limit=2)
    for session in ("one", "two", "one", "three"):
        sessions.bind(session, "a", 10.0)

    assert [sessions.key_of(name, 0.0) for name in ("one", "two", "three")] == ["a", None, "a"]


def test_a_session_can_be_dropped() -> None:
    sessions = Sessions()
    sessions.bind("s", "a", 10.0)
    sessions.drop("s")
    sessions.drop("s")

    assert sessions.key_of("s", 0.0) is None
