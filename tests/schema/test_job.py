from __future__ import annotations

import pytest

from bifrost.config.secret import Secret
from bifrost.schema.job import MAX_TTL_S, JobRequest, JobState, result_ttl_s


@pytest.mark.parametrize(
    ("wish", "ttl_s"),
    [
        ("60", 60),
        (" 60 ", 60),
        ("007", 7),
        ("1", 1),
        (None, 3600),
        ("", 3600),
        ("0", 3600),
        ("000", 3600),
        ("-5", 3600),
        ("1.5", 3600),
        ("1h", 3600),
        ("\N{SUPERSCRIPT TWO}", 3600),
        (str(MAX_TTL_S + 1), MAX_TTL_S),
        ("9" * 10_000, MAX_TTL_S),
    ],
)
def test_a_wish_for_a_ttl(wish: str | None, ttl_s: int) -> None:
    assert result_ttl_s(wish, 3600) == ttl_s


def test_which_states_are_the_last() -> None:
    assert [state for state in JobState if state.is_over] == [JobState.COMPLETED, JobState.FAILED]


def test_a_request_shows_neither_its_body_nor_its_secrets() -> None:
    request = JobRequest(
        request_id="r",
        operation="o",
        route="/r",
        body=b"sk-1",
        headers=((b"a", b"sk-2"),),
        secrets=((b"b", Secret("sk-3")),),
    )

    assert "sk-" not in repr(request)
