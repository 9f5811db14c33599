"""``/api/governance``: virtual keys, teams, customers, routing rules, limits of models and providers, prices of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import trio
from quart import Blueprint, Response, request

from bifrost.actors.mailbox import ActorDied
from bifrost.codecs.json import dumps
from bifrost.config.bodies import canonical, is_reference
from bifrost.config.names import BUILT_IN
from bifrost.config.settings import Config
from bifrost.errors import ProviderUnavailable
from bifrost.http.management.desk import (
    Desk,
    Page,
    answer,
    flag,
    not_found,
    page_of,
    put_of,
    read_object,
    refusals_told,
    within,
)
from bifrost.http.management.governance_abouts import ABOUTS
from bifrost.http.openapi import described
from bifrost.management.governance_listing import Wish
from bifrost.management.governance_nouns import NATURES, Nature, Patching
from bifrost.management.governance_telling import Telling, counters
from bifrost.management.limit_bodies import LIMITS, Usage

if TYPE_CHECKING:
    from bifrost.actors.ledger_messages import Counted
    from bifrost.config.nouns import Noun, Put

__all__ = ["Collaborators", "governance_routes"]

PREFIX = "/api/governance"

DEFAULT_PAGE = 25
MOST_OF_A_PAGE = 100
MOST_OF_AN_EXPORT = 10_000

PAGING = frozenset(
    {"limit", "offset", "search", "customer_id", "team_id", "sort_by", "order", "export"}
)
"""A list that is asked for none of these is told whole."""

OWNERS = ("customer_id", "team_id")
"""Asked for both, the virtual keys of either are listed."""

FILTERS: Mapping[str, tuple[str, ...]] = {
    "team": ("customer_id",),
    "routing_rule": ("scope", "scope_id"),
    "pricing_override": ("scope_kind", "virtual_key_id", "provider_id", "provider_key_id"),
}

OWNED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "team": (("virtual_key", "team_id"),),
    "customer": (("virtual_key", "customer_id"), ("team", "customer_id")),
}
"""Who is detached from a noun that goes: the kind, and the member that names the noun."""

MANY = 100
"""More nouns than that are told in a thread: calls are not to wait for them."""


class ReadUsage(Protocol):
    """Gives what counters stand at."""

    async def __call__(self, ids: frozenset[str], *, is_live: bool) -> Mapping[str, Counted]:
        """Live, or as they were written last. May raise ActorDied."""
        ...


@attrs.frozen(kw_only=True)
class Collaborators:
    """What governance's routes need besides the desk."""

    config: Callable[[], Config]
    """The one in force."""
    read_usage: ReadUsage
    new_id: Callable[[], str]
    new_value: Callable[[], str]
    """Of a virtual key."""
    wall: Callable[[], float]

    @property
    def patching(self) -> Patching:
        """What makes bodies of what is sent."""
        return Patching(self.new_id, self.new_value, self._keys_of)

    def is_provider(self, name: str) -> bool:
        """Whether a provider is configured."""
        return name in self.config().providers

    def key_names(self) -> Mapping[str, str]:
        """Of all providers' keys, by their ids."""
        providers = self.config().providers.values()
        return {key.id: key.name for settings in providers for key in settings.keys}

    def _keys_of(self, provider: str) -> frozenset[str] | None:
        settings = self.config().providers.get(provider)
        if settings is None and provider not in BUILT_IN:
            return None
        return frozenset(key.id for key in settings.keys) if settings else frozenset()


def governance_routes(desk: Desk, means: Collaborators) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("governance", __name__, url_prefix=PREFIX)
    teller = _Teller(desk, means)
    for nature in NATURES.values():
        shelf = _Shelf(nature, desk, means, teller)
        _add_list(routes, shelf)
        if nature.kind == "provider_limit":
            _add_provider_limits(routes, shelf)
        else:
            _add_nouns(routes, shelf)
    _add_limits(routes, teller)
    return routes


def _add_list(routes: Blueprint, shelf: _Shelf) -> None:
    nature = shelf.nature

    @described(ABOUTS[nature.kind, "list"])
    async def list_all() -> Response:
        return await shelf.list_all()

    routes.add_url_rule(f"/{nature.path}", f"{nature.path}-list", list_all, methods=["GET"])


def _add_nouns(routes: Blueprint, shelf: _Shelf) -> None:
    nature = shelf.nature

    @described(ABOUTS[nature.kind, "create"])
    async def create() -> Response:
        return await shelf.create()

    @described(ABOUTS[nature.kind, "get"])
    async def get(id: str) -> Response:  # noqa: A002  its name in the path
        return await shelf.get(id)

    @described(ABOUTS[nature.kind, "put"])
    async def put(id: str) -> Response:  # noqa: A002  likewise
        return await shelf.put(id)

    @described(ABOUTS[nature.kind, "delete"])
    async def delete(id: str) -> Response:  # noqa: A002  likewise
        return await shelf.delete(id)

    one = f"/{nature.path}/<id>"
    changing = ["PUT", "PATCH"] if nature.kind == "pricing_override" else ["PUT"]
    routes.add_url_rule(f"/{nature.path}", f"{nature.path}-create", create, methods=["POST"])
    routes.add_url_rule(one, f"{nature.path}-get", get, methods=["GET"])
    routes.add_url_rule(one, f"{nature.path}-put", put, methods=changing)
    routes.add_url_rule(one, f"{nature.path}-delete", delete, methods=["DELETE"])


