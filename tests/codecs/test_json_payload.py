from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json_payload import json_payload
from bifrost.schema.payload import BLOCK_BYTES, BytesPayload

if TYPE_CHECKING:
    from bifrost.schema.payload import Payload

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def whole(payload: Payload) -> bytes:
    async def read() -> list[bytes]:
        return [block async for block in payload.blocks()]

    blocks = trio.run(read)
    assert all(0 < len(block) <= BLOCK_BYTES for block in blocks)
    return b"".join(blocks)


def swapped(value: Any, swap: Any) -> Any:
    match value:
        case bytes():
            return swap(value)
        case list():
            return [swapped(inner, swap) for inner in value]
        case dict():
            return {name: swapped(inner, swap) for name, inner in value.items()}
        case _:
            return value


@given(value=VALUES)
def test_files_become_texts_in_base64(value: Any) -> None:
    payload = json_payload(swapped(value, BytesPayload))

    told = whole(payload)

    assert len(told) == payload.size
    assert json.loads(told) == swapped(value, lambda raw: base64.b64encode(raw).decode())
    assert whole(payload) == told


@pytest.mark.parametrize("extra", [-1, 0, 1, 2, 5])
def test_a_large_file_is_written_in_blocks(extra: int) -> None:
    raw = bytes(range(256)) * (3 * BLOCK_BYTES // 256) + b"x" * (extra + 1)

    told = whole(json_payload({"image": BytesPayload(raw)}))

    assert base64.b64decode(json.loads(told)["image"]) == raw


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        json_payload({"a": object()})
