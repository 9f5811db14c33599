from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from bifrost.codecs.multipart import (
    MAX_PARTS,
    FormDecoder,
    InvalidForm,
    PartEnd,
    PartHead,
    boundary_of,
    encode_form,
    encode_related,
    form_content_type,
    related_content_type,
)
from bifrost.schema.payload import BytesPayload, Field, File, Form, Payload

if TYPE_CHECKING:
    from collections.abc import Iterable

BOUNDARY = b"a-boundary"


def whole(payload: Payload) -> bytes:
    async def join() -> bytes:
        return b"".join([block async for block in payload.blocks()])

    return trio.run(join)


def decode(pieces: Iterable[bytes], boundary: bytes = BOUNDARY) -> Form:
    """The form in ``pieces``. Raises InvalidForm."""
    decoder = FormDecoder(boundary)
    parts: list[Field | File] = []
    head = PartHead("", None, None)
    held: list[bytes] = []
    for event in (event for piece in pieces for event in decoder.feed(piece)):
        match event:
            case PartHead():
                head, held = event, []
            case PartEnd():
                value = b"".join(held)
                parts.append(
                    File(head.name, head.filename, head.content_type, BytesPayload(value))
                    if head.is_file
                    else Field(head.name, value, head.content_type)
                )
            case _:
                held.append(event)
    decoder.close()
    return tuple(parts)


def outcome(pieces: Iterable[bytes]) -> Form | str:
    try:
        return decode(pieces)
    except InvalidForm:
        return "refused"


def body(*lines: bytes) -> bytes:
    return b"\r\n".join(lines)


def with_head(*head: bytes) -> bytes:
    return body(b"--" + BOUNDARY, *head, b"", b"x", b"--" + BOUNDARY + b"--", b"")


def disposed(params: str) -> bytes:
    return with_head(b"Content-Disposition: form-data; " + params.encode("latin-1"))


HOSTILE = [
    '"',
    "\\",
    '\\"',
    "\r\n",
    "\n--a-boundary",
    '"; filename="x',
    "%",
    "%2",
    ";",
    "é",
    "\0",
    " ",
]
ESCAPES = ("%22", "%0D", "%0A")
NAMES = st.lists(st.sampled_from(HOSTILE) | st.text(max_size=5), max_size=8).map("".join)
CLEAR_NAMES = NAMES.filter(lambda name: not any(escape in name for escape in ESCAPES))
BINARY = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b"--", b"a-bound", b"\r\n--a-boundar"])
    | st.binary(max_size=20),
    max_size=10,
).map(b"".join)
CONTENTS = BINARY.filter(lambda data: BOUNDARY not in data)
TEXT_TYPES = st.sampled_from(
    [None, b"text/plain", b"Text/Plain; charset=utf-8", b"application/json"]
)
FILE_TYPES = st.sampled_from([b"audio/wav", b'image/png; name="a;b"', b"application/octet-stream"])
FILENAMES = CLEAR_NAMES.map(str.encode) | st.binary(max_size=8).filter(
    lambda name: not any(escape.encode() in name for escape in ESCAPES)
)
FIELDS = st.builds(Field, CLEAR_NAMES, CONTENTS, TEXT_TYPES)
FILES = st.builds(
    File, CLEAR_NAMES, FILENAMES, TEXT_TYPES | FILE_TYPES, CONTENTS.map(BytesPayload)
) | st.builds(File, CLEAR_NAMES, st.none(), FILE_TYPES, CONTENTS.map(BytesPayload))
FORMS = st.lists(FIELDS | FILES, max_size=6).map(tuple)


@given(FORMS)
@example((Field("a\\", b"", None), File("\\", b'\\"', None, BytesPayload(b""))))
def test_what_is_encoded_is_decoded(form: Form) -> None:
    payload = encode_form(form, BOUNDARY)
    data = whole(payload)

    assert payload.size == len(data)
    assert decode([data]) == form


@given(NAMES, NAMES)
def test_no_name_breaks_out_of_its_part(name: str, filename: str) -> None:
    form = (File(name, filename.encode(), None, BytesPayload(b"x")), Field(name, b"y"))

    decoded = decode([whole(encode_form(form, BOUNDARY))])

    assert len(decoded) == 2
    again = whole(encode_form(decoded, BOUNDARY))
    assert again == whole(encode_form(form, BOUNDARY))


