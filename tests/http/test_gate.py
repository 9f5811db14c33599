"""Who is let in, by the headers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bifrost.config.governance_section import AuthSection
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config
from bifrost.errors import Denial, GatewayError, ProviderUnavailable, Unauthorized
from bifrost.http.doors import Doors, compile_views
from bifrost.http.gate import Gate
from bifrost.integrations.openapi import Access
from bifrost.management.login import Login

if TYPE_CHECKING:
    from trio.testing import MockClock

HERE = "127.0.0.1"
LOGIN = AuthSection(admin_username="a", admin_password=Secret("b"), is_enabled=True)
BASIC = b"Basic YTpi"
HOST = {b"host": b"localhost:8080"}


def gate(auth: AuthSection | None = None, *, local: bool = True, informed: bool = True) -> Gate:
    client = ClientSettings(
        allowed_origins=("*", "https://app.example"), whitelisted_routes=("/api/open*",)
    )
    return Gate(
        Login(auth, None, wall=lambda: 0.0, new_token=str, pepper=b"p"),
        Doors(compile_views(Config(client=client))),
        is_valid_key=lambda sent: sent.get(b"x-bf-vk") == b"good",
        local_only=local,
        is_informed=lambda: informed,
    )


async def met(it: Gate, access: Access, sent: dict[bytes, bytes], path: str = "/api/x") -> str:
    try:
        await it.admit(access, path, HOST | sent, HERE)
    except (Denial, Unauthorized, ProviderUnavailable) as error:
        return str(error.status)
    except GatewayError:
        return "?"
    return "in"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, "in"),
        ({b"host": b"[::1]:8080"}, "in"),
        ({b"host": b"127.0.0.1"}, "in"),
        ({b"host": b"evil.example"}, "403"),
        ({b"host": b"localhost.evil.example"}, "403"),
        ({b"origin": b"http://localhost:8080"}, "in"),
        ({b"origin": b"http://localhost:3000"}, "in"),
        ({b"origin": b"https://app.example"}, "in"),
        ({b"origin": b"https://evil.example"}, "403"),
        ({b"origin": b"null"}, "403"),
    ],
)
async def test_without_a_login_it_is_this_machine_s(
    sent: dict[bytes, bytes], expected: str, autojump_clock: MockClock
) -> None:
    assert await met(gate(), Access.MANAGEMENT, sent) == expected


@pytest.mark.parametrize(
    ("access", "sent", "expected"),
    [
        (Access.PUBLIC, {}, "in"),
        (Access.MANAGEMENT, {}, "401"),
        (Access.MANAGEMENT, {b"authorization": BASIC}, "in"),
        (Access.MANAGEMENT, {b"x-bf-vk": b"good"}, "401"),
        (Access.INFERENCE, {}, "401"),
        (Access.INFERENCE, {b"x-bf-vk": b"good"}, "in"),
        (Access.INFERENCE, {b"x-bf-vk": b"bad"}, "401"),
        (Access.INFERENCE, {b"authorization": BASIC}, "in"),
        # What a browser adds by itself is looked at by where it comes from.
        (Access.MANAGEMENT, {b"authorization": BASIC, b"cookie": b"a=b", b"origin": b"http://localhost:3000"}, "403"),
        (Access.MANAGEMENT, {b"authorization": BASIC, b"cookie": b"a=b", b"origin": b"http://localhost:8080"}, "in"),
        (Access.MANAGEMENT, {b"authorization": BASIC, b"cookie": b"a=b", b"origin": b"https://app.example"}, "in"),
        (Access.MANAGEMENT, {b"authorization": BASIC, b"cookie": b"a=b"}, "in"),
    ],
)  # fmt: skip
async def test_with_a_login(
    access: Access, sent: dict[bytes, bytes], expected: str, autojump_clock: MockClock
) -> None:
    assert await met(gate(LOGIN), access, sent) == expected


async def test_routes_that_need_no_login(autojump_clock: MockClock) -> None:
    assert await met(gate(LOGIN), Access.MANAGEMENT, {}, "/api/open/er") == "in"
    assert await met(gate(LOGIN), Access.MANAGEMENT, {}, "/api/ope") == "401"


async def test_until_the_store_was_read_nobody_knows_whether_there_is_a_login(
    autojump_clock: MockClock,
) -> None:
    assert await met(gate(informed=False), Access.MANAGEMENT, {}) == "503"
    assert await met(gate(informed=False), Access.MANAGEMENT, {}, "/metrics") == "in"
    assert await met(gate(LOGIN, informed=False), Access.MANAGEMENT, {}) == "401"
