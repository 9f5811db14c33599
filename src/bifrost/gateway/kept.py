"""A configuration that is kept in a store: opened at a start, and put together with what the file says."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.config.starting import refusals
from bifrost.config_file import read_tree
from bifrost.http.health import StoreHealth
from bifrost.management.steward import Steward
from bifrost.observe.prometheus import StoreView
from bifrost.store.base import StoreAway, StoreBusy
from bifrost.store.config_open import Opened, open_config_store
from bifrost.store.keeper import StoreKeeper
from bifrost.store.sealing import sealing_notices

if TYPE_CHECKING:
    from bifrost.config.options import ServeOptions
    from bifrost.config.settings import Config
    from bifrost.gateway.notes import Notes

__all__ = ["Kept", "open_kept"]


@attrs.frozen
class Kept:
    """Who changes it, and where it is."""

    steward: Steward
    keeper: StoreKeeper
    opened: Opened
    read_tree: Callable[[], object]
    """The file's document. Blocks; raises ConfigErrors, OSError."""

    @property
    def health(self) -> StoreHealth:
        return StoreHealth(
            name="config",
            is_away=lambda: self.keeper.is_away,
            ping=self.opened.database.ping,
        )

    @property
    def view(self) -> StoreView:
        """For a scrape."""
        return StoreView(is_up=not self.keeper.is_away, waiting=self.keeper.waiting)


async def open_kept(config: Config, options: ServeOptions, notes: Notes) -> tuple[Kept, Config]:
    """The store of ``config``, and the configuration that file and store make together.

    If the store is away, the file alone is served until it is back. Raises ConfigErrors, OSError, and StoreSealed if the
    store's key is missing.
    """
    kept = await _opened(config, options, notes)
    try:
        # Before they are read: they have other versions then.
        await kept.opened.store.seal_rows(time.time())
        compiled = await kept.steward.open()
    except (StoreAway, StoreBusy):
        # The keeper has said so. What the file says is served; whoever is known to the store alone has to wait.
        return kept, config
    return kept, compiled.config


async def _opened(config: Config, options: ServeOptions, notes: Notes) -> Kept:
    assert config.config_store is not None  # noqa: S101  asked for by who has looked
    notes.configuration(sealing_notices(config.encryption_key))
    opened = await trio.to_thread.run_sync(
        open_config_store, config.config_store, options.app_dir, config.encryption_key
    )
    on_turn = partial(notes.store_turned, "config")
    keeper = StoreKeeper(opened.store, random.random, on_turn)  # noqa: TID251  chance enters the house here
    read_again = partial(read_tree, options.config_path, options.app_dir)
    steward = Steward(
        await trio.to_thread.run_sync(read_again),
        keeper,
        opened.means,
        os.environ,
        time.time,
        refuse=partial(refusals, options=options),
    )
    return Kept(steward, keeper, opened, read_again)
