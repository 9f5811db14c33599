"""What docs/routing-rules.md shows is what works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bifrost.config.governance_section import GovernanceSection
from bifrost.config.section_checks import section_finishes
from bifrost.config.shape import shape_of
from bifrost.config.walk import Walk
from bifrost.governance.expressions import FUNCTIONS, MAX_DEPTH, MAX_TEXT, VARIABLES, Expression
from bifrost.governance.routing import MAX_RULES
from bifrost.governance.rules import RuleBook, faults

PAGE = (Path(__file__).parents[2] / "docs/routing-rules.md").read_text()
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
TABLE = PAGE[PAGE.index("| expression |") :].split("\n\n")[0]
EXPRESSIONS = re.findall(r"^\| `(.+?)` \|", TABLE, re.MULTILINE)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_expression_can_be_read(text: str) -> None:
    assert Expression.compile(text).text == text


def test_every_example_is_sound() -> None:
    assert len(EXAMPLES) == 4
    for example in EXAMPLES:
        walk = Walk({}, finish=dict(section_finishes()))
        section = walk.read(
            GovernanceSection, shape_of(GovernanceSection), example["governance"], "governance"
        )
        assert section is not None
        assert (walk.errors, faults(section)) == ([], [])
        RuleBook.of(section.routing_rules)


def test_every_variable_and_function_is_named() -> None:
    variables = re.findall(
        r"`(\w+)`", PAGE[PAGE.index("| variable |") : PAGE.index("`authorization`")]
    )
    functions = PAGE[PAGE.index("functions `") :].split("\n\n")[0]

    assert set(variables) >= VARIABLES
    assert set(re.findall(r"`(\w+)`", functions)) == FUNCTIONS


def test_the_bounds_are_told() -> None:
    assert f"{MAX_TEXT:,} characters" in PAGE
    assert f"brackets {MAX_DEPTH} deep" in PAGE
    assert f"{MAX_RULES} at most" in PAGE
