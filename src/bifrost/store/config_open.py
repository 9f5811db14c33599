"""The configuration store that a configuration asks for."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import attrs

from bifrost.config.fingerprints import Fingerprints
from bifrost.config.merge import Means
from bifrost.store.base import StoreAway, StoreError
from bifrost.store.config_postgres import POSTGRES_CONFIG_STEPS, postgres_config_store
from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.passwords import ArgonPasswords
from bifrost.store.sealing import SealedConfigStore, Sealer
from bifrost.store.sqlite import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.config.secret import Secret
    from bifrost.config.sections import PostgresSection
    from bifrost.config.settings import ConfigStoreSettings
    from bifrost.store.migrate import Brought
    from bifrost.store.postgres import PostgresDatabase

__all__ = ["Database", "Opened", "config_path", "means", "open_config_store"]

NO_DRIVER = "config_store is of the type postgres, and its driver is missing: install bifrost-trio[postgres]"


class Database(Protocol):
    """What is below a store, of whatever engine."""

    trouble: StoreError | None
    """Why the latest piece of work was not done."""
    brought: Brought | None
    """From which version to which opening it has brought it."""

    async def ping(self) -> bool:
        """Whether it can be read."""
        ...

    async def aclose(self) -> None:
        """Close it, within a bounded time and even when cancelled."""
        ...


@attrs.frozen
class Opened:
    """``store`` takes and gives plain bodies. ``database`` says whether it is there, and is closed in the end."""

    store: SealedConfigStore
    database: Database

    @property
    def means(self) -> Means:
        """For ``merge``, with fingerprints that need this store's encryption key."""
        sealer = self.store.sealer
        return means(sealer.fingerprints if sealer else Fingerprints())


def means(fingerprints: Fingerprints) -> Means:
    """Argon2id for passwords, and random values for virtual keys."""
    return Means(fingerprints, ArgonPasswords(), lambda: f"sk-bf-{uuid.uuid4()}")


def config_path(settings: ConfigStoreSettings, app_dir: Path) -> Path:
    """Where the SQLite file is."""
    return app_dir / "config.db" if settings.path is None else Path(settings.path)


def open_config_store(
    settings: ConfigStoreSettings,
    app_dir: Path,
    encryption_key: Secret | None,
    *,
    on_turn: Callable[[StoreError | None], None] = lambda _: None,
    is_guest: bool = False,
) -> Opened:
    """The store, which connects when it is first asked for something.

    Blocks for some 100 ms to derive the key. Raises StoreAway if Postgres' driver is not installed.
    """
    sealer = Sealer.of(encryption_key) if encryption_key else None
    if settings.postgres is not None:
        database = _postgres(settings.postgres)
        database.on_turn, database.is_guest = on_turn, is_guest
        return Opened(SealedConfigStore(postgres_config_store(database), sealer), database)
    path = config_path(settings, app_dir)
    file = SqliteFile(path, steps=CONFIG_STEPS, overwrites=True, on_turn=on_turn, is_guest=is_guest)
    return Opened(SealedConfigStore(sqlite_config_store(file), sealer), file)


def _postgres(section: PostgresSection) -> PostgresDatabase:
    try:
        from bifrost.store.postgres import PostgresDatabase  # noqa: PLC0415  its driver is an extra
    except ImportError:
        raise StoreAway(NO_DRIVER) from None
    return PostgresDatabase(section, POSTGRES_CONFIG_STEPS)
