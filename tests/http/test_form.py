"""Forms as callers send them."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
import trio

from bifrost.codecs.multipart import encode_form, form_content_type
from bifrost.errors import BadRequest, BodyTooLarge
from bifrost.http.body import CallerGone
from bifrost.http.form import MAX_FIELD_BYTES, reading_form
from bifrost.http.spool import MEMORY_BYTES
from bifrost.schema.payload import BytesPayload, Field, File, Form, Payload
from http_messages import messages

BOUNDARY = b"a-boundary"
TYPE = (b"content-type", form_content_type(BOUNDARY))
LARGE = bytes(range(256)) * (MEMORY_BYTES // 200)
FORM: Form = (
    Field("model", b"whisper-1"),
    File("file", b"a.wav", b"audio/wav", BytesPayload(LARGE)),
    Field("timestamp_granularities[]", b"word"),
    File("file", b"b.wav", b"audio/wav", BytesPayload(LARGE[::-1])),
    File("empty", b"", None, BytesPayload(b"")),
    Field("timestamp_granularities[]", b"segment", b"text/plain"),
)


async def whole(payload: Payload) -> bytes:
    return b"".join([block async for block in payload.blocks()])


async def in_memory(form: Form) -> Form:
    """``form`` with its files' contents to be compared."""
    parts: list[Field | File] = []
    for part in form:
        if isinstance(part, Field):
            parts.append(part)
        else:
            content = BytesPayload(await whole(part.content))
            parts.append(File(part.name, part.filename, part.content_type, content))
    return tuple(parts)


async def sent(form: Form, size: int = 60_000) -> Any:
    data = await whole(encode_form(form, BOUNDARY))
    return messages(*(data[i : i + size] for i in range(0, len(data), size)))


def reading(receive: Any, *headers: tuple[bytes, bytes], max_bytes: int = 10_000_000) -> Any:
    return reading_form(receive, headers or (TYPE,), max_bytes=max_bytes, timeout_s=60)


async def test_form_is_read_with_its_files() -> None:
    async with reading(await sent(FORM)) as form:
        assert await in_memory(form) == FORM
        assert await in_memory(form) == FORM


async def test_files_are_read_at_once() -> None:
    async with reading(await sent(FORM)) as form:
        first, second = (part.content for part in form if part.name == "file")
        ours, theirs = first.blocks(), second.blocks()
        assert await anext(ours) == LARGE[: 256 * 1024]
        assert await anext(theirs) == LARGE[::-1][: 256 * 1024]


async def test_packed_form_is_read() -> None:
    packed = gzip.compress(await whole(encode_form(FORM, BOUNDARY)))
    sizes: list[int] = []
    headers = (TYPE, (b"content-encoding", b"gzip"))

    async with reading_form(
        messages(packed), headers, max_bytes=10_000_000, timeout_s=60, tell_size=sizes.append
    ) as form:
        assert await in_memory(form) == FORM

    assert sizes == [len(packed)]


async def test_form_of_a_client_library() -> None:
    asked = httpx.Request(
        "POST",
        "http://x",
        data={"model": "m", "ü": 'a"b'},
        files={"file": ('sp"am\nö.wav', b"123", "audio/wav"), "other": b"456"},
    )
    headers = ((b"content-type", asked.headers["content-type"].encode()),)

    async with reading(messages(asked.read()), *headers) as form:
        assert await in_memory(form) == (
            Field("model", b"m"),
            Field("ü", b'a"b'),
            File("file", 'sp"am\nö.wav'.encode(), b"audio/wav", BytesPayload(b"123")),
            File("other", b"upload", b"application/octet-stream", BytesPayload(b"456")),
        )


@pytest.mark.parametrize(
    "headers",
    [
        ((b"content-type", b"application/json"),),
        ((b"content-type", b"multipart/form-data"),),
        ((b"content-type", b"multipart/form-data; boundary=another"),),
        ((b"x", b"y"),),
    ],
)
async def test_what_is_no_form_is_the_callers_mistake(
    headers: tuple[tuple[bytes, bytes], ...],
) -> None:
    with pytest.raises(BadRequest) as caught:
        async with reading(await sent(FORM), *headers):
            raise AssertionError

    assert (caught.value.status, caught.value.message) == (400, "failed to parse request")


async def test_form_that_is_cut_short_is_refused() -> None:
    data = await whole(encode_form(FORM, BOUNDARY))

    with pytest.raises(BadRequest, match="failed to parse request"):
        async with reading(messages(data[:-10])):
            raise AssertionError


async def test_caller_that_hangs_up_is_gone() -> None:
    data = await whole(encode_form(FORM, BOUNDARY))

    with pytest.raises(CallerGone):
        async with reading(messages(data[:-10], then="gone")):
            raise AssertionError


async def test_caller_that_falls_silent_is_told_so(autojump_clock: object) -> None:
    with pytest.raises(BadRequest) as caught:
        async with reading(messages(b"--", then="silent")):
            raise AssertionError

    assert caught.value.status == 408


async def test_form_is_bounded() -> None:
    with pytest.raises(BodyTooLarge):
        async with reading(await sent(FORM), max_bytes=len(LARGE)):
            raise AssertionError


@pytest.mark.parametrize(
    "form",
    [
        (Field("a", b"x" * (MAX_FIELD_BYTES + 1)),),
        (Field("a", b"x" * 700_000), Field("b", b"x" * 700_000)),
        tuple(File("a" * 3000, b"f", None, BytesPayload(b"")) for _ in range(400)),
    ],
)
async def test_what_is_kept_in_memory_is_bounded(form: Form) -> None:
    with pytest.raises(BodyTooLarge) as caught:
        async with reading(await sent(form)):
            raise AssertionError

    assert caught.value.message == "form fields exceed max allowed size of 1048576 bytes"


async def test_fields_up_to_the_bound_are_kept() -> None:
    form = (Field("a", b"x" * (MAX_FIELD_BYTES - 1)),)

    async with reading(await sent(form)) as got:
        assert got == form
        await trio.lowlevel.checkpoint()
