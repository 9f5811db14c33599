"""The description and the routes that are served: they agree, it is sound OpenAPI, and it is what ``/openapi.json`` says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from quart_trio import QuartTrio

from bifrost import __version__
from bifrost.config.settings import Config
from bifrost.http.async_jobs import AsyncJobs
from bifrost.http.doors import Doors, compile_views
from bifrost.http.openapi import described, openapi_routes, quart_endpoints
from bifrost.integrations import azure
from bifrost.integrations.base import InferenceRoute
from bifrost.integrations.finder import Finder
from bifrost.integrations.openapi import About
from http_routes import composed, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bifrost.http.app import Front


NO_JOBS = AsyncJobs(finder=Finder.of(()), doors=Doors(compile_views(Config())), jobs=None)


@pytest.fixture
def front(tmp_path: Path) -> Front:
    """The whole gateway's, as it is composed."""
    return composed(Config(), tmp_path)


async def told(front: QuartTrio) -> dict[str, Any]:
    answer = await front.test_client().get("/openapi.json", scope_base={"client": ("127.0.0.1", 1)})
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    found: dict[str, Any] = await answer.get_json()
    return found


async def test_it_tells_of_every_route_and_of_no_other(front: Front) -> None:
    document = await told(front)

    operations = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert operations == served(front)
    assert ("GET", "/openapi.json") in operations


async def test_the_finder_knows_every_path_of_a_deployment(front: Front) -> None:
    for route in azure.TEMPLATES:
        found = front._inference.finder.find(route.path.replace("{path}", "gpt"))

        assert found is not None
        assert (found[0].operation, found[1]) == (route.operation, {"model": "azure/gpt"})


async def test_without_a_store_it_tells_of_no_jobs(tmp_path: Path) -> None:
    document = await told(composed(Config(logs_store=None), tmp_path))

    assert [path for path in document["paths"] if "/async/" in path] == []


async def test_it_is_sound(front: Front) -> None:
    document = await told(front)

    errors = OpenAPIV31SpecValidator(document).iter_errors()

    assert [error.message for error in errors] == []
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == __version__


async def test_every_reference_leads_somewhere_and_no_part_is_idle(front: Front) -> None:
    document = await told(front)
    references = set(re.findall(r'"\$ref":"#/components/(\w+)/([^"]+)"', dumped(document)))
    parts = {
        (kind, name)
        for kind, named in document["components"].items()
        if kind != "securitySchemes"
        for name in named
    }

    assert references == parts


def dumped(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


async def test_names_in_paths_are_parameters(front: Front) -> None:
    document = await told(front)

    for path, item in document["paths"].items():
        names = [each["name"] for each in item.get("parameters", [])]
        assert names == re.findall(r"\{(\w+)\}", path)


async def test_it_is_made_once_when_it_is_first_asked_for() -> None:
    app = QuartTrio("app", static_folder=None)
    asked: list[int] = []

    class Routes(Iterable[InferenceRoute]):
        def __iter__(self) -> Iterator[InferenceRoute]:
            asked.append(1)
            return iter(())

    app.register_blueprint(openapi_routes(app, Routes(), NO_JOBS))
    assert asked == []

    first, again = await told(app), await told(app)

    assert first == again
    assert len(asked) == 1


async def test_a_route_that_nobody_describes_is_a_defect() -> None:
    app = QuartTrio("app", static_folder=None)

    @app.get("/told/<path:name>")
    @described(About(summary="s", tag="t"))
    async def is_told() -> str:
        return ""

    [endpoint] = quart_endpoints(app)
    assert (endpoint.method, endpoint.path, endpoint.about.tag) == ("GET", "/told/{name}", "t")

    @app.get("/untold")
    async def untold() -> str:
        return ""

    with pytest.raises(AttributeError):
        [*quart_endpoints(app)]
