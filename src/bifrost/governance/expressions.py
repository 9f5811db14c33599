"""The door to CEL: an expression's text to something that holds, or does not, of the facts of a call. Pure.

Source of the language: cel.dev, the specification of the Common Expression Language, 2026-11. Evaluation is the library's; what
it leaves open is closed here before anything runs: how long, how deep and how dear an expression may be, and which names it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.governance.patterns import MAX_WEIGHT, weight

if TYPE_CHECKING:
    import cel

__all__ = [
    "MAX_TEXT",
    "NO_MENTIONS",
    "USAGE",
    "BadExpression",
    "Expression",
    "Facts",
    "Mentions",
    "NoAnswer",
]

MAX_TEXT = 2000
"""Characters. Without loops, which are refused, the length bounds the work."""

MAX_DEPTH = 24
"""Brackets inside of brackets; the library's own parser gives up, with a text of its own, somewhere past 30."""

MAPS = frozenset({"headers", "params"})
USAGE = frozenset({"budget_used", "tokens_used", "request"})
TYPES = frozenset({"bool", "int", "uint", "double", "string", "bytes", "list", "map"})
"""Names that ``type(x) == int`` compares with."""

LOOPS = frozenset({"all", "exists", "exists_one", "map", "filter"})

FUNCTIONS = frozenset(
    {
        *("size", "contains", "startsWith", "endsWith", "matches", "has", "type"),
        *("int", "uint", "double", "string"),
    }
)

