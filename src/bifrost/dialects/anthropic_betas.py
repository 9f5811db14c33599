"""Which features of a Messages request have to be asked for in ``anthropic-beta``, and what of that is sent.

Source: Anthropic API reference, "Beta headers", and the pages of the features, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BETAS_OF", "betas_of", "joined_betas"]

Body = Mapping[str, Any]

ADVANCED = ("defer_loading", "input_examples", "allowed_callers")

_DATE = re.compile(r"-20\d\d-\d\d-\d\d$")


def _tools(body: Body) -> Iterable[Mapping[str, Any]]:
    return (tool for tool in body.get("tools") or () if isinstance(tool, dict))


def _has_tool(prefix: str) -> Callable[[Body], bool]:
    return lambda body: any(str(tool.get("type")).startswith(prefix) for tool in _tools(body))


def _edits(prefix: str) -> Callable[[Body], bool]:
    def found(body: Body) -> bool:
        managed = body.get("context_management")
        edits = managed.get("edits") if isinstance(managed, dict) else None
        told = edits if isinstance(edits, list) else ()
        return any(isinstance(e, dict) and str(e.get("type")).startswith(prefix) for e in told)

    return found


def _thinks(body: Body) -> bool:
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def _is_advanced(body: Body) -> bool:
    return any(tool.get(name) is not None for tool in _tools(body) for name in ADVANCED)


def _is_scoped(body: Body) -> bool:
    return any(_has(mark.get("cache_control"), "scope") for mark in _marked(body))


def _has_files(body: Body) -> bool:
    return any(_has(block.get("source"), "file_id") for block in _blocks(body))


def _has(value: object, name: str) -> bool:
    return isinstance(value, dict) and value.get(name) is not None


def _marked(body: Body) -> Iterator[Mapping[str, Any]]:
    yield body
    yield from _tools(body)
    system = body.get("system")
    yield from system if isinstance(system, list) else ()
    yield from _blocks(body)


def _blocks(body: Body) -> Iterator[Mapping[str, Any]]:
    for message in body.get("messages") or ():
        for block in message["content"]:
            yield block
            inner = block.get("content")
            if isinstance(inner, list):
                yield from (item for item in inner if isinstance(item, dict))


BETAS_OF: Mapping[str, Callable[[Body], bool]] = MappingProxyType(
    {
        "computer-use-2025-01-24": _has_tool("computer_20250124"),
        "computer-use-2025-11-24": _has_tool("computer_20251124"),
        "structured-outputs-2025-11-13": lambda body: any(t.get("strict") for t in _tools(body)),
        "advanced-tool-use-2025-11-20": _is_advanced,
        "mcp-client-2025-11-20": lambda body: bool(body.get("mcp_servers")),
        "prompt-caching-scope-2026-01-05": _is_scoped,
        "compact-2026-01-12": _edits("compact_"),
        "context-management-2025-06-27": _edits("clear_"),
        "files-api-2025-04-14": _has_files,
        "interleaved-thinking-2025-05-14": _thinks,
        "fast-mode-2026-02-01": lambda body: body.get("speed") == "fast",
    }
)
"""Features, and how it is seen that a body made by us uses them."""


def betas_of(body: Body, without: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The features that ``body``, a Messages request of ours, uses; those that a host has not are left out."""
    return tuple(name for name, uses in BETAS_OF.items() if name not in without and uses(body))


def joined_betas(told: Iterable[str], ours: Iterable[str], overrides: Mapping[str, bool]) -> str:
    """The header's value: what operator and caller have ``told`` (each perhaps a list), then ``ours`` that they have not.

    Another version of the same feature in ``told`` counts. ``overrides`` say by a beginning what is sent and what is
    not; the longest counts.
    """
    theirs = [name for value in told for item in value.split(",") if (name := item.strip())]
    known = {_feature(name) for name in theirs}
    every = dict.fromkeys((*theirs, *(name for name in ours if _feature(name) not in known)))
    return ",".join(name for name in every if _is_sent(name, overrides))


def _feature(name: str) -> str:
    return _DATE.sub("", name)


def _is_sent(name: str, overrides: Mapping[str, bool]) -> bool:
    found = [prefix for prefix in overrides if name.startswith(prefix)]
    return overrides[max(found, key=len)] if found else True
