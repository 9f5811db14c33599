"""Which nouns a list has, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from bifrost.config.nouns import Noun
from bifrost.errors import BadRequest
from bifrost.management.governance_listing import Wish


def noun(noun_id: str, created: float, **body: Any) -> Noun:
    return Noun(
        kind="virtual_key",
        id=noun_id,
        body={"name": noun_id, **body},
        version=1,
        created_unix_s=created,
        updated_unix_s=created,
    )


NOUNS = (
    noun("Beta", 2, team_id="t"),
    noun("alpha", 1, customer_id="c", is_active=False),
    noun("gamma", 3, team_id="u", scope="team"),
)
SPENT = {"Beta": 5, "alpha": 9, "gamma": 5}


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (Wish(), "alpha Beta gamma"),
        (Wish(search="A"), "alpha Beta gamma"),
        (Wish(search="LPHA"), "alpha"),
        (Wish(search="delta"), ""),
        (Wish(any_of={"team_id": "t", "customer_id": "c"}), "alpha Beta"),
        (Wish(any_of={"team_id": "t", "customer_id": ""}), "Beta"),
        (Wish(all_of={"scope": "global"}), "alpha Beta"),
        (Wish(all_of={"scope": "team", "team_id": ""}), "gamma"),
        (Wish(sort_by="name", order="desc"), "gamma Beta alpha"),
        (Wish(sort_by="created_at", order="desc"), "gamma Beta alpha"),
        (Wish(order="desc"), "gamma Beta alpha"),
        (Wish(sort_by="status"), "Beta gamma alpha"),
        (Wish(sort_by="budget_spent"), "Beta gamma alpha"),
        (Wish(sort_by="budget_spent", order="desc"), "alpha Beta gamma"),
    ],
)
def test_what_is_asked_for_in_its_order(wish: Wish, found: str) -> None:
    listed = wish.of(NOUNS, lambda each: SPENT[each.id])
    assert " ".join(each.id for each in listed) == found


@pytest.mark.parametrize("wrong", [{"sort_by": "colour"}, {"order": "up"}])
def test_orders_that_there_are_not(wrong: Any) -> None:
    with pytest.raises(BadRequest, match="has to be one of"):
        Wish(**wrong)
