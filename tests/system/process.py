"""A gateway in a process of its own, on a free port of 127.0.0.1.

It is forked from a process that has imported everything (``system.mother``): a start costs 0.1 s instead of one.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
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

__all__ = ["Gateway", "for_all_of", "openai_provider", "running"]

START_S = 20.0
STOP_S = 20.0


@attrs.define(eq=False)
class Forked:
    """A forked process, with as much of ``trio.Process`` as the tests need."""

    pid: int
    stderr: trio.abc.ReceiveStream
    _handle: int
    _report: trio.socket.SocketType
    returncode: int | None = None
    _reading: trio.Lock = attrs.field(factory=trio.Lock)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        async with self._reading:
            if self.returncode is None:
                self.returncode = int(await self._report.recv(32))
                os.close(self._handle)
                self._report.close()
        return self.returncode


@attrs.define
class Mother:
    """The other side of ``system.mother``; its process is started when the first gateway is."""

    _door: socket.socket | None = None

    async def fork(self, arguments: list[str], env: Mapping[str, str]) -> Forked:
        if self._door is None:
            self._door = _mother_door()
        command = json.dumps({"arguments": arguments, "env": dict(env)}).encode()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        heard, said = os.pipe()
        try:
            socket.send_fds(self._door, [command], [said, theirs.fileno()])
        finally:
            theirs.close()
            os.close(said)
        ours.setblocking(False)
        report = trio.socket.from_stdlib_socket(ours)
        pid, ((_, _, handle),), _, _ = await report.recvmsg(32, socket.CMSG_LEN(4))
        stderr = trio.lowlevel.FdStream(heard)
        return Forked(int(pid), stderr, int.from_bytes(handle, sys.byteorder), report)


def _mother_door() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("mother.py"))], stdin=theirs.fileno()
        )

    def end() -> None:
        ours.close()
        process.wait(STOP_S)

    atexit.register(end)
    return ours


MOTHER = Mother()

CAN_FORK = sys.platform == "linux"


@attrs.define(eq=False)
class Gateway:
    """A running gateway. ``lines`` are its log lines so far, ``text`` all that it has written."""

    process: trio.Process | Forked
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
    fresh: bool = False,
) -> AsyncIterator[Gateway]:
    """Start ``bifrost serve`` with ``config``; terminate it at the end, and kill it if it does not go.

    ``fresh`` starts it by the command line, where more than the gateway itself is to be seen: its start, its memory.
    """
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    command = ["serve", "--config", str(path), "--port", "0", "--app-dir", str(folder), *arguments]
    environ = {**os.environ, **(env or {})}
    async with trio.open_nursery() as nursery:
        process = await _started(nursery, command, environ, fresh=fresh or not CAN_FORK)
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


async def _started(
    nursery: trio.Nursery, command: list[str], env: Mapping[str, str], *, fresh: bool
) -> trio.Process | Forked:
    if not fresh:
        return await MOTHER.fork(command, env)
    whole = [sys.executable, "-m", "bifrost", *command]
    run = partial(trio.run_process, whole, stderr=subprocess.PIPE, check=False, env=env)
    process: trio.Process = await nursery.start(run)
    return process


def for_all_of(*providers: str, value: str = "sk-bf-virtual") -> dict[str, Any]:
    """A governance section with a virtual key that may do everything at ``providers``."""
    configs = [{"provider": name, "allowed_models": ["*"], "key_ids": ["*"]} for name in providers]
    return {"virtual_keys": [{"name": "virtual", "value": value, "provider_configs": configs}]}


def openai_provider(url: str, *keys: str, prefix: str = "key", **more: Any) -> dict[str, Any]:
    """A provider section pointed at ``url``, one key of that value each, named ``prefix-0`` and so on."""
    values = keys or ("sk-one",)
    return {
        "keys": [{"name": f"{prefix}-{n}", "value": key} for n, key in enumerate(values)],
        "network_config": {"base_url": url, **more.pop("network_config", {})},
        **more,
    }
