"""``/api/models``: what the keys may use, and what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import trio
from quart import Blueprint, Response, request

from bifrost.errors import BadRequest
from bifrost.http.management.described import about
from bifrost.http.management.desk import answer, flag, page_of
from bifrost.http.openapi import described
from bifrost.integrations.openapi import Parameter
from bifrost.management.model_search import Listed, base_names, listed, searched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bifrost.actors.model_book import KeyList, ModelBook
    from bifrost.policy.pricing import Prices

__all__ = ["known_model_routes"]

ASK_S = 20.0
"""For providers whose models are not known yet."""

FEW, SOME = 5, 20

MOST = 1000

LIMIT = Parameter(
    "limit", "How many, the best first.", {"type": "integer", "minimum": 1, "maximum": MOST}
)
QUERY = Parameter("query", "Letters of the name, in their order.")
OF = (
    Parameter("provider", "Whose; all providers' by default."),
    Parameter("keys", "Ids of keys, with commas between: what these may use."),
    Parameter(
        "unfiltered",
        "Also what no key may use.",
        {"type": "string", "enum": ["true", "false"]},
    ),
)
LIST = about("Models of all providers", "models", "models", query=(QUERY, *OF, LIMIT))
DETAILS = about("The same with their sizes", "models", "models", query=(QUERY, *OF, LIMIT))
BASE = about("Names of models without their versions", "models", "models", query=(QUERY, LIMIT))


def known_model_routes(book: ModelBook, prices: Callable[[], Prices]) -> Blueprint:
    """The blueprint. ``prices`` are those of now."""
    routes = Blueprint("known_models", __name__, url_prefix="/api/models")

    async def found() -> tuple[Listed, ...]:
        args = request.args
        provider = args.get("provider", "").strip().lower()
        keys = frozenset(filter(None, args.get("keys", "").split(",")))
        rows = await _rows(book, provider)
        models = listed(rows, keys, unfiltered=flag(args, "unfiltered"))
        return searched(models, args.get("query", "").strip()[:256])

    @described(LIST)
    async def list_all() -> Response:
        page, models = page_of(request.args, limit=FEW), await found()
        return answer(
            {"models": [attrs.asdict(each) for each in page.of(models)], "total": len(models)}
        )

    @described(DETAILS)
    async def details() -> Response:
        page, models = page_of(request.args, limit=SOME), await found()
        told = [_detailed(each, prices()) for each in page.of(models)]
        return answer({"models": told, "total": len(models)})

    @described(BASE)
    async def base() -> Response:
        page = page_of(request.args, limit=SOME)
        rows = await _rows(book, "")
        names = base_names(listed(rows), request.args.get("query", "").strip()[:256])
        return answer({"models": list(page.of(names)), "total": len(names)})

    routes.add_url_rule("", "list", list_all, methods=["GET"])
    routes.add_url_rule("/details", "details", details, methods=["GET"])
    routes.add_url_rule("/base", "base", base, methods=["GET"])
    return routes


async def _rows(book: ModelBook, provider: str) -> tuple[KeyList, ...]:
    """What is known of one provider, or of all; those not known yet are asked, for a bounded time."""
    there = sorted(book.providers())
    if provider and provider not in there:
        raise BadRequest(f"unknown provider: {provider[:64]}", param="provider", status=404)
    names = (provider,) if provider else tuple(there)
    with trio.move_on_after(ASK_S):
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(book.known, name)
    return tuple(_known(book, names))


def _known(book: ModelBook, names: Iterable[str]) -> Iterable[KeyList]:
    for name in names:
        yield from book.rows(name)


def _detailed(model: Listed, prices: Prices) -> dict[str, object]:
    facts = prices.facts(model.name, model.provider)
    return {
        **attrs.asdict(model),
        "context_length": facts.context_length,
        "max_input_tokens": facts.max_input_tokens,
        "max_output_tokens": facts.max_output_tokens,
        "base_model": facts.base_model,
    }
