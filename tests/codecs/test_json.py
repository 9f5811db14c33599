from __future__ import annotations

import json as stdlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs import json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES, max_size=6)


def test_members_stay_the_bytes_that_came_in_their_order() -> None:
    members = json.split_object(b'{ "z": 1.10 , "a" : [1,  2],"m":{"k": "\\u00e9"} }')

    assert list(members.items()) == [("z", b"1.10"), ("a", b"[1,  2]"), ("m", b'{"k": "\\u00e9"}')]


def test_of_a_repeated_member_the_last_value_counts() -> None:
    assert json.split_object(b'{"a":1,"b":2,"a":3}') == {"a": b"3", "b": b"2"}


def test_repeated_members_can_be_asked_for() -> None:
    pairs = json.split_pairs(b'{"a":1,"b":{"a":2,"a":3},"\\u0061":3}', 3)

    assert pairs == [("a", b"1"), ("b", b'{"a":2,"a":3}'), ("a", b"3")]


def test_members_are_counted() -> None:
    with pytest.raises(json.InvalidJSON, match="more than 2 members"):
        json.split_pairs(b'{"a":1,"a":2,"a":3}', 2)


@given(OBJECTS)
def test_pairs_are_the_members(value: dict[str, object]) -> None:
    body = stdlib.dumps(value).encode()

    assert dict(json.split_pairs(body, 6)) == json.split_object(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b'"text"',
        b'{"a":1',
        b'{"a":1} x',
        b'{"a":nul}',
        b'{"a":NaN}',
        b'{"a":01}',
        b'{"a":[1,]}',
        b'{"a":"\\x"}',
        b'{"a":"\x01"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"\xff":1}',
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_sound_object_is_refused(body: bytes) -> None:
    with pytest.raises(json.InvalidJSON):
        json.split_object(body)
    with pytest.raises(json.InvalidJSON):
        json.split_pairs(body, 10)


@given(OBJECTS)
def test_split_and_joined_is_the_same_object(value: dict[str, object]) -> None:
    body = stdlib.dumps(value).encode()

    assert stdlib.loads(json.join_object(json.split_object(body))) == value


@given(st.binary(max_size=60).map(lambda junk: b'{"a":"' + junk + b'"}'))
def test_whatever_is_accepted_joins_to_sound_json(body: bytes) -> None:
    try:
        members = json.split_object(body)
    except json.InvalidJSON:
        return

    stdlib.loads(json.join_object(members).decode("utf-8"))


@given(st.lists(VALUES, max_size=5))
def test_array_split_and_joined_is_the_same(value: list[object]) -> None:
    body = stdlib.dumps(value, indent=1).encode()

    assert stdlib.loads(json.join_array(json.split_array(body))) == value


@pytest.mark.parametrize("body", [b"{}", b"[1", b'["\xff"]', b"[" * 9_000 + b"]" * 9_000])
def test_what_is_no_sound_array_is_refused(body: bytes) -> None:
    with pytest.raises(json.InvalidJSON):
        json.split_array(body)


@given(OBJECTS, st.sampled_from(["", " ", "\r\n\t"]))
def test_splice_adds_one_member_and_changes_nothing_else(
    value: dict[str, object], space: str
) -> None:
    value.pop("extra_fields", None)
    body = (stdlib.dumps(value)[:-1] + space + "}" + space).encode()

    spliced = json.splice(body, b'"extra_fields":{"latency":1}')

    assert stdlib.loads(spliced) == {**value, "extra_fields": {"latency": 1}}


def test_whole_values_go_both_ways() -> None:
    assert json.loads(json.dumps({"b": [1, "é"], "a": None})) == {"b": [1, "é"], "a": None}
    assert json.dumps({"b": 1, "a": 2}) == b'{"b":1,"a":2}'


@pytest.mark.parametrize("body", [b"", b"{", b'"\xff"', b"[" * 9_000])
def test_loads_refuses_with_its_own_error(body: bytes) -> None:
    with pytest.raises(json.InvalidJSON):
        json.loads(body)


def test_lone_surrogate_becomes_a_question_mark() -> None:
    assert json.dumps_str("a\ud800b") == b'"a?b"'


def test_typed_decoder_reads_what_it_names_and_refuses_with_our_error() -> None:
    class Head(msgspec.Struct):
        model: str

    decode = json.decoder(Head)

    assert decode(b'{"other":[{}],"model":"m"}').model == "m"
    for bad in (b"{}", b'{"model":1}', b'{"model":"\xff"}', b'{"model":"m","o":' + b"[" * 9_000):
        with pytest.raises(json.InvalidJSON):
            decode(bad)


@pytest.mark.parametrize(
    ("data", "is_sound"), [(b"abc", True), ("é".encode(), True), (b"\xe9", False)]
)
def test_encoding_is_looked_at(data: bytes, is_sound: bool) -> None:
    assert json.is_utf8(data) is is_sound


def test_one_line_takes_out_line_breaks() -> None:
    assert json.one_line(b'{\r\n "a":1}') == b'{   "a":1}'
    assert json.one_line(b'{"a":1}') == b'{"a":1}'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{\n "b": 12345678901234567890123.50,\t"a" : [ 1e400, -0.0, 1E+2 ] }', b'{"b":12345678901234567890123.50,"a":[1e400,-0.0,1E+2]}'),
        (b'{"a  b": "\\u00e4  \\n", "a  b": { }}', b'{"a  b":"\\u00e4  \\n","a  b":{}}'),
        ('"ä  ö"'.encode(), '"ä  ö"'.encode()),
    ],
)  # fmt: skip
def test_only_white_space_goes(body: bytes, told: bytes) -> None:
    assert json.compact(body) == told


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1} x', b"[" * 100_000])
def test_what_is_no_json_is_not_compacted(body: bytes) -> None:
    with pytest.raises(json.InvalidJSON):
        json.compact(body)
