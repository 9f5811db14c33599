from __future__ import annotations

import re
from typing import TYPE_CHECKING

import apsw
import attrs
import pytest

from bifrost.config.nouns import ANY, KINDS, Put, claims
from bifrost.config.secret import Secret
from bifrost.store.base import StoreBusy
from bifrost.store.config_base import CounterRow, StoreTaken
from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.sealing import SealedConfigStore, Sealer, StoreSealed, sealing_notices
from bifrost.store.sqlite import SqliteFile
from store.config_fakes import NOW_S, bodies, put, remove

if TYPE_CHECKING:
    from pathlib import Path

    from bifrost.store.config_base import ConfigStore

SEALER = Sealer.of(Secret("a key of more than 16 bytes"))
OTHER = Sealer.of(Secret("another key of 16 bytes"))
CANARY = "canary-4f1c"

SECRETS: dict[str, dict[str, object]] = {
    "provider": {
        "network_config": {"extra_headers": {"authorization": CANARY}},
        "proxy_config": {"type": "http", "url": CANARY, "password": {"value": CANARY}},
    },
    "key": {
        "provider": "openai",
        "name": "prod",
        "value": CANARY,
        "bedrock_key_config": {"secret_key": CANARY, "region": "eu-1"},
        "vertex_key_config": {"auth_credentials": CANARY},
    },
    "virtual_key": {"id": "v", "name": "vk", "value": CANARY, "provider_configs": [{"weight": 1}]},
    "plugin": {"name": "otel", "config": {"headers": {"x": [CANARY]}, "n": 5}},
    "auth": {"admin_username": CANARY, "admin_password": CANARY},
    "team": {"id": "t", "name": "plain", "config": {"token": CANARY}},
    "pricing_override": {"id": "o", "patch": {"note": CANARY}},
}


def puts() -> list[Put]:
    return [
        put(kind, kind=kind, body=body, unique=claims(kind, body)) for kind, body in SECRETS.items()
    ]


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_no_secret_is_in_the_database_and_all_come_back(
    store: ConfigStore, tmp_path: Path
) -> None:
    sealed = SealedConfigStore(store, SEALER)

    nouns = await sealed.write(puts(), NOW_S)
    inside = await store.load()
    opened = (await SealedConfigStore(store, SEALER).load()).nouns

    assert CANARY not in str(bodies(inside))
    assert CANARY.encode() not in files(tmp_path)
    assert [noun.sealed_with for noun in inside.nouns] == [SEALER.name] * len(SECRETS)
    assert opened[2:5] == nouns[2:5]
    expected = SECRETS["provider"] | {
        "proxy_config": {"type": "http", "url": CANARY, "password": CANARY}
    }
    assert opened[0].body == expected
    assert opened[-1].body == {"id": "o", "pricing_patch": {"note": CANARY}}


async def test_what_is_no_secret_can_be_read(store: ConfigStore) -> None:
    body = {"name": "prod", "provider": "openai", "weight": 0.5, "models": ["a"], "value": CANARY}
    await SealedConfigStore(store, SEALER).write([put("k", kind="key", body=body)], NOW_S)

    inside = (await store.load()).nouns[0].body

    assert {name for name in body if inside[name] != body[name]} == {"value"}


async def test_references_and_empty_texts_stay_as_they_are(store: ConfigStore) -> None:
    body = {"value": "env.NAME", "azure_key_config": {"client_secret": "", "endpoint": "env.A-B"}}

    await SealedConfigStore(store, SEALER).write([put("k", kind="key", body=body)], NOW_S)

    inside = (await store.load()).nouns[0].body
    assert inside["value"] == "env.NAME"
    assert re.fullmatch(
        r"\{'client_secret': '', 'endpoint': 'sealed:1:[0-9a-f]{12}:[A-Za-z0-9+/=]+'\}",
        str(inside["azure_key_config"]),
    )


async def test_a_text_that_looks_sealed_comes_back(store: ConfigStore) -> None:
    text = SEALER.seal("x", "elsewhere")

    for sealer in (SEALER, None):
        sealed = SealedConfigStore(store, sealer)
        await sealed.write([put("k", ANY, kind="key", body={"value": text})], NOW_S)
        assert bodies(await sealed.load()) == {"k": {"value": text}}


async def test_the_same_secret_is_never_sealed_twice_alike() -> None:
    assert SEALER.seal("x", "p") != SEALER.seal("x", "p")


@pytest.mark.parametrize(
    ("sealer", "told"),
    [(OTHER, "sealed with another encryption_key"), (None, "set encryption_key or BIFROST")],
)
async def test_without_the_key_nothing_is_loaded(
    store: ConfigStore, sealer: Sealer | None, told: str
) -> None:
    await SealedConfigStore(store, SEALER).write(puts(), NOW_S)

    with pytest.raises(StoreSealed, match=told):
        await SealedConfigStore(store, sealer).load()


