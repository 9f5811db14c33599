"""The configuration store that the settings ask for, put together: engine, statements, seals, keeper."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.keeper import StoreKeeper
from bifrost.store.sealing import SealedConfigStore, Sealer
from bifrost.store.sqlite import SqliteFile

if TYPE_CHECKING:
    from bifrost.config.secret import Secret
    from bifrost.config.settings import ConfigStoreSettings
    from bifrost.store.base import StoreError
    from bifrost.store.config_base import ConfigStore

__all__ = ["OpenedStore", "open_store"]


@attrs.frozen
class OpenedStore:
    """``keeper`` is what the house uses. Nothing has been read or written yet: the first who asks opens the database."""

    keeper: StoreKeeper
    sealed: SealedConfigStore
    ping: Callable[[], Awaitable[bool]]
    aclose: Callable[[], Awaitable[None]]


def open_store(
    settings: ConfigStoreSettings,
    encryption_key: Secret | None,
    app_dir: Path,
    *,
    chance: Callable[[], float],
    on_turn: Callable[[StoreError | None], None],
) -> OpenedStore:
    """The store of ``settings``. Blocks for some 100 ms where there is a key to derive seals from."""
    inner, ping, aclose = _engine(settings, app_dir)
    sealed = SealedConfigStore(inner, Sealer.of(encryption_key) if encryption_key else None)
    return OpenedStore(StoreKeeper(sealed, chance, on_turn), sealed, ping, aclose)


def _engine(
    settings: ConfigStoreSettings, app_dir: Path
) -> tuple[ConfigStore, Callable[[], Awaitable[bool]], Callable[[], Awaitable[None]]]:
    if settings.postgres is None:
        path = app_dir / "config.db" if settings.path is None else Path(settings.path)
        file = SqliteFile(path, CONFIG_STEPS)
        return sqlite_config_store(file), file.ping, file.aclose
    # Imported late: psycopg is an extra, and takes its time.
    from bifrost.store.config_postgres import (  # noqa: PLC0415
        POSTGRES_CONFIG_STEPS,
        postgres_config_store,
    )
    from bifrost.store.postgres import PostgresDatabase  # noqa: PLC0415

    database = PostgresDatabase(settings.postgres, POSTGRES_CONFIG_STEPS)
    return postgres_config_store(database), database.ping, database.aclose