def _add_provider_limits(routes: Blueprint, shelf: _Shelf) -> None:
    @described(ABOUTS["provider_limit", "put"])
    async def put(provider: str) -> Response:
        return await shelf.put_of_provider(provider.lower())

    @described(ABOUTS["provider_limit", "delete"])
    async def delete(provider: str) -> Response:
        return await shelf.delete_of_provider(provider.lower())

    one = "/providers/<provider>"
    routes.add_url_rule(one, "providers-put", put, methods=["PUT"])
    routes.add_url_rule(one, "providers-delete", delete, methods=["DELETE"])


def _add_limits(routes: Blueprint, teller: _Teller) -> None:
    @described(ABOUTS["budget", "list"])
    async def budgets() -> Response:
        return await teller.list_limits("budget", "budgets")

    @described(ABOUTS["rate_limit", "list"])
    async def rate_limits() -> Response:
        return await teller.list_limits("rate_limit", "rate_limits")

    routes.add_url_rule("/budgets", "budgets", budgets, methods=["GET"])
    routes.add_url_rule("/rate-limits", "rate-limits", rate_limits, methods=["GET"])


@attrs.frozen
class _Teller:
    """Shows nouns with what is used of them."""

    desk: Desk
    means: Collaborators

    async def usage(self, nouns: Sequence[Noun], *, is_live: bool | None = None) -> Usage:
        """What the limits of ``nouns`` stand at, as the request wants to see it unless it is said.

        Raises BadRequest, ProviderUnavailable; nothing if it is not to be live, and there is a store.
        """
        if is_live is None:
            is_live = flag(request.args, "from_memory")
        try:
            counted = await self.means.read_usage(counters(nouns), is_live=is_live)
        except ActorDied:
            text = "usage cannot be counted at the moment"
            raise ProviderUnavailable(text, code="ledger_broken") from None
        return Usage(counted, self.means.wall())

    async def told(self, noun: Noun) -> dict[str, Any]:
        """One noun."""
        return (await self.all_told([noun]))[0]

    async def told_changed(self, noun: Noun) -> dict[str, Any]:
        """One that was just changed: that is done, so nothing may go wrong any more."""
        return (await self.all_told([noun], is_live=False))[0]

    async def all_told(
        self, nouns: Sequence[Noun], *, is_live: bool | None = None
    ) -> list[dict[str, Any]]:
        """Several, all of one kind; customers with what is theirs."""
        owned = self._owned(nouns)
        within = [each for teams, keys in owned.values() for each in (*teams, *keys)]
        usage = await self.usage([*nouns, *within], is_live=is_live)
        telling = Telling(usage, self.means.key_names())

        def tell() -> list[dict[str, Any]]:
            return [
                telling.customer(noun, *owned[noun.id])
                if noun.kind == "customer"
                else telling.told(noun)
                for noun in nouns
            ]

        return await _worked(tell, len(nouns) + len(within))

    def _owned(self, nouns: Sequence[Noun]) -> dict[str, tuple[list[Noun], list[Noun]]]:
        """The teams and virtual keys of the customers among ``nouns``."""
        owned: dict[str, tuple[list[Noun], list[Noun]]] = {
            noun.id: ([], []) for noun in nouns if noun.kind == "customer"
        }
        for at, kind in enumerate(("team", "virtual_key")):
            for each in self.desk.all(kind) if owned else ():
                customer = each.body.get("customer_id")
                if isinstance(customer, str) and customer in owned:
                    owned[customer][at].append(each)
        return owned

    async def list_limits(self, kind: str, many: str) -> Response:
        """Every budget, or every rate limit, of whomever."""
        holders: list[Mapping[str, Any]] = []
        nouns = [
            noun
            for nature in NATURES.values()
            if nature.has_limits
            for noun in self.desk.all(nature.kind)
        ]
        for noun in nouns:
            configs = noun.body.get("provider_configs", ())
            holders += [each for each in (noun.body, *configs) if each.get(kind)]  # type: ignore[misc]  # checked when they were put
        page, _ = _page(len(holders))
        usage = await self.usage(nouns)
        tell = usage.told_budget if kind == "budget" else usage.told_rate
        wanted = page.of(holders)
        told = await _worked(lambda: [tell(each[kind]) for each in wanted], len(wanted))
        return await _answered({many: told, "count": len(told), "total_count": len(holders)})


