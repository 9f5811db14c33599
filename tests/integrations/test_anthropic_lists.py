"""Anthropic's lists over several keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.errors import BadRequest, UpstreamError
from bifrost.integrations.anthropic_lists import AS_ANTHROPIC
from bifrost.integrations.list_cursor import Cursor

NATIVE = "next"


def page(*ids: str, **more: Any) -> bytes:
    return json.dumps({"data": [{"id": name} for name in ids], **more}).encode()


def joined(body: bytes, key: int = 0, keys: int = 2) -> dict[str, Any]:
    at = Cursor(key)
    told: dict[str, Any] = json.loads(AS_ANTHROPIC.joined(AS_ANTHROPIC.read_page(body), at, keys))
    return told


@pytest.mark.parametrize("name", ["page", "after_id"])
def test_a_cursor_is_read_where_it_was_given(name: str) -> None:
    cursor = Cursor(1, NATIVE)
    query = f"limit=2&{name}={cursor.text()}"

    assert AS_ANTHROPIC.read_cursor(query) == (cursor, "")
    assert AS_ANTHROPIC.asking(query, NATIVE) == f"limit=2&{name}=next"
    assert AS_ANTHROPIC.asking(query, "") == "limit=2"


def test_a_native_cursor_stays() -> None:
    assert AS_ANTHROPIC.read_cursor("page=page_abc") == (None, "page_abc")
    assert AS_ANTHROPIC.read_cursor("after_id=msgbatch_1") == (None, "msgbatch_1")
    assert AS_ANTHROPIC.read_cursor("limit=2") == (None, "")


def test_nobody_goes_backwards_over_several_keys() -> None:
    with pytest.raises(BadRequest, match="x-bf-api-key-id"):
        AS_ANTHROPIC.read_cursor("before_id=a")


def test_within_a_key_both_ends_lead_on() -> None:
    told = joined(page("a", "b", has_more=True, first_id="a", last_id="b", next_page="page_b"))

    assert AS_ANTHROPIC.read_cursor(f"after_id={told['last_id']}")[0] == Cursor(0, "b")
    assert AS_ANTHROPIC.read_cursor(f"page={told['next_page']}")[0] == Cursor(0, "page_b")
    assert (told["has_more"], told["first_id"]) == (True, "a")


def test_the_next_key_comes_after_the_last_page() -> None:
    told = joined(page("a", has_more=False, last_id="a"))

    assert told["has_more"] is True
    assert AS_ANTHROPIC.read_cursor(f"after_id={told['last_id']}")[0] == Cursor(1)
    assert "next_page" not in told


def test_the_last_page_of_the_last_key_is_the_end() -> None:
    ids = joined(page("a", has_more=False, last_id="a"), key=1)
    pages = joined(page("a", next_page=None), key=1)
    empty = json.loads(AS_ANTHROPIC.joined(AS_ANTHROPIC.empty, Cursor(2), 2))

    assert (ids["has_more"], ids["last_id"]) == (False, "a")
    assert pages == {"data": [{"id": "a"}], "next_page": None}
    assert (empty["data"], empty["has_more"], empty["next_page"]) == ([], False, None)


def test_a_list_that_tells_no_end_is_told_one() -> None:
    assert AS_ANTHROPIC.read_cursor(f"page={joined(page('a'))['next_page']}")[0] == Cursor(1)
    assert joined(page(has_more=True, last_id=None))["has_more"] is False


@pytest.mark.parametrize("body", [b"[]", b"x", b'{"data":[}'])
def test_what_is_no_list(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        AS_ANTHROPIC.read_page(body)


def test_data_that_are_none_have_no_last() -> None:
    assert AS_ANTHROPIC.read_page(b'{"data":5}').last_id == ""
