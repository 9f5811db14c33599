"""Reading a caller's form: fields into memory, files one behind another into one spool."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, assert_never

from bifrost.codecs.multipart import (
    FormDecoder,
    FormEvent,
    InvalidForm,
    PartEnd,
    PartHead,
    boundary_of,
)
from bifrost.errors import BadRequest, BodyTooLarge
from bifrost.http.body import UnpackedParts, in_time, tell_nobody
from bifrost.http.spool import Spool, open_spool
from bifrost.schema.payload import Field, File, Form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from hypercorn.typing import ASGIReceiveCallable

    from bifrost.integrations.headers import HeaderLines

__all__ = ["MAX_FIELD_BYTES", "is_form", "new_boundary", "reading_form"]

MAX_FIELD_BYTES = 1024 * 1024
"""Of all fields of a form together, and of the names of its files: what is kept in memory."""


def is_form(headers: HeaderLines) -> bool:
    """Whether the body says that it is one."""
    return _content_type(headers).lower().lstrip().startswith(b"multipart/form-data")


def new_boundary() -> bytes:
    """For a form to be written anew with: one that no file can foresee."""
    return b"bifrost-" + os.urandom(24).hex().encode()


@asynccontextmanager
async def reading_form(
    receive: ASGIReceiveCallable,
    headers: HeaderLines,
    *,
    max_bytes: int,
    timeout_s: float,
    tell_size: Callable[[int], None] = tell_nobody,
) -> AsyncIterator[Form]:
    """A request's form, once all of it is there; its files can be read until this is left.

    Bounds and errors are as those of ``spooled``. Also raises BadRequest for a body that is no ``multipart/form-data``,
    and BodyTooLarge for more than ``MAX_FIELD_BYTES`` beside the files' contents.
    """
    parts = UnpackedParts(receive, headers, max_bytes, tell_size)
    async with open_spool() as spool:
        with in_time(timeout_s):
            form = await _read(parts, _content_type(headers), spool)
        yield form


async def _read(parts: UnpackedParts, content_type: bytes, spool: Spool) -> Form:
    collected = _Collected(spool)
    try:
        decoder = FormDecoder(boundary_of(content_type))
        while (part := await parts.take()) is not None:
            for event in decoder.feed(part):
                await collected.take(event)
        decoder.close()
    except InvalidForm as error:
        raise BadRequest("failed to parse request", cause=str(error)) from error
    await spool.seal()
    return tuple(collected.parts)


class _Collected:
    """The parts so far, and the one that is being read."""

    def __init__(self, spool: Spool) -> None:
        self.parts: list[Field | File] = []
        self._spool = spool
        self._head = PartHead("", None, None)
        self._value = bytearray()
        self._begin = 0
        self._held_bytes = 0

    async def take(self, event: FormEvent) -> None:
        match event:
            case PartHead():
                self._head, self._begin = event, self._spool.size
                self._value.clear()
                names = (event.name, event.filename or b"", event.content_type or b"")
                self._count(sum(map(len, names)))
            case bytes() if self._head.is_file:
                await self._spool.write(event)
            case bytes():
                self._count(len(event))
                self._value += event
            case PartEnd():
                self.parts.append(self._file() if self._head.is_file else self._field())
            case _:
                assert_never(event)

    def _count(self, size: int) -> None:
        self._held_bytes += size
        if self._held_bytes > MAX_FIELD_BYTES:
            raise BodyTooLarge(f"form fields exceed max allowed size of {MAX_FIELD_BYTES} bytes")

    def _field(self) -> Field:
        return Field(self._head.name, bytes(self._value), self._head.content_type)

    def _file(self) -> File:
        content = self._spool.slice(self._begin, self._spool.size - self._begin)
        return File(self._head.name, self._head.filename, self._head.content_type, content)


def _content_type(headers: HeaderLines) -> bytes:
    return next((value for name, value in headers if name == b"content-type"), b"")
