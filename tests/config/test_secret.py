from __future__ import annotations

import copy
import pickle

import pytest

from bifrost.config.secret import Secret

TEXT = "sk-proj-abcdefgh-12345678"


def test_a_secret_shows_stars_however_it_is_printed() -> None:
    secret = Secret(TEXT)

    assert {repr(secret), str(secret), f"{secret}", f"{secret:>3}"} == {"Secret('***')", "***"}
    assert TEXT not in repr({"a": [secret]})


def test_a_secret_reveals_itself_only_on_demand() -> None:
    assert Secret(TEXT).reveal() == TEXT


def test_a_secret_does_not_leave_the_process() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError):
        copy.copy(Secret(TEXT))


@pytest.mark.parametrize(
    ("text", "redacted"),
    [("", ""), ("abc", "***"), ("12345678", "*" * 8), ("123456789", "1234" + "*" * 24 + "6789")],
)
def test_redaction_keeps_the_ends_of_long_ones(text: str, redacted: str) -> None:
    assert Secret(text).redacted() == redacted


def test_secrets_are_equal_by_value_and_reference() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != Secret("a", reference="env.A")
    assert Secret("a") != "a"


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("a")
