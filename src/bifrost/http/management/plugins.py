"""``/api/plugins``: filters of the operator's own, and how they fare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from quart import Blueprint, Response

from bifrost.config.redaction import shown
from bifrost.errors import BadRequest
from bifrost.http.management.described import about
from bifrost.http.management.desk import Desk, answer, read_object, refusals_told, within
from bifrost.http.openapi import described
from bifrost.management.amending import amended, created

if TYPE_CHECKING:
    from bifrost.config.nouns import Noun
    from bifrost.management.login import Login
    from bifrost.management.plugins import Plugins, Standing

__all__ = ["plugin_routes"]

LIST = about("Plugins, and how they fare", "plugins")
ONE = about("One plugin", "plugins")
CREATE = attrs.evolve(about("Add a plugin", "plugins", body="plugin"), status=201)
CHANGE = about("Change a plugin", "plugins", body="change")
DELETE = about("Take a plugin out", "plugins")

WHAT = "Plugin"
BY_PATH = "path: code of this machine's is run by a path, so only the file, or who has logged in, may set one"


def plugin_routes(desk: Desk, plugins: Plugins, login: Login) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("plugins", __name__, url_prefix="/api/plugins")

    def told(noun: Noun) -> dict[str, Any]:
        found = [each for each in plugins.standings if each.section.name == noun.id]
        return _told(noun, found[0] if found else None)

    def refuse_path(sent: dict[str, Any], present: object = None) -> None:
        if sent.get("path", present) != present and not login.is_enabled:
            raise BadRequest(BY_PATH, status=403, param="path")

    @described(LIST)
    async def listed() -> Response:
        found = [told(noun) for noun in desk.all("plugin")]
        return answer({"plugins": found, "count": len(found)})

    @described(ONE)
    async def one(name: str) -> Response:
        noun = desk.get("plugin", name, WHAT)
        return answer(told(noun), noun=noun)

    @described(CREATE)
    async def create() -> Response:
        sent = await read_object()
        refuse_path(sent)
        name = sent.get("name")
        if not isinstance(name, str) or not name or not name.isprintable():
            raise BadRequest("name: has to be the plugin's name", param="name")
        with refusals_told(within("plugin")):
            body = created("plugin", {"enabled": True} | sent)
        noun = await desk.create("plugin", name, body, what=WHAT)
        return answer({"message": "Plugin created successfully", "plugin": told(noun)}, 201)

    @described(CHANGE)
    async def change(name: str) -> Response:
        sent = await read_object()
        refuse_path(sent, desk.get("plugin", name, WHAT).body.get("path"))
        noun = await desk.amend("plugin", name, WHAT, lambda now: amended("plugin", now.body, sent))
        return answer({"message": "Plugin updated successfully", "plugin": told(noun)}, noun=noun)

    @described(DELETE)
    async def delete(name: str) -> Response:
        noun = await desk.remove("plugin", name, WHAT)
        return answer({"message": "Plugin deleted successfully", "plugin": told(noun)})

    for path, view, method in (
        ("", listed, "GET"),
        ("", create, "POST"),
        ("/<name>", one, "GET"),
        ("/<name>", change, "PUT"),
        ("/<name>", delete, "DELETE"),
    ):
        routes.add_url_rule(path, view.__name__, view, methods=[method])
    return routes


def _told(noun: Noun, standing: Standing | None) -> dict[str, Any]:
    body = shown("plugin", noun.body)
    return {
        "name": noun.id,
        "actualName": noun.id,
        "enabled": body.get("enabled", True),
        "config": body.get("config", {}),
        "isCustom": "path" in noun.body,
        "path": body.get("path"),
        "version": body.get("version", 1),
        "placement": body.get("placement", "post_builtin"),
        "order": body.get("order", 0),
        "status": {
            "name": noun.id,
            "status": standing.state if standing else "unloaded",
            "logs": [standing.reason] if standing and standing.reason else [],
            "types": list(standing.places) if standing else [],
        },
    }
