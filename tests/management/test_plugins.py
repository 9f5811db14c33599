"""Filters of the operator's own: found, put where they stand, swapped, and harmless when they fail."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from bifrost.config.sections import PluginSection
from bifrost.management import plugins as room
from bifrost.management.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

GOOD = """
class Noting:
    def __init__(self, config):
        self.word = config.get("word", "noting")

    def around(self, inner):
        def noted(call):
            call.append(self.word)
            return inner(call)
        return noted

    def around_hop(self, inner):
        async def noted(hop):
            hop.append(self.word)
            return await inner(hop)
        return noted


plugin = Noting
"""
FAILS_WHEN_PUT = """
class Bad:
    def around(self, inner):
        raise RuntimeError("secret")

def plugin(config):
    return Bad()
"""


class House:
    """Both chains, with lists in place of calls and hops."""

    def __init__(self, folder: Path) -> None:
        self.failures: list[tuple[str, str]] = []
        self.plugins = Plugins(folder, lambda *failure: self.failures.append(failure))
        before, after = self.plugins.before, self.plugins.after
        service: Any = self._serve
        hops: Any = self._hop
        self.service: Any = before.around(after.around(service))
        self.hops: Any = before.around_hop(after.around_hop(hops))

    @asynccontextmanager
    async def _serve(self, call: list[str]) -> AsyncIterator[None]:
        call.append("served")
        yield

    async def _hop(self, hop: list[str]) -> Any:
        hop.append("sent")

    async def met(self) -> tuple[list[str], list[str]]:
        call, hop = list[str](), list[str]()
        async with self.service(call):
            await self.hops(hop)
        return call, hop


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text("raise ValueError('secret')")
    (tmp_path / "put.py").write_text(FAILS_WHEN_PUT)
    (tmp_path / "empty.py").write_text("def plugin(config): return object()")
    (tmp_path / "none.py").write_text("")
    return House(tmp_path)


def section(name: str, path: str | None = "good.py", **more: Any) -> PluginSection:
    return PluginSection(name=name, enabled=more.pop("enabled", True), path=path, **more)


async def test_without_plugins_calls_go_through(house: House) -> None:
    assert await house.met() == (["served"], ["sent"])


async def test_they_stand_in_their_order_before_and_after(house: House) -> None:
    await house.plugins.follow(
        [
            section("late", order=2, config={"word": "late"}),
            section("soon", order=1, config={"word": "soon"}),
            section("first", placement="pre_builtin", config={"word": "first"}, order=9),
        ]
    )
    assert await house.met() == (
        ["first", "soon", "late", "served"],
        ["first", "soon", "late", "sent"],
    )
    assert [(each.section.name, each.state, each.places) for each in house.plugins.standings] == [
        ("first", "active", ("exchange", "hop")),
        ("soon", "active", ("exchange", "hop")),
        ("late", "active", ("exchange", "hop")),
    ]
    await house.plugins.follow([])
    assert await house.met() == (["served"], ["sent"])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("bad.py", "ValueError"),
        ("put.py", "RuntimeError"),
        ("missing.py", "there is no such file"),
        ("none.py", "it has no factory 'plugin'"),
        ("empty.py", "it has neither around nor around_hop"),
        ("no.such.module:make", "ModuleNotFoundError"),
        ("json:nothing", "it has no factory 'nothing'"),
        ("json", "path is neither a .py file nor package.module:factory"),
        (None, "no installed package has an entry point 'broken' in the group bifrost.filters"),
    ],
)
async def test_one_that_cannot_be_had_harms_no_other(
    path: str | None, reason: str, house: House
) -> None:
    await house.plugins.follow([section("good"), section("broken", path)])
    assert await house.met() == (["noting", "served"], ["noting", "sent"])
    assert house.failures == [("broken", reason)]
    assert [each.state for each in house.plugins.standings] == ["active", "error"]


async def test_one_that_is_disabled_is_not_even_looked_for(house: House) -> None:
    await house.plugins.follow([section("off", "missing.py", enabled=False)])
    assert house.failures == []
    assert [each.state for each in house.plugins.standings] == ["disabled"]


async def test_an_entry_point_is_found_by_its_name(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "installed_filters.py").write_text(GOOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("mine", "installed_filters:plugin", room.GROUP)
    monkeypatch.setattr(room, "entry_points", lambda **_: [point])
    await house.plugins.follow([section("mine", None)])
    assert (await house.met())[0] == ["noting", "served"]
