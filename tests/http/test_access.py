"""Every route there is, with a login on and nobody logged in: it is shut, or it is one of the few that are public."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bifrost.config.governance_section import AuthSection
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config
from bifrost.http.openapi import about_of
from bifrost.integrations.openapi import Access
from http_routes import composed, served

if TYPE_CHECKING:
    from pathlib import Path

    from bifrost.http.app import Front

PUBLIC = {
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/anthropic"),
    ("POST", "/api/session/login"),
    ("GET", "/api/session/is-auth-enabled"),
}
"""Whoever adds to these has thought about it."""

OF_THEIR_OWN = {("GET", "/v1/usage")}
"""The gate lets everybody through, for they ask for a virtual key themselves."""

BESIDES = (
    ("GET", "/openai/v1/conversations/c"),
    ("DELETE", "/openai/v1/threads/t"),
    ("POST", "/openai/v1/things/of/tomorrow"),
    ("PATCH", "/anthropic_passthrough/v1/x"),
    ("POST", "/openai/deployments/d/chat/completions"),
    ("GET", "/v1/async/chat/completions/j"),
    ("HEAD", "/metrics"),
    ("HEAD", "/v1/models"),
)
"""Paths that no table names."""

AUTH = AuthSection(admin_username="root", admin_password=Secret("hunter2"), is_enabled=True)


@pytest.fixture
def front(tmp_path: Path) -> Front:
    # Neither a direct key nor an enforced virtual key lets anybody in.
    client = ClientSettings(allow_direct_keys=True, enforce_auth_on_inference=True)
    return composed(Config(auth=AUTH, client=client), tmp_path)


def public_of(front: Front) -> set[tuple[str, str]]:
    return {
        (method, rule.rule)
        for rule in front.url_map.iter_rules()
        if about_of(front, rule.endpoint).access is Access.PUBLIC
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_what_is_public_is_on_one_list(front: Front) -> None:
    assert public_of(front) == PUBLIC | OF_THEIR_OWN


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer bf-session-" + "0" * 64},
        {"Authorization": "Basic cm9vdDp3cm9uZw=="},
        {"Cookie": "token=bf-session-1"},
        {"x-api-key": "sk-mine"},
        {"x-bf-vk": "sk-bf-nobodys"},
    ],
    ids=["nothing", "token", "basic", "cookie", "direct-key", "virtual-key"],
)
async def test_every_other_route_is_shut(front: Front, headers: dict[str, str]) -> None:
    client = front.test_client()
    open_: list[tuple[str, str, int]] = []
    routes = sorted(served(front) - PUBLIC) + list(BESIDES)
    assert len(routes) > 300
    for number, (method, template) in enumerate(routes):
        path = re.sub(r"\{\w+\}", "x", template)
        # From another address each time: who guesses often is slowed down.
        peer = {"client": (f"10.0.{number // 250}.{number % 250}", 1)}
        ask = getattr(client, method.lower())
        answer = await ask(path, headers=headers, scope_base=peer)
        if answer.status_code not in {401, 403}:
            open_.append((method, path, answer.status_code))
    assert open_ == []


async def test_public_routes_are_not_shut(front: Front) -> None:
    client = front.test_client()
    for method, path in sorted(PUBLIC):
        ask = getattr(client, method.lower())
        answer = await ask(path, scope_base={"client": ("10.0.0.1", 1)})
        assert answer.status_code not in {401, 403}, path
