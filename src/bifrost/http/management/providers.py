"""``/api/providers``, the keys of each, and ``/api/keys``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from quart import Blueprint, Response, request

from bifrost.config.faults import item
from bifrost.config.nouns import NONE, Noun, Remove
from bifrost.errors import BadRequest
from bifrost.http.management.described import PAGING, about
from bifrost.http.management.desk import (
    Desk,
    answer,
    joined,
    page_of,
    put_of,
    read_object,
    refusals_told,
    within,
)
from bifrost.http.management.standing import Standing
from bifrost.http.openapi import described
from bifrost.management.provider_bodies import (
    key_body,
    key_object,
    provider_body,
    provider_object,
    refuse_blank,
)

__all__ = ["provider_routes"]

PROVIDER = "Provider"
KEY = "Key"


TAG = "providers"
LIST = about("All providers, by name", TAG, "providers", query=PAGING)
CREATE = about("Make a provider", TAG, body="provider")
GET = about("One provider", TAG)
PUT = about("Change a provider, or make it", TAG, body="change")
DELETE = about("Take a provider away, with its keys", TAG)
LIST_KEYS = about("The keys of a provider", TAG, "keys", query=PAGING)
CREATE_KEY = about("Give a provider another key", TAG, body="key")
GET_KEY = about("One key", TAG)
PUT_KEY = about("Change a key", TAG, body="change")
DELETE_KEY = about("Take a key away", TAG)
ALL_KEYS = about("All keys by name and id", TAG, "keys", query=PAGING)


def provider_routes(desk: Desk, standing: Standing, new_id: Callable[[], str]) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("providers", __name__, url_prefix="/api")
    rooms = _Rooms(desk, standing, new_id)

    @described(LIST)
    async def list_all() -> Response:
        return await rooms.list_all()

    @described(CREATE)
    async def create() -> Response:
        return await rooms.create()

    @described(GET)
    async def get(provider: str) -> Response:
        return await rooms.tell(desk.get("provider", provider.lower(), PROVIDER))

    @described(PUT)
    async def put(provider: str) -> Response:
        return await rooms.put(provider.lower())

    @described(DELETE)
    async def delete(provider: str) -> Response:
        return await rooms.delete(provider.lower())

    @described(ALL_KEYS)
    async def all_keys() -> Response:
        return rooms.all_keys()

    routes.add_url_rule("/providers", "list", list_all, methods=["GET"])
    routes.add_url_rule("/providers", "create", create, methods=["POST"])
    routes.add_url_rule("/providers/<provider>", "get", get, methods=["GET"])
    routes.add_url_rule("/providers/<provider>", "put", put, methods=["PUT"])
    routes.add_url_rule("/providers/<provider>", "delete", delete, methods=["DELETE"])
    routes.add_url_rule("/keys", "keys", all_keys, methods=["GET"])
    _add_keys(routes, _Keys(desk, standing, new_id))
    return routes


def _add_keys(routes: Blueprint, keys: _Keys) -> None:
    @described(LIST_KEYS)
    async def list_keys(provider: str) -> Response:
        return await keys.list_all(provider.lower())

    @described(CREATE_KEY)
    async def create_key(provider: str) -> Response:
        return await keys.create(provider.lower())

    @described(GET_KEY)
    async def get_key(provider: str, key_id: str) -> Response:
        return await keys.tell(keys.get(provider.lower(), key_id))

    @described(PUT_KEY)
    async def put_key(provider: str, key_id: str) -> Response:
        return await keys.put(provider.lower(), key_id)

    @described(DELETE_KEY)
    async def delete_key(provider: str, key_id: str) -> Response:
        return await keys.delete(provider.lower(), key_id)

    whole, one = "/providers/<provider>/keys", "/providers/<provider>/keys/<key_id>"
    routes.add_url_rule(whole, "list-keys", list_keys, methods=["GET"])
    routes.add_url_rule(whole, "create-key", create_key, methods=["POST"])
    routes.add_url_rule(one, "get-key", get_key, methods=["GET"])
    routes.add_url_rule(one, "put-key", put_key, methods=["PUT"])
    routes.add_url_rule(one, "delete-key", delete_key, methods=["DELETE"])


@attrs.frozen
class _Rooms:
    """Providers."""

    desk: Desk
    standing: Standing
    new_id: Callable[[], str]

    async def tell(self, noun: Noun) -> Response:
        return answer(await self._object(noun), noun=noun)

    async def _object(self, noun: Noun) -> dict[str, Any]:
        return provider_object(noun, await self.standing.of_provider(noun.id))

    async def list_all(self) -> Response:
        nouns = sorted(self.desk.all("provider"), key=lambda noun: noun.id)
        page = page_of(request.args)
        told = [await self._object(noun) for noun in page.of(nouns)]
        return answer({"providers": told, "total": len(nouns)})

    async def create(self) -> Response:
        sent = await read_object()
        name = _name_in(sent)
        keys = sent.pop("keys", None) or []
        with refusals_told(within("provider")):
            body = provider_body(name, sent, {})
        noun = await self.desk.create(
            "provider", name, body, *self._new_keys(name, keys, body), what=PROVIDER
        )
        return await self.tell(noun)

    def _new_keys(self, name: str, keys: object, of_provider: Mapping[str, Any]) -> list[Any]:
        """Those that came with a new provider, as it was done before keys had routes of their own."""
        if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
            raise BadRequest("keys: has to be a list of keys", param="keys")
        return [
            put_of("key", *_new_key(name, each, of_provider, self.new_id, item("keys", at)), NONE)
            for at, each in enumerate(keys)
        ]

    async def put(self, name: str) -> Response:
        sent = await read_object()
        noun = await self.desk.put(
            "provider",
            name,
            lambda present: provider_body(name, sent, present.body if present else {}),
        )
        return await self.tell(noun)

    async def delete(self, name: str) -> Response:
        keys = [Remove(kind="key", id=key.id) for key in keys_of(self.desk, name)]
        noun = await self.desk.remove("provider", name, PROVIDER, *keys)
        return answer(provider_object(noun, {"provider_status": "deleted"}))

    def all_keys(self) -> Response:
        nouns = self.desk.all("key")
        told = [
            {"id": key.id, "name": key.body.get("name"), "provider": key.body.get("provider")}
            for key in page_of(request.args, limit=1000).of(nouns)
        ]
        return answer({"keys": told, "total": len(nouns)})


@attrs.frozen
class _Keys:
    """Keys of a provider."""

    desk: Desk
    standing: Standing
    new_id: Callable[[], str]

    async def tell(self, noun: Noun) -> Response:
        return answer(await self._object(noun), noun=noun)

    async def _object(self, noun: Noun) -> dict[str, Any]:
        provider = str(noun.body.get("provider"))
        return key_object(noun, await self.standing.of_key(provider, noun.id))

    def get(self, provider: str, key_id: str) -> Noun:
        self.desk.get("provider", provider, PROVIDER)
        noun = self.desk.get("key", key_id, KEY)
        if noun.body.get("provider") != provider:
            return self.desk.get("key", "", KEY)
        return noun

    async def list_all(self, provider: str) -> Response:
        self.desk.get("provider", provider, PROVIDER)
        nouns = keys_of(self.desk, provider)
        told = [await self._object(noun) for noun in page_of(request.args).of(nouns)]
        return answer({"keys": told, "total": len(nouns)})

    async def create(self, provider: str) -> Response:
        of_provider = self.desk.get("provider", provider, PROVIDER).body
        sent = await read_object()
        key_id, body = _new_key(provider, sent, of_provider, self.new_id)
        return await self.tell(await self.desk.create("key", key_id, body, what=KEY))

    async def put(self, provider: str, key_id: str) -> Response:
        self.get(provider, key_id)
        sent = await read_object()

        def make(present: Noun) -> dict[str, Any]:
            body = key_body(provider, key_id, sent, present.body)
            refuse_blank(provider, self.desk.get("provider", provider, PROVIDER).body, body)
            return body

        return await self.tell(await self.desk.amend("key", key_id, KEY, make))

    async def delete(self, provider: str, key_id: str) -> Response:
        self.get(provider, key_id)
        noun = await self.desk.remove("key", key_id, KEY)
        return answer(key_object(noun, {}))


def keys_of(desk: Desk, provider: str) -> tuple[Noun, ...]:
    """The keys of a provider, in the order of their making."""
    return tuple(noun for noun in desk.all("key") if noun.body.get("provider") == provider)


def _new_key(
    provider: str,
    sent: Mapping[str, Any],
    of_provider: Mapping[str, Any],
    new_id: Callable[[], str],
    at: str = "",
) -> tuple[str, dict[str, Any]]:
    """The id and the body of a key that the request has ``at`` this member. Raises BadRequest."""
    key_id = sent.get("id") or new_id()
    if not isinstance(key_id, str):
        path = joined(at, "id")
        raise BadRequest(f"{path}: has to be a text", param=path)
    with refusals_told(within("key", at)):
        body = key_body(provider, key_id, {**sent, "id": key_id}, {})
        refuse_blank(provider, of_provider, body)
    return key_id, body


def _name_in(sent: dict[str, Any]) -> str:
    """Whose object it is. Raises BadRequest."""
    names = [sent.pop(member) for member in ("provider", "name") if member in sent]
    name = names[0] if names else None
    if not isinstance(name, str) or not name.strip():
        raise BadRequest("provider: has to be the provider's name", param="provider")
    return name.strip().lower()
