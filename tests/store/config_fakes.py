"""What tests of the configuration store share: nouns to put, and both engines, SQLite always and Postgres where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bifrost.config.nouns import ANY, NONE, Put, Remove

if TYPE_CHECKING:
    from bifrost.store.config_base import Loaded

__all__ = ["NOW_S", "bodies", "put", "remove"]

NOW_S = 1_700_000_000.0


def put(noun_id: str, expected: int | None = NONE, kind: str = "team", **more: Any) -> Put:
    body = more.pop("body", {"id": noun_id, "name": f"the {noun_id}"})
    return Put(kind=kind, id=noun_id, body=body, expected=expected, **more)


def remove(
    noun_id: str, expected: int | None = ANY, kind: str = "team", *, for_good: bool = False
) -> Remove:
    return Remove(kind=kind, id=noun_id, expected=expected, for_good=for_good)


def bodies(loaded: Loaded) -> dict[str, object]:
    return {noun.id: noun.body for noun in loaded.nouns}
