"""Lists of files and batches over all keys of a provider: each key knows its own, so they are asked one after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs

from bifrost.http.whole import whole_answer
from bifrost.integrations.list_cursor import AS_OPENAI, Cursor, Page, Paging
from bifrost.schema.call import Operation
from bifrost.service import Service

if TYPE_CHECKING:
    from bifrost.schema.call import Call, Relay

__all__ = ["LISTS", "Listing"]

LISTS = frozenset({Operation.FILE_LIST, Operation.BATCH_LIST})

PAGES_MAX: Final = 10_000
"""Ends of pages remembered; the one longest unused is forgotten."""

TOKEN_MAX: Final = 1024
"""Characters of a cursor; a longer one is not remembered."""


@attrs.define(eq=False)
class Listing:
    """Makes one page of what several keys have.

    ``keys_of`` gives the ids of the keys that may serve an operation of a provider, in a steady order; ``owner_of`` the
    key that has an object of a provider's; ``pages_by_token`` whether a provider's lists go on by cursors of his own,
    and not by an object's id. Those are remembered by the ids that the pages end with.
    """

    service: Service
    keys_of: Callable[[str, Operation], tuple[str, ...]]
    owner_of: Callable[[str, str], str | None]
    pages_by_token: Callable[[str], bool] = lambda provider: False  # noqa: ARG005  others go by it
    _ends: OrderedDict[tuple[str, str], str] = attrs.field(factory=OrderedDict, init=False)
    """Provider and last object of a page to the cursor of the next, ``""`` where that key had no more."""

    def spans_keys(self, call: Call) -> bool:
        """Whether ``call`` asks for a list that is put together here."""
        if call.operation not in LISTS:
            return False
        return len(self.keys(call)) > 1 or self.pages_by_token(call.target.provider)

    def keys(self, call: Call) -> tuple[str, ...]:
        """Those to be asked; ``""`` stands for the one that the caller has chosen himself."""
        caller = call.caller
        own = caller.own_key(call.target.provider)
        if caller.key_id or caller.key_name or own is not None:
            return ("",)
        return self.keys_of(call.target.provider, call.operation) or ("",)

    async def page(self, call: Call, relay: Relay, paging: Paging = AS_OPENAI) -> bytes:
        """The body of the answer. Raises GatewayError."""
        keys, provider = self.keys(call), call.target.provider
        at = self._begin(paging.read_cursor(relay.query), provider, keys)
        if at.key >= len(keys):
            return paging.joined(paging.empty, at, len(keys))
        while True:
            onward = attrs.evolve(relay, query=paging.asking(relay.query, at.native))
            page = paging.read_page(await self._ask(call, onward, keys[at.key]))
            if at.native and page.last_id == at.native:
                # Asked for what comes behind an object it has given that one again: whoever asked on would never be done.
                page = paging.empty
            self._note_end(provider, page)
            if not page.is_empty or at.key + 1 >= len(keys):
                return paging.joined(page, at, len(keys))
            at = Cursor(at.key + 1)

    def _begin(
        self, told: tuple[Cursor | None, str], provider: str, keys: tuple[str, ...]
    ) -> Cursor:
        """Where to go on: a key that is gone meanwhile, or an object that nobody knows, means the first."""
        cursor, after = told
        if cursor is not None:
            return cursor if cursor.key < len(keys) else Cursor()
        owner = self.owner_of(after, provider) if after else None
        key = keys.index(owner) if owner in keys else 0
        following = self._ends.get((provider, after))
        if following == "":
            return Cursor(key + 1)
        return Cursor(key, after if following is None else following)

    def _note_end(self, provider: str, page: Page) -> None:
        if not page.last_id or not self.pages_by_token(provider):
            return
        following = page.following if page.has_more else ""
        self._ends.pop((provider, page.last_id), None)
        if len(following) <= TOKEN_MAX:
            self._ends[provider, page.last_id] = following
        while len(self._ends) > PAGES_MAX:
            self._ends.popitem(last=False)

    async def _ask(self, call: Call, relay: Relay, key_id: str) -> bytes:
        caller = attrs.evolve(call.caller, key_id=key_id) if key_id else call.caller
        native = None if call.native is None else attrs.evolve(call.native, relay=relay)
        asked = attrs.evolve(call, caller=caller, relay=relay, native=native)
        return await whole_answer(self.service, asked)
