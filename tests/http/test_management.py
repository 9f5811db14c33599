"""The management API of the house, in this process: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from bifrost.actors.model_book import KeyList
from bifrost.http.management.desk import MAX_BODY_BYTES, TRIES
from bifrost.store.base import StoreAway, StoreError, StoreFull
from bifrost.store.config_base import StoreConflict, StoreTaken
from http_routes import Managed, managed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from bifrost.config.nouns import Change, Noun

OPENAI = {"openai": {"keys": [{"name": "one", "value": "sk-0123456789abcdef"}]}, "mock": {}}
PROVIDERS = "/api/providers"
KEYS = "/api/providers/openai/keys"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Managed]:
    async with managed({"providers": OPENAI}, tmp_path) as it:
        yield it


def message(body: Any) -> str:
    return str(body["error"]["message"])


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"{", {}, 400, "Invalid JSON"),
        (b"[1]", {}, 400, "Invalid JSON: the body has to be an object"),
        (b"", {}, 400, "Invalid JSON"),
        (b" " * (MAX_BODY_BYTES + 1), {}, 413, "request body exceeds"),
        (gzip.compress(b" " * (MAX_BODY_BYTES + 1)), {"content_encoding": "gzip"}, 413, "exceeds"),
        (b"{}", {"content_encoding": "gzip"}, 400, "invalid compressed request body"),
        (b"{}", {"content_encoding": "lzma"}, 400, "invalid compressed request body"),
        (gzip.compress(b"{}"), {"content_encoding": "gzip"}, 400, "provider: has to be"),
    ],
)
async def test_bodies_that_are_none(
    house: Managed, body: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    found, told, _ = await house.ask("POST", PROVIDERS, body, **headers)
    assert (found, text in message(told)) == (status, True), told


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "limit=%C2%B2"])
async def test_pages_that_are_none(house: Managed, query: str) -> None:
    status, told, _ = await house.ask("GET", f"{PROVIDERS}?{query}")
    assert status == 400
    assert "has to be a whole number from" in message(told)


async def test_lists_come_in_pages_and_in_order(house: Managed) -> None:
    _, told, headers = await house.ask("GET", f"{PROVIDERS}?limit=1&offset=1")
    assert ([each["name"] for each in told["providers"]], told["total"]) == (["openai"], 2)
    assert headers["cache-control"] == "no-store"
    _, told, _ = await house.ask("GET", f"{PROVIDERS}/mock/keys")
    assert told == {"keys": [], "total": 0}
    _, told, _ = await house.ask("GET", "/api/keys")
    assert [(key["name"], key["provider"]) for key in told["keys"]] == [("one", "openai")]


async def test_a_provider_may_be_made_with_its_keys(house: Managed) -> None:
    keys = [{"name": "g1", "value": "gsk-1"}, {"name": "g2", "value": "gsk-2", "id": "second"}]
    status, told, headers = await house.ask("POST", PROVIDERS, {"name": "groq", "keys": keys})
    assert (status, told["name"], "keys" in told) == (200, "groq", False)
    assert headers["etag"] == '"1"' or headers["etag"].strip('"').isdigit()
    _, told, _ = await house.ask("GET", f"{PROVIDERS}/groq/keys")
    assert [key["name"] for key in told["keys"]] == ["g1", "g2"]
    assert told["keys"][1]["id"] == "second"
    # One that is not good, and nothing is made.
    bad = {"name": "xai", "keys": [{"name": "x", "value": "v", "weight": -1}]}
    status, told, _ = await house.ask("POST", PROVIDERS, bad)
    assert status == 400
    assert (await house.ask("GET", f"{PROVIDERS}/xai"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("POST", PROVIDERS, {"name": "groq", "keys": 5}, 400, "keys: has to be a list"),
        ("POST", PROVIDERS, {"name": 5}, 400, "provider: has to be the provider's name"),
        ("POST", PROVIDERS, {"name": "openai"}, 409, "Provider already exists"),
        ("GET", f"{PROVIDERS}/groq", None, 404, "Provider not found"),
        ("DELETE", f"{PROVIDERS}/groq", None, 404, "Provider not found"),
        ("GET", f"{PROVIDERS}/groq/keys", None, 404, "Provider not found"),
        ("GET", f"{KEYS}/nobody", None, 404, "Key not found"),
        ("PUT", f"{KEYS}/nobody", {}, 404, "Key not found"),
        ("POST", KEYS, {"id": 5, "name": "k", "value": "v"}, 400, "id: has to be a text"),
        ("POST", KEYS, {"name": "one", "value": "v"}, 409, "key.name is taken by key"),
        ("PUT", "/api/config", {"client_config": 5}, 400, "client_config: has to be an object"),
        ("PUT", "/api/config", {"clients": {}}, 400, "clients: found an unknown key"),
        (
            "PUT",
            "/api/config",
            {"client_config": {"max_inflight": 0}},
            400,
            "client_config.max_inflight: found 0",
        ),
        (
            "PUT",
            "/api/config",
            {"auth_config": {"admin_username": "u", "admin_password": f"$2b$12${'a' * 53}"}},
            400,
            "auth_config.admin_password: found a bcrypt hash",
        ),
        ("POST", "/api/session/login", {"username": "u"}, 400, "password: has to be a text"),
        (
            "POST",
            "/api/session/login",
            {"username": "u", "password": "p", "x": 1},
            400,
            "x: found an unknown key",
        ),
        ("GET", "/api/models?provider=nobody", None, 404, "unknown provider"),
        ("GET", "/api/models?unfiltered=perhaps", None, 400, "unfiltered: has to be true or false"),
    ],
)
async def test_refusals(
    house: Managed, method: str, path: str, body: object, status: int, text: str
) -> None:
    found, told, _ = await house.ask(method, path, body)
    assert (found, message(told).startswith(text)) == (status, True), told


async def test_what_was_told_and_is_sent_back_keeps_its_hash(house: Managed) -> None:
    _, told, _ = await house.ask("GET", KEYS)
    for path in (f"{PROVIDERS}/openai", f"{PROVIDERS}/mock", f"{KEYS}/{told['keys'][0]['id']}"):
        _, before, _ = await house.ask("GET", path)
        status, after, _ = await house.ask("PUT", path, before)
        assert (status, after) == (200, before)


async def test_a_key_is_looked_for_at_its_own_provider(house: Managed) -> None:
    _, told, _ = await house.ask("GET", KEYS)
    key_id = told["keys"][0]["id"]
    for method in ("GET", "PUT", "DELETE"):
        status, told, _ = await house.ask(method, f"{PROVIDERS}/mock/keys/{key_id}", {})
        assert (status, message(told)) == (404, "Key not found")
    status, told, _ = await house.ask("POST", KEYS, {"id": key_id, "name": "k", "value": "v"})
    assert (status, message(told)) == (409, "Key already exists")


async def test_versions(house: Managed) -> None:
    at = f"{PROVIDERS}/openai"
    _, _, headers = await house.ask("GET", at)
    seen = headers["etag"]
    for wanted in (seen, f'W/{seen}, "999"', "*"):
        assert (await house.ask("PUT", at, {"retry_budget": 0.1}, if_match=wanted))[0] in {200, 409}
    status, told, _ = await house.ask("DELETE", at, if_match='"999"')
    assert (status, told["error"]["code"]) == (409, "version_conflict")
    status, told, _ = await house.ask("PUT", f"{PROVIDERS}/groq", {}, if_match="*")
    assert (status, "it is gone" in message(told)) == (409, True)
    _, _, headers = await house.ask("GET", at)
    assert (await house.ask("DELETE", at, if_match=headers["etag"]))[0] == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreAway("away"), 503, "store_unavailable"),
        (StoreFull("full"), 400, "store_full"),
        (StoreTaken("key.name:x", "key", "k"), 409, "already_exists"),
        (StoreConflict("provider", "openai", 9), 409, "version_conflict"),
    ],
)
async def test_what_the_store_refuses(
    house: Managed, monkeypatch: pytest.MonkeyPatch, error: StoreError, status: int, code: str
) -> None:
    tries: list[Sequence[Change]] = []

    async def change(changes: Sequence[Change]) -> tuple[Noun, ...]:
        tries.append(changes)
        raise error

    steward = house.gateway.steward
    monkeypatch.setattr(type(steward), "change", lambda _, changes: change(changes))
    bodies: dict[str, dict[str, Any]] = {
        f"{PROVIDERS}/openai": {},
        "/api/config": {"client_config": {}},
    }
    for path, body in bodies.items():
        tries.clear()
        found, told, headers = await house.ask("PUT", path, body)
        assert (found, told["error"]["code"]) == (status, code)
        assert ("retry-after" in headers) == (status == 503)
        assert len(tries) == (TRIES if code == "version_conflict" else 1)
    _, _, headers = await house.ask("GET", f"{PROVIDERS}/openai")
    tries.clear()
    await house.ask("PUT", f"{PROVIDERS}/openai", {}, if_match=headers["etag"])
    assert len(tries) == 1, "who wants a certain version is told at once"


async def test_a_store_that_was_never_there(house: Managed) -> None:
    assert house.gateway.kept is not None
    house.gateway.kept.keeper.latest = None
    for path in (PROVIDERS, "/api/config", KEYS):
        assert (await house.ask("GET", path))[0] == 503


async def test_nothing_to_change_is_no_change(house: Managed) -> None:
    _, before, headers = await house.ask("GET", "/api/config")
    assert (await house.ask("PUT", "/api/config", {"auth_config": None}))[0] == 200
    assert (await house.ask("PUT", "/api/config", {}, if_match=headers["etag"]))[0] == 200
    assert (await house.ask("GET", "/api/config"))[1] == before
    assert (await house.ask("PUT", "/api/config", {}, if_match='"9.9.9"'))[0] == 409


async def test_a_password_is_kept_as_a_hash(house: Managed) -> None:
    auth = {"admin_username": "root", "admin_password": "hunter2", "is_enabled": True}
    assert (await house.ask("PUT", "/api/config", {"auth_config": auth}))[0] == 200
    noun = house.gateway.steward.get("auth", "auth")
    assert noun is not None
    kept = noun.body["admin_password"]
    assert str(kept).startswith("$argon2id$")
    _, told, _ = await house.ask("GET", "/api/config")
    assert (await house.ask("PUT", "/api/config", {"auth_config": told["auth_config"]}))[0] == 200
    again = house.gateway.steward.get("auth", "auth")
    assert again is not None
    assert again.body["admin_password"] == kept


async def test_sessions(tmp_path: Path) -> None:
    auth = {"admin_username": "root", "admin_password": "hunter2", "is_enabled": True}
    async with managed({"providers": OPENAI, "auth_config": auth}, tmp_path) as house:
        status, told, headers = await house.ask(
            "POST", "/api/session/login", {"username": "root", "password": "hunter2"}
        )
        assert (status, told) == (200, {"message": "Login successful"})
        assert "Secure" not in headers["set-cookie"]
        token = headers["set-cookie"].partition("=")[2].partition(";")[0]
        held = {"authorization": f"Bearer {token}"}
        assert (await house.ask("GET", "/api/session/is-auth-enabled", **held))[1] == {
            "is_auth_enabled": True,
            "has_valid_token": True,
        }
        assert not (await house.ask("GET", "/api/session/is-auth-enabled"))[1]["has_valid_token"]
        assert (await house.ask("GET", "/api/version", **held))[0] == 200
        status, told, headers = await house.ask("POST", "/api/session/logout", **held)
        assert (status, "Max-Age=0" in headers["set-cookie"]) == (200, True)
        assert (await house.ask("GET", "/api/version", **held))[0] == 401


async def test_without_a_store_the_file_is_shown(tmp_path: Path) -> None:
    tree = {"providers": OPENAI, "config_store": {"enabled": False}}
    async with managed(tree, tmp_path) as house:
        _, told, _ = await house.ask("GET", KEYS)
        assert [key["name"] for key in told["keys"]] == ["one"]
        status, told, _ = await house.ask("PUT", f"{PROVIDERS}/openai", {})
        assert (status, told["type"]) == (403, "config_store_disabled")


async def test_known_models(house: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    book = house.gateway._calls.models
    rows = (
        KeyList(
            provider="openai",
            key_id="k",
            models=("gpt-4o", "gpt-4o-mini", "nobody-s"),
            listed=("gpt-4o", "hidden"),
        ),
    )
    monkeypatch.setattr(book, "providers", lambda: ("openai",))
    book._rows["openai"] = rows
    _, told, _ = await house.ask("GET", "/api/models?query=mini")
    model = {"name": "gpt-4o-mini", "provider": "openai", "accessible_by_keys": ["k"]}
    assert told == {"models": [model], "total": 1}
    _, told, _ = await house.ask("GET", "/api/models?keys=other&provider=OpenAI")
    assert told == {"models": [], "total": 0}
    _, told, _ = await house.ask("GET", "/api/models?unfiltered=true&limit=2")
    assert (len(told["models"]), told["total"]) == (2, 4)
    _, told, _ = await house.ask("GET", "/api/models/details?query=gpt-4o")
    assert told["models"][0]["context_length"] > 1000
    assert told["models"][0]["base_model"] == "gpt-4o"
    _, told, _ = await house.ask("GET", "/api/models/base")
    assert told == {"models": ["gpt-4o", "gpt-4o-mini", "nobody-s"], "total": 3}
    _, told, _ = await house.ask("GET", f"{PROVIDERS}/openai")
    assert told["status"] == "success"
    book._rows["openai"] = (KeyList(provider="openai", key_id="k", error="refused"),)
    _, told, _ = await house.ask("GET", f"{PROVIDERS}/openai")
    assert (told["status"], told["description"]) == ("list_models_failed", "refused")
    # It is in no pool here.
    assert told["provider_status"] == "error"


async def test_a_key_from_its_making_to_its_end(house: Managed) -> None:
    _, made, _ = await house.ask("POST", KEYS, {"name": "two", "value": "env.TWO", "weight": 0})
    assert made["value"] == {"value": "", "env_var": "env.TWO", "from_env": True}
    at = f"{KEYS}/{made['id']}"
    status, told, headers = await house.ask("PUT", at, {**made, "enabled": False, "weight": None})
    assert (status, told["enabled"], told["weight"]) == (200, False, 1.0)
    status, told, _ = await house.ask("PUT", at, {"value": ""})
    assert (status, message(told).startswith("value: found nothing")) == (400, True)
    status, told, again = await house.ask("GET", at)
    assert (status, told["state"], again["etag"]) == (200, "unknown", headers["etag"])
    status, told, _ = await house.ask("DELETE", at)
    assert (status, told["name"]) == (200, "two")
    assert (await house.ask("GET", at))[0] == 404


async def test_a_provider_whose_keys_have_no_meaning_takes_none(house: Managed) -> None:
    custom = {"base_provider_type": "openai", "is_key_less": True}
    body = {"provider": "mine", "custom_provider_config": custom}
    assert (await house.ask("POST", PROVIDERS, body))[0] == 200
    key = {"name": "k", "value": "v"}
    status, told, _ = await house.ask("POST", f"{PROVIDERS}/mine/keys", key)
    assert (status, "is_key_less" in message(told)) == (400, True)
    status, told, _ = await house.ask("PUT", f"{PROVIDERS}/mine", {"keys": [key]})
    assert (status, f"{PROVIDERS}/mine/keys" in message(told)) == (400, True)
