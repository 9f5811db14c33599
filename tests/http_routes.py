"""A front as the whole gateway composes it, and everything that it serves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bifrost.config.options import ServeOptions
from bifrost.gateway import Gateway
from bifrost.http.async_jobs import OPERATIONS
from bifrost.http.openapi import IMPLIED
from bifrost.integrations import azure, bedrock, composite, genai
from bifrost.integrations.anthropic_objects import OBJECT_ROUTES
from bifrost.integrations.genai_files import FILE_ROUTES
from bifrost.integrations.passthrough import PREFIXES as PASSTHROUGH
from bifrost.integrations.relay_routes import METHODS, OBJECTS, PREFIXES, UNDERSTOOD
from bifrost.observe.logs import LEVELS, Logs, Sink

if TYPE_CHECKING:
    from pathlib import Path

    from bifrost.config.settings import Config
    from bifrost.http.app import Front

__all__ = ["composed", "served"]


def composed(config: Config, folder: Path) -> Front:

    def never() -> Config:
        raise AssertionError

    options = ServeOptions(app_dir=folder, host="127.0.0.1", port=0)
    return Gateway(config, options, never, Logs(LEVELS["error"], "json", Sink()))._front()


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