_TOKEN = re.compile(
    r"""
    (?P<space> \s+ | //[^\n]* )
  | (?P<string>
        (?:[rR][bB]?|[bB][rR]) (?: \"{3}.*?\"{3} | '{3}.*?'{3} | "[^"\n]*" | '[^'\n]*' )
      | [bB]? (?: \"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<number> [0-9][0-9A-Za-z.]* )
  | (?P<sign> && | \|\| | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"(?P<raw>[rR]?)(?P<quote>\"{3}|'{3}|\"|')(?P<text>.*)(?P=quote)", re.DOTALL)
_PLACE = re.compile(r"<input>:(\d+):(\d+)")

OPENING, CLOSING = frozenset("([{"), frozenset(")]}")
BEFORE_KEY = frozenset({"(", "[", "{", ",", "&&", "||", "?", ":"})
"""Behind these an operand begins that ends with ``in``: there is no operator that would take a part of it."""


class BadExpression(ValueError):
    """The text is no expression that rules can have. ``found`` and ``allowed`` never repeat the text."""

    def __init__(self, found: str, allowed: str) -> None:
        super().__init__(f"{found}; allowed: {allowed}")
        self.found = found
        self.allowed = allowed


class NoAnswer(Exception):
    """An expression that is neither true nor false of these facts. The text says why, and nothing of the facts."""


@attrs.frozen
class Mentions:
    """What of a request expressions ask for, so that nothing else need be kept. ``headers`` are lower case; ``None`` is all."""

    headers: frozenset[str] | None = frozenset()
    params: bool = False

    def __bool__(self) -> bool:
        return self.params or self.headers is None or bool(self.headers)

    def __or__(self, other: Mentions) -> Mentions:
        """What either asks for."""
        names = (
            None if self.headers is None or other.headers is None else self.headers | other.headers
        )
        return Mentions(names, self.params or other.params)


NO_MENTIONS = Mentions()

NO_PAIRS: Mapping[str, str] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Facts:
    """What expressions know of a call, by the names they use. ``provider`` is ``""`` for a bare model."""

    model: str
    provider: str = ""
    request_type: str = ""
    headers: Mapping[str, str] = attrs.field(default=NO_PAIRS, repr=False)
    """Names in lower case."""
    params: Mapping[str, str] = attrs.field(default=NO_PAIRS, repr=False)
    """Of the query; names in lower case."""
    virtual_key_id: str = ""
    virtual_key_name: str = ""
    team_id: str = ""
    team_name: str = ""
    customer_id: str = ""
    customer_name: str = ""
    budget_used: float = 0.0
    """Per cent, as the other two; more than 100 is possible."""
    tokens_used: float = 0.0
    request: float = 0.0
    asked: frozenset[str] | None = None
    """The variables of all expressions that these are for, since telling each costs more than asking it; ``None`` is every one."""

    @cached_property
    def context(self) -> cel.Context:
        """The facts as the library has them. Made once for all the rules that are asked."""
        from cel import Context  # noqa: PLC0415  see compiled

        asked = VARIABLES if self.asked is None else VARIABLES & self.asked
        facts = {name: getattr(self, name) for name in asked}
        return Context(facts | {name: dict(facts[name]) for name in MAPS & asked})


VARIABLES = frozenset(field.name for field in attrs.fields(Facts)) - {"asked"}


@attrs.frozen
class Expression:
    """A condition. ``variables`` are the names that it uses."""

    text: str
    variables: frozenset[str] = frozenset()
    mentions: Mentions = NO_MENTIONS
    answer: Callable[[Facts], object] = attrs.field(default=lambda _: True, eq=False, repr=False)
    """The text evaluated; an empty one is true."""

    @classmethod
    def compile(cls, text: str) -> Expression:
        """``text`` checked and compiled. Raises BadExpression."""
        if len(text) > MAX_TEXT:
            raise BadExpression(f"{len(text)} characters", f"at most {MAX_TEXT}")
        if not text.strip():
            return cls(text)
        tokens = _tokens(text)
        _check_depth(tokens)
        reading = _Reading(tokens)
        lowered = reading.lowered()
        _check_loops(reading.signs)
        program = compiled(lowered)
        _check_names(program, reading.signs)
        _check_patterns(reading.signs)
        return cls(
            text,
            frozenset(program.variables()),
            reading.mentions,
            lambda facts: program.execute(facts.context),
        )

    def holds(self, facts: Facts) -> bool:
        """Whether it is true of ``facts``. Something that a map does not have makes it false. Raises NoAnswer."""
        try:
            answer = self.answer(facts)
        except KeyError:
            return False
        except TypeError as error:
            raise NoAnswer("it compares, or calls, what does not go together") from error
        except (ValueError, ArithmeticError, LookupError, RuntimeError) as error:
            raise NoAnswer("its evaluation failed") from error
        if not isinstance(answer, bool):
            raise NoAnswer("its value is neither true nor false")
        return answer


def compiled(text: str) -> cel.Program:
    """``text`` as the library's program. Raises BadExpression."""
    # The package imports its command line with it: a quarter of a second that only those spend who have rules.
    from cel import compile as compile_cel  # noqa: PLC0415  as said

    try:
        return compile_cel(text)
    except ValueError as error:
        place = _PLACE.search(str(error))
        where = f" at line {place[1]}, character {place[2]}" if place else ""
        raise BadExpression(f"a syntax error{where}", "an expression in CEL") from error


# The text taken apart, as far as the library does not tell


@attrs.frozen
class Token:
    kind: str
    text: str


END = Token("end", "")


def _tokens(text: str) -> list[Token]:
    return [Token(found.lastgroup or "", found[0]) for found in _TOKEN.finditer(text)]


def _check_depth(tokens: Sequence[Token]) -> None:
    depth = 0
    for token in tokens:
        if token.kind == "sign":
            depth += (token.text in OPENING) - (token.text in CLOSING)
        if depth > MAX_DEPTH:
            raise BadExpression("brackets nested too deeply", f"at most {MAX_DEPTH} levels")


def _check_loops(tokens: Sequence[Token]) -> None:
    for dot, name, bracket in _triples(tokens):
        if dot.text == "." and name.text in LOOPS and bracket.text == "(":
            raise BadExpression(f"the macro {name.text}", "expressions without loops")


def _check_names(program: cel.Program, tokens: Sequence[Token]) -> None:
    unknown = sorted(set(program.variables()) - VARIABLES - TYPES)
    if unknown:
        raise BadExpression("an unknown variable", f"one of {', '.join(sorted(VARIABLES))}")
    called = {
        name.text
        for _, name, bracket in _triples(tokens)
        if name.kind == "name" and bracket.text == "(" and name.text != "in"
    }
    if called - FUNCTIONS:
        raise BadExpression("an unknown function", f"one of {', '.join(sorted(FUNCTIONS))}")


def _check_patterns(tokens: Sequence[Token]) -> None:
    """Patterns have to stand in the expression: a caller's own would be compiled, at any price, for each call."""
    total = 0
    for index, token in enumerate(tokens):
        if token.kind != "name" or token.text != "matches":
            continue
        bracket, pattern, end = (*tokens[index + 1 : index + 4], END, END, END)[:3]
        if (bracket.text, pattern.kind, end.text) != ("(", "string", ")"):
            raise BadExpression("matches without a pattern", "matches(…) of a text in quotes")
        total += _pattern_weight(pattern.text)
    if total > MAX_WEIGHT:
        raise BadExpression("patterns that repeat too much", "shorter or fewer repetitions")


def _pattern_weight(literal: str) -> int:
    try:
        compiled(f'"".matches({literal})').execute()
    except (RuntimeError, TypeError) as error:
        raise BadExpression(
            "a pattern that is none", "a regular expression of RE2's kind"
        ) from error
    return weight(str(compiled(literal).execute()))


def _triples(tokens: Sequence[Token]) -> Iterator[tuple[Token, Token, Token]]:
    return zip([END, *tokens], tokens, [*tokens[1:], END], strict=False)


@attrs.define(eq=False)
class _Reading:
    """Finds what an expression asks of maps, whose keys are lower case, and lowers the keys it says itself."""

    tokens: list[Token]
    signs: list[Token] = attrs.field(init=False)
    """The tokens without space and comments."""
    names: set[str] = attrs.field(factory=set, init=False)
    is_open: bool = attrs.field(default=False, init=False)
    """Whether some header is asked for whose name the text does not say."""
    params: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.signs = [token for token in self.tokens if token.kind != "space"]

    @property
    def mentions(self) -> Mentions:
        return Mentions(None if self.is_open else frozenset(self.names), self.params)

    def lowered(self) -> str:
        """The whole text with its keys in lower case; lines and characters stay where they are."""
        places = [index for index, token in enumerate(self.tokens) if token.kind != "space"]
        whole = [token.text for token in self.tokens]
        for index, token in enumerate(self.signs):
            if token.kind == "name" and token.text in MAPS and not self._is_member(index):
                key = self._key_of(index)
                self._note(token.text, None if key is None else self.signs[key])
                if key is not None:
                    whole[places[key]] = whole[places[key]].lower()
        return "".join(whole)

    def _note(self, name: str, key: Token | None) -> None:
        if name == "params":
            self.params = True
        elif key is None:
            self.is_open = True
        else:
            self.names.add((key.text if key.kind == "name" else _plain(key)).lower())

    def _at(self, index: int) -> Token:
        return self.signs[index] if 0 <= index < len(self.signs) else END

    def _is_member(self, index: int) -> bool:
        return self._at(index - 1).text == "."

    def _key_of(self, index: int) -> int | None:
        """Where the key stands that the map at ``index`` is asked for, if the text says it there."""
        after = self._at(index + 1).text
        if after == "." and self._at(index + 2).kind == "name" and self._at(index + 3).text != "(":
            return index + 2
        if after == "[" and self._at(index + 3).text == "]" and _plain(self._at(index + 2)):
            return index + 2
        is_asked = self._at(index - 1).text == "in" and _plain(self._at(index - 2))
        before = self._at(index - 3)
        is_whole = before is END or before.text in BEFORE_KEY
        return index - 2 if is_asked and is_whole and after not in {".", "["} else None


def _plain(token: Token) -> str:
    """What a literal without escapes says; ``""`` if it is none, or nothing that a header is called."""
    found = _PLAIN.fullmatch(token.text) if token.kind == "string" else None
    text = found["text"] if found else ""
    return text if text.isascii() and "\\" not in text else ""
