from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.catalog import Catalog
from bifrost.config.governance_section import (
    CustomerSection,
    ModelConfigSection,
    ProviderLimitSection,
    RoutingRuleSection,
    RoutingTargetSection,
    TeamSection,
)
from bifrost.config.names import BUILT_IN
from bifrost.config.secret import Secret
from bifrost.governance.routing import MAX_RULES, PercentUsed, Routed, RoutingTable
from bifrost.governance.rules import RuleBook
from bifrost.schema.call import Call, Caller, Identity, Operation, Relay, Target
from governance.nouns import at, budget, governance, key, only, rate

if TYPE_CHECKING:
    from bifrost.governance.model import Governance, Limit, VirtualKey

CONFIGURED = ("anthropic", "azure", "groq", "openai", "openrouter")
CATALOG = Catalog(
    known=BUILT_IN, configured=CONFIGURED, available=frozenset(CONFIGURED), defers=True
)
KEY = Identity(virtual_key_id="one", virtual_key_name="one")
BARE = Target("openai", "gpt-4o", is_default=True)


def nothing_used(_: Limit) -> float:
    return 0.0


def used(**by_id: float) -> PercentUsed:
    """Per cent by the ids of counters, whose colons are underscores here."""
    return lambda limit: by_id.get(limit.id.replace(":", "_"), 0.0)


def call(target: Target = BARE, **more: Any) -> Call:
    return Call(id="call-1", operation=Operation.CHAT, stream=False, target=target, **more)


def to(provider: str | None = None, model: str | None = None, **more: Any) -> RoutingTargetSection:
    return RoutingTargetSection(provider=provider, model=model, **more)


def rule(
    name: str, *targets: RoutingTargetSection, when: str = "", **more: Any
) -> RoutingRuleSection:
    return RoutingRuleSection(id=name, name=name, cel_expression=when, targets=targets, **more)


def by_rules(
    asked: Call,
    *rules: RoutingRuleSection,
    held: Governance | None = None,
    used: PercentUsed = nothing_used,
    draw: float = 0.5,
) -> Routed:
    """Where ``asked`` goes by ``rules``, whoever's it is."""
    held = held or governance()
    found = held.virtual_keys.get(asked.identity.virtual_key_id)
    table = RoutingTable(catalog=CATALOG, governance=held, rules=RuleBook.of(rules))
    return table.route(asked, found, used=used, draw=draw)


def by_weight(
    asked: Call, held: Governance, used: PercentUsed = nothing_used, draw: float = 0.5
) -> Routed:
    """Where ``asked`` goes by the weights of the one virtual key of ``held``."""
    return RoutingTable(catalog=CATALOG, governance=held).route(
        asked, only(held), used=used, draw=draw
    )


def with_configs(*configs: Any) -> Governance:
    return governance(key(provider_configs=configs))


# Nobody decides


def test_without_rules_and_virtual_key_everything_stays() -> None:
    asked = call(fallbacks=(Target("groq", "llama"),))

    routed = by_rules(asked)

    assert routed.applied(asked) == asked


def test_what_goes_on_as_it_came_is_left_alone() -> None:
    asked = call(relay=Relay(method="POST", path="/v1/files"), identity=KEY)
    held = with_configs(at("azure", weight=1.0))

    assert by_rules(asked, rule("all", to("groq")), held=held).target == BARE


# Rules


@pytest.mark.parametrize(
    ("when", "headers", "target"),
    [
        ("", {}, Target("groq", "llama")),
        ('model == "gpt-4o"', {}, Target("groq", "llama")),
        ('model == "gpt-5"', {}, BARE),
        ('provider == ""', {}, Target("groq", "llama")),
        ('provider == "openai"', {}, BARE),
        ('request_type == "chat_completion"', {}, Target("groq", "llama")),
        ('headers["X-Tier"] == "premium"', {"x-tier": "premium"}, Target("groq", "llama")),
        ('headers["X-Tier"] == "premium"', {"x-tier": "basic"}, BARE),
        ('headers["X-Tier"] == "premium"', {}, BARE),
    ],
)
def test_a_rule_moves_the_calls_for_which_it_holds(
    when: str, headers: dict[str, str], target: Target
) -> None:
    asked = call(caller=Caller(rule_headers=headers))

    assert by_rules(asked, rule("r", to("groq", "llama"), when=when)).target == target


