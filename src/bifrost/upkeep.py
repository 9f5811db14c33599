"""What the command line does with stores while no gateway runs, or beside one that does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import trio

from bifrost.config.fingerprints import Fingerprints
from bifrost.config.load import parse_tree
from bifrost.config.lost_references import Kept
from bifrost.config.merge import Difference, merge
from bifrost.store.base import StoreAway
from bifrost.store.config_base import Loaded
from bifrost.store.config_open import config_path, means, open_config_store
from bifrost.store.sqlite import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.config.faults import ConfigError
    from bifrost.config.settings import Config
    from bifrost.store.config_open import Database, Opened

__all__ = ["differences", "forward", "told"]


def _checked(tree: object, mistakes: tuple[ConfigError, ...], environ: Mapping[str, str]) -> Config:
    """The configuration that the file alone makes. What it names may be in its store. Raises ConfigErrors."""
    alone = merge(tree, (), (), means(Fingerprints()))
    return parse_tree(alone.tree, environ, mistakes, Kept(may_be_more=True))


def differences(
    tree: object, mistakes: tuple[ConfigError, ...], environ: Mapping[str, str], app_dir: Path
) -> tuple[Difference, ...] | None:
    """Where the file and the store differ; ``None`` if there is no store to differ from.

    Reads only, and may be asked beside a running gateway. Raises ConfigErrors and StoreError.
    """
    config = _checked(tree, mistakes, environ)
    if config.config_store is None:
        return None
    opened = open_config_store(config.config_store, app_dir, config.encryption_key, is_guest=True)
    is_new = isinstance(opened.database, SqliteFile) and not opened.database.path.exists()
    loaded = Loaded() if is_new else trio.run(_load, opened)
    return merge(tree, loaded.nouns, loaded.removed, opened.means).differences


async def _load(opened: Opened) -> Loaded:
    try:
        return await opened.store.load()
    finally:
        await opened.database.aclose()  # noqa: ASYNC102  shields itself, for a bounded time


def told(difference: Difference) -> str:
    """A difference in words, several lines perhaps."""
    what = f"{difference.kind} {difference.id}: {difference.where}; the {difference.holds} holds"
    return "\n    ".join((what, *difference.members))


def forward(
    tree: object, mistakes: tuple[ConfigError, ...], environ: Mapping[str, str], app_dir: Path
) -> Iterator[str]:
    """Bring each store to this version, and say from where to where. Raises ConfigErrors and StoreError."""
    config = _checked(tree, mistakes, environ)
    if config.config_store is not None:
        opened = open_config_store(config.config_store, app_dir, None)
        where = config.config_store.postgres
        name = (
            str(config_path(config.config_store, app_dir))
            if where is None
            else f"{where.db_name} at {where.host}"
        )
        yield f"{name}: {trio.run(_brought, opened.database)}"
    if config.logs_store is not None:
        path = config.logs_store.path
        file = SqliteFile(app_dir / "logs.db" if path is None else Path(path))
        yield f"{file.path}: {trio.run(_brought, file)}"


async def _brought(database: Database) -> str:
    try:
        await database.ping()
    finally:
        await database.aclose()  # noqa: ASYNC102  shields itself, for a bounded time
    brought = database.brought
    if brought is None:
        raise database.trouble or StoreAway("it could not be opened")
    if brought.before == brought.after:
        return f"at version {brought.after} already"
    return f"from version {brought.before} to {brought.after}"
