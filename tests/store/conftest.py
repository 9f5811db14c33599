from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.sqlite import SqliteFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bifrost.store.config_base import ConfigStore


@pytest.fixture
async def config_file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    file = SqliteFile(tmp_path / "config.db", steps=CONFIG_STEPS)
    yield file
    await file.aclose()


@pytest.fixture
def store(config_file: SqliteFile) -> ConfigStore:
    return sqlite_config_store(config_file)