def test_a_call_says_by_whom_it_was_routed() -> None:
    asked = call()

    routed = by_rules(asked, rule("r", to("groq", "llama"))).applied(asked)

    assert (routed.routing.rule_id, routed.routing.rule_name) == ("r", "r")
    assert routed.routing.engines == ("routing-rule",)
    assert routed.routing.log == ("routing-rule 'r': groq/llama",)


def test_a_prefixed_call_shows_its_provider() -> None:
    asked = call(Target("anthropic", "claude"))

    routed = by_rules(asked, rule("r", to("openrouter"), when='provider == "anthropic"'))

    assert routed.target == Target("openrouter", "claude")


@pytest.mark.parametrize(
    ("before", "target", "after"),
    [
        (Target("azure", "a"), to("groq", "b"), Target("groq", "b")),
        (Target("azure", "a"), to("groq"), Target("groq", "a")),
        (Target("azure", "a"), to(None, "b"), Target("azure", "b")),
        (Target("azure", "a"), to(), Target("azure", "a")),
        (BARE, to("groq"), Target("groq", "gpt-4o")),
        (BARE, to(None, "b"), Target("openai", "b")),
        (BARE, to(None, "groq/b"), Target("groq", "b")),
        (BARE, to(None, "meta/b"), Target("openai", "meta/b")),
        (Target("", "a", is_default=True), to(None, "b"), Target("", "b")),
        (Target("", "a", is_default=True), to("groq"), Target("groq", "a")),
    ],
)
def test_what_a_target_does_not_name_stays(
    before: Target, target: RoutingTargetSection, after: Target
) -> None:
    assert by_rules(call(before), rule("r", target)).target == after


def test_the_first_that_holds_decides() -> None:
    rules = (
        rule("late", to("groq"), priority=2),
        rule("never", to("azure"), when="false"),
        rule("first", to("openrouter"), priority=1),
    )

    routed = by_rules(call(), *rules)

    assert routed.target.provider == "openrouter"
    assert routed.routing.rule_id == "first"


def test_the_rules_of_a_team_come_before_everybodys() -> None:
    rules = (
        rule("all", to("groq")),
        rule("team", to("azure"), scope="team", scope_id="t"),
        rule("others", to("openrouter"), scope="team", scope_id="u", priority=-1),
    )
    identity = attrs.evolve(KEY, team_id="t", team_name="T", customer_id="c", customer_name="C")

    assert by_rules(call(identity=identity), *rules).target.provider == "azure"
    assert by_rules(call(), *rules).target.provider == "groq"


def test_expressions_know_whose_call_it_is() -> None:
    identity = Identity(
        virtual_key_id="one",
        virtual_key_name="Ann",
        team_id="t",
        team_name="T",
        customer_id="c",
        customer_name="C",
    )
    when = (
        "virtual_key_id + virtual_key_name + team_id + team_name + customer_id + customer_name"
        ' == "oneAnntTcC"'
    )

    assert (
        by_rules(call(identity=identity), rule("r", to("groq"), when=when)).routing.rule_id == "r"
    )


def test_a_rule_that_cannot_be_asked_is_skipped_and_told_of() -> None:
    rules = (rule("bad", to("azure"), when="model > 3"), rule("good", to("groq")))

    routed = by_rules(call(), *rules)

    assert routed.target.provider == "groq"
    (warning,) = routed.warnings
    assert "'bad'" in warning
    assert warning in routed.routing.log


def test_targets_that_are_not_configured_are_never_chosen() -> None:
    half = rule("half", to("mistral", weight=0.9), to("groq", weight=0.1))

    found = {by_rules(call(), half, draw=n / 50).target.provider for n in range(50)}

    assert found == {"groq"}
    assert "mistral" in by_rules(call(), half).warnings[0]


