"""Which model a body names, where it goes upstream as it came.

A key may be for some models only, and is chosen by what the gateway reads. Readers differ: in which of two members counts,
in whether upper case does (it does not to Go's), and some take what is no JSON. So a body that could be read otherwise is
in doubt, which is for the caller of these functions to refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs.json import InvalidJSON, loads, split_pairs
from bifrost.schema.call import RawMembers

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "DIFFERING",
    "MAX_MEMBERS",
    "UNREADABLE",
    "BodyRead",
    "may_be_object",
    "model_of",
    "read_object",
]

MAX_MEMBERS = 10_000

DIFFERING = "the body names more than one model"
UNREADABLE = "the body's model cannot be read for certain: it has to be a JSON object in UTF-8, without a byte order mark"

BEFORE_OBJECTS = b"\xef\xbb\xbf\xfe\xff\x00 \t\r\n"
"""What may stand before an object's brace, in any of Unicode's encodings: byte order marks, halves of letters, white space."""


def may_be_object(block: bytes) -> bool:
    """Whether what begins with ``block`` could be taken for a JSON object, in whatever encoding."""
    return block.lstrip(BEFORE_OBJECTS)[:1] in {b"{", b""}


@attrs.frozen
class BodyRead:
    """A body's members, the model that they name, and why the upstream may read another one: empty if it cannot."""

    members: RawMembers = attrs.field(repr=False)
    model: str = ""
    doubt: str = ""


def read_object(body: bytes) -> BodyRead:
    """What ``body`` says. What nobody takes for an object says nothing: it is for the upstream to refuse."""
    try:
        pairs = split_pairs(body, MAX_MEMBERS)
    except InvalidJSON:
        is_object = body.lstrip(BEFORE_OBJECTS).startswith(b"{")
        return BodyRead({}, doubt=UNREADABLE if is_object else "")
    named = (_text(raw) for name, raw in pairs if name.lower() == "model")
    return BodyRead(dict(pairs), *model_of(named))


def model_of(named: Iterable[str]) -> tuple[str, str]:
    """The one model of ``named``; none, with the doubt, if there are two."""
    models = set(named)
    return ("", DIFFERING) if len(models) > 1 else ("".join(models), "")


def _text(raw: bytes) -> str:
    # ``split_pairs`` has seen to it that a string is one.
    return str(loads(raw)) if raw.startswith(b'"') else ""
