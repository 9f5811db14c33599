from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bifrost.schema.payload import BLOCK_BYTES, BytesPayload, Field, File, Payload


async def blocks_of(payload: Payload) -> list[bytes]:
    return [block async for block in payload.blocks()]


async def test_blocks_are_bounded_and_come_to_the_whole() -> None:
    data = bytes(range(256)) * 2500
    payload = BytesPayload(data)

    blocks = await blocks_of(payload)

    assert b"".join(blocks) == data
    assert [len(block) for block in blocks] == [
        BLOCK_BYTES,
        BLOCK_BYTES,
        len(data) - 2 * BLOCK_BYTES,
    ]
    assert payload.size == len(data)


async def test_every_reader_begins_at_the_beginning() -> None:
    payload = BytesPayload(b"x" * (BLOCK_BYTES + 1))
    first, second = payload.blocks(), payload.blocks()

    assert len(await anext(first)) == BLOCK_BYTES
    assert len(await anext(second)) == BLOCK_BYTES
    assert [await anext(first), await anext(second)] == [b"x", b"x"]
    assert await anext(first, None) is None


async def test_empty_payload_has_no_blocks() -> None:
    assert await blocks_of(BytesPayload(b"")) == []


@given(st.binary(min_size=8))
def test_contents_stay_out_of_reprs(data: bytes) -> None:
    payload = BytesPayload(data)
    shown = repr((Field("a", data), File("b", None, None, payload)))

    assert repr(data) not in shown