def test_a_rule_without_a_configured_target_is_skipped() -> None:
    rules = (rule("none", to("mistral")), rule("next", to("groq")))

    assert by_rules(call(), *rules).target.provider == "groq"


def test_a_rules_fallbacks_replace_the_callers() -> None:
    asked = call(fallbacks=(Target("anthropic", "claude"),))

    keeps = by_rules(asked, rule("r", to("groq", "llama")))
    replaces = by_rules(
        asked, rule("r", to("groq", "llama"), fallbacks=("azure/gpt-4o", "llama-2"))
    )

    assert keeps.fallbacks == (Target("anthropic", "claude"),)
    assert replaces.fallbacks == (Target("azure", "gpt-4o"), Target("groq", "llama-2"))


def test_fallbacks_without_a_provider_follow_the_primary() -> None:
    asked = call(fallbacks=(Target("openai", "gpt-5", is_default=True), Target("openai", "gpt-6")))

    routed = by_rules(asked, rule("r", to("azure")))

    assert routed.fallbacks == (Target("azure", "gpt-5"), Target("openai", "gpt-6"))


def test_a_key_is_pinned_for_the_primary() -> None:
    asked = call(caller=Caller(key_id="callers", key_name="name", direct_key=Secret("sk-own")))

    routed = by_rules(asked, rule("r", to("groq", key_id="k-1"))).applied(asked)

    assert routed.caller == Caller(key_id="k-1")


def test_a_callers_own_key_stays_with_its_provider() -> None:
    own = Caller(key_name="name", direct_key=Secret("sk-own"))
    asked = call(Target("openai", "gpt-4o"), caller=own)

    stays = by_rules(asked, rule("r", to(None, "gpt-5"))).applied(asked)
    moves = by_rules(asked, rule("r", to("groq"))).applied(asked)

    assert stays.caller == own
    assert moves.caller == Caller()


# Usage


LIMITED = governance(
    key(provider_configs=(at("openai", budget=budget(1), rate_limit=rate(tokens=9)),)),
    models=(
        ModelConfigSection(id="m", model_name="gpt-4o", rate_limit=rate(requests=5)),
        ModelConfigSection(id="mp", model_name="gpt-4o", provider="openai", budget=budget(1)),
    ),
    providers=(ProviderLimitSection(name="openai", budget=budget(1)),),
)
PREFIXED = Target("openai", "gpt-4o")


@pytest.mark.parametrize(
    ("when", "usage", "holds"),
    [
        ("budget_used > 80", {}, False),
        ("budget_used > 80", {"provider_limit_openai_budget": 85.0}, True),
        ("budget_used > 80", {"model_config_mp_budget": 80.5}, True),
        ("budget_used > 80", {"virtual_key_one_openai_budget": 120.0}, True),
        (
            "budget_used == 70",
            {"provider_limit_openai_budget": 70, "model_config_mp_budget": 60},
            True,
        ),
        ("tokens_used >= 50", {"virtual_key_one_openai_rate_limit_tokens": 50.0}, True),
        ("request > 10", {"model_config_m_rate_limit_requests": 20.0}, True),
        ("request > 10", {"virtual_key_one_openai_rate_limit_tokens": 50.0}, False),
    ],
)
def test_usage_is_the_highest_of_the_target(
    when: str, usage: dict[str, float], holds: bool
) -> None:
    routed = by_rules(
        call(PREFIXED, identity=KEY),
        rule("r", to("groq"), when=when),
        held=LIMITED,
        used=used(**usage),
    )

    assert (routed.target.provider == "groq") is holds


def test_a_bare_model_has_no_provider_whose_limits_count() -> None:
    usage = used(provider_limit_openai_budget=99.0)
    held = governance(providers=(ProviderLimitSection(name="openai", budget=budget(1)),))
    asking = rule("r", to("groq"), when="budget_used > 80")

    assert by_rules(call(), asking, held=held, used=usage).target == BARE


