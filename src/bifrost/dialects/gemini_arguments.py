"""Arguments of Gemini's function calls as they were written: decoded, large numbers would be rounded."""

from __future__ import annotations

from typing import Any

import msgspec

from bifrost.codecs import json
from bifrost.dialects.hub import written_object
from bifrost.dialects.openai_answer import BOM

__all__ = ["keep_arguments"]

Object = dict[str, Any]


class _Call(msgspec.Struct, gc=False):
    args: msgspec.Raw = msgspec.Raw(b"null")


class _Part(msgspec.Struct, gc=False, rename="camel"):
    function_call: _Call | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None


class _Answer(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None


_decode = json.decoder(_Answer)
_decode_wrapped = json.decoder(list[_Answer])
"""As Google wraps what was asked for as a stream without events."""


def keep_arguments(told: Object, body: bytes) -> None:
    """Put the arguments of calls into ``told``, which is ``body`` decoded, as ``Written``; those of an odd shape stay."""
    if b'"functionCall"' not in body:
        return
    body = body.removeprefix(BOM).lstrip()
    try:
        wire = _decode_wrapped(body)[0] if body.startswith(b"[") else _decode(body)
    except json.InvalidJSON:
        return
    for n, candidate in enumerate(wire.candidates or ()):
        parts = candidate.content and candidate.content.parts
        for m, part in enumerate(parts or ()):
            written = part.function_call and written_object(bytes(part.function_call.args))
            if written:
                told["candidates"][n]["content"]["parts"][m]["functionCall"]["args"] = written
