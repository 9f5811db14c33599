"""Paging through lists that several keys have a part of: whose turn it is, and how far it has come."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

import attrs

from bifrost.codecs.json import InvalidJSON, dumps, join_object, loads, split_object
from bifrost.errors import BadRequest

__all__ = [
    "AS_OPENAI",
    "EMPTY",
    "Cursor",
    "Page",
    "Paging",
    "asking",
    "cursor_in",
    "joined",
    "read_cursor",
    "read_page",
]

VERSION = 1
MAX_CURSOR = 1024


@attrs.frozen
class Cursor:
    """The key's place among those that are asked, and the provider's own cursor in its part of the list."""

    key: int = 0
    native: str = ""

    def text(self) -> str:
        """As callers see it: URL-safe base64."""
        value = dumps({"v": VERSION, "i": self.key, "c": self.native})
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


@attrs.frozen
class Page:
    """One answer of one key. ``data`` is a JSON array as it came."""

    members: dict[str, bytes] = attrs.field(repr=False)
    data: bytes = attrs.field(repr=False)
    last_id: str
    has_more: bool
    following: str
    """The provider's own cursor to what comes next: the last object's id, where it has no other."""

    @property
    def is_empty(self) -> bool:
        return not loads(self.data)


EMPTY = Page({"object": b'"list"', "data": b"[]"}, b"[]", "", has_more=False, following="")
"""What comes behind the last of all."""


def read_cursor(query: str) -> tuple[Cursor | None, str]:
    """What ``after`` in ``query`` says: a cursor of ours, or ``None`` and an object's id (``""`` if it is not there).

    Raises BadRequest for a cursor of ours that has been broken, or is of another version.
    """
    after = dict(parse_qsl(query)).get("after", "")
    cursor = cursor_in(after, "after")
    return cursor, "" if cursor else after


def cursor_in(text: str, param: str) -> Cursor | None:
    """The cursor of ours that ``text`` is, the query's ``param``; ``None`` for what is none. Raises BadRequest."""
    if len(text) > MAX_CURSOR:
        raise BadRequest("invalid pagination cursor", param=param)
    value = _decoded(text)
    if value is None:
        return None
    match value:
        case {"v": int(version), "i": int(key), "c": str(native)} if (
            version == VERSION and key >= 0
        ):
            return Cursor(key, native)
        case _:
            raise BadRequest("invalid pagination cursor", param=param)


def _decoded(text: str) -> dict[str, object] | None:
    """The object that ``text`` is in base64; ``None`` for what is no such thing, as ids are not."""
    try:
        value = loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, InvalidJSON):
        return None
    return value if isinstance(value, dict) else None


def asking(query: str, native: str) -> str:
    """``query`` with ``native`` for its ``after``."""
    pairs = [(n, v) for n, v in parse_qsl(query, keep_blank_values=True) if n != "after"]
    return urlencode([*pairs, ("after", native)] if native else pairs)


def read_page(body: bytes) -> Page:
    """The page in an answer that has been checked to be a list."""
    members = split_object(body)
    data = members.get("data", b"[]")
    items = loads(data)
    last = items[-1] if isinstance(items, list) and items else None
    last_id = last.get("id", "") if isinstance(last, dict) else ""
    told = loads(members.get("next_cursor", b"null"))
    following = told if isinstance(told, str) and told else str(last_id)
    return Page(members, data, str(last_id), members.get("has_more") == b"true", following)


def joined(page: Page, at: Cursor, keys: int) -> bytes:
    """The answer that tells ``page``, which the key at ``at.key`` of ``keys`` gave."""
    following: Cursor | None = None
    if page.has_more:
        following = Cursor(at.key, page.following)
    elif at.key + 1 < keys:
        following = Cursor(at.key + 1)
    told = dict(page.members)
    extra = told.pop("extra_fields", None)
    # The provider's own would be good for one key only.
    told.pop("next_cursor", None)
    members = {**told, "has_more": b"false" if following is None else b"true"}
    if following is not None:
        members["last_id"] = members["next_cursor"] = dumps(following.text())
    if extra is not None:
        members["extra_fields"] = extra
    return join_object(members)


@attrs.frozen(kw_only=True)
class Paging:
    """How one dialect goes through a list. The members are as the functions of their names."""

    read_cursor: Callable[[str], tuple[Cursor | None, str]]
    asking: Callable[[str, str], str]
    read_page: Callable[[bytes], Page]
    joined: Callable[[Page, Cursor, int], bytes]
    empty: Page


AS_OPENAI = Paging(
    read_cursor=read_cursor, asking=asking, read_page=read_page, joined=joined, empty=EMPTY
)
