from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import BadRequest
from bifrost.integrations.list_cursor import EMPTY, Cursor, asking, joined, read_cursor, read_page


def body(*ids: str, has_more: bool = False, **more: Any) -> bytes:
    data = [{"id": name} for name in ids]
    return json.dumps({"object": "list", "data": data, "has_more": has_more, **more}).encode()


@given(st.integers(0, 1000), st.text(max_size=50))
def test_a_cursor_comes_back_as_it_went(key: int, native: str) -> None:
    cursor = Cursor(key, native)

    assert read_cursor(f"limit=2&after={cursor.text()}") == (cursor, "")


@pytest.mark.parametrize("after", ["", "file-abc", "batch_68a0", "a=b", "%%%"])
def test_an_object_s_id_is_none(after: str) -> None:
    assert read_cursor(asking("", after)) == (None, after)


@pytest.mark.parametrize(
    "value",
    [{"v": 2, "i": 0, "c": ""}, {"v": 1, "i": -1, "c": ""}, {"v": 1}, {}],
)
def test_a_broken_cursor_is_refused(value: object) -> None:
    text = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    with pytest.raises(BadRequest, match="invalid pagination cursor"):
        read_cursor(f"after={text}")


def test_an_endless_cursor_is_refused() -> None:
    with pytest.raises(BadRequest, match="invalid pagination cursor"):
        read_cursor("after=" + "x" * 2000)


def test_the_native_cursor_takes_the_place_of_ours() -> None:
    asked = "limit=2&after=x&purpose="

    assert parse_qs(asking(asked, "file-1"), keep_blank_values=True) == {
        "limit": ["2"],
        "purpose": [""],
        "after": ["file-1"],
    }
    assert "after" not in asking(asked, "")


@pytest.mark.parametrize(
    ("page", "at", "keys", "following"),
    [
        (body("a", "b", has_more=True), Cursor(0), 2, Cursor(0, "b")),
        (body("a", "b"), Cursor(0, "x"), 2, Cursor(1)),
        (body("a", has_more=True), Cursor(1), 2, Cursor(1, "a")),
        (body("a"), Cursor(1), 2, None),
        (body(), Cursor(1), 2, None),
    ],
)
def test_there_is_more_until_the_last_key_has_no_more(
    page: bytes, at: Cursor, keys: int, following: Cursor | None
) -> None:
    told = json.loads(joined(read_page(page), at, keys))

    assert told["has_more"] is (following is not None)
    assert told.get("next_cursor") == (following.text() if following else None)
    if following is not None:
        assert told["last_id"] == told["next_cursor"]


def test_data_and_extra_fields_stay_as_they_came() -> None:
    page = b'{"data":[ {"id":"a","n":1.10} ],"extra_fields":{"provider":"openai"}}'

    told = joined(read_page(page), Cursor(), 1)

    assert b'[ {"id":"a","n":1.10} ]' in told
    assert list(json.loads(told)) == ["data", "has_more", "extra_fields"]


@pytest.mark.parametrize("data", [b"null", b"7", b"[7]", b'[{"id":7}]'])
def test_odd_lists_are_no_trouble(data: bytes) -> None:
    page = read_page(b'{"data":%b}' % data)

    assert joined(page, Cursor(), 1)
    assert page.is_empty is (data == b"null")


def test_a_list_that_goes_on_by_a_token_is_gone_on_with_by_it() -> None:
    told = json.loads(joined(read_page(body("a", has_more=True, next_cursor="tok")), Cursor(1), 2))

    assert told["next_cursor"] == told["last_id"] == Cursor(1, "tok").text()


def test_a_provider_s_own_token_is_not_told() -> None:
    assert "next_cursor" not in json.loads(
        joined(read_page(body("a", next_cursor="t")), Cursor(), 1)
    )


def test_behind_the_last_there_is_nothing() -> None:
    assert json.loads(joined(EMPTY, Cursor(2), 2)) == {
        "object": "list",
        "data": [],
        "has_more": False,
    }
