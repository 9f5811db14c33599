from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import attrs
import pytest

from bifrost.config.rules import AlsoSpelt, Inside, Mark, Named, Names, Range, at_least
from bifrost.config.secret import Secret
from bifrost.config.shape import marked, shape_of
from bifrost.config.texts import NAME
from bifrost.config.walk import Place, Walk, finishing


@attrs.frozen(kw_only=True)
class Part:
    size: Annotated[int, at_least(1)]
    """Needed."""


@attrs.frozen(kw_only=True)
class Manner:
    slow: bool = False
    steps: Annotated[int, at_least(0)] = 2


@attrs.frozen(kw_only=True)
class Thing:
    name: Annotated[str, Mark.MAP_KEY] = ""
    made: Annotated[str, Mark.GENERATED]
    label: Annotated[str, NAME] = "x"
    part: Part | None = None
    parts: tuple[Part, ...] = ()
    tags: Annotated[tuple[str, ...], Mark.WHITELIST] = ()
    codes: Annotated[tuple[int, ...], Mark.NO_DUPLICATES] = ()
    ratio: Annotated[float, Range(low=0, high=10, clamps=True), Mark.RESTART] = 1.0
    patience: Annotated[float, at_least(0.5), Mark.DEFAULT_UNLESS_POSITIVE] = 30.0
    count: Annotated[int, AlsoSpelt("number", "amount")] = 1
    mood: Literal["good", "bad"] = "good"
    secret: Secret | None = None
    place: Annotated[str, Mark.FROM_ENV, NAME] = "here"
    host: Annotated[str, Named("host_name")] = ""
    depth: Annotated[int, Inside("line"), at_least(1)] = 5
    width: Annotated[int, Inside("line")] = 5
    manner: Annotated[Manner, Mark.SPREAD] = attrs.field(factory=Manner)
    derived: Annotated[str, Mark.DERIVED] = ""
    flags: Annotated[Mapping[str, bool], Names(("one", "two"))] = MappingProxyType({})
    others: Annotated[Mapping[str, Thing2], Mark.LOWER_CASE_NAMES] = MappingProxyType({})
    either: int | str | Part | None = None
    anything: Mapping[str, object] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Thing2:
    name: Annotated[str, Mark.MAP_KEY]
    on: bool = False


ENVIRON = {"THERE": " over there ", "EMPTY": ""}


def read(raw: object) -> tuple[Thing | None, list[str]]:
    walk = Walk(ENVIRON)
    thing = walk.read(Thing, shape_of(Thing), raw, "t")
    return thing, [str(error) for error in walk.errors]


def good(raw: object) -> Thing:
    thing, errors = read(raw)
    assert errors == []
    assert thing is not None
    return thing


def test_an_empty_section_has_every_default() -> None:
    assert good({}) == good(None) == Thing(made="")


def test_null_is_as_if_it_were_absent() -> None:
    assert good({"part": None, "count": None, "line": None, "made": None}) == Thing(made="")


def test_values_find_their_attributes_wherever_the_file_has_them() -> None:
    thing = good({
        "host_name": "h", "line": {"depth": 3}, "slow": True, "amount": 7, "parts": [{"size": 1}, {"size": 2}],
        "others": {"One": {"on": True}, "two": None}, "either": "text", "anything": {"a": [1]},
    })  # fmt: skip

    assert (thing.host, thing.depth, thing.width, thing.manner) == ("h", 3, 5, Manner(slow=True))
    assert (thing.count, thing.parts) == (7, (Part(size=1), Part(size=2)))
    assert thing.others == {"one": Thing2(name="one", on=True), "two": Thing2(name="two")}
    assert (thing.either, thing.anything) == ("text", {"a": [1]})


