"""The one JSON door: whole values by orjson, top-level members and typed heads by msgspec.

A large body is never decoded and encoded again to change one member of it: ``split_object`` gives the members as the
bytes that came, and ``join_object`` puts them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "InvalidJSON",
    "compact",
    "decoder",
    "dumps",
    "dumps_str",
    "is_utf8",
    "join_array",
    "join_object",
    "lines_decoder",
    "loads",
    "one_line",
    "splice",
    "split_array",
    "split_object",
    "split_pairs",
    "verbatim",
]

T = TypeVar("T")

WHITESPACE = b" \t\r\n"

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])


class InvalidJSON(ValueError):
    """Not JSON, not UTF-8, nested too deeply, or not of the type that was asked for."""


def loads(data: bytes | str) -> Any:  # noqa: ANN401  any JSON value
    """The value of ``data``. Raises InvalidJSON. Integers beyond 64 bits become floats."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(str(error)) from None


def dumps(value: object) -> bytes:
    """``value`` in compact JSON, members in their order. Raises TypeError for what JSON has no word for."""
    return orjson.dumps(value)


def verbatim(raw: bytes) -> object:
    """A value that ``dumps`` writes as ``raw``, which is JSON already and known to be sound."""
    return orjson.Fragment(raw)


def dumps_str(text: str) -> bytes:
    """``text`` as a JSON string; what UTF-8 cannot hold (lone surrogates) becomes question marks."""
    return orjson.dumps(text.encode("utf-8", "replace").decode())


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` is UTF-8. msgspec does not look into strings that it skips, so this has to be asked."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def decoder(shape: type[T]) -> Callable[[bytes], T]:
    """A decoder of ``shape`` (a msgspec struct, say) that raises InvalidJSON.

    Members that the shape does not name are skipped, at a fraction of the cost of decoding them; their syntax is
    checked, their encoding is not (``is_utf8``).
    """
    decode = msgspec.json.Decoder(shape).decode

    def checked(data: bytes) -> T:
        try:
            return decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidJSON(_reason(error)) from None

    return checked


def lines_decoder(shape: type[T]) -> Callable[[bytes], list[T]]:
    """As ``decoder``, for values one after another with white space between them (one a line, say)."""
    decode = msgspec.json.Decoder(shape).decode_lines

    def checked(data: bytes) -> list[T]:
        try:
            return decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidJSON(_reason(error)) from None

    return checked


def split_object(body: bytes) -> dict[str, bytes]:
    """The members of the JSON object ``body`` in their order, each value as the bytes that came.

    Of a repeated name the last value counts, at the place of the first. Raises InvalidJSON.
    """
    try:
        members = _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(_reason(error)) from None
    if not is_utf8(body):
        raise InvalidJSON("not valid UTF-8")
    return {name: bytes(value) for name, value in members.items()}


def split_pairs(body: bytes, most: int) -> list[tuple[str, bytes]]:
    """As ``split_object``, but every member that came, also one whose name came before. Raises InvalidJSON.

    More than ``most`` members are refused too: each costs about a microsecond.
    """
    names: list[_Name] = []

    def name_of(_: object, text: str) -> _Name:
        if len(names) == most:
            raise ValueError(f"more than {most} members")
        names.append(_Name(text))
        return names[-1]

    try:
        members = msgspec.json.Decoder(dict[_Name, msgspec.Raw], dec_hook=name_of).decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(_reason(error)) from None
    if not is_utf8(body):
        raise InvalidJSON("not valid UTF-8")
    return [(name.text, bytes(value)) for name, value in members.items()]


class _Name:
    """The name of a member. Equal to no other, whatever its text, so that a mapping keeps all of them."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


def split_array(body: bytes) -> list[bytes]:
    """The items of the JSON array ``body``, each as the bytes that came. Raises InvalidJSON."""
    try:
        items = _ARRAY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJSON(_reason(error)) from None
    if not is_utf8(body):
        raise InvalidJSON("not valid UTF-8")
    return [bytes(item) for item in items]


def join_object(members: Mapping[str, bytes]) -> bytes:
    """The JSON object with ``members``, whose values are JSON already."""
    return b"{%b}" % b",".join(
        [b"%b:%b" % (orjson.dumps(name), value) for name, value in members.items()]
    )


def join_array(items: Iterable[bytes]) -> bytes:
    """The JSON array of ``items``, which are JSON already."""
    return b"[%b]" % b",".join(items)


def splice(body: bytes, members: bytes) -> bytes:
    """The JSON object ``body`` with ``members`` (``"name":value,…``) put in before its last brace.

    ``body`` is known to be an object and to have none of the names in ``members``.
    """
    head = body.rstrip(WHITESPACE)[:-1].rstrip(WHITESPACE)
    comma = b"" if head.endswith(b"{") else b","
    return b"%b%b%b}" % (head, comma, members)


def one_line(body: bytes) -> bytes:
    """The JSON ``body`` without line breaks. Inside strings they are escaped, so what is left is white space."""
    if b"\n" in body or b"\r" in body:
        return body.replace(b"\r", b" ").replace(b"\n", b" ")
    return body


def compact(body: bytes) -> bytes:
    """The JSON ``body`` without white space between its words, which stay as they are written: numbers too. Raises InvalidJSON."""
    try:
        return msgspec.json.format(body, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidJSON(_reason(error)) from None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
