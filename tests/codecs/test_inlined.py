"""Files as base64 inside of JSON."""

from __future__ import annotations

import base64
import json

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.inlined import inlined
from bifrost.codecs.multipart import joined
from bifrost.schema.payload import BLOCK_BYTES, BytesPayload, Payload


async def read(payload: Payload) -> bytes:
    blocks = [block async for block in payload.blocks()]
    assert all(0 < len(block) <= BLOCK_BYTES for block in blocks)
    whole = b"".join(blocks)
    assert len(whole) == payload.size
    return whole


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, BLOCK_BYTES - 1, BLOCK_BYTES, 2 * BLOCK_BYTES + 1])
async def test_files_stand_where_their_marks_stood(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    files: dict[bytes, Payload] = {b"@1@": BytesPayload(data), b"@2@": BytesPayload(b"hi")}

    payload = inlined(b'{"a":"@1@","b":["x,@2@","@2@"]}', files)

    value = json.loads(await read(payload))
    assert value == {"a": base64.b64encode(data).decode(), "b": ["x,aGk=", "aGk="]}
    assert await read(payload) == await read(payload)


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_blocks_of_any_size_give_the_same(pieces: list[bytes]) -> None:
    payload = inlined(b"@", {b"@": joined(map(BytesPayload, pieces))})

    async def whole() -> bytes:
        return await read(payload)

    assert trio.run(whole) == base64.b64encode(b"".join(pieces))
