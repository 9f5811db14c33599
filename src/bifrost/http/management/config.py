"""``/api/config`` and ``/api/version``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import trio
from quart import Blueprint, Response, request

from bifrost import __version__
from bifrost.config.nouns import NONE, Noun, Put
from bifrost.errors import BadRequest
from bifrost.http.health import StoreHealth
from bifrost.http.management.described import about
from bifrost.http.management.desk import (
    TRIES,
    Desk,
    answer,
    leads_into,
    put_of,
    read_object,
    refusals_told,
    refuse_unknown,
    within,
)
from bifrost.http.openapi import described
from bifrost.management.config_bodies import (
    PARTS,
    auth_object,
    client_object,
    framework_object,
    new_password,
    part_body,
)
from bifrost.store.config_base import StoreConflict

__all__ = ["Condition", "config_routes"]

GET = about("The configuration of the house: client, framework, login", "config")
PUT = about("Change it, member by member", "config", body="config")
VERSION = about("The gateway's version", "config", "text")

READ_ONLY = (
    "is_db_connected",
    "is_cache_connected",
    "is_logs_connected",
    "restart_required",
)
"""Told, and without a meaning when they are sent back."""

HASHES_AT_A_TIME = 1

OBJECTS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "client": client_object,
    "framework": framework_object,
    "auth": auth_object,
}

_ETAG = re.compile(r'(?:W/)?"(\d{1,18}\.\d{1,18}\.\d{1,18})"')


@attrs.frozen
class Condition:
    """What there is to tell of the house besides its configuration."""

    stores: Sequence[StoreHealth]
    restart_reasons: Callable[[], Sequence[str]]
    """Names of settings that were changed and hold after a restart only."""

    def told(self) -> dict[str, Any]:
        """Its members of the answer."""
        connected = {store.name: not store.is_away() for store in self.stores}
        reasons = list(self.restart_reasons())
        return {
            "is_db_connected": connected.get("config", False),
            "is_cache_connected": False,
            "is_logs_connected": connected.get("log", False),
            "restart_required": {"required": bool(reasons), "reasons": reasons},
        }


def config_routes(desk: Desk, condition: Condition) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("config", __name__, url_prefix="/api")
    parts = _Parts(desk, trio.CapacityLimiter(HASHES_AT_A_TIME))

    @described(GET)
    async def get() -> Response:
        nouns = parts.present()
        told = {
            member: OBJECTS[kind](noun.body if (noun := nouns[kind]) else {})
            for member, kind in PARTS.items()
        }
        response = answer({**told, **condition.told()})
        response.headers["etag"] = f'"{_versions(nouns)}"'
        return response

    @described(PUT)
    async def put() -> Response:
        sent = await read_object()
        refuse_unknown(sent, (*PARTS, *READ_ONLY))
        await parts.change({PARTS[name]: each for name, each in sent.items() if name in PARTS})
        return answer({"status": "success", "message": "configuration updated successfully"})

    @described(VERSION)
    async def version() -> Response:
        return answer(f"v{__version__}")

    routes.add_url_rule("/config", "get", get, methods=["GET"])
    routes.add_url_rule("/config", "put", put, methods=["PUT"])
    routes.add_url_rule("/version", "version", version, methods=["GET"])
    return routes


Nouns = Mapping[str, Noun | None]
"""By their kinds."""


@attrs.frozen
class _Parts:
    """The three nouns, changed together or not at all."""

    desk: Desk
    hashing: trio.CapacityLimiter

    def present(self) -> Nouns:
        return {kind: self.desk.find(kind, kind) for kind in PARTS.values()}

    async def change(self, sent: Mapping[str, object]) -> None:
        """Merge what was sent into each of them."""
        for tries_left in reversed(range(TRIES)):
            nouns = self.present()
            is_bound = _refuse_other_version(nouns)
            changes = [
                await self._put(kind, nouns[kind], change)
                for kind, change in sent.items()
                if change is not None
            ]
            if not changes:
                return
            with refusals_told(_in_body):
                try:
                    await self.desk.steward.change(changes)
                except StoreConflict:
                    if is_bound or not tries_left:
                        raise
                else:
                    return

    async def _put(self, kind: str, noun: Noun | None, change: object) -> Put:
        member = next(name for name, each in PARTS.items() if each == kind)
        if not isinstance(change, dict):
            raise BadRequest(f"{member}: has to be an object", param=member)
        present = noun.body if noun else {}
        with refusals_told(within(kind, member)):
            body = part_body(kind, change, present)
        if kind == "auth" and (password := new_password(body, present)) is not None:
            hash_of = self.desk.steward.means.passwords.hash
            hashed = await trio.to_thread.run_sync(hash_of, password, limiter=self.hashing)
            body["admin_password"] = hashed
        return put_of(kind, kind, body, noun.version if noun else NONE)


def _in_body(path: str) -> str:
    """Where a part of the document is in the request."""
    for member, kind in PARTS.items():
        if leads_into(kind, path):
            return within(kind, member)(path)
    return path


def _versions(nouns: Nouns) -> str:
    return ".".join(str(noun.version if noun else 0) for noun in nouns.values())


def _refuse_other_version(nouns: Nouns) -> bool:
    """As the desk's, for all three. Raises 409."""
    wanted = request.headers.get("if-match", "").strip()
    if wanted in {"", "*"}:
        return False
    present = _versions(nouns)
    if present not in _ETAG.findall(wanted):
        text = f"the configuration was changed meanwhile: its version is {present}"
        raise BadRequest(text, status=409, code="version_conflict")
    return True
