"""The doorway to the configuration's file and the environment."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bifrost.config.document import MAX_BYTES, parse_document
from bifrost.config.faults import ConfigError, ConfigErrors
from bifrost.config.load import parse_config
from bifrost.config.lost_references import Kept
from bifrost.governance.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bifrost.config.settings import Config

__all__ = ["default_app_dir", "find_config", "read_config", "read_document", "read_tree"]

NAMES = ("config.yaml", "config.yml", "config.json")


def default_app_dir() -> Path:
    """``~/.config/bifrost``, or ``./bifrost-data`` where there is no home."""
    try:
        return Path.home() / ".config" / "bifrost"
    except RuntimeError:
        return Path("bifrost-data")


def find_config(config_path: Path | None, app_dir: Path) -> Path | None:
    """The file to read: the one named, else the first of ``config.yaml``, ``.yml``, ``.json`` in ``app_dir``, else none."""
    if config_path is not None:
        return config_path
    return next((app_dir / name for name in NAMES if (app_dir / name).is_file()), None)


def read_config(
    config_path: Path | None,
    app_dir: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    is_all: bool = True,
) -> Config:
    """Read and check the configuration; without a file, the one that an empty file would be.

    Unless it ``is_all`` there is, what it names may be in the store, where it has one: that is no mistake yet.
    Blocks for the file. Raises ConfigErrors, and OSError if a file that is there or named cannot be read.
    """
    config = parse_config(_found(config_path, app_dir), environ, Kept(may_be_more=not is_all))
    # What only governance can find wrong: expressions, prices.
    Policy.of(config, datetime.now(UTC).date())
    return config


def read_tree(config_path: Path | None, app_dir: Path) -> object:
    """The file's document, to be put together with a store. Blocks and raises as ``read_config``."""
    tree, mistakes = read_document(config_path, app_dir)
    if mistakes:
        raise ConfigErrors(mistakes)
    return tree


def read_document(
    config_path: Path | None, app_dir: Path
) -> tuple[object, tuple[ConfigError, ...]]:
    """What the file says before it is checked, as ``config.merge`` wants it, and the mistakes that reading found.

    Blocks for the file. Raises ConfigErrors and OSError as ``read_config``.
    """
    return parse_document(_found(config_path, app_dir))


def _found(config_path: Path | None, app_dir: Path) -> str:
    path = find_config(config_path, app_dir)
    return "" if path is None else _text(path)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 4)  # a byte order mark does not count
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(data) > MAX_BYTES:  # cut inside a character
            return " " * (MAX_BYTES + 1)
        found = f"bytes that are no UTF-8, at offset {error.start}"
        raise ConfigErrors([ConfigError("", found, "a file in UTF-8")]) from None
