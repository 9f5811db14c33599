"""The content of a chat message, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from bifrost.codecs.data_uri import is_base64, split_data_uri
from bifrost.dialects.value_shape import choice, list_of, obj, text
from bifrost.errors import BadRequest
from bifrost.schema.chat import (
    Audio,
    CachePoint,
    Document,
    Image,
    Inline,
    Part,
    Refusal,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["read_parts"]

Object = dict[str, Any]

PLAIN = frozenset({"text/plain", "txt", "text"})


def read_parts(message: Object, place: str) -> tuple[Part, ...]:
    """The parts of ``message``, its refusal the last; a string is one text, and empty texts are none."""
    return tuple(_parts(message, place))


def _parts(message: Object, place: str) -> Iterator[Part]:
    content = message.get("content")
    if isinstance(content, str):
        if content:
            yield Text(text=content, cache_control=_marks(message, place))
    else:
        for item, where in list_of(content, f"{place}.content"):
            part = _part(obj(item, where), where)
            if part != Text(text=""):
                yield part
    refusal = text(message, "refusal", place)
    if refusal:
        yield Refusal(refusal)


def _part(source: Object, place: str) -> Part:
    if "cachePoint" in source and "type" not in source:
        return CachePoint(obj(source["cachePoint"], f"{place}.cachePoint"))
    return READERS[choice(source, "type", READERS, place)](source, place)


def _marks(source: Object, place: str) -> Object | None:
    marks = source.get("cache_control")
    return None if marks is None else obj(marks, f"{place}.cache_control")


def _text(source: Object, place: str) -> Text:
    return Text(text=text(source, "text", place) or "", cache_control=_marks(source, place))


def _image(source: Object, place: str) -> Image:
    where = f"{place}.image_url"
    given = source.get("image_url")
    told = {"url": given} if isinstance(given, str) else obj(given, where)
    url = text(told, "url", where) or ""
    inline = _inline(url, f"{where}.url")
    if inline is None and not url.startswith(("http://", "https://", "gs://")):
        raise BadRequest(f"{where}.url must be an http(s) URL or a data URI", param=f"{where}.url")
    return Image(
        url="" if inline else url,
        inline=inline,
        detail=text(told, "detail", where),
        cache_control=_marks(source, place),
    )


def _audio(source: Object, place: str) -> Audio:
    where = f"{place}.input_audio"
    told = obj(source.get("input_audio"), where)
    data = text(told, "data", where) or ""
    inline = _inline(data, f"{where}.data")
    if inline is None and not is_base64(data):
        raise BadRequest(f"{where}.data must be base64", param=f"{where}.data")
    return Audio(data=inline.data if inline else data, format=text(told, "format", where) or "")


def _document(source: Object, place: str) -> Document:
    where = f"{place}.file"
    told = obj(source.get("file"), where)
    citations = source.get("citations")
    kind = (text(told, "file_type", where) or "").lower()
    inline, plain = _file_data(text(told, "file_data", where), kind, f"{where}.file_data")
    made = Document(
        inline=inline,
        text=plain,
        url=text(told, "file_url", where),
        file_id=text(told, "file_id", where),
        filename=text(told, "filename", where),
        citations=None if citations is None else obj(citations, f"{place}.citations"),
        cache_control=_marks(source, place),
    )
    if made.inline is None and made.text is None and not made.url and not made.file_id:
        raise BadRequest(f"{where} needs file_data, file_url or file_id", param=where)
    return made


def _file_data(data: str | None, kind: str, place: str) -> tuple[Inline | None, str | None]:
    """What a file holds: bytes, or plain text where it is said to be such."""
    if not data:
        return None, None
    if data[:16].lower().startswith("data:text/plain,"):
        return None, unquote_to_bytes(data[16:]).decode("utf-8", "replace")
    inline = _inline(data, place)
    if inline is not None:
        return inline, None
    if kind in PLAIN:
        return None, data
    if not is_base64(data):
        raise BadRequest(f"{place} must be base64 or a data URI", param=place)
    return Inline(kind if "/" in kind else "", data), None


def _inline(url: str, place: str) -> Inline | None:
    try:
        split = split_data_uri(url)
    except ValueError as error:
        raise BadRequest(f"{place}: {error}", param=place) from None
    return None if split is None else Inline(*split)


def _refusal(source: Object, place: str) -> Refusal:
    return Refusal(text(source, "refusal", place) or "")


READERS: Mapping[str, Callable[[Object, str], Part]] = {
    "text": _text,
    "image_url": _image,
    "input_audio": _audio,
    "file": _document,
    "refusal": _refusal,
}
