"""Ids of objects that live with a provider (files, threads, batches): where requests name them and answers bring them."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

import attrs
import msgspec

from bifrost.codecs.json import InvalidJSON, decoder, loads
from bifrost.codecs.sse import EventTooLarge, SSEDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NOTHING",
    "AnswerIds",
    "StreamIds",
    "answer_ids",
    "google_files",
    "named_ids",
    "request_ids",
]

RESULTS: Final = "batch-results-"
"""How the id of a file begins that is made of a batch's results (``dialects.objects``)."""

REQUEST_IDS_MAX: Final = 64
"""Of one request; more than that say no more."""

REQUEST_BYTES_MAX: Final = 256 * 1024
"""Of a body; an id that stands behind them is not seen."""

ANSWER_BYTES_MAX: Final = 1024 * 1024
"""A longer answer is content, or a list too long to be worth it: it is not read."""

ANSWER_IDS_MAX: Final = 1000

EVENT_BYTES_MAX: Final = 64 * 1024

_KINDS = (
    "agent agenv asst batch batches call cfile chatcmpl char ckpt cksess cntr container conv cons cthr eval evalrun file files ft "
    "ftckpt ftjob msg msgbatch outputitem part resp rtc run sess skill step thread upload video voice vs vsfb wf"
).replace(" ", "|")

_ID = rf"(?:{_KINDS})[_-][A-Za-z0-9_-]{{1,200}}|[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"
"""An id that shows its kind, or a UUID, as some providers have them."""

_NAMED = re.compile(_ID)

_GOOGLES = re.compile(r"(?:files|batches)/[A-Za-z0-9_-]{1,200}")
"""A name by which Google's API has files and batches; here its slash is a dash, for ids are one segment of a path."""

_FILE_URI = re.compile(rb"/(files/[A-Za-z0-9_-]{1,200})\"")
"""How the address of such a file ends, at the end of a string."""

_IN_JSON = re.compile(rf'(?<!\\)"({_ID})"(?!\s*:)'.encode())
"""A whole string that is no member's name."""

DELETED = frozenset({b'"file_deleted"', b'"message_batch_deleted"'})
"""What Anthropic calls an object that is gone."""

NESTED = ("response", "conversation", "file", "thread")
"""Members of an answer that are objects with an id of their own: made in the same breath, or made by the same key."""


def request_ids(
    path_ids: Iterable[str],
    *,
    query: str = "",
    json: bytes = b"",
    fields: Iterable[tuple[str, bytes]] = (),
) -> tuple[str, ...]:
    """Ids that a request names, each once: those of the path first, then the body's, then the query's (cursors).

    The path's are taken as they are; elsewhere an id must show its kind. At most ``REQUEST_IDS_MAX``.
    """
    texts = [value.decode("latin-1") for _, value in fields if len(value) <= 256]
    found = dict.fromkeys(each for name in path_ids for each in _meant(name))
    found.update(dict.fromkeys(_in_json(json)))
    found.update(dict.fromkeys(filter(_NAMED.fullmatch, texts)))
    found.update(dict.fromkeys(text for _, text in parse_qsl(query) if _NAMED.fullmatch(text)))
    return tuple(islice(found, REQUEST_IDS_MAX))


def _meant(name: str) -> tuple[str, ...]:
    """``name``, and where that is of a batch's results, the batch: its key has both."""
    batch = name.removeprefix(RESULTS)
    return (name,) if batch in ("", name) else (name, batch)


def named_ids(texts: Iterable[str]) -> tuple[str, ...]:
    """Those of ``texts`` that are ids, by their looks."""
    return tuple(filter(_NAMED.fullmatch, texts))


def google_files(body: bytes) -> tuple[str, ...]:
    """Files of Google's that a request in its dialect names by their addresses, as ids, each once."""
    if b"/files/" not in body:
        return ()
    found = dict.fromkeys(match[1] for match in islice(_FILE_URI.finditer(body), REQUEST_IDS_MAX))
    return tuple(_google_id(name.decode("ascii")) for name in found)


def _google_id(name: str) -> str:
    return name.replace("/", "-", 1)