def test_all_counters_that_may_be_asked_for_are_known_beforehand() -> None:
    asked = call(PREFIXED, identity=KEY)
    asks = RuleBook.of((rule("r", to(None, "groq/gpt-4o"), when="budget_used > 80"),))
    seen: set[str] = set()

    def noting(limit: Limit) -> float:
        seen.add(limit.id)
        return 0.0

    table = RoutingTable(catalog=CATALOG, governance=LIMITED, rules=asks)
    table.route(asked, only(LIMITED), used=noting, draw=0.5)

    assert seen == table.counters(asked, only(LIMITED))
    assert "model_config:m:rate_limit:requests" in table.counters(
        call(Target("openai", "other")), None
    )


def test_where_nothing_is_asked_no_counter_is_fetched() -> None:
    rules = RuleBook.of((rule("r", to("groq")),))
    table = RoutingTable(catalog=CATALOG, governance=LIMITED, rules=rules)

    assert table.counters(call(), None) == frozenset()
    relayed = call(relay=Relay(method="GET", path="/v1/files"))
    assert table.counters(relayed, only(LIMITED)) == frozenset()


# Chains


def test_a_chained_rule_hands_its_result_on() -> None:
    rules = (
        rule("alias", to(None, "gpt-5"), when='model == "best"', chain_rule=True),
        rule("place", to("azure"), when='model == "gpt-5"'),
    )

    routed = by_rules(call(Target("openai", "best", is_default=True)), *rules)

    assert routed.target == Target("azure", "gpt-5")
    assert routed.routing.rule_id == "place"
    assert len(routed.routing.log) == 2
    assert routed.routing.engines == ("routing-rule",)


def test_without_chaining_the_first_is_the_last() -> None:
    rules = (
        rule("alias", to(None, "gpt-5"), when='model == "best"'),
        rule("place", to("azure"), when='model == "gpt-5"'),
    )

    assert by_rules(call(Target("openai", "best", is_default=True)), *rules).target == Target(
        "openai", "gpt-5"
    )


def test_a_chain_has_an_end() -> None:
    rules = [rule(f"r{n}", to(None, f"m{n}"), priority=n, chain_rule=True) for n in range(20)]

    assert by_rules(call(), *rules).target.model == f"m{MAX_RULES - 1}"


def test_a_pin_lasts_as_long_as_its_provider() -> None:
    pins = rule("pins", to("groq", key_id="k"), chain_rule=True)

    stays = by_rules(call(), pins, rule("next", to(None, "llama"), priority=1))
    moves = by_rules(call(), pins, rule("next", to("azure"), priority=1))

    assert (stays.key_id, moves.key_id) == ("k", None)


# The weights of a virtual key


def test_a_bare_model_goes_by_weight_and_the_others_follow() -> None:
    held = with_configs(at("azure", weight=0.1), at("groq", weight=0.2), at("openai", weight=0.7))
    asked = call(identity=KEY)

    routed = by_weight(asked, held, draw=0.5)

    others = {Target(name, "gpt-4o") for name in ("azure", "openai")} | {
        Target("groq", "openai/gpt-4o")
    }
    assert {routed.target, *routed.fallbacks} == others
    assert routed.routing.engines == ("governance",)
    assert "by weight" in routed.routing.log[-1]


def test_fallbacks_come_in_the_order_of_their_weights() -> None:
    held = with_configs(
        at("azure", weight=1.0),
        at("openrouter", weight=2.0),
        at("openai", weight=1000.0),
        at("anthropic", weight=1.0),
    )

    routed = by_weight(call(), held)

    assert [each.provider for each in (routed.target, *routed.fallbacks)] == [
        "openai",
        "openrouter",
        "azure",
        "anthropic",
    ]


