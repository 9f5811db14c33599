"""What the installed ``openai`` package asks for: each of its methods with its route, read from its source."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Route", "routes", "routes_of"]

VERBS = {
    "_get": "GET",
    "_get_api_list": "GET",
    "_post": "POST",
    "_put": "PUT",
    "_patch": "PATCH",
    "_delete": "DELETE",
}

PLACEHOLDER = re.compile(r"\{\w+\}")


@attrs.frozen(order=True)
class Route:
    """One place where the SDK sends a request."""

    shape: str
    """The path below ``/v1``, without query, ``{id}`` for each name in it."""
    method: str
    sdk_name: str
    """``vector_stores.files.create``: what stands after ``client.``."""


def routes() -> list[Route]:
    """All routes of the installed package, sorted."""
    spec = importlib.util.find_spec("openai")
    assert spec is not None
    assert spec.origin is not None
    resources = Path(spec.origin).parent / "resources"
    return sorted(
        route
        for path in resources.rglob("*.py")
        for route in routes_of(path.read_text(), _owner(path.relative_to(resources)))
    )


def routes_of(source: str, owner: str) -> Iterator[Route]:
    """The routes in the synchronous classes of one module. Raises ValueError for a call whose path cannot be read."""
    for thing in ast.parse(source).body:
        if not isinstance(thing, ast.ClassDef) or thing.name.startswith("Async"):
            continue
        for function in thing.body:
            if isinstance(function, ast.FunctionDef):
                for call in filter(_is_request, ast.walk(function)):
                    assert isinstance(call, ast.Call)
                    yield _route(call, f"{owner}.{function.name}")


def _owner(path: Path) -> str:
    """``vector_stores.files`` for ``vector_stores/files.py``, ``evals.runs`` for ``evals/runs/runs.py``."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1:] == parts[-2:-1] else parts)


def _is_request(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "self"
        and node.func.attr in VERBS
    )


def _route(call: ast.Call, sdk_name: str) -> Route:
    assert isinstance(call.func, ast.Attribute)
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    method = _text(named["method"], sdk_name).upper() if "method" in named else None
    path = _text(call.args[0] if call.args else named.get("path"), sdk_name)
    shape = PLACEHOLDER.sub("{id}", path.partition("?")[0]).removeprefix("/")
    return Route(shape, method or VERBS[call.func.attr], sdk_name)


def _text(node: ast.expr | None, sdk_name: str) -> str:
    """A literal, or the template of ``path_template("…", …)``."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Call(func=ast.Name(id="path_template"), args=[ast.Constant(value=str(text)), *_]):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_piece(part, sdk_name) for part in parts)
        case _:
            raise ValueError(f"{sdk_name}: no path that can be read")


def _piece(part: ast.expr, sdk_name: str) -> str:
    return "{id}" if isinstance(part, ast.FormattedValue) else _text(part, sdk_name)