@given(FORMS, st.data())
def test_any_split_gives_the_same_parts(form: Form, data: st.DataObject) -> None:
    stream = b"\r\n" * data.draw(st.integers(0, 1)) + whole(encode_form(form, BOUNDARY))
    assert outcome(stream[i : i + 1] for i in range(len(stream))) == form

    at = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    pieces = [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]
    assert outcome(pieces) == form


@given(
    st.lists(
        st.sampled_from(
            [
                b"--a-boundary",
                b"--",
                b"\r\n",
                b"\n",
                b"\r",
                b"x",
                b"Content-Disposition: form-data; name=a",
                b": ",
                b" y",
                b"Content-Type: text/plain",
                b"Content-Length: 1",
            ]
        ),
        max_size=14,
    ).map(b"".join)
)
def test_garbage_is_refused_however_it_is_split(stream: bytes) -> None:
    assert outcome(stream[i : i + 1] for i in range(len(stream))) == outcome([stream])


PARAMS: dict[str, tuple[str, str, bytes | None]] = {
    "quoted": ('name="a b"', "a b", None),
    "bare": ("name=a; filename=b.wav", "a", b"b.wav"),
    "odd spaces and cases": (' NAME = "a" ;\tFileName ="b" ; ', "a", b"b"),
    "browser's escapes": ('name="%22a%0D%0A"; filename="%22"', '"a\r\n', b'"'),
    "other percents": ('name="100%"; filename="%41%0a%2"', "100%", b"%41%0a%2"),
    "backslashes of old": (r'name="a\"b\\"; filename="x\";y"', 'a"b\\', b'x";y'),
    "backslash of a browser": ('name="a\\"; filename="C:\\b"', "a\\", b"C:\\b"),
    "no file chosen": ('name="a"; filename=""', "a", b""),
    "utf-8": ('name="Ã¤"; filename="Ã¤"', "ä", "ä".encode()),
    "filename of another charset": ('name="a"; filename="ä"', "a", b"\xe4"),
    "extended": ("name=a; filename=x; filename*=UTF-8''%e2%82%ac%20.wav", "a", "€ .wav".encode()),
    "extended in latin": ("name=a; filename*=iso-8859-1'en'%e4", "a", "ä".encode()),
    "other parameters": ('name="a"; size=7; filename="b"', "a", b"b"),
    "empty name": ('name=""', "", None),
}


@pytest.mark.parametrize(("params", "name", "filename"), PARAMS.values(), ids=PARAMS)
def test_names_are_read(params: str, name: str, filename: bytes | None) -> None:
    (part,) = decode([disposed(params)])

    assert part.name == name
    assert (part.filename if isinstance(part, File) else None) == filename


def test_boundary_as_odd_as_may_be() -> None:
    boundary = b"'()+_,-./:=? 9" * 5
    content_type = b'Multipart/Form-Data; charset=utf-8; BOUNDARY="' + boundary + b'"'

    assert boundary_of(content_type) == boundary
    assert boundary_of(form_content_type(boundary)) == boundary
    form: Form = (Field("a", b"--" + boundary[:-1]),)
    assert decode([whole(encode_form(form, boundary))], boundary) == form


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"application/json",
        b"multipart/mixed; boundary=a",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b'multipart/form-data; boundary="a ',
        b'multipart/form-data; boundary="a "',
        b"multipart/form-data; boundary=a; boundary=b",
        b"multipart/form-data; boundary=" + b"a" * 71,
        b"multipart/form-data; boundary=\xe4",
    ],
)
def test_content_type_without_a_boundary_is_refused(content_type: bytes) -> None:
    with pytest.raises(InvalidForm):
        boundary_of(content_type)


