"""The model list: what the keys of all providers may use, merged into one list in either surface's shape."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from bifrost.codecs.json import dumps, loads
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bifrost.config.settings import KeySettings

__all__ = ["Model", "find", "merge", "native_page", "of_key", "openai_list", "openai_model"]

Model = dict[str, object]
"""One entry: its ``id``, and whatever else is known of it."""

MAX_TOKEN = 4096

_DATE = re.compile(
    r"[-@]("
    r"20\d\d-\d\d-\d\d|20\d\d[01]\d[0-3]\d"
    r"|(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
    r"|2[3-9](0[1-9]|1[0-2])"
    r")$"
)
"""A version at the end of a model's name: ``-2024-08-06``, ``-20250514``, ``@20250514``, ``-0613``, ``-2407``."""


def of_key(provider: str, key: KeySettings, listed: Iterable[Model]) -> list[Model]:
    """The models of one key: what its provider listed, within what the key may serve, under the gateway's names.

    Names that the key's allow-list has and the provider did not report are added; a deployment appears under its alias.
    A denied name also hides other dates of the same model.
    """
    reported = {str(m["id"]): m for m in listed if isinstance(m.get("id"), str) and m["id"]}
    denied = {*key.blacklisted_models, *map(_base, key.blacklisted_models)}
    return [
        _entry(provider, name, reported.get(name, {}), key)
        for name in _served(key, tuple(reported))
        if name not in denied and _base(name) not in denied
    ]


def _served(key: KeySettings, reported: tuple[str, ...]) -> tuple[str, ...]:
    """Names that the key's configuration lets through, each once."""
    names = key.models or tuple(key.deployments)
    if "*" in names:
        names = (*reported, *key.deployments)
        if key.model_name:
            names = (key.model_name,)
    elif key.model_name:
        names = tuple(name for name in names if name == key.model_name)
    if key.deployments and (key.azure or key.bedrock or key.vertex or key.replicate):
        # These serve what is deployed and nothing else.
        names = tuple(name for name in names if name in key.deployments)
    return tuple(dict.fromkeys(names))


def _entry(provider: str, name: str, reported: Model, key: KeySettings) -> Model:
    entry = {**reported, "id": f"{provider}/{name}"}
    if name in key.deployments:
        entry["deployment"] = key.deployments[name]
    return entry


def _base(name: str) -> str:
    return _DATE.sub("", name)


def merge(lists: Iterable[Iterable[Model]]) -> list[Model]:
    """All of them once, sorted by id; the first to name a model describes it."""
    found: dict[str, Model] = {}
    for models in lists:
        for model in models:
            found.setdefault(str(model["id"]), model)
    return [found[name] for name in sorted(found)]


def openai_model(model: Model) -> Model:
    """One entry as OpenAI's SDKs read it: every member of theirs, and what else the provider said."""
    owner = model.get("owned_by")
    return {
        **model,
        "object": "model",
        "created": _created(model.get("created")),
        "owned_by": owner if isinstance(owner, str) and owner else _provider(model),
    }


def _created(value: object) -> int:
    """Unix seconds; 0 for a time that the provider does not tell, or tells in words."""
    if isinstance(value, float) and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _provider(model: Model) -> str:
    return str(model["id"]).partition("/")[0]


def openai_list(models: Iterable[Model]) -> Model:
    """OpenAI's list object."""
    return {"object": "list", "data": [openai_model(model) for model in models]}


def find(models: Iterable[Model], wanted: str) -> Model | None:
    """The first model whose id is ``wanted``, or ``wanted`` of provider ``openai``."""
    return next((m for m in models if m["id"] in {wanted, f"openai/{wanted}"}), None)


def native_page(models: Sequence[Model], page_size: str | None, page_token: str | None) -> Model:
    """The native shape: a page of ``models``, with the token of the next; all of them where no size is asked for.

    A token made for a list that has changed since starts again at the beginning; one past the end gives an empty page.
    Raises BadRequest.
    """
    size = _size(page_size) or max(1, len(models))
    start = _start(models, page_token)
    page = list(models[start : start + size])
    answer: Model = {"data": page}
    if start + size < len(models):
        token = dumps({"o": start + size, "l": page[-1]["id"]})
        answer["next_page_token"] = base64.urlsafe_b64encode(token).decode()
    return answer


def _size(page_size: str | None) -> int:
    if not page_size:
        return 0
    if not (page_size.isascii() and page_size.isdigit() and len(page_size) < 10):
        raise BadRequest("page_size must be a whole number of at least 0", param="page_size")
    return int(page_size)


def _start(models: Sequence[Model], page_token: str | None) -> int:
    if not page_token:
        return 0
    offset, last = _read_token(page_token)
    if 0 < offset <= len(models) and models[offset - 1]["id"] != last:
        return 0
    return offset


def _read_token(page_token: str) -> tuple[int, object]:
    try:
        token = loads(base64.urlsafe_b64decode(page_token[:MAX_TOKEN].encode()))
        offset, last = token["o"], token["l"]
    except (ValueError, TypeError, LookupError) as error:
        raise BadRequest("invalid page_token", param="page_token") from error
    if type(offset) is not int or offset < 0:
        raise BadRequest("invalid page_token", param="page_token")
    return offset, last
