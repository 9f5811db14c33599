"""Paging as Anthropic's lists do it, over several keys: by ``after_id`` and ``last_id``, or by ``page`` and ``next_page``.

Sources: Anthropic API reference, "List Message Batches" and "List Files", 2026-11; its SDK for Python 2.14, which goes on by
the former through batches, and by the latter through files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from bifrost.codecs.json import InvalidJSON, dumps, join_object, loads, split_object
from bifrost.errors import BadRequest, UpstreamError
from bifrost.integrations.list_cursor import Cursor, Page, Paging, cursor_in

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AS_ANTHROPIC", "as_openai_asks"]

PAGE, AFTER, BEFORE = "page", "after_id", "before_id"

NULL = b"null"

NOT_BACKWARDS: Final = "before_id is not supported for a list over several keys: go on by after_id, or name one key by x-bf-api-key-id"

UNSAID: Final = (BEFORE, "ids", "scope_id")
"""Pairs of a query that change what a list holds, and that nobody else has."""


def as_openai_asks(query: str, provider: str) -> str:
    """The query of a list of ``provider``, in OpenAI's words. Raises BadRequest for what these have no word for."""
    told = dict(parse_qsl(query))
    for name in told:
        if name.removesuffix("[]") in UNSAID:
            text = f"{name} is not supported for lists of {provider} provider"
            raise BadRequest(text, param=name)
    said = {
        "after": told.get(AFTER) or told.get(PAGE) or told.get("page_token"),
        "limit": told.get("limit") or told.get("page_size"),
    }
    return urlencode({name: value for name, value in said.items() if value})


def _read_cursor(query: str) -> tuple[Cursor | None, str]:
    told = dict(parse_qsl(query))
    if told.get(BEFORE):
        raise BadRequest(NOT_BACKWARDS, param=BEFORE)
    name = _name(told)
    after = told.get(name, "")
    cursor = cursor_in(after, name)
    return cursor, "" if cursor else after


def _name(told: Mapping[str, str]) -> str:
    return PAGE if told.get(PAGE) else AFTER


def _asking(query: str, native: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name not in {PAGE, AFTER}]
    return urlencode([*kept, (_name(dict(pairs)), native)] if native else kept)


def _read_page(body: bytes) -> Page:
    """Raises UpstreamError for what is no list."""
    try:
        members = split_object(body)
        data = members.get("data", b"[]")
        items = loads(data)
        following = loads(members.get("next_page", NULL))
    except InvalidJSON as error:
        text = "failed to unmarshal response from provider API"
        raise UpstreamError(text, cause=str(error)) from None
    last = items[-1] if isinstance(items, list) and items else None
    last_id = str(last.get("id", "")) if isinstance(last, dict) else ""
    following = following if isinstance(following, str) else ""
    has_more = bool(following) or members.get("has_more") == b"true"
    return Page(members, data, last_id, has_more, following)


def _joined(page: Page, at: Cursor, keys: int) -> bytes:
    """The page with both its ends, of which callers go on by the one that they know."""
    told = dict(page.members)
    by_page = by_id = None
    if page.has_more:
        by_page = Cursor(at.key, page.following) if page.following else None
        by_id = Cursor(at.key, page.last_id) if page.last_id else None
    elif at.key + 1 < keys:
        by_page = by_id = Cursor(at.key + 1)
    if "has_more" in told:
        told["has_more"] = b"true" if by_id else b"false"
        if by_id is not None:
            told["last_id"] = dumps(by_id.text())
    if "next_page" in told or "has_more" not in told:
        told["next_page"] = dumps(by_page.text()) if by_page else NULL
    return join_object(told)


AS_ANTHROPIC = Paging(
    read_cursor=_read_cursor,
    asking=_asking,
    read_page=_read_page,
    joined=_joined,
    empty=Page(
        {"data": b"[]", "has_more": b"false", "first_id": NULL, "last_id": NULL, "next_page": NULL},
        b"[]",
        "",
        has_more=False,
        following="",
    ),
)