async def test_a_sealed_text_is_of_no_use_elsewhere(store: ConfigStore) -> None:
    sealed = SealedConfigStore(store, SEALER)
    await sealed.write([put("k", kind="key", body={"value": "x"})], NOW_S)
    (noun,) = (await store.load()).nouns

    await store.write(
        [put("other", kind="key", body=noun.body, sealed_with=noun.sealed_with)], NOW_S
    )

    with pytest.raises(StoreSealed, match="key other: value: the sealed text was tampered with"):
        await sealed.load()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sealed:1:cafe:AAAA", "not sealed with this encryption key"),
        (f"sealed:1:{SEALER.name}:###", "tampered with"),
        (f"sealed:1:{SEALER.name}:", "tampered with"),
    ],
)
def test_what_was_not_sealed_here_is_not_opened(text: str, told: str) -> None:
    with pytest.raises(StoreSealed, match=f"^p: .*{told}"):
        SEALER.open(text, "p")


async def test_a_part_that_was_kept_in_clear_is_still_read(store: ConfigStore) -> None:
    body = {"value": "in clear"}
    await store.write([put("k", kind="key", body=body, sealed_with=SEALER.name)], NOW_S)

    assert bodies(await SealedConfigStore(store, SEALER).load()) == {"k": body}


async def test_rows_in_clear_are_sealed_when_a_key_has_come(
    store: ConfigStore, tmp_path: Path
) -> None:
    plain = SealedConfigStore(store)
    await plain.write([*puts(), put("gone", file_hash="h")], NOW_S)
    await plain.write([remove("gone")], NOW_S)
    before = await plain.load()
    nothing = await plain.seal_rows(NOW_S)
    sealed = SealedConfigStore(store, SEALER)

    counts = [await sealed.seal_rows(NOW_S + 1), await sealed.seal_rows(NOW_S + 2)]

    after = await sealed.load()
    assert (nothing, counts) == (0, [len(SECRETS), 0])
    assert CANARY not in str(bodies(await store.load()))
    assert CANARY.encode() not in files(tmp_path)
    assert [attrs.evolve(noun, version=0, updated_unix_s=0.0) for noun in after.nouns][2:5] == [
        attrs.evolve(noun, version=0, updated_unix_s=0.0) for noun in before.nouns
    ][2:5]
    assert after.removed == before.removed
    taken = put("again", kind="key", body={}, unique=("key.name:prod",))
    with pytest.raises(StoreTaken, match=r"key\.name is taken"):
        await sealed.write([taken], NOW_S)


async def test_another_key_seals_nothing(store: ConfigStore) -> None:
    await SealedConfigStore(store).write([put("plain", kind="key", body={"value": "x"})], NOW_S)
    await SealedConfigStore(store, SEALER).write(puts(), NOW_S)

    with pytest.raises(StoreSealed, match="another encryption_key"):
        await SealedConfigStore(store, OTHER).seal_rows(NOW_S)

    assert bodies(await store.load())["plain"] == {"value": "x"}


async def test_a_scrub_waits_for_those_who_read(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "config.db", steps=CONFIG_STEPS, busy_s=0.01)
    store = sqlite_config_store(file)
    await store.write(puts(), NOW_S)
    reader = apsw.Connection(str(file.path))
    reader.execute("BEGIN").execute("SELECT * FROM config_nouns").fetchone()
    await store.write([remove("key", kind="key")], NOW_S)

    with pytest.raises(StoreBusy):
        await store.scrub()

    reader.close()
    await store.scrub()
    assert (tmp_path / "config.db-wal").read_bytes() == b""
    await file.aclose()


async def test_everything_else_passes_through(store: ConfigStore) -> None:
    sealed = SealedConfigStore(store, SEALER)

    await sealed.write_counters({"a": CounterRow(1, 2.0), "b": CounterRow(1, 2.0)})
    await sealed.forget_counters(["b"])
    await sealed.write_settings({"s": "1"})
    for name in "abc":
        await sealed.add_session(name, NOW_S + 5, NOW_S)
    await sealed.end_session("a")
    found = [await sealed.find_session(name, NOW_S) for name in "ab"]
    await sealed.end_all_sessions()
    await sealed.scrub()

    loaded = await sealed.load()
    assert (loaded.counters, loaded.settings) == ({"a": CounterRow(1, 2.0)}, {"s": "1"})
    assert found == [None, NOW_S + 5]
    assert await sealed.find_session("b", NOW_S) is None


def test_nothing_of_a_sealer_is_printed() -> None:
    assert repr(SEALER) == f"Sealer(name='{SEALER.name}', fingerprints=Fingerprints())"


def test_the_operator_is_told_of_a_weak_key() -> None:
    assert "in clear" in sealing_notices(None)[0]
    assert "in clear" in sealing_notices(Secret(""))[0]
    assert "shorter than 16 bytes" in sealing_notices(Secret("123456789012345"))[0]
    assert sealing_notices(Secret("1234567890123456")) == ()


def test_the_sample_has_every_kind_with_secrets() -> None:
    assert KINDS.keys() - SECRETS.keys() == {
        "client",
        "customer",
        "model_config",
        "provider_limit",
        "routing_rule",
        "framework",
    }
