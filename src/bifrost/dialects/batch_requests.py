"""The requests that stand in a batch itself (``requests``), each said in the dialect of whoever is to answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_incoming import read_messages
from bifrost.dialects.objects import COMPLETION_WINDOW, ENDPOINT
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Dialect, Native, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from bifrost.config.settings import KeySettings
    from bifrost.dialects.objects import Wanted

__all__ = [
    "BatchRequest",
    "Batched",
    "batched",
    "check_endpoint",
    "check_model",
    "inline_requests",
    "lost_members",
    "named_model",
    "own_model",
]

MAX_REQUESTS = 100_000
MAX_CUSTOM_ID = 256

KNOWN = frozenset({"requests", "input_file_id", "endpoint", "completion_window", "model"})
"""Members of a batch that are read, or that say what is done anyhow."""

NO_URLS: frozenset[str] = frozenset()
CHAT_ONLY = (ENDPOINT,)


@attrs.frozen(kw_only=True)
class BatchRequest:
    """One request of a batch. ``place`` is where it stands (``requests[3]``)."""

    custom_id: str
    place: str
    body: bytes = attrs.field(repr=False)
    is_native: bool
    """Whether ``body`` is in the provider's own dialect."""
    is_messages: bool = False
    """Whether it is in Anthropic's, and the provider's is another."""

    @property
    def member(self) -> str:
        """Where ``body`` stands in it."""
        return "params" if self.is_native or self.is_messages else "body"


@attrs.frozen(kw_only=True)
class Batched:
    """A request as the provider is to have it."""

    custom_id: str
    model: str
    sent: Encoded


def inline_requests(
    raw: bytes,
    native_urls: Collection[str] = NO_URLS,
    dialect: Dialect = Dialect.OPENAI,
    urls: Sequence[str] = CHAT_ONLY,
    most: int = MAX_REQUESTS,
) -> Iterator[BatchRequest]:
    """The items of ``requests``, one by one.

    ``params`` are in the provider's own dialect, and so is a ``body`` for one of ``native_urls``; any other is a
    request of OpenAI's for one of ``urls``, of which the first is meant where none is told. Of a caller whose ``dialect``
    is Anthropic's, ``params`` are Messages. There may be ``most`` of them.
    Raises BadRequest with the place of what is wrong.
    """
    try:
        items = json.split_array(raw)
    except json.InvalidJSON:
        raise BadRequest("requests must be an array", param="requests") from None
    if not items:
        raise BadRequest("requests must not be empty", param="requests")
    if len(items) > most:
        raise BadRequest(f"requests must have at most {most} items", param="requests")
    seen: set[str] = set()
    for index, item in enumerate(items):
        request = _request(item, f"requests[{index}]", native_urls, dialect, urls)
        if request.custom_id in seen:
            raise BadRequest(
                f"{request.place}.custom_id stands twice: {request.custom_id[:64]!r}",
                param=f"{request.place}.custom_id",
            )
        seen.add(request.custom_id)
        yield request


def _request(
    item: bytes, place: str, native_urls: Collection[str], dialect: Dialect, urls: Sequence[str]
) -> BatchRequest:
    try:
        members = json.split_object(item)
    except json.InvalidJSON:
        raise BadRequest(f"{place} must be an object", param=place) from None
    custom_id = _text(members, "custom_id", place)
    if not 0 < len(custom_id) <= MAX_CUSTOM_ID:
        at = f"{place}.custom_id"
        raise BadRequest(f"{at} must be a string of 1 to {MAX_CUSTOM_ID} characters", param=at)
    url = _text(members, "url", place) or urls[0]
    if _text(members, "method", place).upper() not in {"", "POST"}:
        raise BadRequest(f"{place}.method must be POST", param=f"{place}.method")
    if "params" in members:
        is_messages = dialect is Dialect.ANTHROPIC
        return BatchRequest(
            custom_id=custom_id,
            place=place,
            body=members["params"],
            is_native=not is_messages,
            is_messages=is_messages,
        )
    if url not in {*urls, *native_urls}:
        known = " or ".join((*urls, *native_urls))
        raise BadRequest(f"{place}.url must be {known} for this batch", param=f"{place}.url")
    if "body" not in members:
        raise BadRequest(f"{place} must have body or params", param=place)
    return BatchRequest(
        custom_id=custom_id, place=place, body=members["body"], is_native=url in native_urls
    )