@attrs.frozen
class _Shelf:
    """The nouns of one kind."""

    nature: Nature
    desk: Desk
    means: Collaborators
    teller: _Teller

    @property
    def kind(self) -> str:
        return self.nature.kind

    async def list_all(self) -> Response:
        args = request.args
        wish = Wish(
            search=args.get("search", ""),
            any_of={name: args.get(name, "") for name in OWNERS if self.kind == "virtual_key"},
            all_of={name: args.get(name, "") for name in FILTERS.get(self.kind, ())},
            sort_by=args.get("sort_by", ""),
            order=args.get("order", ""),
        )
        found = self.desk.all(self.kind)
        if self.kind == "provider_limit":
            found = tuple(noun for noun in found if any(map(noun.body.get, LIMITS)))
        if wish.sort_by == "budget_spent":
            usage = await self.teller.usage(found)
            found = wish.of(found, lambda noun: usage.spent(noun.body))
        else:
            found = wish.of(found)
        page, is_whole = _page(len(found))
        told = await self.teller.all_told(page.of(found))
        return await _answered(
            {
                self.nature.many: told,
                "count": len(told),
                "total_count": len(found),
                "limit": len(found) if is_whole else page.limit,
                "offset": page.offset,
            }
        )

    async def create(self) -> Response:
        sent = await read_object()
        noun_id = self.means.new_id()
        with refusals_told(within(self.kind)):
            body = self.means.patching.made(self.kind, noun_id, sent)
        noun = await self.desk.create(self.kind, noun_id, body, what=self.nature.title)
        told = await self.teller.told_changed(noun)
        value = body.get("value", "")
        if self.kind == "virtual_key" and not is_reference(value):
            # Shown this once, so that somebody can be given it.
            told["value"] = value
        status = 201 if self.kind == "pricing_override" else 200
        return answer(self._done("created", told), status, noun=noun)

    async def get(self, noun_id: str) -> Response:
        noun = self.desk.get(self.kind, noun_id, self.nature.title)
        return answer({self.nature.one: await self.teller.told(noun)}, noun=noun)

    async def put(self, noun_id: str) -> Response:
        sent = await read_object()

        def patched(noun: Noun) -> dict[str, Any]:
            return self.means.patching.patched(self.kind, noun_id, noun.body, sent)

        noun = await self.desk.amend(self.kind, noun_id, self.nature.title, patched)
        return answer(self._done("updated", await self.teller.told_changed(noun)), noun=noun)

    async def delete(self, noun_id: str) -> Response:
        await self.desk.remove(self.kind, noun_id, self.nature.title, *self._detached(noun_id))
        return answer(self._done("deleted"))

    def _detached(self, noun_id: str) -> list[Put]:
        """Those who belonged to the noun, belonging to nobody."""
        return [
            put_of(kind, each.id, canonical(kind, {**each.body, member: None}), each.version)
            for kind, member in OWNED.get(self.kind, ())
            for each in self.desk.all(kind)
            if each.body.get(member) == noun_id
        ]

    def _done(self, what: str, told: object = None) -> dict[str, object]:
        of_noun = {} if told is None else {self.nature.one: told}
        return {"message": f"{self.nature.title} {what} successfully", **of_noun}

    # Limits of providers

    async def put_of_provider(self, provider: str) -> Response:
        self._refuse_unknown_provider(provider)
        sent = await read_object()

        def patched(noun: Noun | None) -> dict[str, Any]:
            present = {} if noun is None else noun.body
            return self.means.patching.patched(self.kind, provider, present, sent)

        noun = await self.desk.put(self.kind, provider, patched)
        return answer(self._done("updated", await self.teller.told_changed(noun)), noun=noun)

    async def delete_of_provider(self, provider: str) -> Response:
        if self.desk.find(self.kind, provider) is None:
            # One that has no limits has none afterwards either.
            self._refuse_unknown_provider(provider)
        else:
            await self.desk.remove(self.kind, provider, self.nature.title)
        return answer({"message": "Provider governance deleted successfully"})

    def _refuse_unknown_provider(self, provider: str) -> None:
        if not self.means.is_provider(provider):
            raise not_found(self.nature.title)


def _page(total: int) -> tuple[Page, bool]:
    """The part of a list that the request wants, and whether that is simply all of it. Raises BadRequest."""
    args = request.args
    is_export = flag(args, "export")
    if not PAGING & {name for name, value in args.items() if value}:
        return Page(max(total, 1), 0), True
    most = MOST_OF_AN_EXPORT if is_export else MOST_OF_A_PAGE
    return page_of(args, limit=most if is_export else DEFAULT_PAGE, most=most), False


async def _worked(tell: Callable[[], list[dict[str, Any]]], number: int) -> list[dict[str, Any]]:
    """What ``tell`` gives of so many nouns, in a thread if they are many."""
    return tell() if number <= MANY else await trio.to_thread.run_sync(tell)


async def _answered(told: Mapping[str, object]) -> Response:
    """A list as an answer, written in a thread: it may be long."""
    written = answer({})
    written.set_data(await trio.to_thread.run_sync(dumps, told))
    return written
