"""A gateway in a process of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Gateway", "openai_provider", "running"]

START_S = 20.0
STOP_S = 20.0


@attrs.define(eq=False)
class Gateway:
    """A running gateway. ``lines`` are its log lines so far, ``text`` all that it has written."""

    process: trio.Process
    config_path: Path
    url: str = ""
    text: str = ""
    lines: list[dict[str, Any]] = attrs.field(factory=list)
    _listening: trio.Event = attrs.field(factory=trio.Event)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == name]

    async def wait_for(self, name: str, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """Until so many log lines with that event, and with these fields, are there."""
        with trio.fail_after(START_S):
            while len(found := self._with(name, fields)) < count:
                await trio.sleep(0.02)
        return found

    def _with(self, name: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [line for line in self.events(name) if fields.items() <= line.items()]

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def hang_up(self) -> None:
        """Ask it to read its configuration again."""
        self.process.send_signal(signal.SIGHUP)

    def reconfigure(self, config: Mapping[str, Any]) -> None:
        self.config_path.write_text(json.dumps(config))
        self.hang_up()

    async def wait(self) -> int:
        with trio.fail_after(STOP_S):
            return await self.process.wait()

    async def post(
        self, body: Any, path: str = "/openai/v1/chat/completions", **more: Any
    ) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            return await client.post(path, json=body, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            return await client.get(path, **more)

    async def _read(self) -> None:
        assert self.process.stderr is not None
        rest = b""
        async for data in self.process.stderr:
            self.text += data.decode()
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                self._note(line)

    def _note(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = {"event": "text", "text": line.decode()}
        self.lines.append(entry)
        if entry.get("event") == "listening":
            self.url = entry["url"]
            self._listening.set()


@asynccontextmanager
async def running(
    config: Mapping[str, Any],
    folder: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Gateway]:
    """Start ``bifrost serve`` with ``config``; terminate it at the end, and kill it if it does not go."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    command = [
        *(sys.executable, "-m", "bifrost", "serve", "--config", str(path), "--port", "0"),
        *("--app-dir", str(folder), *arguments),
    ]
    async with trio.open_nursery() as nursery:
        run = partial(
            trio.run_process,
            command,
            stderr=subprocess.PIPE,
            check=False,
            env={**os.environ, **(env or {})},
        )
        process: trio.Process = await nursery.start(run)
        gateway = Gateway(process, path)
        nursery.start_soon(gateway._read)
        try:
            with trio.fail_after(START_S):
                await gateway._listening.wait()
            yield gateway
        finally:
            if process.returncode is None:
                gateway.terminate()
            with trio.move_on_after(STOP_S, shield=True) as patience:
                await process.wait()
            if patience.cancelled_caught:
                process.kill()


def openai_provider(url: str, *keys: str, prefix: str = "key", **more: Any) -> dict[str, Any]:
    """A provider section pointed at ``url``, one key of that value each, named ``prefix-0`` and so on."""
    values = keys or ("sk-one",)
    return {
        "keys": [{"name": f"{prefix}-{n}", "value": key} for n, key in enumerate(values)],
        "network_config": {"base_url": url, **more.pop("network_config", {})},
        **more,
    }
