"""The steward: what file and store say together is the configuration, and whoever changes it goes through here.

One change at a time. It is checked as a whole, as the file is, then written, then applied; what is refused at any of these
steps changes nothing. What was changed here wins over the file from then on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs
import trio

from bifrost.config.entities import Name, entities
from bifrost.config.faults import ConfigError, ConfigErrors
from bifrost.config.load import parse_tree
from bifrost.config.lost_references import STRICT, Kept
from bifrost.config.merge import Difference, Means, merge
from bifrost.config.nouns import ANY, Body, Change, Noun, Put, Remove
from bifrost.config.placed_limits import place_limits
from bifrost.config.settings import Config
from bifrost.errors import Denial
from bifrost.governance.policy import Policy
from bifrost.policy.pricing import Sheet
from bifrost.store.config_base import StoreConflict, StoreTaken
from bifrost.store.keeper import StoreKeeper

if TYPE_CHECKING:
    from bifrost.config.merge import Merged
    from bifrost.store.config_base import Loaded

__all__ = ["Compiled", "Steward"]

TRIES = 5
"""Of gateways that start at the same time, each but one finds the rows of another when it writes its own."""


@attrs.frozen
class Compiled:
    """A configuration that has passed every check, and what governance makes of it."""

    config: Config
    policy: Policy


Apply = Callable[[Compiled], Awaitable[None]]
"""Makes the house go by it. Must not fail: everything that can be wrong was looked for before."""


@attrs.define(eq=False)
class Steward:
    """Owns the nouns. ``keeper`` is ``None`` where ``config_store`` is switched off: then the file is all there is.

    ``tree`` is the file's, limits and all. Times are Unix seconds.
    """

    tree: object
    keeper: StoreKeeper | None
    means: Means
    environ: Mapping[str, str]
    wall: Callable[[], float]
    refuse: Callable[[Config], Sequence[str]] = lambda _: ()
    """Why a configuration that is good may not be served all the same."""
    apply: Apply | None = attrs.field(default=None, init=False)
    """Set by whoever has a house; until then changes are only kept."""
    sheet: Sheet | None = attrs.field(default=None, init=False)
    """The operator's price list, once it has been fetched."""
    differences: tuple[Difference, ...] = attrs.field(default=(), init=False)
    """Where file and store were not of one mind when they were put together last."""
    _nouns: dict[Name, Noun] = attrs.field(factory=dict, init=False)
    _removed: dict[Name, Noun] = attrs.field(factory=dict, init=False)
    _lock: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    @property
    def is_writable(self) -> bool:
        """Whether there is a store."""
        return self.keeper is not None

    def get(self, kind: str, noun_id: str) -> Noun | None:
        """The noun, if it is there."""
        return self._nouns.get((kind, noun_id))

    def all(self, kind: str) -> tuple[Noun, ...]:
        """Those of a kind, in the order of their making."""
        return tuple(noun for noun in self._nouns.values() if noun.kind == kind)

    # From file and store

    async def open(self) -> Compiled:
        """Put file and store together for a start. Raises ConfigErrors, StoreError.

        What of the file the store does not have is written.
        """
        async with self._lock:
            loaded = None if self.keeper is None else await self.keeper.load()
            return await self._put_together(self.tree, loaded)

    def show(self, tree: object) -> None:
        """Without a store: have the nouns say what the file says, for whoever only looks. Blocks. Raises ConfigErrors."""
        now_s = self.wall()
        puts = (each for each in merge(tree, (), (), self.means).changes if isinstance(each, Put))
        self.tree = tree
        self._nouns = {(put.kind, put.id): _drafted(put, None, now_s) for put in puts}

    async def reload(self, tree: object) -> Compiled:
        """The same with what the file says now; applied. Raises as ``open``, and everything is as it was then.

        What the file had and has no more goes, unless the API has changed it: whoever takes a key out of the file means it.
        At a start it stays (there need not be a file at all), and ``bifrost config diff`` shows it.
        """
        async with self._lock:
            loaded = None if self.keeper is None else await self.keeper.load()
            gone = _names_in(self.tree) - _names_in(tree)
            compiled = await self._put_together(tree, loaded, gone)
            self.tree = tree
            await self._apply(compiled)
            return compiled

    async def _put_together(
        self, tree: object, loaded: Loaded | None, gone: frozenset[Name] = frozenset()
    ) -> Compiled:
        if self.keeper is None or loaded is None:
            return await trio.to_thread.run_sync(self._compile, tree)
        for _ in range(TRIES - 1):
            try:
                return await self._merge(self.keeper, tree, loaded, gone)
            except (StoreConflict, StoreTaken):
                # Another gateway has begun with the same store at the same time.
                loaded = await self.keeper.load()
        return await self._merge(self.keeper, tree, loaded, gone)

    async def _merge(
        self, keeper: StoreKeeper, tree: object, loaded: Loaded, gone: frozenset[Name]
    ) -> Compiled:
        left = [n for n in loaded.nouns if (n.kind, n.id) in gone and not n.changed_by_api]
        kept = [noun for noun in loaded.nouns if noun not in left]
        merged: Merged = await trio.to_thread.run_sync(
            merge, tree, kept, loaded.removed, self.means
        )
        former = Kept(nouns=_bodies(loaded.nouns), file=tree)
        compiled = await trio.to_thread.run_sync(
            self._compile, merged.tree, merged.warnings, former
        )
        removals = [
            Remove(kind=noun.kind, id=noun.id, expected=noun.version, for_good=True)
            for noun in left
        ]
        if changes := (*removals, *merged.changes):
            await keeper.write(changes, self.wall())
            loaded = await keeper.load()
        self._nouns = {(noun.kind, noun.id): noun for noun in loaded.nouns}
        self._removed = {(noun.kind, noun.id): noun for noun in loaded.removed}
        self.differences = merged.differences
        return compiled

    def _compile(self, tree: object, warnings: Sequence[str] = (), kept: Kept = STRICT) -> Compiled:
        """Check and compile. Blocks; runs in a thread. Raises ConfigErrors."""
        config = parse_tree(tree, self.environ, kept=kept)
        if reasons := self.refuse(config):
            raise ConfigErrors([ConfigError("", reason, "another") for reason in reasons])
        config = attrs.evolve(config, warnings=(*config.warnings, *warnings))
        today = datetime.fromtimestamp(self.wall(), UTC).date()
        return Compiled(config, Policy.of(config, today, self.sheet))

    # By hand

    async def change(self, changes: Sequence[Change]) -> tuple[Noun, ...]:
        """Make all of ``changes`` or none; the nouns that were put, in their order.

        Raises Denial where there is no store, StoreConflict if a noun is not at the version expected, ConfigErrors for what
        would be no good configuration (with paths in the whole document), StoreError.
        """
        if self.keeper is None:
            text = "the configuration store is switched off (config_store), so only its file changes it"
            raise Denial(text, kind="config_store_disabled", status=403)
        async with self._lock:
            after = self._after(changes)
            compiled = await trio.to_thread.run_sync(self._compiled_of, tuple(after.values()))
            # Once it is written it is applied, whoever has stopped waiting for it.
            with trio.CancelScope(shield=True):
                written = await self.keeper.write(changes, self.wall())
                self._take(changes, written)
                await self._apply(compiled)
            return written

    def _after(self, changes: Sequence[Change]) -> dict[Name, Noun]:
        """The nouns as they would be."""
        after = dict(self._nouns)
        for change in changes:
            name = change.kind, change.id
            present = after.get(name)
            version = present.version if present else None
            if change.expected is not ANY and (version or 0) != change.expected:
                raise StoreConflict(change.kind, change.id, version)
            if isinstance(change, Put):
                after[name] = _drafted(change, present, self.wall())
            else:
                after.pop(name, None)
        return after

    def _compiled_of(self, nouns: tuple[Noun, ...]) -> Compiled:
        """What the house would go by. The file says only what no noun can.

        What a change names anew has to be there; what it takes away others may go on naming.
        """
        there = {(noun.kind, noun.id) for noun in nouns}
        marks = [
            attrs.evolve(noun, is_removed=True)
            for name, noun in (*self._nouns.items(), *self._removed.items())
            if name not in there
        ]
        kept = Kept(nouns=_bodies(self._nouns.values()))
        return self._compile(merge(self.tree, nouns, marks, self.means).tree, kept=kept)

    def _take(self, changes: Sequence[Change], written: Sequence[Noun]) -> None:
        for change in changes:
            if isinstance(change, Put):
                self._removed.pop((change.kind, change.id), None)
                continue
            noun = self._nouns.pop((change.kind, change.id), None)
            if noun is not None and noun.file_hash is not None:
                self._removed[change.kind, change.id] = attrs.evolve(noun, is_removed=True)
        for noun in written:
            self._nouns[noun.kind, noun.id] = noun

    async def _apply(self, compiled: Compiled) -> None:
        if self.apply is not None:
            await self.apply(compiled)


def _names_in(tree: object) -> frozenset[Name]:
    """The nouns that a file's document is about."""
    placed = place_limits(tree).tree
    return (
        frozenset(each.name for each in entities(placed))
        if isinstance(placed, dict)
        else frozenset()
    )


def _bodies(nouns: Iterable[Noun]) -> Mapping[Name, Body]:
    return {(noun.kind, noun.id): noun.body for noun in nouns}


def _drafted(put: Put, present: Noun | None, now_s: float) -> Noun:
    """What the store will make of ``put``, but for its version."""
    return Noun(
        kind=put.kind,
        id=put.id,
        body=put.body,
        version=present.version if present else 1,
        file_hash=present.file_hash if present else put.file_hash,
        changed_by_api=put.changed_by_api,
        created_unix_s=present.created_unix_s if present else now_s,
        updated_unix_s=now_s,
    )
