"""Runs of ordinary chat chunks, cut and checked many at a time. Pure.

Where an upstream is fast, or the gateway has fallen behind it, one read holds hundreds of chunks that all want the same:
to go on with ``extra_fields``. One by one the checks of each cost several times what they cost for all together.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from bifrost.codecs import json

__all__ = ["RUN_BYTES", "after_run", "cut_run"]

RUN_BYTES = 2048
"""In less there is no run worth a look."""

LAST_EVENTS = 3
"""A stream ends in a reason to finish, its usage and ``[DONE]``, which are no ordinary chunks."""

FIRST = b"data: {"
BETWEEN = b"}\n\ndata: {"
END = b"}\n\n"


class _Choice(msgspec.Struct, gc=False):
    index: Literal[0] = 0
    finish_reason: None = None


class _Ordinary(msgspec.Struct, gc=False):
    """A chunk of the first choice that neither ends it nor tells usage, an error or extra fields of its own."""

    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
    usage: None = None
    error: None = None
    extra_fields: Annotated[str, msgspec.Meta(pattern="(?!)")] = ""
    """No value matches."""


_decode_all = json.lines_decoder(_Ordinary)


def after_run(block: bytes) -> int:
    """Where in ``block``, which is whole events, a run has to end: before the last few of them. 0 if there are no more."""
    end = len(block)
    for _ in range(LAST_EVENTS + 1):
        end = block.rfind(b"\n\n", 0, end)
        if end < 0:
            return 0
    return end + 2


def cut_run(run: bytes) -> list[bytes] | None:
    """The chunks in ``run``, each without its first and last brace; ``None`` unless all of them are ordinary.

    Each event is one line that begins and ends with a brace, so no value can reach from one into the next: with as many
    values as lines, each line is one chunk.
    """
    if not run.startswith(FIRST) or not run.endswith(END):
        return None
    chunks = run[len(FIRST) : -len(END)].split(BETWEEN)
    if run.count(b"\n") != 2 * len(chunks) or not json.is_utf8(run):
        return None
    try:
        values = _decode_all(run[len(FIRST) - 1 : -2].replace(b"\n\ndata: ", b"\n"))
    except json.InvalidJSON:
        return None
    return chunks if len(values) == len(chunks) else None
