"""What the command line says to ``serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

__all__ = ["ServeOptions"]


@attrs.frozen(kw_only=True)
class ServeOptions:
    """Where to listen, where the configuration lies, how to log. ``port`` 0 takes a free one."""

    config_path: Path | None = None
    """The file itself; absent, it is looked for in ``app_dir``."""
    host: str = "localhost"
    port: int = 8080
    app_dir: Path
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    log_style: Literal["json", "pretty"] = "json"
    insecure: bool = False
    """Serve although a protection is missing."""
