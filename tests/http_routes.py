"""A front as the whole gateway composes it, and everything that it serves."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.config.options import ServeOptions
from bifrost.config_file import read_config
from bifrost.gateway import Gateway
from bifrost.gateway.starting import built
from bifrost.http.app import Front
from bifrost.http.async_jobs import OPERATIONS
from bifrost.http.openapi import IMPLIED
from bifrost.integrations import azure, bedrock, composite, genai
from bifrost.integrations.anthropic_objects import OBJECT_ROUTES
from bifrost.integrations.genai_files import FILE_ROUTES
from bifrost.integrations.passthrough import PREFIXES as PASSTHROUGH
from bifrost.integrations.relay_routes import METHODS, OBJECTS, PREFIXES, UNDERSTOOD
from bifrost.observe.logs import LEVELS, Logs, Sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from werkzeug.datastructures import Headers

    from bifrost.config.settings import Config

__all__ = ["Managed", "composed", "managed", "served"]


def composed(config: Config, folder: Path) -> Front:
    options = ServeOptions(app_dir=folder, host="127.0.0.1", port=0)
    return Gateway(config, options, never, Logs(LEVELS["error"], "json", Sink()))._front_end.built()


@attrs.define(eq=False)
class Managed:
    """A front over a configuration store in a file. What is changed is kept, and applied by nobody."""

    front: Front
    gateway: Gateway

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any, Headers]:
        """Status, JSON and headers."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        ask = getattr(self.front.test_client(), method.lower())
        answer = await ask(path, data=data, headers=names, scope_base={"client": ("127.0.0.1", 1)})
        return answer.status_code, await answer.get_json(), answer.headers


@asynccontextmanager
async def managed(tree: dict[str, Any], folder: Path) -> AsyncIterator[Managed]:
    path = folder / "config.json"
    path.write_text(json.dumps(tree))
    options = ServeOptions(app_dir=folder, config_path=path, host="127.0.0.1", port=0)
    logs = Logs(LEVELS["error"], "json", Sink())
    gateway = await built(read_config(path, folder, {}), options, never, logs)
    gateway.steward.apply = None
    try:
        yield Managed(gateway._front_end.built(), gateway)
    finally:
        if gateway.kept is not None:
            await gateway.kept.opened.database.aclose()


def never() -> Config:
    raise AssertionError


def served(front: Front) -> set[tuple[str, str]]:
    """Methods and templates, from everything that answers a request."""
    found = {("POST", path) for path in front._inference.finder.exact}
    found |= {
        ("POST", f"{prefix}{{path}}{rest}") for prefix in azure.PREFIXES for rest in azure.ROUTES
    }
    templates = (*genai.ROUTES.templates, *bedrock.ROUTES.templates, *composite.DESCRIBED)
    found |= {("POST", route.path) for route in templates}
    for rule in front.url_map.iter_rules():
        path = re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule.rule)
        found |= {(method, path) for method in (rule.methods or set()) - IMPLIED}
    for method, shape in UNDERSTOOD:
        if shape.split("/")[0] in OBJECTS:
            found |= {(method, prefix + shape) for prefix in ("/v1/", *PREFIXES)}
    found |= set(OBJECT_ROUTES)
    found |= {(method, f"{prefix}/{{path}}") for prefix in PASSTHROUGH for method in METHODS}
    found |= {(method, template) for method, template, _ in FILE_ROUTES}
    for name in OPERATIONS if front._async_jobs.jobs else ():
        found |= {("POST", f"/v1/async/{name}"), ("GET", f"/v1/async/{name}/{{id}}")}
    return found
