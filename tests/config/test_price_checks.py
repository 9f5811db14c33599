from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bifrost.config.load import ConfigErrors, parse_config

IN = "input_cost_per_token"


def errors_of(tree: dict[str, Any]) -> list[str]:
    try:
        parse_config(json.dumps(tree), {})
    except ConfigErrors as errors:
        return [str(error) for error in errors.errors]
    return []


def new(**more: Any) -> list[str]:
    """What is wrong with an override that is right but for ``more``; without the path to it."""
    given: dict[str, Any] = {
        "id": "o",
        "scope_kind": "global",
        "match_type": "exact",
        "pattern": "m",
        "request_types": ["chat_completion"],
        "pricing_patch": {IN: 1e-6},
    }
    of_virtual_keys = [{"id": "v", "name": "v"}]
    governance = {"pricing_overrides": [given | more], "virtual_keys": of_virtual_keys}
    keys = [{"id": "k", "name": "k", "value": "x"}]
    errors = errors_of({"providers": {"openai": {"keys": keys}}, "governance": governance})
    return [error.removeprefix("governance.pricing_overrides[0].") for error in errors]


def old(**more: Any) -> list[str]:
    given: dict[str, Any] = {"model_pattern": "m", "match_type": "exact", IN: 1e-6}
    errors = errors_of({"providers": {"openai": {"pricing_overrides": [given | more]}}})
    return [error.removeprefix("providers.openai.pricing_overrides[0].") for error in errors]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"scope_kind": "virtual_key"}, "virtual_key_id: found nothing; allowed: an id, for scope virtual_key"),
        ({"scope_kind": "provider", "virtual_key_id": "v", "provider_id": "groq"}, "virtual_key_id: found an id; allowed: nothing, for scope provider"),
        ({"provider_key_id": "k"}, "provider_key_id: found an id; allowed: nothing, for scope global"),
        ({"request_types": []}, "request_types: found none; allowed: at least one of chat_completion, "),
        ({"request_types": ["chat"]}, "request_types[0]: found 'chat'; allowed: chat_completion, text_completion, "),
        ({"match_type": "wildcard"}, "pattern: found no single * at its end; allowed: the beginning of a name, and a *"),
        ({"match_type": "wildcard", "pattern": "a*b*"}, "pattern: found no single * at its end"),
        ({"match_type": "regex"}, "match_type: found 'regex'; allowed: exact or wildcard"),
        ({"pricing_patch": "{"}, "pricing_patch: found a text that is no JSON object; allowed: an object of prices, or its JSON text"),
        ({"pricing_patch": "[" * 10_000}, "pricing_patch: found a text that is no JSON object"),
        ({"pricing_patch": "[1]"}, "pricing_patch: found a text that is no JSON object"),
        ({"pricing_patch": " " * 70_000}, "pricing_patch: found a text that is too long"),
        ({"pricing_patch": '{"zz": 1}'}, "pricing_patch.zz: found no price of that name; allowed: the name of a price"),
        ({"pricing_patch": {f"{IN}s": 1}}, 'pricing_patch.input_cost_per_tokens: found no price of that name; allowed: the name of a price (did you mean "input_cost_per_token"?)'),
        ({"pricing_patch": {IN: -1}}, "pricing_patch.input_cost_per_token: found -1; allowed: a price in US dollars, 0 or more"),
        ({"pricing_patch": {IN: None}}, "pricing_patch.input_cost_per_token: found nothing"),
        ({"pricing_patch": {IN: {"search_context_size_huge": 1}}}, "pricing_patch.input_cost_per_token: found "),
    ],
)  # fmt: skip
def test_a_mistake_of_an_override_is_named_with_its_place(more: dict[str, Any], fault: str) -> None:
    (error,) = new(**more)

    assert error.startswith(fault)


def test_what_is_not_what_it_should_be_is_told_once() -> None:
    odd = new(scope_kind="x", request_types=1, pattern=[], pricing_patch=7, match_type=None)

    assert len(odd) == 5


def test_the_docs_example_has_no_mistakes() -> None:
    page = Path(__file__).parents[2] / "docs" / "pricing.md"
    (example,) = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)

    parse_config(example, {})


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"scope_kind": "virtual_key_provider_key", "virtual_key_id": "v", "provider_key_id": "k"},
        {"match_type": "wildcard", "pattern": "*"},
        {"match_type": "wildcard", "pattern": "gpt-*"},
        {"pricing_patch": {"search_context_cost_per_query": {"search_context_size_low": 0.01}}},
        {"pricing_patch": {"cache_creation_input_token_cost_above_1hr": 1}},
        {"pricing_patch": {IN: "1e-6", f"{IN}_above_200k_tokens": 0}},
        {"pricing_patch": {}},
    ],
)
def test_an_override_without_mistakes_passes(more: dict[str, Any]) -> None:
    assert new(**more) == []


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"model_pattern": 7}, "model_pattern: found a number; allowed: a model's name or pattern"),
        ({"match_type": "wildcard"}, "model_pattern: found no single * at its end"),
        ({"match_type": "regex", "model_pattern": "("}, "model_pattern: found missing ), unterminated subpattern"),
        ({"match_type": "near"}, "match_type: found 'near'; allowed: exact or wildcard or regex"),
        ({"request_types": "chat"}, "request_types: found a text; allowed: a list"),
        ({"request_types": ["chats"]}, "request_types[0]: found 'chats'; allowed: chat_completion, "),
        ({"price": 1}, "price: found no price of that name; allowed: the name of a price"),
        ({IN: True}, "input_cost_per_token: found true; allowed: a price in US dollars, 0 or more"),
    ],
)  # fmt: skip
def test_a_mistake_of_version_1_4s_is_named_too(more: dict[str, Any], fault: str) -> None:
    (error,) = old(**more)

    assert error.startswith(fault)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"match_type": "regex", "model_pattern": "^gpt-[0-9]"},
        {"match_type": "wildcard", "model_pattern": "gpt-*", "request_types": ["embedding"]},
    ],
)
def test_version_1_4s_without_mistakes_pass(more: dict[str, Any]) -> None:
    assert old(**more) == []
