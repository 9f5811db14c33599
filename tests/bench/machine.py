"""What the figures were taken on and with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bench.installs import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["describe", "own_version"]


def _said(*command: str) -> str:
    """What a command prints on either stream, or nothing if it cannot be run."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    except OSError:
        return ""
    return f"{done.stdout}{done.stderr}".strip()


def _version(*command: str) -> str:
    found = re.search(r"\d+\.\d+(\.\d+)?", _said(*command))
    return found[0] if found else "unknown"


def _field(file: str, name: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(file).read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def describe() -> Mapping[str, str]:
    """Processor, memory, system, and the versions of what serves and loads."""
    gigabytes = int(_field("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return {
        "processor": f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{gigabytes:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "node": _version("node", "--version"),
        "nginx": _version("nginx", "-v"),
        "wrk": _version("wrk", "-v"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def own_version() -> str:
    """The commit of the work tree, and whether something in ``src`` differs from it."""
    git = ("git", "-C", str(ROOT))
    commit = _said(*git, "rev-parse", "--short", "HEAD") or "unknown"
    return commit + (" with changes" if _said(*git, "status", "--porcelain", "src") else "")
