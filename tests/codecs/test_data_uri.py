"""Data URIs."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.data_uri import is_base64, split_data_uri


@given(st.binary(min_size=1), st.sampled_from(["image/png", "application/pdf", ""]))
def test_what_was_put_in_comes_out(data: bytes, kind: str) -> None:
    text = base64.b64encode(data).decode()

    assert split_data_uri(f"data:{kind};base64,{text}") == (kind, text)


@pytest.mark.parametrize("uri", ["https://x/y", "data", "", "file:///etc/passwd"])
def test_what_is_no_data_uri(uri: str) -> None:
    assert split_data_uri(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "data:",
        "data:image/png,abc",
        "data:image/png;base64,",
        "data:x;base64,a b=",
        "data:;base64,a",
    ],
)
def test_broken_ones(uri: str) -> None:
    with pytest.raises(ValueError, match="data"):
        split_data_uri(uri)


@pytest.mark.parametrize(
    ("data", "good"), [("QQ==", True), ("QQ", True), ("QQ-_", False), ("", False), ("Q", False)]
)
def test_base64(data: str, good: bool) -> None:
    assert is_base64(data) is good