FIELD_A = b'Content-Disposition: form-data; name="a"'
REFUSED = {
    "nothing": b"",
    "another body": b'{"model": "x"}',
    "something before the boundary": b"preamble\r\n" + with_head(FIELD_A),
    "another boundary": with_head(FIELD_A).replace(BOUNDARY, b"another"),
    "no end": with_head(FIELD_A)[:-4],
    "no end of the head": body(b"--" + BOUNDARY, FIELD_A),
    "junk behind a boundary": with_head(FIELD_A).replace(BOUNDARY + b"\r\n", BOUNDARY + b"x\r\n"),
    "bare line feeds": with_head(FIELD_A).replace(b"\r\n", b"\n"),
    "a line feed in a header": with_head(FIELD_A + b"\nX: y"),
    "a carriage return in a header": with_head(FIELD_A, b"Content-Type: a\rb"),
    "no disposition": with_head(b"Content-Type: text/plain"),
    "another disposition": with_head(b"Content-Disposition: attachment; name=a"),
    "two dispositions": with_head(FIELD_A, FIELD_A),
    "no name": disposed("filename=a"),
    "two names": disposed("name=a; name=b"),
    "an open quote": disposed('name="a'),
    "a name that is not utf-8": disposed('name="ä"'),
    "filename* without charset": disposed("name=a; filename*=b"),
    "an encoding": with_head(FIELD_A, b"Content-Transfer-Encoding: base64"),
    "a header that is too long": with_head(FIELD_A, b"X: " + b"y" * 9000),
    "a header that does not end": with_head(FIELD_A + b"y" * 100_000)[:50_000],
    "too many headers": with_head(FIELD_A, *(b"X-%d: y" % n for n in range(20))),
    "no header": with_head(b"what"),
    "another length": with_head(FIELD_A, b"Content-Length: 2"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_no_form_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidForm):
        decode([data])


@pytest.mark.parametrize(("count", "is_refused"), [(MAX_PARTS, False), (MAX_PARTS + 1, True)])
def test_number_of_parts_is_bounded(count: int, is_refused: bool) -> None:
    data = whole(encode_form((Field("a", b""),) * count, BOUNDARY))

    assert (outcome([data]) == "refused") is is_refused


def test_nothing_is_read_after_a_refusal() -> None:
    decoder = FormDecoder(BOUNDARY)
    with pytest.raises(InvalidForm):
        list(decoder.feed(body(b"--" + BOUNDARY, b"what", b"")))

    with pytest.raises(InvalidForm):
        list(decoder.feed(with_head(FIELD_A)))


def test_what_follows_the_end_is_passed_over() -> None:
    assert decode([with_head(FIELD_A), b"epilogue", with_head(b"what")]) == (Field("a", b"x"),)


def test_harmless_encoding_is_taken() -> None:
    assert decode([with_head(FIELD_A, b"Content-Transfer-Encoding: 8BIT")]) == (Field("a", b"x"),)


@pytest.mark.parametrize(
    ("content_type", "is_file"),
    [
        (b"audio/wav", True),
        (b"text/csv", False),
        (b"application/json; charset=utf-8", False),
        (b"application/ld+json", False),
    ],
)
def test_part_without_a_file_name_goes_by_its_type(content_type: bytes, is_file: bool) -> None:
    (part,) = decode([with_head(FIELD_A, b"Content-Type: " + content_type)])

    assert isinstance(part, File) is is_file
    assert part.content_type == content_type


@pytest.mark.parametrize("line_end", [b"\r", b"\n"])
def test_content_type_cannot_break_out(line_end: bytes) -> None:
    with pytest.raises(InvalidForm):
        encode_form((Field("a", b"", b"text/plain" + line_end + b"X: y"),), BOUNDARY)


@pytest.mark.parametrize("boundary", [b"", b"a\r\nb", b'a"', b"a ", b"a" * 71])
def test_boundary_that_is_none_is_not_written(boundary: bytes) -> None:
    with pytest.raises(ValueError, match="not a boundary"):
        encode_form((), boundary)


@pytest.mark.parametrize(
    ("kind", "boundary", "error"),
    [(b"a/b\r\nx: y", b"b", InvalidForm), (b"a/b", b"b\r\n", ValueError)],
)
def test_parts_without_names_let_nothing_be_slipped_in(
    kind: bytes, boundary: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        encode_related([(kind, BytesPayload(b"x"))], boundary)


async def test_parts_without_names() -> None:
    payload = encode_related([(b"a/b", BytesPayload(b"x")), (b"c/d", BytesPayload(b""))], b"b b")

    written = b"".join([block async for block in payload.blocks()])
    assert written == (
        b"--b b\r\nContent-Type: a/b\r\n\r\nx\r\n--b b\r\nContent-Type: c/d\r\n\r\n\r\n--b b--\r\n"
    )
    assert payload.size == len(written)
    assert related_content_type(b"b b") == b'multipart/related; boundary="b b"'