@pytest.mark.parametrize(
    ("raw", "attribute", "value"),
    [
        ({"ratio": 3}, "ratio", 3.0),
        ({"ratio": 30}, "ratio", 10.0),
        ({"patience": 0}, "patience", 30.0),
        ({"patience": -4}, "patience", 30.0),
        ({"patience": 4}, "patience", 4.0),
        ({"tags": ["*"]}, "tags", ("*",)),
        ({"either": 3}, "either", 3),
        ({"either": {"size": 3}}, "either", Part(size=3)),
        ({"secret": "s"}, "secret", Secret("s")),
        ({"secret": "env.THERE"}, "secret", Secret("over there", reference="env.THERE")),
        ({"secret": {"value": "s"}}, "secret", Secret("s")),
        ({"secret": {"value": None}}, "secret", Secret("")),
        ({"secret": {"env_var": "THERE"}}, "secret", Secret("over there", reference="env.THERE")),
        ({"secret": {"value": "x", "env_var": "env.THERE", "from_env": True}}, "secret", Secret("over there", reference="env.THERE")),
        ({"place": "env.THERE"}, "place", "over there"),
        ({"place": "env.NOWHERE"}, "place", ""),
    ],
)  # fmt: skip
def test_a_value_is_read_by_its_rules(raw: object, attribute: str, value: object) -> None:
    assert getattr(good(raw), attribute) == value


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "t: found a list; allowed: a mapping"),
        ({"part": {}}, "t.part.size: found nothing; allowed: a whole number, 1 or more"),
        ({"part": {"size": 0}}, "t.part.size: found 0; allowed: a whole number, 1 or more"),
        ({"part": 3}, "t.part: found a number; allowed: a mapping"),
        ({"parts": {}}, "t.parts: found a mapping; allowed: a list"),
        ({"parts": [None]}, "t.parts[0].size: found nothing"),
        ({"label": ""}, "t.label: found an empty text; allowed: a text, not blank"),
        ({"label": 3}, "t.label: found 3; allowed: a text, not blank"),
        ({"made": 3}, "t.made: found 3; allowed: a text"),
        ({"count": "1"}, "t.count: found '1'; allowed: a whole number"),
        ({"count": True}, "t.count: found true; allowed: a whole number"),
        ({"count": 1.0}, "t.count: found 1.0; allowed: a whole number"),
        ({"count": 10**16}, "t.count: found 10000000000000000; allowed: a whole number"),
        ({"slow": 1}, "t.slow: found 1; allowed: true or false"),
        ({"ratio": float("nan")}, "t.ratio: found nan; allowed: a number"),
        ({"ratio": float("inf")}, "t.ratio: found inf; allowed: a number"),
        ({"ratio": 10**400}, "t.ratio: found a very long number; allowed: a number"),
        ({"ratio": -1}, "t.ratio: found -1; allowed: a number, 0 or more"),
        ({"patience": 0.1}, "t.patience: found 0.1; allowed: a number, 0.5 or more"),
        ({"mood": "goood"}, "t.mood: found 'goood'; allowed: good or bad (did you mean \"good\"?)"),
        ({"mood": 3}, "t.mood: found 3; allowed: good or bad"),
        (
            {"count": 1, "amount": 2},
            "t.amount: found a second spelling; allowed: count or amount, not both",
        ),
        (
            {"line": {"dept": 1}},
            't.line.dept: found an unknown key; allowed: depth, width (did you mean "depth"?)',
        ),
        ({"line": [1]}, "t.line: found a list; allowed: a mapping"),
        ({"zzz": 1}, "t.zzz: found an unknown key; allowed: made, label"),
        (
            {"labels": 1},
            't.labels: found an unknown key; allowed: a known key (did you mean "label"?)',
        ),
        ({"derived": "x"}, "t.derived: found an unknown key"),
        ({"name": "x"}, "t.name: found an unknown key"),
        ({"tags": ["*", "a"]}, 't.tags: found "*" among other names'),
        ({"tags": ["a", "a"]}, "t.tags[1]: found 'a' again; allowed: each name once"),
        ({"codes": [1, 2, 1]}, "t.codes[2]: found 1 again"),
        (
            {"flags": {"one": True, "tow": True}},
            "t.flags.tow: found an unknown key; allowed: one, two",
        ),
        ({"flags": []}, "t.flags: found a list; allowed: a mapping"),
        ({"others": {"A": {}, "a": {}}}, "t.others.a: found the same name in another case"),
        ({"either": [1]}, "t.either: found a list; allowed: a whole number or a text or a mapping"),
        (
            {"secret": 12345},
            "t.secret: found a number; allowed: a text, env.NAME, or {value, env_var, from_env}",
        ),
        ({"secret": {"values": "x"}}, "t.secret.values: found an unknown key"),
        ({"secret": "env."}, "t.secret: found a reference to no variable; allowed: env.NAME"),
        ({"place": "env.A B"}, "t.place: found a reference to no variable"),
        ({"place": 3}, "t.place: found a number; allowed: a text, not blank"),
        ({"place": " "}, "t.place: found a text; allowed: a text, not blank"),
    ],
)
def test_a_mistake_is_told_with_path_found_and_allowed(raw: object, words: str) -> None:
    _, errors = read(raw)

    assert len(errors) >= 1
    assert errors[0].startswith(words)


def test_every_mistake_is_told() -> None:
    _, errors = read(
        {"count": "1", "zzz": 1, "parts": [{"size": 0}, {"sizes": 1}], "line": {"depth": 0}}
    )

    assert len(errors) == 6


def test_a_broken_member_has_its_default_meanwhile() -> None:
    thing, errors = read({"count": "1", "label": "y", "parts": [{"size": 0}, {"size": 3}]})

    assert len(errors) == 2
    assert thing == Thing(made="", label="y", parts=(Part(size=3),))


def test_unset_references_are_remembered_by_path_and_taken_out_once() -> None:
    walk = Walk(ENVIRON)
    walk.read(Thing, shape_of(Thing), {"secret": "env.NOT", "place": "env.EMPTY"}, "t")

    assert walk.unset == {"t.secret": "NOT", "t.place": "EMPTY"}
    assert walk.take_unset("t") == {"secret": "NOT", "place": "EMPTY"}
    assert walk.take_unset("t") == {}


def test_a_finished_section_is_what_its_check_makes_of_it() -> None:
    def check(walk: Walk, part: Part, place: Place) -> Part:
        walk.warnings.append(
            f"{place.path} {sorted(place.raw)} {walk.is_sound(place.path, 'size')}"
        )
        return Part(size=part.size + 1)

    walk = Walk({}, finish=dict([finishing(Part, check)]))
    thing = walk.read(Thing, shape_of(Thing), {"part": {"size": 1, "x": 1}}, "t")

    assert thing is not None
    assert thing.part == Part(size=2)
    assert walk.warnings == ["t.part ['size', 'x'] True"]
    assert not walk.is_sound("t", "part")


def test_marked_names_the_attributes_with_a_mark() -> None:
    assert marked(Thing, Mark.RESTART) == {"ratio"}


def test_a_class_with_an_odd_type_is_no_shape() -> None:
    @attrs.frozen
    class Odd:
        value: bytes

    with pytest.raises(TypeError, match="no kind of setting"):
        shape_of(Odd)
