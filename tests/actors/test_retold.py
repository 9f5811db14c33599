"""An answer in other words: read like the upstream's own, to the same end."""

from __future__ import annotations

import pytest

from bifrost.actors.retold import Retold
from bifrost.errors import NetworkError


class Doubling:
    """Says everything twice, and what is odd at the end; nothing comes of a dot."""

    def feed(self, data: bytes) -> bytes:
        return b"" if data == b"." else data * 2

    def close(self) -> bytes:
        return b"end"


class Source:
    """Blocks as they come; an error where it breaks off."""

    def __init__(self, *blocks: bytes | NetworkError) -> None:
        self._blocks = iter(blocks)

    async def receive(self) -> bytes:
        block = next(self._blocks)
        if isinstance(block, NetworkError):
            raise block
        return block


async def test_blocks_come_when_there_is_something_to_tell() -> None:
    told = Retold(Source(b".", b"a", b".", b"b", b"").receive, Doubling())

    assert [await told.receive() for _ in range(5)] == [b"aa", b"bb", b"end", b"", b""]


async def test_what_breaks_off_has_no_end() -> None:
    told = Retold(Source(b"a", NetworkError("cut short")).receive, Doubling())

    assert await told.receive() == b"aa"
    with pytest.raises(NetworkError):
        await told.receive()