def test_the_callers_own_fallbacks_stay() -> None:
    asked = call(fallbacks=(Target("anthropic", "claude"),))
    held = with_configs(at("azure", weight=1.0), at("groq", weight=1.0))

    assert by_weight(asked, held).fallbacks == (Target("anthropic", "claude"),)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (at("azure"), "no weight"),
        (at("mistral", weight=1.0), "not configured"),
        (at("azure", weight=1.0, allowed_models=("gpt-5",)), "not allowed"),
        (at("azure", weight=1.0, allowed_models=()), "not allowed"),
        (at("azure", weight=1.0, budget=budget(1)), "used up"),
        (at("azure", weight=1.0, rate_limit=rate(tokens=1)), "used up"),
        (at("groq", weight=1.0), "used up"),
    ],
)
def test_who_cannot_serve_takes_no_part(config: Any, why: str) -> None:
    held = governance(
        key(provider_configs=(config, at("anthropic", weight=0.001))),
        providers=(ProviderLimitSection(name="groq", rate_limit=rate(requests=1)),),
    )
    usage = used(
        virtual_key_one_azure_budget=100.0,
        virtual_key_one_azure_rate_limit_tokens=100.0,
        provider_limit_groq_rate_limit_requests=101.0,
    )

    routed = by_weight(call(), held, usage)

    assert (routed.target, routed.fallbacks) == (Target("anthropic", "gpt-4o"), ())
    assert why in routed.routing.log[0]


def test_the_provider_with_budget_left_is_chosen() -> None:
    held = with_configs(at("azure", weight=0.99, budget=budget(1)), at("openai", weight=0.01))

    def spent(limit: Limit) -> float:
        return 100.0 if limit.id == "virtual_key:one:azure:budget" else 99.9

    assert by_weight(call(), held, spent).target == Target("openai", "gpt-4o")
    explicit = call(Target("azure", "gpt-4o"))
    assert by_weight(explicit, held, spent).target == explicit.target


def test_who_is_left_with_nobody_keeps_his_target() -> None:
    routed = by_weight(call(), with_configs(at("azure"), at("groq", weight=1.0, allowed_models=())))

    assert (routed.target, routed.fallbacks) == (BARE, ())
    assert routed.routing.engines == ()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (Target("openai", "gpt-4o"), Target("openai", "gpt-4o")),
        (Target("openai", "meta/llama", is_default=True), Target("openrouter", "meta/llama")),
        # A provider that is known and not configured is a maker's name to somebody who is.
        (Target("mistral", "small"), Target("openrouter", "mistral/small")),
        (Target("", "small", is_default=True), Target("openrouter", "small")),
    ],
)
def test_only_a_configured_prefix_has_decided(target: Target, expected: Target) -> None:
    assert by_weight(call(target), with_configs(at("openrouter", weight=1.0))).target == expected


def test_weights_of_zero_are_all_alike() -> None:
    held = with_configs(at("azure", weight=0), at("openai", weight=0))

    found = Counter(by_weight(call(), held, draw=n / 400).target.provider for n in range(400))

    assert 160 <= found["azure"] <= 240


def test_groq_gets_a_model_by_its_makers_name() -> None:
    held = with_configs(at("groq", weight=1.0, allowed_models=("gpt-oss-120b",)))
    asked = call(Target("openai", "gpt-oss-120b", is_default=True))

    assert by_weight(asked, held).target == Target("groq", "openai/gpt-oss-120b")


def test_several_makers_of_a_model_are_nobody() -> None:
    class Lists:
        def models_of(self, provider: str) -> frozenset[str]:
            return frozenset({"a/llama", "b/llama"})

        def has(self, provider: str, model: str) -> bool:
            return True

    held = with_configs(at("groq", weight=1.0))
    table = RoutingTable(catalog=CATALOG, governance=held, lists=Lists())
    asked = call(Target("openai", "llama", is_default=True))

    routed = table.route(asked, only(held), used=nothing_used, draw=0.5)

    assert routed.target == asked.target
    assert "several" in routed.routing.log[0]


def test_a_rule_that_names_only_a_model_leaves_the_choice_to_the_weights() -> None:
    held = with_configs(at("azure", weight=1.0))
    asked = call(identity=KEY)

    routed = by_rules(asked, rule("r", to(None, "gpt-5")), held=held)

    assert routed.target == Target("azure", "gpt-5")
    assert routed.routing.engines == ("routing-rule", "governance")
    assert by_rules(asked, rule("r", to("groq", "m")), held=held).target == Target("groq", "m")


# Laws


DRAWS = st.floats(0, 1, exclude_max=True)
WEIGHTS = st.lists(st.floats(0, 10), min_size=1, max_size=4)


