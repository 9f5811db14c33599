"""Lists of files and batches over all keys of a provider: each key knows its own, so they are asked one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from bifrost.errors import UpstreamError
from bifrost.integrations.list_cursor import (
    Cursor,
    Page,
    asking,
    joined,
    read_cursor,
    read_page,
)
from bifrost.schema.call import Operation
from bifrost.service import Began, Chunk, Failed, Finished, Service

if TYPE_CHECKING:
    from bifrost.schema.call import Call, Relay

__all__ = ["LISTS", "Listing"]

LISTS = frozenset({Operation.FILE_LIST, Operation.BATCH_LIST})


@attrs.define(eq=False)
class Listing:
    """Makes one page of what several keys have.

    ``keys_of`` gives the ids of the keys that may serve an operation of a provider, in a steady order; ``owner_of`` the
    key that has an object of a provider's.
    """

    service: Service
    keys_of: Callable[[str, Operation], tuple[str, ...]]
    owner_of: Callable[[str, str], str | None]

    def spans_keys(self, call: Call) -> bool:
        """Whether ``call`` asks for a list of which several keys have a part."""
        caller = call.caller
        own = caller.own_key(call.target.provider)
        is_pinned = caller.key_id or caller.key_name or own is not None
        if call.operation not in LISTS or is_pinned:
            return False
        return len(self.keys_of(call.target.provider, call.operation)) > 1

    async def page(self, call: Call, relay: Relay) -> bytes:
        """The body of the answer. Raises GatewayError."""
        keys = self.keys_of(call.target.provider, call.operation)
        at = self._begin(relay.query, call.target.provider, keys)
        while True:
            page = await self._ask(call, relay, keys[at.key], at.native)
            if not page.is_empty or at.key + 1 >= len(keys):
                return joined(page, at, len(keys))
            at = Cursor(at.key + 1)

    def _begin(self, query: str, provider: str, keys: tuple[str, ...]) -> Cursor:
        """Where to go on: a key that is gone meanwhile, or an object that nobody knows, means the first."""
        cursor, after = read_cursor(query)
        if cursor is not None:
            return cursor if cursor.key < len(keys) else Cursor()
        owner = self.owner_of(after, provider) if after else None
        return Cursor(keys.index(owner) if owner in keys else 0, after)

    async def _ask(self, call: Call, relay: Relay, key_id: str, native: str) -> Page:
        one = attrs.evolve(
            call,
            caller=attrs.evolve(call.caller, key_id=key_id),
            relay=attrs.evolve(relay, query=asking(relay.query, native)),
        )
        body = b""
        async with self.service(one) as exchange:
            while True:
                match await exchange.receive():
                    case Chunk(data):
                        body = data
                    case Finished():
                        break
                    case Failed(error):
                        raise error
                    case Began():
                        pass
        if not body:
            raise UpstreamError("empty response received from provider")
        return read_page(body)