def _text(members: dict[str, bytes], name: str, place: str) -> str:
    """The text ``name``; ``""`` if it is not there."""
    value = json.loads(members.get(name, b"null"))
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{place}.{name} must be a string", param=f"{place}.{name}")
    return value


def batched(
    request: BatchRequest,
    wanted: Wanted,
    encode: Callable[[Call, str, str], Encoded],
    default_model: str,
) -> Batched:
    """``request`` by ``encode``, a coder's, for the model that it names, or else for ``default_model``.

    Raises BadRequest with the place.
    """
    place = f"{request.place}.{request.member}"
    try:
        members = json.split_object(request.body)
    except json.InvalidJSON:
        raise BadRequest(f"{place} must be an object", param=place) from None
    named = named_model(_text(members, "model", place), wanted) or default_model
    if not named:
        raise BadRequest(f"{place}.model is required", param=f"{place}.model")
    check_model(named, wanted.key, place)
    model = wanted.key.deployments.get(named, named)
    members.pop("stream", None)
    members.pop("stream_options", None)
    if request.is_native:
        sent = Encoded(json.join_object({**members, "model": json.dumps(model)}))
        return Batched(custom_id=request.custom_id, model=model, sent=sent)
    try:
        sent = encode(_single(request, wanted.call, members), model, wanted.provider)
    except BadRequest as error:
        param = f"{place}.{error.param}" if error.param else place
        raise BadRequest(f"{place}: {error.message}", param=param) from None
    return Batched(custom_id=request.custom_id, model=model, sent=sent)


def _single(request: BatchRequest, call: Call, members: dict[str, bytes]) -> Call:
    """What ``request`` would be if it had come alone. Raises BadRequest."""
    one = attrs.evolve(
        call, operation=Operation.CHAT, stream=False, members=members, relay=None, native=None
    )
    if not request.is_messages:
        return one
    incoming = read_messages(members)
    native = Native(dialect=Dialect.ANTHROPIC, members=members)
    return attrs.evolve(one, members=incoming.members, lost=incoming.lost, native=native)


def check_model(model: str, key: KeySettings, place: str) -> None:
    """Raise BadRequest unless ``key`` serves ``model``: its own only, one by one or many at once."""
    allowed = key.models or tuple(key.deployments)
    if model in key.blacklisted_models or ("*" not in allowed and model not in allowed):
        text = f"{place}.model: the key of this batch does not serve {model[:64]}"
        raise BadRequest(text, param=f"{place}.model")


def own_model(members: dict[str, bytes], wanted: Wanted) -> str:
    """The model that the batch itself names, for requests that name none; ``""`` if it does not."""
    return named_model(_text(members, "model", "batch"), wanted)


def named_model(name: str, wanted: Wanted) -> str:
    """``name`` without the provider's own before it."""
    return name.removeprefix(f"{wanted.provider}/")


def check_endpoint(members: dict[str, bytes], native_urls: Collection[str] = NO_URLS) -> None:
    """Raise BadRequest unless the batch's ``endpoint`` is one that requests are converted for."""
    endpoint = json.loads(members.get("endpoint", b"null"))
    if endpoint is not None and endpoint not in {ENDPOINT, *native_urls}:
        urls = " or ".join((ENDPOINT, *native_urls))
        raise BadRequest(f"endpoint must be {urls} for this provider", param="endpoint")


def lost_members(members: dict[str, bytes], used: Collection[str] = ()) -> tuple[str, ...]:
    """What a batch asks besides that a foreign provider has no word for."""
    window = json.loads(members.get("completion_window", b"null"))
    lost = [n for n, raw in members.items() if n not in {*KNOWN, *used} and raw != b"null"]
    return (*lost, *(["completion_window"] if window not in (None, COMPLETION_WINDOW) else []))
