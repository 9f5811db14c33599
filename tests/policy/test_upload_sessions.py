"""Uploads are remembered while they go on, and no longer; never more than so many."""

from __future__ import annotations

from bifrost.policy.upload_sessions import EXPIRES_S, UploadSession, UploadSessions
from bifrost.schema.call import Caller


def session(query: str) -> UploadSession:
    return UploadSession(
        provider="gemini", caller=Caller(), path="/upload/v1beta/files", query=query
    )


def test_a_session_is_found_by_its_token_only() -> None:
    known = UploadSessions()
    known.begin("a", session("upload_id=secret"), 0.0)

    assert known.find("a", 1.0) == session("upload_id=secret")
    assert known.find("b", 1.0) is None
    assert "secret" not in repr(known)


def test_each_part_keeps_it_alive() -> None:
    known = UploadSessions()
    known.begin("a", session("1"), 0.0)

    assert known.find("a", EXPIRES_S - 1) is not None
    assert known.find("a", 2 * EXPIRES_S - 2) is not None
    assert known.find("a", 3 * EXPIRES_S) is None
    assert len(known) == 0


def test_those_that_are_over_give_way_to_new_ones() -> None:
    known = UploadSessions()
    known.begin("a", session("1"), 0.0)
    known.begin("b", session("2"), 0.0)

    known.begin("c", session("3"), EXPIRES_S)

    assert len(known) == 1


def test_the_one_longest_unused_is_forgotten() -> None:
    known = UploadSessions(limit=2)
    known.begin("a", session("1"), 0.0)
    known.begin("b", session("2"), 1.0)
    known.find("a", 2.0)

    known.begin("c", session("3"), 3.0)

    assert [name for name in "abc" if known.find(name, 4.0)] == ["a", "c"]
