from __future__ import annotations

from typing import Any

import pytest

from bifrost.config.placed_limits import name_limits, place_limits

BUDGET = {"id": "b", "max_limit": 1, "reset_duration": "1d"}
CONFIGS = "governance.virtual_keys[0].provider_configs"
LIMIT = {"id": "r", "request_max_limit": 1, "request_reset_duration": "1d"}


def governance(**lists: Any) -> dict[str, Any]:
    return {"governance": {"budgets": [BUDGET], "rate_limits": [LIMIT], **lists}, "client": {}}


def test_references_become_what_they_refer_to() -> None:
    key = {
        "id": "v",
        "budget_id": "b",
        "provider_configs": [{"provider": "p", "rate_limit_id": "r"}],
    }

    placed = place_limits(governance(virtual_keys=[key]))

    config = {"provider": "p", "rate_limit": LIMIT}
    assert placed.tree == governance(
        virtual_keys=[{"id": "v", "budget": BUDGET, "provider_configs": [config]}]
    )
    assert (placed.errors, placed.warnings) == ((), ())
    assert place_limits(placed.tree) == placed


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        (
            {"teams": [{"budget_id": "x"}]},
            "governance.teams[0].budget_id: found 'x'; allowed: the id of an entry in governance.budgets",
        ),
        (
            {"teams": [{"budget_id": "b", "budget": {}}]},
            "governance.teams[0].budget_id: found budget_id beside budget; allowed: one of them",
        ),
        (
            {"teams": [{"budget_id": "b"}], "customers": [{"budget_id": "b"}]},
            "governance.customers[0].budget_id: found 'b', which governance.teams[0] has; allowed: a budget of its own",
        ),
        (
            {
                "virtual_keys": [
                    {"provider_configs": [{"rate_limit": LIMIT}, {"rate_limit": LIMIT}]}
                ]
            },
            f"{CONFIGS}[1].rate_limit.id: found 'r', which {CONFIGS}[0] has; allowed: a rate_limit of its own",
        ),
    ],
)
def test_a_wrong_reference_is_an_error(lists: dict[str, Any], told: str) -> None:
    assert [str(error) for error in place_limits(governance(**lists)).errors] == [told]


def test_a_limit_that_nobody_has_is_told() -> None:
    placed = place_limits(governance(teams=[{"id": "t", "budget_id": "b"}]))

    assert placed.warnings == ("governance.rate_limits ('r'): nobody has it, so it limits nothing",)


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {"governance": []},
        {"governance": {"budgets": 5, "teams": 5, "virtual_keys": ["x", {"budget_id": 5}]}},
        {
            "governance": {
                "budgets": ["x", {"id": 5}],
                "virtual_keys": [{"provider_configs": ["x"]}],
            }
        },
    ],
)
def test_what_is_not_of_its_shape_is_left_alone(tree: object) -> None:
    assert place_limits(tree).tree == tree


def test_limits_without_an_id_are_named_by_their_owner() -> None:
    body = {
        "budget": {"max_limit": 1},
        "rate_limit": {"id": "mine"},
        "provider_configs": [{"provider": "p", "budget": {"max_limit": 1}}, "odd"],
    }

    assert name_limits("virtual_key:v", body) == {
        "budget": {"max_limit": 1, "id": "virtual_key:v:budget"},
        "rate_limit": {"id": "mine"},
        "provider_configs": [
            {"provider": "p", "budget": {"max_limit": 1, "id": "virtual_key:v:p:budget"}},
            "odd",
        ],
    }
