"""Filters of the operator's own: found, built, and put where they stand, while the house runs.

A plugin is what a factory gives for its ``config``: an object with ``around`` (a ``service.Filter``, round the exchange), or
``around_hop`` (a ``service.HopFilter``, round each hop), or both. It is found by its name in the entry points of the group
``bifrost.filters``, or by ``path``: a ``.py`` file whose factory is called ``plugin``, or ``package.module:factory``. One that
cannot be had is told so and left out; the house starts all the same. A change swaps the whole chain at once, and exchanges
under way keep the one they began with.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs
import trio

from bifrost.config.sections import PluginSection
from bifrost.service import Filter, HopFilter, HopService, Service, chain, chain_hops

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bifrost.schema.call import Call
    from bifrost.service import Exchange, Hop, HopOutcome

__all__ = ["GROUP", "Place", "Plugins", "Standing"]

GROUP = "bifrost.filters"
FACTORY = "plugin"
"""What the factory in a file is called."""

MAX_REASON = 300

State = Literal["active", "error", "disabled"]


@attrs.frozen(kw_only=True)
class Standing:
    """How a plugin fares. ``reason`` says why it is not there; ``places`` where it stands: ``exchange``, ``hop``."""

    section: PluginSection
    state: State
    reason: str = ""
    places: tuple[str, ...] = ()


class NoPlugin(Exception):
    """It cannot be had."""


@attrs.define(eq=False)
class Place:
    """One of the two spots in each chain, before what is built in and after it. Empty, it costs one call."""

    _service: Service | None = attrs.field(default=None, init=False)
    _hops: HopService | None = attrs.field(default=None, init=False)
    _service_now: Service | None = attrs.field(default=None, init=False)
    _hops_now: HopService | None = attrs.field(default=None, init=False)

    def around(self, inner: Service) -> Service:
        """``inner``, within whatever stands here when a call comes."""
        self._service = self._service_now = inner

        def placed(call: Call) -> AbstractAsyncContextManager[Exchange]:
            assert self._service_now is not None  # noqa: S101  set above
            return self._service_now(call)

        return placed

    def around_hop(self, inner: HopService) -> HopService:
        """As ``around``, round a hop."""
        self._hops = self._hops_now = inner

        def placed(hop: Hop) -> Awaitable[HopOutcome]:
            assert self._hops_now is not None  # noqa: S101  set above
            return self._hops_now(hop)

        return placed

    def put(self, filters: tuple[Filter, ...], hop_filters: tuple[HopFilter, ...]) -> None:
        """Have these here from now on. Raises whatever they raise when they are put round something; then nothing changes."""
        assert self._service is not None  # noqa: S101  the chains are built before they are filled
        assert self._hops is not None  # noqa: S101  likewise
        service, hops = chain(filters, self._service), chain_hops(hop_filters, self._hops)
        self._service_now, self._hops_now = service, hops


@attrs.frozen
class _Built:
    standing: Standing
    around: Filter | None = None
    around_hop: HopFilter | None = None


@attrs.define(eq=False)
class Plugins:
    """All of them. ``folder`` is what paths are relative to; ``on_failure`` hears of each that is not there, by name."""

    folder: Path
    on_failure: Callable[[str, str], None]
    before: Place = attrs.field(factory=Place, init=False)
    after: Place = attrs.field(factory=Place, init=False)
    standings: tuple[Standing, ...] = attrs.field(default=(), init=False)
    """In their order."""

    async def follow(self, sections: Sequence[PluginSection]) -> None:
        """Have these stand from now on. Never fails: what cannot be had is told of."""
        ordered = sorted(sections, key=lambda each: (each.placement != "pre_builtin", each.order))
        # In a thread: importing reads files, and foreign code may take its time.
        built = await trio.to_thread.run_sync(self._build_all, tuple(ordered))
        kept = [
            *self._placed(self.before, [b for b in built if _stands_before(b)]),
            *self._placed(self.after, [b for b in built if not _stands_before(b)]),
        ]
        self.standings = tuple(each.standing for each in kept)
        for standing in self.standings:
            if standing.state == "error":
                self.on_failure(standing.section.name, standing.reason)

    def _build_all(self, sections: tuple[PluginSection, ...]) -> list[_Built]:
        return [self._build(section) for section in sections]

    def _build(self, section: PluginSection) -> _Built:
        if not section.enabled:
            return _Built(Standing(section=section, state="disabled"))
        try:
            made = self._factory(section)(section.config)
            return _of_object(section, made)
        except Exception as error:  # noqa: BLE001  foreign code: whatever it raises, the others stand
            return _failed(section, error)

    def _factory(self, section: PluginSection) -> Callable[[Mapping[str, object]], object]:
        if section.path is None:
            return _from_entry_points(section.name)
        if section.path.endswith(".py"):
            return _from_file(self.folder / section.path)
        module, colon, name = section.path.partition(":")
        if not colon:
            raise NoPlugin("path is neither a .py file nor package.module:factory")
        return _callable(importlib.import_module(module), name)

    def _placed(self, place: Place, built: list[_Built]) -> list[_Built]:
        """``built`` with those left out that cannot be put round anything."""
        while True:
            try:
                place.put(*_filters(built))
            except Exception as error:  # noqa: BLE001  foreign code, as above
                built = _without_culprit(place, built, error)
            else:
                return built


def _stands_before(built: _Built) -> bool:
    return built.standing.section.placement == "pre_builtin"


def _filters(built: Iterable[_Built]) -> tuple[tuple[Filter, ...], tuple[HopFilter, ...]]:
    there = tuple(built)
    return (
        tuple(each.around for each in there if each.around is not None),
        tuple(each.around_hop for each in there if each.around_hop is not None),
    )


def _without_culprit(place: Place, built: list[_Built], error: Exception) -> list[_Built]:
    """``built``, the one marked as failed that cannot stand even alone; the last, if each can."""
    at = len(built) - 1
    for index, each in enumerate(built):
        try:
            place.put(*_filters([each]))
        except Exception as own:  # noqa: BLE001  foreign code, as above
            at, error = index, own
            break
    return [*built[:at], _failed(built[at].standing.section, error), *built[at + 1 :]]


def _of_object(section: PluginSection, made: object) -> _Built:
    around, around_hop = getattr(made, "around", None), getattr(made, "around_hop", None)
    named = (("exchange", around), ("hop", around_hop))
    places = tuple(name for name, found in named if callable(found))
    if not places:
        raise NoPlugin("it has neither around nor around_hop")
    return _Built(
        Standing(section=section, state="active", places=places),
        around if callable(around) else None,
        around_hop if callable(around_hop) else None,
    )


def _failed(section: PluginSection, error: Exception) -> _Built:
    """Foreign texts are not told but for our own: they may hold what the plugin was configured with."""
    reason = str(error) if isinstance(error, NoPlugin) else type(error).__name__
    return _Built(Standing(section=section, state="error", reason=reason[:MAX_REASON]))


def _from_entry_points(name: str) -> Callable[[Mapping[str, object]], object]:
    for found in entry_points(group=GROUP, name=name):
        return _called(found.load(), name)
    raise NoPlugin(f"no installed package has an entry point {name!r} in the group {GROUP}")


def _from_file(path: Path) -> Callable[[Mapping[str, object]], object]:
    if not path.is_file():
        raise NoPlugin("there is no such file")
    spec = importlib.util.spec_from_file_location(f"bifrost_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise NoPlugin("the file cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return _callable(module, FACTORY)


def _callable(module: object, name: str) -> Callable[[Mapping[str, object]], object]:
    return _called(getattr(module, name, None), name)


def _called(found: object, name: str) -> Callable[[Mapping[str, object]], object]:
    if not callable(found):
        raise NoPlugin(f"it has no factory {name!r}")
    return found
