"""What a run needs on the machine: wrk, nginx, and the two other gateways, in ``.bench/``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = [
    "LITELLM",
    "PORTKEY",
    "ROOT",
    "WORK",
    "litellm_script",
    "portkey_script",
    "revision_source",
    "system_tools",
]

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".bench"

LITELLM = "1.106.2"
"""The newest whose requirements could be met on 2026-11-23: later ones want a certifi that was not served yet."""
PORTKEY = "1.15.2"
PORTKEY_ADAPTER = "1.14.1"
"""Of ``@hono/node-server``: with the newest its range allows, 1.19, Portkey 1.15.2 answers every stream with a 500
("immutable" headers); this is the newest with which it streams. Tried on 2026-11-23 with Node 20.20.
"""
INSTALL_S = 900.0


def _run(*command: str | Path, quiet: bool = True) -> None:
    where = subprocess.DEVNULL if quiet else None
    subprocess.run(command, check=True, timeout=INSTALL_S, stdout=where)


def system_tools() -> None:
    """wrk and nginx; from the distribution if they are missing and we may. Raises SystemExit."""
    packages = {"wrk": "wrk", "nginx": "nginx-light"}
    missing = [package for tool, package in packages.items() if not shutil.which(tool)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit(f"needed and not installed: {' '.join(missing)}")
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)


def litellm_script(version: str) -> Path:
    """LiteLLM's proxy command, in an environment of its own."""
    folder = WORK / f"litellm-{version}"
    script = folder / "bin/litellm"
    stamp = folder / ".installed"
    if not stamp.exists():
        _run(sys.executable, "-m", "venv", folder)
        pip = (folder / "bin/python", "-m", "pip", "install", "--disable-pip-version-check")
        _run(*pip, "--quiet", f"litellm[proxy]=={version}")
        stamp.touch()
    return script


def portkey_script(version: str) -> Path:
    """Portkey's server script."""
    folder = WORK / f"portkey-{version}"
    stamp = folder / ".installed"
    if not stamp.exists():
        folder.mkdir(parents=True, exist_ok=True)
        package = {
            "private": True,
            "dependencies": {"@portkey-ai/gateway": version},
            "overrides": {"@hono/node-server": PORTKEY_ADAPTER},
        }
        (folder / "package.json").write_text(json.dumps(package))
        _run("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--silent")
        stamp.touch()
    return folder / "node_modules/@portkey-ai/gateway/build/start-server.js"


def revision_source(revision: str) -> tuple[str, Path]:
    """The short name of a commit of this repository, and its ``src``, unpacked. Raises SystemExit."""
    git = ("git", "-C", str(ROOT))
    named = subprocess.run(
        [*git, "rev-parse", "--short", f"{revision}^{{commit}}"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if named.returncode:
        raise SystemExit(f"no such commit: {revision}")
    name = named.stdout.strip()
    folder = WORK / "revisions" / name
    if not (folder / "src").exists():
        folder.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run([*git, "archive", name, "src"], check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], check=True, input=archive.stdout)
    return name, folder / "src"
