from __future__ import annotations

import pytest

from bifrost.config.governance_section import (
    CustomerSection,
    ModelConfigSection,
    ProviderLimitSection,
    TeamSection,
)
from bifrost.errors import ErrorClass
from bifrost.governance.levels import (
    Amounts,
    Level,
    Scope,
    Violation,
    general_levels,
    key_levels,
    told,
)
from bifrost.governance.model import NANO, Unit
from bifrost.governance.periods import Period
from bifrost.schema.call import Target
from governance.nouns import at, budget, governance, key, limits, only, rate

GPT = Target("openai", "gpt-4o")


def names(levels: tuple[Level, ...]) -> list[str]:
    return [level.name for level in levels]


def test_general_levels_are_the_provider_then_the_model() -> None:
    held = governance(
        models=(
            ModelConfigSection(id="1", model_name="gpt-4o", provider="openai", budget=budget(1.0)),
            ModelConfigSection(id="2", model_name="gpt-4o", budget=budget(1.0)),
            ModelConfigSection(id="3", model_name="gpt-4o-mini"),
        ),
        providers=(ProviderLimitSection(name="openai", budget=budget(1.0)),),
    )
    found = general_levels(held, GPT)
    assert names(found) == ["openai", "Model:gpt-4o:Provider:openai", "Model:gpt-4o"]
    assert [level.scope for level in found] == [Scope.PROVIDER, Scope.MODEL, Scope.MODEL]
    assert not any(level.ends_chain for level in found)
    assert names(general_levels(held, Target("groq", "gpt-4o"))) == ["Model:gpt-4o"]
    assert general_levels(held, Target("groq", "gpt-4o-mini")) == ()
    assert names(general_levels(held, Target("openai", ""))) == ["openai"]


def test_a_model_goes_by_its_base_name_first() -> None:
    held = governance(
        models=(
            ModelConfigSection(id="1", model_name="gpt-4o", budget=budget(1.0)),
            ModelConfigSection(id="2", model_name="gpt-4o-2024-08-06", budget=budget(1.0)),
        )
    )
    dated = Target("openai", "gpt-4o-2024-08-06")
    assert names(general_levels(held, dated, "gpt-4o")) == ["Model:gpt-4o"]
    assert names(general_levels(held, dated)) == ["Model:gpt-4o-2024-08-06"]


def test_the_keys_chain() -> None:
    held = governance(
        key(
            team_id="t",
            budget=budget(1.0),
            provider_configs=(at("openai", rate_limit=rate(requests=1)), at("groq")),
        ),
        teams=(TeamSection(id="t", name="T", customer_id="c", budget=budget(1.0)),),
        customers=(CustomerSection(id="c", name="C", rate_limit=rate(tokens=1)),),
    )
    one = only(held)
    assert names(key_levels(held, one, "openai")) == ["openai", "VK", "Team", "Customer"]
    assert names(key_levels(held, one, "groq")) == ["VK", "Team", "Customer"]
    assert [level.ends_chain for level in key_levels(held, one, "openai")] == [
        False,
        True,
        True,
        True,
    ]


MINUTE, MONTH = Period.parse("1m"), Period.parse("1M")
TOKENS = Violation(Unit.TOKENS, 1200, 1000, MINUTE, 30.0)
REQUESTS = Violation(Unit.REQUESTS, 3, 3, MINUTE, 12.5)
MONEY = Violation(Unit.NANO_USD, 1_234_500_000, NANO, MONTH, 86400.0)
ANY = limits("x", usd=1.0)


@pytest.mark.parametrize(
    ("scope", "name", "violations", "kind", "status", "text"),
    [
        (
            Scope.KEY,
            "VK",
            (TOKENS,),
            "token_limited",
            429,
            (
                "Rate limit check failed: rate limit violated for VK: "
                "token limit exceeded (1200/1000, resets every 1m)"
            ),
        ),
        (
            Scope.KEY,
            "Team",
            (REQUESTS,),
            "request_limited",
            429,
            (
                "Rate limit check failed: rate limit violated for Team: "
                "request limit exceeded (3/3, resets every 1m)"
            ),
        ),
        (
            Scope.KEY,
            "openai",
            (TOKENS, REQUESTS),
            "rate_limited",
            429,
            (
                "Rate limit check failed: rate limit violated for openai: token limit exceeded "
                "(1200/1000, resets every 1m); request limit exceeded (3/3, resets every 1m)"
            ),
        ),
        (
            Scope.MODEL,
            "Model:gpt-4o",
            (REQUESTS,),
            "request_limited",
            429,
            (
                "Model-level rate limit check failed: rate limit violated for Model:gpt-4o: "
                "request limit exceeded (3/3, resets every 1m)"
            ),
        ),
        (
            Scope.PROVIDER,
            "openai",
            (REQUESTS,),
            "request_limited",
            429,
            (
                "Provider-level rate limit check failed: rate limit violated for openai: "
                "request limit exceeded (3/3, resets every 1m)"
            ),
        ),
        (
            Scope.KEY,
            "Customer",
            (MONEY,),
            "budget_exceeded",
            402,
            "Budget exceeded: Customer budget exceeded: 1.2345 >= 1.0000 dollars",
        ),
        (
            Scope.MODEL,
            "Model:gpt-4o:Provider:openai",
            (MONEY,),
            "budget_exceeded",
            402,
            (
                "Model-level budget exceeded: Model:gpt-4o:Provider:openai budget exceeded: "
                "1.2345 >= 1.0000 dollars"
            ),
        ),
        (
            Scope.PROVIDER,
            "openai",
            (MONEY,),
            "budget_exceeded",
            402,
            "Provider-level budget exceeded: openai budget exceeded: 1.2345 >= 1.0000 dollars",
        ),
    ],
)
def test_the_table_of_denials(
    scope: Scope, name: str, violations: tuple[Violation, ...], kind: str, status: int, text: str
) -> None:
    error = told(Level(scope, name, ANY), violations)
    assert (error.kind, error.type, error.status, error.message) == (kind, kind, status, text)
    assert error.error_class is ErrorClass.DENIED


def test_a_rate_limit_says_when_to_come_back_and_what_it_is() -> None:
    error = told(Level(Scope.KEY, "VK", ANY), (TOKENS, REQUESTS))
    assert error.retry_after_s == 30.0
    assert dict(error.headers) == {
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "30.000s",
        "x-ratelimit-limit-requests": "3",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "12.500s",
    }


def test_amounts_by_what_they_are_of() -> None:
    amounts = Amounts(requests=1, tokens=2, nano_usd=3)
    assert [amounts.of(unit) for unit in (Unit.REQUESTS, Unit.TOKENS, Unit.NANO_USD)] == [1, 2, 3]
