"""The requests that stand in a batch itself (``requests``), each said in the dialect of whoever is to answer it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from bifrost.codecs import json
from bifrost.dialects.objects import COMPLETION_WINDOW, ENDPOINT
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import BadRequest
from bifrost.schema.call import Call, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bifrost.config.settings import KeySettings
    from bifrost.dialects.objects import Wanted

__all__ = [
    "BatchRequest",
    "Batched",
    "batched",
    "check_endpoint",
    "inline_requests",
    "lost_members",
    "own_model",
]

MAX_REQUESTS = 100_000
MAX_CUSTOM_ID = 256

KNOWN = frozenset({"requests", "input_file_id", "endpoint", "completion_window", "model"})
"""Members of a batch that are read, or that say what is done anyhow."""

NO_URLS: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class BatchRequest:
    """One request of a batch. ``place`` is where it stands (``requests[3]``)."""

    custom_id: str
    place: str
    body: bytes = attrs.field(repr=False)
    is_native: bool
    """Whether ``body`` is in the provider's own dialect."""


@attrs.frozen(kw_only=True)
class Batched:
    """A request as the provider is to have it."""

    custom_id: str
    model: str
    sent: Encoded


def inline_requests(raw: bytes, native_urls: Collection[str] = NO_URLS) -> Iterator[BatchRequest]:
    """The items of ``requests``, one by one.

    ``params`` are in the provider's own dialect, and so is a ``body`` for one of ``native_urls``; any other is a chat
    request of OpenAI's. Raises BadRequest with the place of what is wrong.
    """
    try:
        items = json.split_array(raw)
    except json.InvalidJSON:
        raise BadRequest("requests must be an array", param="requests") from None
    if not items:
        raise BadRequest("requests must not be empty", param="requests")
    if len(items) > MAX_REQUESTS:
        raise BadRequest(f"requests must have at most {MAX_REQUESTS} items", param="requests")
    seen: set[str] = set()
    for index, item in enumerate(items):
        request = _request(item, f"requests[{index}]", native_urls)
        if request.custom_id in seen:
            raise BadRequest(
                f"{request.place}.custom_id stands twice: {request.custom_id[:64]!r}",
                param=f"{request.place}.custom_id",
            )
        seen.add(request.custom_id)
        yield request


def _request(item: bytes, place: str, native_urls: Collection[str]) -> BatchRequest:
    try:
        members = json.split_object(item)
    except json.InvalidJSON:
        raise BadRequest(f"{place} must be an object", param=place) from None
    custom_id = _text(members, "custom_id", place)
    if not 0 < len(custom_id) <= MAX_CUSTOM_ID:
        at = f"{place}.custom_id"
        raise BadRequest(f"{at} must be a string of 1 to {MAX_CUSTOM_ID} characters", param=at)
    url = _text(members, "url", place) or ENDPOINT
    if _text(members, "method", place).upper() not in {"", "POST"}:
        raise BadRequest(f"{place}.method must be POST", param=f"{place}.method")
    if "params" in members:
        return BatchRequest(
            custom_id=custom_id, place=place, body=members["params"], is_native=True
        )
    if url not in {ENDPOINT, *native_urls}:
        urls = " or ".join((ENDPOINT, *native_urls))
        raise BadRequest(f"{place}.url must be {urls} for this provider", param=f"{place}.url")
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
    place = f"{request.place}.{'params' if request.is_native else 'body'}"
    try:
        members = json.split_object(request.body)
    except json.InvalidJSON:
        raise BadRequest(f"{place} must be an object", param=place) from None
    named = _text(members, "model", place).removeprefix(f"{wanted.provider}/") or default_model
    if not named:
        raise BadRequest(f"{place}.model is required", param=f"{place}.model")
    _check_model(named, wanted.key, place)
    model = wanted.key.deployments.get(named, named)
    members.pop("stream", None)
    members.pop("stream_options", None)
    if request.is_native:
        sent = Encoded(json.join_object({**members, "model": json.dumps(model)}))
        return Batched(custom_id=request.custom_id, model=model, sent=sent)
    one = attrs.evolve(
        wanted.call,
        operation=Operation.CHAT,
        stream=False,
        members=members,
        relay=None,
        native=None,
    )
    try:
        sent = encode(one, model, wanted.provider)
    except BadRequest as error:
        param = f"{place}.{error.param}" if error.param else place
        raise BadRequest(f"{place}: {error.message}", param=param) from None
    return Batched(custom_id=request.custom_id, model=model, sent=sent)


def _check_model(model: str, key: KeySettings, place: str) -> None:
    """A key serves its own models only, one by one or many at once."""
    allowed = key.models or tuple(key.deployments)
    if model in key.blacklisted_models or ("*" not in allowed and model not in allowed):
        text = f"{place}.model: the key of this batch does not serve {model[:64]}"
        raise BadRequest(text, param=f"{place}.model")


def own_model(members: dict[str, bytes], wanted: Wanted) -> str:
    """The model that the batch itself names, for requests that name none; ``""`` if it does not."""
    return _text(members, "model", "batch").removeprefix(f"{wanted.provider}/")


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
