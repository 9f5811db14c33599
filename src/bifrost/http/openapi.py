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
from bifrost.integrations.openapi import (
    OF_CALLS,
    About,
    Endpoint,
    anthropic_object_endpoints,
    document,
    object_endpoints,
    of_route,
    passthrough_endpoints,
)
from bifrost.integrations.openapi_files import genai_file_endpoints
from bifrost.integrations.openapi_shapes import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quart import Quart

    from bifrost.http.async_jobs import AsyncJobs
    from bifrost.integrations.base import InferenceRoute

__all__ = ["about_of", "described", "job_endpoints", "openapi_routes", "quart_endpoints"]

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


def about_of(app: Quart, endpoint: str) -> About:
    """What the view says of itself."""
    about: About = getattr(app.view_functions[endpoint], MARK)
    return about


def quart_endpoints(app: Quart) -> Iterator[Endpoint]:
    """Each method of each of ``app``'s own routes."""
    for rule in app.url_map.iter_rules():
        about = about_of(app, rule.endpoint)
        path = _ARGUMENT.sub(r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - IMPLIED):
            yield Endpoint(method, path, about)


def job_endpoints(jobs: AsyncJobs) -> Iterator[Endpoint]:
    """Where jobs are handed in and asked for, if there are any."""
    for path, route in jobs.by_path().items():
        of_call = of_route(route).about
        what = f"{of_call.summary}, as a job"
        submitted = attrs.evolve(
            of_call,
            summary=f"{what}; streams are refused",
            tag="jobs",
            status=HTTPStatus.ACCEPTED,
            answers={JSON: "job"},
            headers=(*OF_CALLS, "x-bf-async-job-result-ttl"),
        )
        polled = About(
            summary=f"What became of it: {what}",
            tag="jobs",
            answers={JSON: "job"},
            other_answers={HTTPStatus.ACCEPTED: "job"},
            headers=("x-request-id",),
            statuses=("400", "404", "500"),
        )
        yield Endpoint("POST", path, submitted)
        yield Endpoint("GET", f"{path}/{{id}}", polled)


def openapi_routes(app: Quart, routes: Iterable[InferenceRoute], jobs: AsyncJobs) -> Blueprint:
    """The blueprint. It tells of ``routes``, of ``jobs``, and of what ``app`` has by the time somebody asks first."""
    blueprint = Blueprint("openapi", __name__)

    @functools.cache
    def written() -> bytes:
        of_calls = (*map(of_route, routes), *object_endpoints(), *job_endpoints(jobs))
        relays = (
            *anthropic_object_endpoints(),
            *genai_file_endpoints(),
            *passthrough_endpoints(),
        )
        endpoints = (*of_calls, *relays, *quart_endpoints(app))
        return dumps(document(endpoints, __version__))

    @blueprint.get(PATH)
    @described(About(summary="This description", tag="operations", is_open=True))
    async def openapi() -> Response:
        return Response(written(), content_type="application/json")

    return blueprint