def _in_json(body: bytes) -> Iterable[str]:
    matches = _IN_JSON.finditer(body, 0, REQUEST_BYTES_MAX)
    names = dict.fromkeys(match[1] for match in islice(matches, 16 * REQUEST_IDS_MAX))
    return (name.decode("ascii") for name in names)


@attrs.frozen
class AnswerIds:
    """What an answer says: the key that it was got with has these, and these are gone."""

    made: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


NOTHING = AnswerIds()


class _Object(msgspec.Struct):
    """The members of an object that say which it is; all values raw, for anything may stand there."""

    id: msgspec.Raw = msgspec.Raw(b"null")
    name: msgspec.Raw = msgspec.Raw(b"null")
    object: msgspec.Raw = msgspec.Raw(b"null")
    type: msgspec.Raw = msgspec.Raw(b"null")
    deleted: msgspec.Raw = msgspec.Raw(b"null")
    thread_id: msgspec.Raw = msgspec.Raw(b"null")
    output_file_id: msgspec.Raw = msgspec.Raw(b"null")
    error_file_id: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(_Object):
    data: msgspec.Raw = msgspec.Raw(b"null")
    files: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"null")
    conversation: msgspec.Raw = msgspec.Raw(b"null")
    file: msgspec.Raw = msgspec.Raw(b"null")
    thread: msgspec.Raw = msgspec.Raw(b"null")


_answer = decoder(_Answer)
_object = decoder(_Object)
_objects = decoder(list[_Object])


def answer_ids(body: bytes) -> AnswerIds:
    """The ids in a JSON answer, or in one event of a stream: the object's own, those in a list, those made with it.

    Only places that the provider fills are read, never texts or metadata, into which a caller might put the id of
    somebody else's object. What is no JSON object, or longer than ``ANSWER_BYTES_MAX``, has none.
    """
    if len(body) > ANSWER_BYTES_MAX:
        return NOTHING
    try:
        answer = _answer(body)
    except InvalidJSON:
        return NOTHING
    if bytes(answer.deleted) == b"true" or bytes(answer.type) in DELETED:
        return AnswerIds(gone=tuple(_texts(answer.id)))
    nested = (raw for name in NESTED for raw in _read(bytes(getattr(answer, name))))
    found = (name for thing in (answer, *nested, *_items(answer)) for name in _ids(thing))
    return AnswerIds(tuple(islice(dict.fromkeys(found), ANSWER_IDS_MAX)))


def _read(raw: bytes) -> list[_Object]:
    try:
        return [_object(raw)]
    except InvalidJSON:
        return []


def _items(answer: _Answer) -> list[_Object]:
    for raw in (answer.data, answer.files):
        try:
            return _objects(bytes(raw))
        except InvalidJSON:
            continue
    return []


def _ids(thing: _Object) -> Iterable[str]:
    # A model belongs to nobody, but for a fine-tuned one, whose name says whose it is.
    if bytes(thing.object) == b'"model"':
        return ()
    if bytes(thing.id) == b"null":
        # Whoever has ids may let callers choose names; Google has names, and sees to it that there is one of each.
        names = (name for name in _texts(thing.name) if _GOOGLES.fullmatch(name))
        return map(_google_id, names)
    return _texts(thing.id, thing.thread_id, thing.output_file_id, thing.error_file_id)


def _texts(*raws: msgspec.Raw) -> Iterable[str]:
    """Those of ``raws`` that are strings, and not empty."""
    for raw in map(bytes, raws):
        if raw.startswith(b'"') and raw != b'""':
            try:
                yield loads(raw)
            except InvalidJSON:
                continue


@attrs.define(eq=False)
class StreamIds:
    """Reads the ids out of a stream's first event, as its bytes pass by; at most ``EVENT_BYTES_MAX`` are kept."""

    _decoder: SSEDecoder | None = attrs.field(factory=lambda: SSEDecoder(EVENT_BYTES_MAX))

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be learned: further bytes need not be fed."""
        return self._decoder is None

    def feed(self, data: bytes) -> AnswerIds:
        """What the first event says, once it is complete; nothing before and after."""
        if self._decoder is None:
            return NOTHING
        try:
            events = self._decoder.feed(data)
        except EventTooLarge as error:
            events, self._decoder = error.events, None
        if not events:
            return NOTHING
        self._decoder = None
        return answer_ids(events[0].data)
