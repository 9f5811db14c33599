from __future__ import annotations

import gzip
import tracemalloc
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.coding import (
    PIECE_BYTES,
    CodingError,
    DecodedTooLarge,
    Decoder,
    decode_whole,
    decoder_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MEBI = 1024 * 1024


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-Gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "br": ("br", brotli.compress),
    "zstd": (" zstd ", zstd),
}

every_coding = pytest.mark.parametrize(("coding", "pack"), ENCODERS.values(), ids=ENCODERS)


def unpack_in(coding: str, chunks: list[bytes]) -> bytes:
    decoder = made(coding)
    parts = []
    for chunk in chunks:
        parts.append(decoder.feed(chunk))
        while decoder.pending:
            parts.append(decoder.feed(b""))
    decoder.close()
    return b"".join(parts)


def made(coding: str) -> Decoder:
    decoder = decoder_for(coding)
    assert decoder is not None
    return decoder


@every_coding
@given(body=st.binary(max_size=2000), cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_any_split_gives_what_was_packed(
    coding: str, pack: Callable[[bytes], bytes], body: bytes, cuts: list[int]
) -> None:
    packed = pack(body)
    edges = sorted({0, len(packed), *(cut % (len(packed) + 1) for cut in cuts)})
    chunks = [packed[a:b] for a, b in pairwise(edges)]

    assert unpack_in(coding, chunks) == body


@every_coding
def test_byte_by_byte_gives_what_was_packed(coding: str, pack: Callable[[bytes], bytes]) -> None:
    body = bytes(range(256)) * 20
    packed = pack(body)

    assert unpack_in(coding, [packed[i : i + 1] for i in range(len(packed))]) == body


@every_coding
def test_large_output_comes_in_bounded_pieces(coding: str, pack: Callable[[bytes], bytes]) -> None:
    decoder = made(coding)
    pieces = [decoder.feed(pack(b"\0" * (16 * MEBI)))]
    while decoder.pending:
        pieces.append(decoder.feed(b""))
    decoder.close()

    assert sum(map(len, pieces)) == 16 * MEBI
    assert max(map(len, pieces)) <= PIECE_BYTES + 4 * MEBI


@every_coding
def test_whole_body_is_unpacked(coding: str, pack: Callable[[bytes], bytes]) -> None:
    body = bytes(range(256)) * 1000

    assert decode_whole(coding, pack(body), len(body)) == body


@every_coding
def test_one_byte_too_many_is_refused(coding: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DecodedTooLarge, match="exceeds max allowed size of 999 bytes"):
        decode_whole(coding, pack(b"a" * 1000), 999)


@every_coding
def test_bomb_never_stands_in_memory(coding: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b"\0" * (64 * MEBI))
    tracemalloc.start()

    with pytest.raises(DecodedTooLarge):
        decode_whole(coding, bomb, MEBI)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MEBI


@every_coding
def test_cut_body_is_refused(coding: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CodingError):
        decode_whole(coding, pack(bytes(range(256)) * 10)[:-1], MEBI)


@every_coding
def test_cut_after_first_byte_is_refused(coding: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CodingError):
        decode_whole(coding, pack(b"hello")[:1], MEBI)


@every_coding
def test_garbage_is_refused(coding: str, pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CodingError):
        decode_whole(coding, b"\xff\xfe\xfd this was never compressed", MEBI)


@pytest.mark.parametrize("coding", ["deflate", "br"])
@pytest.mark.parametrize("apart", [False, True])
def test_data_after_the_end_is_refused(coding: str, apart: bool) -> None:
    packed = ENCODERS[coding][1](b"hello")
    chunks = [packed, b"more"] if apart else [packed + b"more"]

    with pytest.raises(CodingError):
        unpack_in(coding, chunks)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_follow_one_another(coding: str) -> None:
    pack = ENCODERS[coding][1]

    assert decode_whole(coding, pack(b"one ") + pack(b"") + pack(b"two"), MEBI) == b"one two"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_garbage_after_a_member_is_refused(coding: str) -> None:
    with pytest.raises(CodingError):
        decode_whole(coding, ENCODERS[coding][1](b"one") + b"garbage", MEBI)


@every_coding
def test_empty_body_stays_empty(coding: str, pack: Callable[[bytes], bytes]) -> None:
    assert decode_whole(coding, b"", 0) == b""


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_no_coding_leaves_the_body(coding: str) -> None:
    assert decoder_for(coding) is None
    assert decode_whole(coding, b"abc", 3) == b"abc"
    with pytest.raises(DecodedTooLarge):
        decode_whole(coding, b"abc", 2)


@pytest.mark.parametrize("coding", ["compress", "gzip, br", "gzip;q=1", "\x00"])
def test_unknown_coding_is_refused(coding: str) -> None:
    with pytest.raises(CodingError, match="unsupported content coding"):
        decode_whole(coding, b"", MEBI)


def test_zstd_window_beyond_eight_mebibytes_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b"a" * 1000) + packer.flush()

    with pytest.raises(CodingError):
        decode_whole("zstd", packed, MEBI)
