"""The desk that every management route stands on: bodies taken in, nouns looked up and changed, refusals told, answers made.

A change without ``If-Match`` is merged into what is there when it is written: if somebody else was faster, it is merged anew.
With ``If-Match`` it is refused then (409), with the version that is there.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import trio
from quart import Response, request

from bifrost.codecs.coding import CodingError, DecodedTooLarge, decode_whole
from bifrost.codecs.json import InvalidJSON, dumps, loads
from bifrost.config.faults import ConfigError, ConfigErrors, nearest
from bifrost.config.nouns import ANY, NONE, Change, Noun, Put, Remove, claims
from bifrost.errors import BadRequest, BodyTooLarge, ErrorClass, GatewayError, RouteNotFound
from bifrost.management.steward import Steward
from bifrost.store.base import StoreError, StoreFull
from bifrost.store.config_base import StoreConflict, StoreTaken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "MAX_BODY_BYTES",
    "Desk",
    "Page",
    "already_there",
    "answer",
    "etag",
    "flag",
    "invalid",
    "joined",
    "leads_into",
    "not_found",
    "page_of",
    "put_of",
    "read_object",
    "refusals_told",
    "refuse_unknown",
    "within",
]

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Of a management request. A noun has at most 1 MiB."""

READ_S = 60.0

TRIES = 5
"""Of a merge, while others keep changing the same noun."""

RETRY_S = 5.0
"""When to come back after the store was away."""

MAX_PAGE = 1000

T = TypeVar("T")

Body = dict[str, Any]

_VERSION = re.compile(r'(?:W/)?"(\d{1,18})"')

_PLACES: Mapping[str, str] = {
    "client": r"client",
    "provider": r"providers(\.[\w$-]+|\['[^']*'\])",
    "key": r"providers(\.[\w$-]+|\['[^']*'\])\.keys\[\d+\]",
    "virtual_key": r"governance\.virtual_keys\[\d+\]",
    "team": r"governance\.teams\[\d+\]",
    "customer": r"governance\.customers\[\d+\]",
    "model_config": r"governance\.model_configs\[\d+\]",
    "provider_limit": r"governance\.providers\[\d+\]",
    "routing_rule": r"governance\.routing_rules\[\d+\]",
    "pricing_override": r"governance\.pricing_overrides\[\d+\]",
    "plugin": r"plugins\[\d+\]",
    "framework": r"framework",
    "auth": r"(governance\.)?auth_config",
}
"""Where a noun of each kind stands in the whole document."""

_SPELLINGS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "pricing_override": (re.compile(r"^pricing_patch\b"), "patch"),
    # What is wrong with a provider's own place is its name.
    "provider": (re.compile(r"^$"), "provider"),
    "framework": (re.compile(r"^pricing\.(?=pricing_(url|sync_interval)$)"), ""),
}
"""Members that requests call otherwise than the document."""

_NOTHING = re.compile(r"(?!)")


# Taking in


async def read_object() -> Body:
    """The request's body, a JSON object. Raises BadRequest (``Invalid JSON``), BodyTooLarge.

    It may be packed; nothing larger than ``MAX_BODY_BYTES`` is held, packed or not.
    """
    try:
        value = loads(await _read())
    except InvalidJSON:
        raise BadRequest("Invalid JSON") from None
    if not isinstance(value, dict):
        raise BadRequest("Invalid JSON: the body has to be an object")
    return value


async def _read() -> bytes:
    body = b""
    with trio.move_on_after(READ_S) as scope:
        async for part in request.body:
            body += part
            if len(body) > MAX_BODY_BYTES:
                raise _too_large()
    if scope.cancelled_caught:
        raise BadRequest("timed out while reading the request body", status=408)
    coding = request.headers.get("content-encoding", "")
    if not coding:
        return body
    try:
        return decode_whole(coding, body, MAX_BODY_BYTES)
    except DecodedTooLarge:
        raise _too_large() from None
    except CodingError as error:
        raise BadRequest(f"invalid compressed request body: {error}") from None


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"request body exceeds max allowed size of {MAX_BODY_BYTES} bytes")


def refuse_unknown(body: Iterable[str], known: Sequence[str], path: str = "") -> None:
    """Raise BadRequest for the members that are none of ``known``."""
    errors = [
        ConfigError(f"{path}.{name}" if path else name, "an unknown key", ", ".join(known), like)
        for name in body
        if name not in known
        for like in (nearest(name, known),)
    ]
    if errors:
        raise invalid(errors)


