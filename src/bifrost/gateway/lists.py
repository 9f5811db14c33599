"""What several keys of a provider have a part of, asked of each and told as one: its models, and callers' objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from bifrost.actors.messages import Need
from bifrost.actors.model_book import ModelBook
from bifrost.http.listing import Listing
from bifrost.policy.eligibility import eligible
from bifrost.providers.foreign import Foreign
from bifrost.schema.call import Call, Caller, Operation, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.actors.discovery import Discovery, KeyModels
    from bifrost.actors.key_pool import KeyPool
    from bifrost.policy.owners import Owners
    from bifrost.service import Service

__all__ = ["model_book", "object_listing"]

LIST_S = 60.0
"""For a provider to tell its models."""


def model_book(
    pools: Mapping[str, KeyPool], discovery: Discovery, new_id: Callable[[], str]
) -> ModelBook:
    """The book of the models of all ``pools``, as they are at each time."""

    async def list_models(provider: str) -> tuple[KeyModels, ...]:
        return await discovery.list_all((provider,), _for_the_house(new_id()))

    return ModelBook(lambda: tuple(pools), list_models)


def _for_the_house(call_id: str) -> Call:
    """A call of nobody else's."""
    now_s = trio.current_time()
    return Call(
        id=call_id,
        operation=Operation.LIST_MODELS,
        stream=False,
        target=Target("", ""),
        caller=Caller(),
        received_s=now_s,
        deadline_s=now_s + LIST_S,
    )


def object_listing(service: Service, pools: Mapping[str, KeyPool], owners: Owners) -> Listing:
    """Lists of files, batches and the like; ``owners`` knows which key has which."""

    def keys_of(provider: str, operation: Operation) -> tuple[str, ...]:
        pool = pools.get(provider)
        if pool is None:
            return ()
        wish = Need(model="", operation=operation)
        return tuple(key.id for key in eligible(pool.generation.settings, wish).keys)

    def owner_of(name: str, provider: str) -> str | None:
        return owners.owner((name,), provider, trio.current_time())

    def pages_by_token(provider: str) -> bool:
        pool = pools.get(provider)
        adapter = None if pool is None else pool.generation.adapter
        return isinstance(adapter, Foreign) and adapter.spec.pages_by_token

    return Listing(service, keys_of, owner_of, pages_by_token)
