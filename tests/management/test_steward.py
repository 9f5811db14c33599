"""The steward over a real SQLite store: what file and store make together, and changes that are whole or not at all."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.config.faults import ConfigErrors
from bifrost.config.fingerprints import Fingerprints
from bifrost.config.nouns import ANY, NONE, Change, Put, Remove, claims
from bifrost.errors import Denial
from bifrost.management.steward import Compiled, Steward
from bifrost.store.base import StoreAway
from bifrost.store.config_base import StoreConflict, StoreTaken
from bifrost.store.config_open import means
from bifrost.store.config_sqlite import CONFIG_STEPS, sqlite_config_store
from bifrost.store.keeper import StoreKeeper
from bifrost.store.sqlite import SqliteFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bifrost.config.settings import Config

KEY = {"name": "main", "value": "sk-1"}
FILE: dict[str, Any] = {
    "providers": {"openai": {"keys": [KEY]}},
    "governance": {"virtual_keys": [{"id": "v", "name": "v", "value": "sk-bf-v"}]},
}


@attrs.define(eq=False)
class House:
    """What a steward applies to."""

    steward: Steward
    keeper: StoreKeeper
    first: Compiled
    applied: list[Compiled] = attrs.field(factory=list)

    async def take(self, compiled: Compiled) -> None:
        self.applied.append(compiled)

    @property
    def config(self) -> Config:
        return (self.applied[-1] if self.applied else self.first).config

    @property
    def virtual_keys(self) -> list[str]:
        assert self.config.governance is not None
        return [key.name for key in self.config.governance.virtual_keys]


@asynccontextmanager
async def house(folder: Path, tree: Any = FILE) -> AsyncIterator[House]:
    file = SqliteFile(folder / "config.db", CONFIG_STEPS)
    keeper = StoreKeeper(sqlite_config_store(file), lambda: 0.5)
    steward = Steward(tree, keeper, means(Fingerprints()), {}, lambda: 1000.0)
    try:
        made = House(steward, keeper, await steward.open())
        steward.apply = made.take
        yield made
    finally:
        await file.aclose()


def put(kind: str, noun_id: str, expected: int | None = ANY, **body: Any) -> Put:
    return Put(kind=kind, id=noun_id, body=body, expected=expected, unique=claims(kind, body))


def virtual(name: str, **more: Any) -> Put:
    return put("virtual_key", name, id=name, name=name, value=f"sk-bf-{name}", **more)


async def test_the_file_seeds_the_store_and_a_second_start_finds_it(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        assert it.virtual_keys == ["v"]
        assert [noun.id for noun in it.steward.all("provider")] == ["openai"]
        version = it.steward.all("virtual_key")[0].version
    async with house(tmp_path) as it:
        assert it.steward.all("virtual_key")[0].version == version
        assert it.config.providers["openai"].keys[0].value.reveal() == "sk-1"


async def test_a_change_is_checked_written_and_applied(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        (noun,) = await it.steward.change([virtual("w")])
        assert it.steward.get("virtual_key", "w") == noun
        assert it.virtual_keys == ["v", "w"]
        policy = it.applied[-1].policy
        assert [key.name for key in policy.governance.virtual_keys.values()] == ["v", "w"]
    async with house(tmp_path) as it:
        assert it.virtual_keys == ["v", "w"], "it is still there after a restart"


async def test_what_the_api_changed_wins_over_the_file(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.steward.change([virtual("v", is_active=False)])
    renamed = {**FILE, "client": {"max_inflight": 5}}
    async with house(tmp_path, renamed) as it:
        assert it.config.client.max_inflight == 5
        assert it.config.governance is not None
        assert not it.config.governance.virtual_keys[0].is_active
        assert [each.id for each in it.steward.differences] == ["client", "v"]


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        (virtual("w", weight=1), ConfigErrors, "governance.virtual_keys[2].weight"),
        (virtual("w", team_id="nobody"), ConfigErrors, "governance.virtual_keys[2].team_id"),
        (put("virtual_key", "w", id="w", name="v", value="sk-bf-w"), ConfigErrors, "'v' again"),
        (put("key", "k", id="k", name="main", value="x", provider="openai"), ConfigErrors, "main"),
        (put("provider", "openai", expected=99), StoreConflict, "its version is"),
        (put("provider", "openai", expected=NONE), StoreConflict, "its version is"),
        (Remove(kind="team", id="none", expected=3), StoreConflict, "it is gone"),
        (put("routing_rule", "r", id="r", name="r", cel_expression="model ==", targets=[{"model": "m"}]), ConfigErrors, "cel_expression"),
    ],
)  # fmt: skip
async def test_a_change_that_is_no_good_changes_nothing(
    change: Change, error: type[Exception], told: str, tmp_path: Path
) -> None:
    async with house(tmp_path) as it:
        before = it.steward.all("virtual_key"), it.steward.all("provider")
        with pytest.raises(error) as refused:
            await it.steward.change([virtual("good"), change])
        assert told in str(refused.value)
        assert (it.steward.all("virtual_key"), it.steward.all("provider")) == before
        assert it.applied == []


LAB = put("provider", "lab", custom_provider_config={"base_provider_type": "openai"})
AT_LAB = {"provider_configs": [{"provider": "lab", "allowed_models": ["*"]}]}


async def test_what_others_name_may_go_and_the_store_still_loads(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        team = put("team", "t", id="t", name="T")
        await it.steward.change([LAB, team, virtual("w", team_id="t", **AT_LAB)])
        gone = [Remove(kind="team", id="t"), Remove(kind="provider", id="lab")]
        await it.steward.change(gone)
        await it.steward.change([virtual("w", team_id="t", is_active=False, **AT_LAB)])
        with pytest.raises(ConfigErrors, match=r"virtual_keys\[2\].team_id: found 't'"):
            await it.steward.change([virtual("x", team_id="t")])
    async with house(tmp_path) as it:
        assert it.virtual_keys == ["v", "w"]
        warnings = "\n".join(it.config.warnings)
        assert "team_id: team 't' is not there" in warnings
        assert "provider 'lab' is not there" in warnings
        await it.steward.reload({**FILE, "client": {"max_inflight": 5}})


async def test_what_leaves_the_file_may_be_named_by_what_the_api_made(tmp_path: Path) -> None:
    governance = {"teams": [{"id": "t", "name": "T"}]}
    async with house(tmp_path, {**FILE, "governance": governance}) as it:
        await it.steward.change([virtual("w", team_id="t")])
        await it.steward.reload(FILE)
        assert it.steward.get("team", "t") is None
        assert it.virtual_keys == ["v", "w"]


async def test_a_file_may_name_what_the_store_has_and_what_the_api_took_from_it(
    tmp_path: Path,
) -> None:
    teams = [{"id": "t", "name": "T"}]
    async with house(tmp_path, {**FILE, "governance": {"teams": teams}}) as it:
        await it.steward.change([LAB, Remove(kind="team", id="t")])
    key = {"id": "u", "name": "u", "value": "sk-bf-u", "team_id": "t", **AT_LAB}
    async with house(
        tmp_path, {**FILE, "governance": {"teams": teams, "virtual_keys": [key]}}
    ) as it:
        assert it.virtual_keys == ["u"]


async def test_a_file_that_names_what_nobody_has_is_refused(tmp_path: Path) -> None:
    key = {"id": "u", "name": "u", "value": "sk-bf-u", **AT_LAB}
    with pytest.raises(ConfigErrors, match=r"virtual_keys\[0\].provider_configs\[0\].provider"):
        async with house(tmp_path, {**FILE, "governance": {"virtual_keys": [key]}}):
            pass


async def test_a_removed_noun_does_not_come_back_with_the_file(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.steward.change([Remove(kind="virtual_key", id="v")])
        assert it.virtual_keys == []
        await it.steward.change([virtual("w")])
        assert it.virtual_keys == ["w"]
    async with house(tmp_path) as it:
        assert it.virtual_keys == ["w"]
        await it.steward.change([virtual("v")])
        assert sorted(it.virtual_keys) == ["v", "w"], "made anew, it is there again"


async def test_a_reload_takes_out_what_left_the_file_but_not_what_the_api_made(
    tmp_path: Path,
) -> None:
    two = {"virtual_keys": [{"id": n, "name": n, "value": f"sk-bf-{n}"} for n in "ab"]}
    async with house(tmp_path, {**FILE, "governance": two}) as it:
        await it.steward.change([virtual("made"), virtual("b", is_active=False)])
        await it.steward.reload({"providers": {"mock": {}}})
        assert sorted(it.virtual_keys) == ["b", "made"]
        assert list(it.config.providers) == ["mock"]
        assert it.steward.get("key", "openai/main") is None


async def test_a_broken_file_keeps_what_was_there(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        with pytest.raises(ConfigErrors):
            await it.steward.reload({"providers": {"openai": {"keyz": []}}})
        assert it.applied == []
        assert it.steward.get("provider", "openai") is not None
        await it.steward.change([virtual("w")])
        assert list(it.config.providers) == ["openai"]


async def test_what_may_not_be_served_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.steward.refuse = lambda config: ("too bold",) if len(config.providers) > 1 else ()
        with pytest.raises(ConfigErrors, match="too bold"):
            await it.steward.change([put("provider", "groq")])
        assert it.applied == []


async def test_without_a_store_only_the_file_changes_it() -> None:
    steward = Steward(FILE, None, means(Fingerprints()), {}, lambda: 1000.0)
    compiled = await steward.open()
    assert list(compiled.config.providers) == ["openai"]
    with pytest.raises(Denial) as refused:
        await steward.change([virtual("w")])
    assert (refused.value.status, steward.is_writable) == (403, False)
    again = await steward.reload({"providers": {"mock": {}}})
    assert list(again.config.providers) == ["mock"]


async def test_while_the_store_is_away_nothing_is_changed(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.keeper.trouble = StoreAway("scripted")
        with pytest.raises(StoreAway):
            await it.steward.change([virtual("w")])
        assert it.steward.get("virtual_key", "w") is None
        it.keeper.trouble = None
        await it.steward.change([virtual("w")])
        assert it.virtual_keys == ["v", "w"]


async def test_two_gateways_that_begin_with_one_store(tmp_path: Path) -> None:
    """The second one has read before the first has written."""

    class Late:
        def __init__(self, inner: Any) -> None:
            self.inner, self.fails = inner, 2

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def write(self, changes: Any, now_s: float) -> Any:
            self.fails -= 1
            if self.fails >= 0:
                raise (
                    StoreConflict("provider", "openai", 1)
                    if self.fails
                    else StoreTaken("key.name:main", "key", "k")
                )
            return await self.inner.write(changes, now_s)

    file = SqliteFile(tmp_path / "config.db", CONFIG_STEPS)
    keeper = StoreKeeper(Late(sqlite_config_store(file)), lambda: 0.5)
    steward = Steward(FILE, keeper, means(Fingerprints()), {}, lambda: 1000.0)
    try:
        await steward.open()
        assert steward.get("virtual_key", "v") is not None
    finally:
        await file.aclose()
