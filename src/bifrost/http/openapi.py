"""``GET /openapi.json``: the gateway's routes, described from the tables and handlers that serve them."""

from __future__ import annotations

import functools
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import attrs
from quart import Blueprint, Response

from bifrost import __version__
from bifrost.codecs.json import dumps
from bifrost.http.async_jobs import NATIVE, OPERATIONS, PREFIX
from bifrost.integrations.openapi_shapes import JSON
from bifrost.integrations.openapi import About, Endpoint, document, object_endpoints, of_route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quart import Quart

    from bifrost.integrations.base import InferenceRoute

__all__ = ["described", "job_endpoints", "openapi_routes", "quart_endpoints"]

View = TypeVar("View", bound="Callable[..., object]")

PATH = "/openapi.json"

MARK = "__about__"

IMPLIED = frozenset({"HEAD", "OPTIONS"})
"""Methods that every route of Quart's has besides its own."""

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")


def described(about: About) -> Callable[[View], View]:
    """Marks a view with what the description says of it. Each that a blueprint registers has to be marked."""

    def mark(view: View) -> View:
        setattr(view, MARK, about)
        return view

    return mark


def quart_endpoints(app: Quart) -> Iterator[Endpoint]:
    """Each method of each of ``app``'s own routes."""
    for rule in app.url_map.iter_rules():
        about = getattr(app.view_functions[rule.endpoint], MARK)
        path = _ARGUMENT.sub(r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - IMPLIED):
            yield Endpoint(method, path, about)


def job_endpoints(routes: Iterable[InferenceRoute]) -> Iterator[Endpoint]:
    """Handing in and asking for a job, for each of ``routes`` that has such."""
    for route in routes:
        name = route.path.removeprefix(NATIVE)
        if name not in OPERATIONS or not route.path.startswith(NATIVE):
            continue
        call = of_route(route).about
        about = attrs.evolve(call, tag="jobs", answers={JSON: "object"})
        yield Endpoint(
            "POST",
            PREFIX + name,
            attrs.evolve(about, summary=f"{call.summary}, as a job", status=HTTPStatus.ACCEPTED),
        )
        yield Endpoint(
            "GET",
            f"{PREFIX}{name}/{{id}}",
            attrs.evolve(
                about,
                summary=f"{call.summary}: a job's state, or its end",
                bodies={},
                other_answers={HTTPStatus.ACCEPTED: "object"},
                statuses=tuple(sorted({*about.statuses, "404"})),
            ),
        )


def openapi_routes(app: Quart, routes: Iterable[InferenceRoute], *, has_jobs: bool) -> Blueprint:
    """The blueprint. It tells of ``routes``, and of what ``app`` has by the time somebody asks first."""
    blueprint = Blueprint("openapi", __name__)
    known = tuple(routes)

    @functools.cache
    def written() -> bytes:
        jobs = job_endpoints(known) if has_jobs else ()
        endpoints = (*map(of_route, known), *jobs, *object_endpoints(), *quart_endpoints(app))
        return dumps(document(endpoints, __version__))

    @blueprint.get(PATH)
    @described(About(summary="This description", tag="operations", is_open=True))
    async def openapi() -> Response:
        return Response(written(), content_type="application/json")

    return blueprint
