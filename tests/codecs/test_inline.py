"""Files in JSON, in base64: the same however they are read, and never more than a block in memory."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.inline import PIECE_BYTES, Base64Payload, inlined
from bifrost.schema.payload import BLOCK_BYTES, BytesPayload, JoinedPayload, Payload


async def blocks_of(payload: Payload) -> list[bytes]:
    return [block async for block in payload.blocks()]


@pytest.mark.parametrize(
    "size", [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * BLOCK_BYTES + 5]
)
async def test_a_file_is_encoded_block_by_block(size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    payload = Base64Payload(BytesPayload(data))

    blocks = await blocks_of(payload)

    assert b"".join(blocks) == base64.b64encode(data)
    assert payload.size == len(base64.b64encode(data))
    assert all(0 < len(block) <= BLOCK_BYTES for block in blocks)
    assert await blocks_of(payload) == blocks


@given(st.lists(st.binary(max_size=7), max_size=6))
async def test_it_is_the_same_however_the_blocks_are_cut(parts: list[bytes]) -> None:
    payload = Base64Payload(JoinedPayload(tuple(map(BytesPayload, parts))))

    assert b"".join(await blocks_of(payload)) == base64.b64encode(b"".join(parts))


async def test_files_take_the_places_of_their_names() -> None:
    body = json.dumps({"a": "mark-0", "b": ["x", "mark-1"]}).encode()
    payload = inlined(body, {"mark-0": BytesPayload(b"one"), "mark-1": BytesPayload(b"two")})

    written = b"".join(await blocks_of(payload))

    told = {"a": base64.b64encode(b"one").decode(), "b": ["x", base64.b64encode(b"two").decode()]}
    assert json.loads(written) == told
    assert len(written) == payload.size


def test_a_file_without_a_place_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no place"):
        inlined(b"{}", {"mark": BytesPayload(b"")})
