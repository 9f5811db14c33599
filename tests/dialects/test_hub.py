"""What an upstream said that cannot be written again is its failure, not ours."""

from __future__ import annotations

from typing import Any

import pytest

from bifrost.dialects.hub import retold_json
from bifrost.errors import UpstreamError


def test_arguments_are_written_in_the_order_of_their_keys() -> None:
    assert retold_json({"b": 1, "a": [None]}) == '{"b":1,"a":[null]}'


def test_what_is_nested_beyond_all_measure_is_the_upstreams_failure() -> None:
    deep: Any = {}
    for _ in range(1000):
        deep = {"a": deep}

    with pytest.raises(UpstreamError, match="failed to unmarshal"):
        retold_json(deep)