@attrs.frozen
class Page:
    """A part of a list."""

    limit: int
    offset: int

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """The part itself."""
        return items[self.offset : self.offset + self.limit]


def page_of(args: Mapping[str, str], *, limit: int = 100, most: int = MAX_PAGE) -> Page:
    """``limit`` and ``offset`` of a query. Raises BadRequest."""
    return Page(_whole(args, "limit", limit, 1, most), _whole(args, "offset", 0, 0, 10**9))


def _whole(args: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = args.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not low <= int(text) <= high:
        raise BadRequest(f"{name}: has to be a whole number from {low} to {high}", param=name)
    return int(text)


def flag(args: Mapping[str, str], name: str) -> bool:
    """A ``true`` or ``false`` of a query, which is not there for false. Raises BadRequest."""
    text = args.get(name, "").lower()
    if text not in {"", "true", "false", "1", "0"}:
        raise BadRequest(f"{name}: has to be true or false", param=name)
    return text in {"true", "1"}


# Refusals


def not_found(what: str) -> BadRequest:
    """404: ``Virtual key not found``."""
    return RouteNotFound(f"{what} not found")


def already_there(what: str) -> BadRequest:
    """409: ``Provider already exists``."""
    return BadRequest(f"{what} already exists", status=409, code="already_exists")


def put_of(kind: str, noun_id: str, body: Body, expected: int | None) -> Put:
    """A change that has all the claims of its body."""
    return Put(kind=kind, id=noun_id, body=body, expected=expected, unique=claims(kind, body))


Place = Callable[[str], str]
"""Of a path in the document, or in the body of a noun: where that is in the body of the request."""


def invalid(errors: Iterable[ConfigError], place: Place | None = None) -> BadRequest:
    """400: what is wrong, a line each."""
    told = [
        attrs.evolve(error, path=place(error.path) if place else error.path) for error in errors
    ]
    param = told[0].path if len(told) == 1 and told[0].path else None
    return BadRequest("\n".join(map(str, told)), code="invalid_configuration", param=param)


def within(kind: str, at: str = "") -> Place:
    """For a request whose body is a noun of this kind, or has it ``at`` a member. What is wrong elsewhere stays where it is."""
    spelling, told = _SPELLINGS.get(kind, (_NOTHING, ""))

    def place(path: str) -> str:
        return joined(at, spelling.sub(told, _leading(kind).sub("", path)))

    return place


def leads_into(kind: str, path: str) -> bool:
    """Whether a path in the document is one in a noun of this kind."""
    return _leading(kind).match(path) is not None


@functools.cache
def _leading(kind: str) -> re.Pattern[str]:
    return re.compile(rf"^{_PLACES[kind]}(\.|(?=\[)|$)")


def joined(at: str, path: str) -> str:
    """``path`` inside of what is ``at`` a path."""
    is_bare = not at or not path or path.startswith("[")
    return f"{at}{path}" if is_bare else f"{at}.{path}"


@contextmanager
def refusals_told(place: Place | None = None) -> Iterator[None]:
    """What the steward refuses inside, as the errors that a caller sees. Raises BadRequest (400, 409) and GatewayError (503)."""
    try:
        yield
    except ConfigErrors as error:
        raise invalid(error.errors, place) from None
    except StoreConflict as error:
        raise _other_version(error) from None
    except StoreTaken as error:
        raise BadRequest(str(error), status=409, code="already_exists") from None
    except StoreFull as error:
        raise BadRequest(str(error), code="store_full") from None
    except StoreError:
        raise _away() from None


def _other_version(error: StoreConflict) -> BadRequest:
    return BadRequest(str(error), status=409, code="version_conflict")


def _away() -> GatewayError:
    return GatewayError(
        "config store not available",
        status=503,
        code="store_unavailable",
        retry_after_s=RETRY_S,
        error_class=ErrorClass.OVERLOADED,
    )


# Answers


def answer(value: object, status: int = 200, *, noun: Noun | None = None) -> Response:
    """A JSON answer; with the version of the noun that it is about."""
    told = Response(dumps(value), status, content_type="application/json")
    told.headers["cache-control"] = "no-store"
    if noun is not None:
        told.headers["etag"] = etag(noun)
    return told


def etag(noun: Noun) -> str:
    """The noun's version as HTTP writes it."""
    return f'"{noun.version}"'


# The desk


@attrs.frozen
class Desk:
    """What routes do with the steward. Everything raises GatewayError only."""

    steward: Steward

    def all(self, kind: str) -> tuple[Noun, ...]:
        """Those of a kind, in the order of their making."""
        self._refuse_unread()
        return self.steward.all(kind)

    def find(self, kind: str, noun_id: str) -> Noun | None:
        """The noun, if it is there."""
        self._refuse_unread()
        return self.steward.get(kind, noun_id)

    def get(self, kind: str, noun_id: str, what: str) -> Noun:
        """The noun; raises 404, ``<what> not found``."""
        noun = self.find(kind, noun_id)
        if noun is None:
            raise not_found(what)
        return noun

    def _refuse_unread(self) -> None:
        """The store was away from the start: what there is nobody knows."""
        keeper = self.steward.keeper
        if keeper is not None and keeper.latest is None:
            raise _away()

    async def change(self, kind: str, changes: Sequence[Change]) -> tuple[Noun, ...]:
        """Make all the changes or none; the nouns that were put. ``kind`` is what the request is about."""
        self._refuse_unread()
        with refusals_told(within(kind)):
            for each in changes:
                if isinstance(each, Put):
                    self._refuse_taken(each)
            return await self.steward.change(changes)

    def _refuse_taken(self, put: Put) -> None:
        """What must be one noun's alone is looked for first: the whole configuration would call it a mistake of the file's."""
        wanted = frozenset(put.unique)
        for noun in self.steward.all(put.kind):
            if noun.id == put.id:
                continue
            if taken := wanted.intersection(claims(noun.kind, noun.body)):
                raise StoreTaken(min(taken), noun.kind, noun.id)

    async def create(
        self, kind: str, noun_id: str, body: Body, *more: Change, what: str = "It"
    ) -> Noun:
        """Make a noun, and ``more`` changes with it. Raises 409, ``<what> already exists``."""
        if self.find(kind, noun_id) is not None:
            raise already_there(what)
        return (await self.change(kind, [put_of(kind, noun_id, body, NONE), *more]))[0]

    async def amend(self, kind: str, noun_id: str, what: str, make: Callable[[Noun], Body]) -> Noun:
        """Put the body that ``make`` gives of the present noun. Raises 404, 409 for ``If-Match``.

        ``make`` may raise ConfigErrors. It is called again if somebody else has changed the noun meanwhile.
        """

        def of_present(noun: Noun | None) -> Body:
            if noun is None:
                raise not_found(what)
            return make(noun)

        return await self.put(kind, noun_id, of_present)

    async def put(self, kind: str, noun_id: str, make: Callable[[Noun | None], Body]) -> Noun:
        """The same for a noun that need not be there yet; ``make`` is given ``None`` then."""
        with refusals_told(within(kind)):
            for tries_left in reversed(range(TRIES)):
                noun = self.find(kind, noun_id)
                is_bound = self._refuse_other_version(kind, noun_id, noun)
                put = put_of(kind, noun_id, make(noun), noun.version if noun else NONE)
                self._refuse_taken(put)
                try:
                    return (await self.steward.change([put]))[0]
                except StoreConflict:
                    if is_bound or not tries_left:
                        raise
        raise AssertionError("the last try raises or returns")

    async def remove(self, kind: str, noun_id: str, what: str, *more: Change) -> Noun:
        """Take a noun away, and make ``more`` changes with it; what it was. Raises 404, 409 for ``If-Match``."""
        noun = self.get(kind, noun_id, what)
        is_bound = self._refuse_other_version(kind, noun_id, noun)
        expected = noun.version if is_bound else ANY
        await self.change(kind, [*more, Remove(kind=kind, id=noun_id, expected=expected)])
        return noun

    def _refuse_other_version(self, kind: str, noun_id: str, noun: Noun | None) -> bool:
        """Whether the request is for a certain version only. Raises 409 if that is not the present one."""
        wanted = request.headers.get("if-match", "").strip()
        if wanted == "" or (wanted == "*" and noun is not None):
            return False
        versions = {int(each) for each in _VERSION.findall(wanted)}
        if noun is None or noun.version not in versions:
            present = None if noun is None else noun.version
            raise _other_version(StoreConflict(kind, noun_id, present))
        return True