@pytest.mark.parametrize("seed", range(5))
def test_70_to_30_are_met_over_1000_calls(seed: int) -> None:
    rng = random.Random(seed)
    held = with_configs(at("openai", weight=0.7), at("azure", weight=0.3))

    found = Counter(by_weight(call(), held, draw=rng.random()).target.provider for _ in range(1000))

    assert 650 <= found["openai"] <= 750
    assert found["openai"] + found["azure"] == 1000


def test_a_rules_weights_are_met() -> None:
    rng = random.Random(1)
    split = rule("r", to("openai", weight=0.7), to("azure", weight=0.3))

    found = Counter(by_rules(call(), split, draw=rng.random()).target.provider for _ in range(1000))

    assert 650 <= found["openai"] <= 750


@given(DRAWS, WEIGHTS)
def test_the_same_draw_chooses_the_same_target_and_one_of_the_rules(
    draw: float, weights: list[float]
) -> None:
    targets = [to(name, weight=w) for name, w in zip(CONFIGURED, weights, strict=False)]
    split = rule("r", *targets)

    routed = by_rules(call(), split, draw=draw)

    assert routed == by_rules(call(), split, draw=draw)
    chosen = next(each for each in targets if each.provider == routed.target.provider)
    assert chosen.weight > 0 or not any(weights)


@st.composite
def rulebooks(draw: st.DrawFn) -> list[RoutingRuleSection]:
    """Rules of all scopes that move calls between five models, many of them chained."""
    models = st.sampled_from(["a", "b", "c", "d", "e"])
    scopes = {"virtual_key": "one", "team": "t", "customer": "c", "global": None}
    found = []
    for index in range(draw(st.integers(1, 14))):
        scope = draw(st.sampled_from(sorted(scopes)))
        when = draw(st.sampled_from(["", "false", "model > 1", 'model == "a"', 'model != "b"']))
        more = {
            "scope": scope,
            "scope_id": scopes[scope],
            "priority": draw(st.integers(-2, 2)),
            "chain_rule": draw(st.booleans()),
            "enabled": draw(st.integers(0, 4)) > 0,
        }
        found.append(rule(f"r{index}", to(None, draw(models)), when=when, **more))
    return found


@given(rulebooks(), DRAWS)
def test_no_rule_runs_twice_and_the_nearest_comes_first(
    rules: list[RoutingRuleSection], draw: float
) -> None:
    identity = attrs.evolve(KEY, team_id="t", customer_id="c")

    routed = by_rules(call(Target("groq", "x"), identity=identity), *rules, draw=draw)

    ran = [line for line in routed.routing.log if "skipped" not in line]
    assert len(set(ran)) == len(ran) <= MAX_RULES
    nearness = ["virtual_key", "team", "customer", "global"]
    always = [each for each in rules if each.enabled and each.cel_expression == ""]
    first = min(always, key=lambda r: (nearness.index(r.scope), r.priority), default=None)
    if first is not None:
        assert ran
        met = next(each for each in rules if f"'{each.name}'" in ran[0])
        assert (nearness.index(met.scope), met.priority) <= (
            nearness.index(first.scope),
            first.priority,
        )
    assert all(each.enabled for each in rules if each.id == routed.routing.rule_id)


def test_a_customers_rule_holds_for_a_team_of_his() -> None:
    held = governance(
        key(team_id="t"),
        teams=(TeamSection(id="t", name="T", customer_id="c"),),
        customers=(CustomerSection(id="c", name="C"),),
    )
    team, customer = held.owners(only(held))
    assert team is not None
    assert customer is not None
    identity = attrs.evolve(KEY, team_id=team.id, customer_id=customer.id)

    found = by_rules(
        call(identity=identity), rule("r", to("groq"), scope="customer", scope_id="c"), held=held
    )

    assert found.target.provider == "groq"


def test_a_virtual_key_without_configurations_chooses_nobody() -> None:
    nobody: VirtualKey = only(governance(key(provider_configs=())))
    table = RoutingTable(catalog=CATALOG)

    assert table.route(call(), nobody, used=nothing_used, draw=0.0).target == BARE
