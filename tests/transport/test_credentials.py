from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from bifrost.errors import NetworkError
from bifrost.providers.login_steps import Answer, asked
from bifrost.transport.base import Limits
from bifrost.transport.credentials import MAX_FILE_BYTES, ThisMachine

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"token")
    (tmp_path / "empty").touch()

    machine = ThisMachine()

    assert await machine.read(str(tmp_path / "f")) == Answer(200, b"token")
    assert await machine.read(str(tmp_path / "empty")) == Answer(200, b"")


async def test_what_cannot_be_read_is_told_apart_from_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (tmp_path / "just").write_bytes(b"x" * MAX_FILE_BYTES)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    machine = ThisMachine()

    found = {
        name: (await machine.read(str(tmp_path / name))).status
        for name in ("none", "just", "long", "pipe", ".", "loop", "just/below", "n\0ul")
    }
    assert found == {
        "none": 404,
        "just": 200,
        "long": 403,
        "pipe": 403,
        ".": 403,
        "loop": 403,
        "just/below": 403,
        "n\0ul": 403,
    }


async def test_a_service_is_asked_past_every_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    machine = ThisMachine(environ={"A": "b"}, clock=lambda: 7.0)
    machine.retire()

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            assert (await stream.receive_some()).startswith(b"GET /x HTTP/1.1\r\n")
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        request = asked(f"http://127.0.0.1:{port}/x", what="test")
        async with machine.open(request, Limits()) as answer:
            assert await answer.read() == b"hi"
        nursery.cancel_scope.cancel()

    with pytest.raises(NetworkError):
        async with machine.open(request, Limits()):
            pass
    machine.retire()
    assert (machine.environ, machine.wall()) == ({"A": "b"}, 7.0)


def test_it_shows_nothing_of_its_environment() -> None:
    assert "hush" not in repr(ThisMachine(environ={"AWS_SECRET_ACCESS_KEY": "hush"}))
