"""Governance over a real router and real pools: who is let in, on what terms, and what it comes to, however a call ends."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.fakes import key as pool_key
from actors.fakes import provider
from actors.scripted import (
    NEVER,
    WALL_S,
    Answer,
    Heard,
    House,
    Seen,
    by_order,
    call,
    chunk,
    completion,
    house,
    listen,
    refusal,
    streamed,
)
from bifrost.actors.ledger import Ledger
from bifrost.actors.ledger_messages import Counted
from bifrost.actors.paid_book import is_mark_row
from bifrost.actors.supervisor import supervise
from bifrost.codecs.json import dumps, loads
from bifrost.codecs.sse import data_frame, event_frame
from bifrost.config.governance_section import (
    GovernanceSection,
    ModelConfigSection,
    PricingOverrideSection,
    ProviderLimitSection,
    RoutingRuleSection,
    RoutingTargetSection,
    TeamSection,
)
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config
from bifrost.errors import NetworkError
from bifrost.governance.filter import Governor
from bifrost.governance.model import NANO
from bifrost.governance.policy import Policy
from bifrost.policy.pricing import Prices
from bifrost.record import ToldUsage, Usage
from bifrost.schema.call import Call, Caller, Operation, Relay, Target
from bifrost.service import Exchange, Service, chain
from governance.nouns import VALUE, at, budget, key, rate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bifrost.config.settings import ProviderSettings

    Script = Callable[[Seen], Answer] | Answer

PROMPT, OUTPUT = 1_000_000, 2_000_000
"""Nano-dollars a token: a tenth and a fifth of a cent."""

PRICE = PricingOverrideSection(
    id="p",
    scope_kind="global",
    match_type="wildcard",
    pattern="*",
    request_types=("chat_completion",),
    pricing_patch={"input_cost_per_token": 0.001, "output_cost_per_token": 0.002},
)
COST = 3 * PROMPT + 2 * OUTPUT
"""Of ``completion()``: three tokens in, two out."""

CALLER = Caller(virtual_key=Secret(VALUE))


@attrs.define(eq=False)
class Governed:
    """A house with governance at its door."""

    house: House
    ledger: Ledger
    governor: Governor
    service: Service
    warnings: list[str]

    async def hear(self, made: Call | None = None, **more: Any) -> Heard:
        return await listen(self.house, made or call(caller=CALLER, **more), service=self.service)

    async def used(self) -> dict[str, int]:
        counted = await self.ledger.ask_usage()
        assert all(each.held == 0 for each in counted.values()), counted
        return {name: each.used for name, each in counted.items() if each.used}


@asynccontextmanager
async def governed(
    section: GovernanceSection | None = None,
    *providers: tuple[ProviderSettings, Script],
    enforce: bool = False,
    seed: int = 0,
    prices: tuple[PricingOverrideSection, ...] = (PRICE,),
    **client: Any,
) -> AsyncIterator[Governed]:
    section = section or GovernanceSection(virtual_keys=(key(),))
    section = attrs.evolve(section, pricing_overrides=prices)
    served = providers or ((provider(pool_key("a")), completion()),)
    config = Config(
        client=ClientSettings(enforce_auth_on_inference=enforce, **client),
        providers={each.name: each for each, _ in served},
        governance=section,
    )
    ledger, warnings = Ledger(wall=wall), list[str]()
    policy = Policy.of(config, date(2026, 1, 1))
    draw = random.Random(seed).random
    governor = Governor(ledger, policy, draw=draw, wall=wall, on_warning=warnings.append)
    async with (
        house(*served, client=config.client, hop_filters=(governor.around_hop,)) as within,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(partial(supervise, ledger, on_crash=lambda *_: None))
        service = chain((governor.around,), within.router.dispatch)
        yield Governed(within, ledger, governor, service, warnings)
        nursery.cancel_scope.cancel()
    assert within.defects == []


def wall() -> float:
    return WALL_S + trio.current_time()


def told(heard: Heard) -> tuple[int, str | None]:
    assert heard.error is not None
    return heard.error.status, heard.error.kind


# Who is let in


@pytest.mark.parametrize(
    ("value", "enforce", "expected"),
    [
        (None, False, None),
        (None, True, (401, "virtual_key_required")),
        (VALUE, True, None),
        ("sk-bf-other", False, (403, "virtual_key_not_found")),
        ("sk-bf-other", True, (401, "virtual_key_required")),
    ],
)
async def test_who_has_to_have_a_key(
    value: str | None,
    enforce: bool,
    expected: tuple[int, str] | None,
    autojump_clock: MockClock,
) -> None:
    caller = Caller(virtual_key=Secret(value) if value else None)
    async with governed(enforce=enforce) as it:
        heard = await it.hear(call(caller=caller))
        if expected is None:
            assert heard.error is None
        else:
            assert told(heard) == expected
            assert not it.house.seen


@pytest.mark.parametrize(
    ("section", "target", "expected", "text"),
    [
        (key(is_active=False), "openai/m", "virtual_key_blocked", "Virtual key is inactive"),
        (key(), "groq/m", "provider_blocked", "Provider 'groq' is not allowed for this virtual key"),
        (key(provider_configs=()), "openai/m", "provider_blocked", "Provider 'openai' is not allowed for this virtual key"),
        (key(provider_configs=(at("openai", allowed_models=("gpt",)),)), "openai/m", "model_blocked", "Model 'm' is not allowed for this virtual key"),
        (key(provider_configs=(at("openai", allowed_models=()),)), "openai/m", "model_blocked", "Model 'm' is not allowed for this virtual key"),
    ],
)  # fmt: skip
async def test_what_a_key_does_not_allow(
    section: Any, target: str, expected: str, text: str, autojump_clock: MockClock
) -> None:
    async with governed(GovernanceSection(virtual_keys=(section,))) as it:
        heard = await it.hear(call(target, caller=CALLER))
        assert told(heard) == (403, expected)
        assert heard.error is not None
        assert heard.error.message == text
        assert not it.house.seen


@pytest.mark.parametrize(
    ("allowed", "models", "is_let_in"),
    [
        (("m", "n"), b'["n","m"]', True),
        (("m",), b"null", True),
        (("m",), b'["m","n"]', False),
        (("m",), b'"n"', False),
        (("m",), b"[1]", False),
        (("m",), b"[" * 100_000, False),
        (("*",), b'["n"]', True),
    ],
)
async def test_models_that_an_upstream_goes_on_to_are_asked_for_too(
    allowed: tuple[str, ...], models: bytes, is_let_in: bool, autojump_clock: MockClock
) -> None:
    config = at("openai", allowed_models=allowed)
    async with governed(GovernanceSection(virtual_keys=(key(provider_configs=(config,)),))) as it:
        made = call(caller=CALLER)
        heard = await it.hear(attrs.evolve(made, members={**made.members, "models": models}))
        if is_let_in:
            assert heard.error is None
        else:
            assert told(heard) == (403, "model_blocked")


async def test_the_record_says_whose_key_it_was(autojump_clock: MockClock) -> None:
    section = GovernanceSection(
        virtual_keys=(key(team_id="t"),), teams=(TeamSection(id="t", name="T"),)
    )
    async with governed(section) as it:
        record = (await it.hear()).record
        assert (record.identity.virtual_key_id, record.identity.team_name) == ("one", "T")
        assert record.hops[0].bill.nano_usd == COST


async def test_only_the_keys_that_are_allowed_serve(autojump_clock: MockClock) -> None:
    config = at("openai", key_ids=("b", "name-c"))
    pool = provider(pool_key("a"), pool_key("b"), pool_key("c"))
    section = GovernanceSection(virtual_keys=(key(provider_configs=(config,)),))
    async with governed(section, (pool, completion())) as it:
        for _ in range(20):
            await it.hear()
        assert {seen.key for seen in it.house.seen} == {"sk-b", "sk-c"}


async def test_a_key_without_keys_finds_none(autojump_clock: MockClock) -> None:
    section = GovernanceSection(virtual_keys=(key(provider_configs=(at("openai", key_ids=()),)),))
    async with governed(section) as it:
        heard = await it.hear()
        assert heard.error is not None
        assert "no keys found" in heard.error.message


@pytest.mark.parametrize(
    ("models", "is_generation", "allowed"),
    [(("*",), True, True), (("m",), True, False), (("m",), False, True)],
)
async def test_what_names_no_model(
    models: tuple[str, ...], is_generation: bool, allowed: bool, autojump_clock: MockClock
) -> None:
    """A relayed generation might ask for any model; a file is nobody's model."""
    relay = Relay(
        method="POST", path="/v1/x", body=b"{}", verbatim=True, is_generation=is_generation
    )
    section = GovernanceSection(
        virtual_keys=(key(provider_configs=(at("openai", allowed_models=models),)),)
    )
    async with governed(section) as it:
        heard = await it.hear(attrs.evolve(call("openai/", caller=CALLER), relay=relay))
        assert (heard.error is None) == allowed


@pytest.mark.parametrize(
    ("more", "allowed"),
    [({}, True), ({"budget": budget(1.0)}, False), ({"provider_configs": (at("openai", allowed_models=("m",)),)}, False)],
)  # fmt: skip
async def test_a_key_for_a_key(
    more: dict[str, Any], allowed: bool, autojump_clock: MockClock
) -> None:
    """What OpenAI gives out for the realtime API works without the gateway, so past any limit."""
    relay = Relay(method="POST", path="/v1/realtime/client_secrets", body=b"{}", verbatim=True)
    async with governed(GovernanceSection(virtual_keys=(key(**more),))) as it:
        heard = await it.hear(attrs.evolve(call("openai/", caller=CALLER), relay=relay))
        assert (heard.error is None) == allowed


# Limits


async def test_requests_are_counted_and_the_fourth_is_refused(autojump_clock: MockClock) -> None:
    section = GovernanceSection(virtual_keys=(key(rate_limit=rate(requests=3)),))
    async with governed(section) as it:
        for _ in range(3):
            assert (await it.hear()).error is None
        heard = await it.hear()
        assert told(heard) == (429, "request_limited")
        assert heard.error is not None
        assert heard.error.retry_after_s == pytest.approx(60, abs=1)
        assert "VK: request limit exceeded (3/3, resets every 1m)" in heard.error.message
        await trio.sleep(61)
        assert (await it.hear()).error is None


async def test_money_is_counted_to_the_nano_dollar(autojump_clock: MockClock) -> None:
    section = GovernanceSection(virtual_keys=(key(budget=budget(0.02)),))
    async with governed(section) as it:
        outcomes = [(await it.hear()).error for _ in range(4)]
        assert [error is None for error in outcomes] == [True, True, True, False]
        assert await it.used() == {"virtual_key:one:budget": 3 * COST}
        assert outcomes[3] is not None
        assert (
            outcomes[3].message == "Budget exceeded: VK budget exceeded: 0.0210 >= 0.0200 dollars"
        )


async def test_each_level_is_charged_the_same(autojump_clock: MockClock) -> None:
    section = GovernanceSection(
        virtual_keys=(
            key(
                team_id="t",
                budget=budget(1.0),
                provider_configs=(at("openai", rate_limit=rate(tokens=1000)),),
            ),
        ),
        teams=(TeamSection(id="t", name="T", budget=budget(1.0)),),
        model_configs=(ModelConfigSection(id="m", model_name="m", budget=budget(1.0)),),
        providers=(ProviderLimitSection(name="openai", rate_limit=rate(requests=100)),),
    )
    async with governed(section) as it:
        await it.hear()
        assert await it.used() == {
            "virtual_key:one:budget": COST,
            "virtual_key:one:openai:rate_limit:tokens": 5,
            "team:t:budget": COST,
            "model_config:m:budget": COST,
            "provider_limit:openai:rate_limit:requests": 1,
        }


async def test_limits_of_a_provider_hold_for_callers_without_a_key(
    autojump_clock: MockClock,
) -> None:
    section = GovernanceSection(
        providers=(ProviderLimitSection(name="openai", rate_limit=rate(requests=1)),)
    )
    async with governed(section) as it:
        assert (await it.hear(call())).error is None
        heard = await it.hear(call())
        assert told(heard) == (429, "request_limited")
        unknown = await it.hear(call(caller=Caller(virtual_key=Secret("sk-bf-x"))))
        assert told(unknown) == (429, "request_limited"), "it is looked at before the key"
    async with governed(section, enforce=True) as it:
        assert told(await it.hear(call())) == (401, "virtual_key_required")


async def test_a_provider_s_denial_lets_the_chain_go_on_and_the_key_s_ends_it(
    autojump_clock: MockClock,
) -> None:
    two = (
        (provider(pool_key("a")), completion()),
        (provider(pool_key("b"), name="groq"), completion()),
    )
    configs = (at("openai", rate_limit=rate(requests=1)), at("groq"))
    section = GovernanceSection(
        virtual_keys=(key(provider_configs=configs, rate_limit=rate(requests=2)),)
    )
    async with governed(section, *two) as it:
        served = []
        for _ in range(3):
            heard = await it.hear(call("openai/m", "groq/m", caller=CALLER))
            served.append(heard.record.provider if heard.error is None else told(heard))
        assert served == ["openai", "groq", (429, "request_limited")]
        assert [seen.provider for seen in it.house.seen] == ["openai", "groq"]


async def test_a_failed_hop_is_free_and_its_fallback_is_charged(autojump_clock: MockClock) -> None:
    two = (
        (provider(pool_key("a")), refusal(500)),
        (provider(pool_key("b"), name="groq"), completion()),
    )
    configs = (at("openai", budget=budget(1.0)), at("groq", budget=budget(1.0)))
    section = GovernanceSection(virtual_keys=(key(provider_configs=configs),))
    async with governed(section, *two) as it:
        heard = await it.hear(call("openai/m", "groq/m", caller=CALLER))
        assert heard.error is None
        assert await it.used() == {"virtual_key:one:groq:budget": COST}


USAGE = data_frame(
    b'{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)


@pytest.mark.parametrize(
    ("answer", "requests", "estimated"),
    [
        (streamed(chunk("a"), USAGE), 1, False),
        (streamed(chunk("a"), chunk("b")), 1, True),
        (streamed(chunk("a"), NetworkError("cut"), whole=False), 1, True),
        (streamed(chunk("a"), USAGE, NetworkError("cut"), whole=False), 1, False),
        (refusal(400), 0, False),
    ],
    ids=["whole", "without usage", "cut", "cut after its usage", "refused"],
)
async def test_how_streams_are_charged(
    answer: Answer, requests: int, estimated: bool, autojump_clock: MockClock
) -> None:
    section = GovernanceSection(
        virtual_keys=(key(budget=budget(9.0), rate_limit=rate(requests=9)),)
    )
    async with governed(section, (provider(pool_key("a")), answer)) as it:
        record = (await it.hear(stream=True)).record
        bill, used = record.hops[0].bill, await it.used()
        assert (bill.requests, bill.is_estimated) == (requests, estimated)
        assert used.get("virtual_key:one:budget", 0) == bill.nano_usd
        assert used.get("virtual_key:one:rate_limit:requests", 0) == requests
        if not estimated:
            assert bill.nano_usd == COST * requests
        else:
            assert bill.nano_usd > PROMPT


@pytest.mark.parametrize(
    ("answer", "stream"),
    [
        (completion("x" * 400), False),
        (streamed(*(chunk("word") for _ in range(40))), True),
        (streamed(*(chunk("word") for _ in range(40)), NetworkError("cut"), whole=False), True),
    ],
    ids=["plain", "stream", "cut"],
)
async def test_what_passes_through_is_paid_for_by_our_own_count(
    answer: Answer, stream: bool, autojump_clock: MockClock
) -> None:
    section = GovernanceSection(
        virtual_keys=(key(budget=budget(9.0), rate_limit=rate(requests=9, tokens=10**6)),)
    )
    relay = Relay(
        method="POST", path="/v1/x", body=b'{"a":"%s"}' % (b"b " * 99), verbatim=True, is_generation=True
    )  # fmt: skip
    async with governed(section, (provider(pool_key("a")), answer)) as it:
        asked = call("openai/m", caller=CALLER, stream=stream)
        asked = attrs.evolve(asked, relay=relay, operation=Operation.RELAY, members={})
        record = (await it.hear(asked)).record
        bill, used = record.hops[0].bill, await it.used()
        assert bill.is_estimated
        assert 50 + 40 <= bill.tokens <= 50 + 200, "its prompt, and what came"
        assert bill.nano_usd == 52 * PROMPT + (bill.tokens - 52) * OUTPUT
        assert used["virtual_key:one:budget"] == bill.nano_usd
        assert used["virtual_key:one:rate_limit:tokens"] == bill.tokens


async def test_a_name_that_only_a_key_knows_costs_what_its_deployment_does(
    autojump_clock: MockClock,
) -> None:
    named = pool_key("a", models=("*",), deployments={"fast": "gpt-4o"})
    section = GovernanceSection(virtual_keys=(key(budget=budget(9.0)),))
    async with governed(section, (provider(named), completion()), prices=()) as it:
        terms = it.governor.policy.terms(
            call("openai/fast"), Target("openai", "fast"), it.governor.sizes
        )
        assert terms.amounts.nano_usd > 0, "held"
        (hop,) = (await it.hear(call("openai/fast", caller=CALLER))).record.hops
        assert hop.attempts[0].deployment == "gpt-4o"
        assert hop.bill.nano_usd == (await it.used())["virtual_key:one:budget"] == 3 * 2_500 + 2 * 10_000  # fmt: skip


async def test_who_leaves_before_the_first_event_pays_his_prompt(
    autojump_clock: MockClock,
) -> None:
    section = GovernanceSection(virtual_keys=(key(budget=budget(9.0)),))
    async with governed(section, (provider(pool_key("a")), NEVER)) as it:
        with trio.move_on_after(1):
            await it.hear()
        used = (await it.used())["virtual_key:one:budget"]
        assert 0 < used < 100 * PROMPT
        assert used % PROMPT == 0


async def test_a_denied_hop_is_never_sent(autojump_clock: MockClock) -> None:
    section = GovernanceSection(virtual_keys=(key(budget=budget(0.000001)),))
    async with governed(section) as it:
        assert (await it.hear()).error is None
        assert told(await it.hear()) == (402, "budget_exceeded")
        assert len(it.house.seen) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_many_at_once_overspend_by_the_estimates_error_at_most(
    stream: bool, autojump_clock: MockClock
) -> None:
    """500 callers on a budget that is worth 100 of them."""
    answer = streamed(0.5, chunk("a"), 0.5, USAGE) if stream else completion(delay_s=1.0)
    section = GovernanceSection(virtual_keys=(key(budget=budget(100 * COST / NANO)),))
    heards: list[Heard] = []
    async with governed(section, (provider(pool_key("a")), answer)) as it:
        for _ in range(20):
            # It learns how long answers are; until then it takes 1,024 tokens for one.
            it.governor.sizes.note("openai", "m", 2)

        async def one() -> None:
            heards.append(await it.hear(stream=stream))

        async with trio.open_nursery() as nursery:
            for _ in range(500):
                nursery.start_soon(one)
        used = (await it.used())["virtual_key:one:budget"]
    served = [heard for heard in heards if heard.error is None]
    assert used == len(served) * COST
    assert used <= 100 * COST + COST
    assert len(served) >= 10, "the estimate is not so much too high that nobody is served"


async def test_what_has_no_price_is_held_for_by_what_it_cost_before(
    autojump_clock: MockClock,
) -> None:
    """OpenRouter says itself what an answer cost: callers at once must not spend a budget many times."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.5}
    answer = attrs.evolve(completion(), delay_s=1.0, pieces=(told_cost(usage),))
    configs = (at("openrouter"),)
    one = key(provider_configs=configs, budget=budget(2.0))
    pool = provider(pool_key("a"), name="openrouter")
    async with governed(GovernanceSection(virtual_keys=(one,)), (pool, answer)) as it:
        it.governor.policy = attrs.evolve(
            it.governor.policy, prices=Prices.of(today=date(2026, 1, 1))
        )
        await it.hear(call("openrouter/nobodys", caller=CALLER))
        served: list[bool] = []

        async def ask() -> None:
            heard = await it.hear(call("openrouter/nobodys", caller=CALLER))
            served.append(heard.error is None)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert sum(served) == 3
        assert await it.used() == {"virtual_key:one:budget": 2 * NANO}


def told_cost(usage: dict[str, float]) -> bytes:
    (piece,) = completion().pieces
    assert isinstance(piece, bytes)
    body: Any = loads(piece)
    return dumps({**body, "usage": usage})


# Where a call may go


def routed(**more: Any) -> RoutingRuleSection:
    said: dict[str, Any] = {
        "id": "r",
        "name": "R",
        "targets": (RoutingTargetSection(provider="groq", model="other"),),
    }
    return RoutingRuleSection(**(said | more))


OPENAI_AND_GROQ = (
    (provider(pool_key("a")), completion()),
    (provider(pool_key("b"), name="groq"), completion()),
)


async def test_a_rule_sends_a_call_elsewhere(autojump_clock: MockClock) -> None:
    section = GovernanceSection(routing_rules=(routed(cel_expression="model == 'm'"),))
    async with governed(section, *OPENAI_AND_GROQ) as it:
        record = (await it.hear(call("openai/m"))).record
        assert (record.provider, record.model) == ("groq", "other")
        assert record.routing.engines == ("routing-rule",)
        assert (record.routing.rule_id, record.routing.rule_name) == ("r", "R")
        assert (await it.hear(call("openai/n"))).record.provider == "openai"


async def test_a_rule_by_what_is_used_up(autojump_clock: MockClock) -> None:
    section = GovernanceSection(
        routing_rules=(routed(cel_expression="budget_used > 50"),),
        providers=(ProviderLimitSection(name="openai", budget=budget(2 * COST / NANO)),),
    )
    async with governed(section, *OPENAI_AND_GROQ) as it:
        served = [(await it.hear(call("openai/m"))).record.provider for _ in range(4)]
        assert served == ["openai", "openai", "groq", "groq"]


async def test_weights_choose_where_the_caller_does_not(autojump_clock: MockClock) -> None:
    configs = (at("openai", weight=0.7), at("groq", weight=0.3))
    section = GovernanceSection(virtual_keys=(key(provider_configs=configs),))
    counts: Counter[str] = Counter()
    async with governed(section, *OPENAI_AND_GROQ) as it:
        for _ in range(300):
            bare = call("openai/m", caller=CALLER)
            bare = attrs.evolve(
                bare, target=attrs.evolve(bare.target, provider="", is_default=True)
            )
            counts[(await it.hear(bare)).record.provider] += 1
    assert counts["openai"] == pytest.approx(210, abs=30)
    assert counts["groq"] == 300 - counts["openai"]


async def test_a_config_that_is_used_up_is_not_chosen(autojump_clock: MockClock) -> None:
    configs = (at("openai", weight=1.0, rate_limit=rate(requests=1)), at("groq", weight=0.0001))
    section = GovernanceSection(virtual_keys=(key(provider_configs=configs),))
    async with governed(section, *OPENAI_AND_GROQ) as it:
        served = []
        for _ in range(3):
            bare = call("openai/m", caller=CALLER)
            bare = attrs.evolve(
                bare, target=attrs.evolve(bare.target, provider="", is_default=True)
            )
            served.append((await it.hear(bare)).record.provider)
        assert served == ["openai", "groq", "groq"]


async def test_a_model_that_nobody_serves(autojump_clock: MockClock) -> None:
    bare = call("openai/m")
    bare = attrs.evolve(bare, target=attrs.evolve(bare.target, provider="", is_default=True))
    async with governed() as it:
        heard = await it.hear(bare)
        assert heard.error is not None
        assert (heard.error.status, heard.error.message) == (400, "provider is required")
        section = GovernanceSection(virtual_keys=(key(provider_configs=()),))
        it.governor.policy = Policy.of(Config(governance=section), date(2026, 1, 1))
        mine = await it.hear(attrs.evolve(bare, caller=CALLER))
        assert mine.error is not None
        assert mine.error.message == "provider is required"


# Whatever happens, the book balances


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_counters_are_the_sum_of_the_records(seed: int) -> None:
    """Callers that leave at any moment, upstreams that fail in any way, a ledger that crashes: to the nano-dollar."""
    trio.run(partial(simulate, seed), clock=MockClock(autojump_threshold=0))


async def simulate(seed: int) -> None:
    rng = random.Random(seed)
    answers = [
        completion(delay_s=0.3),
        streamed(0.2, chunk("a"), 0.2, USAGE),
        streamed(chunk("a"), 0.3, chunk("b"), NetworkError("cut"), whole=False),
        refusal(500),
        refusal(429, retry_after_s=1),
        NEVER,
    ]
    contents = [
        Answer(pieces=(result(1, 500), 0.3, result(2, 700))),
        Answer(pieces=(result(1, 500), 0.2, NetworkError("cut"))),
    ]

    def script(seen: Seen) -> Answer:
        return rng.choice(contents if seen.url.endswith("/content") else answers)

    pools = (provider(pool_key("a"), pool_key("b")), script), (provider(pool_key("c"), name="groq"), script)  # fmt: skip
    configs = (at("openai", budget=budget(30.0)), at("groq", rate_limit=rate(requests=60)))
    one = key(provider_configs=configs, budget=budget(40.0), rate_limit=rate(tokens=10_000, requests=70))  # fmt: skip
    records: list[Any] = []
    async with governed(GovernanceSection(virtual_keys=(one,)), *pools) as it:
        it.ledger._fault = lambda _: crash(rng)

        async def caller() -> None:
            await trio.sleep(rng.random() * 5)
            made = call("openai/m", "groq/m", stream=rng.random() < 0.5, caller=CALLER, within_s=9)
            if rng.random() < 0.3:
                made = attrs.evolve(content(), ids=(f"file-{rng.randrange(3)}",))
            dispatch, exchange = it.service(made), None
            with trio.move_on_after(rng.random() * 3):
                async with dispatch as exchange:
                    await hear_out(exchange)
            if exchange is not None:
                records.append(exchange.record)

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(caller)
        it.ledger._fault = None
        await trio.sleep(100)
        used = await it.used()
        rows = [name for name in await it.ledger.ask_changes() if is_mark_row(name)]
        assert len(rows) == 2 * len(it.ledger.paid), "what is paid for was written with its charge"
    bills = [hop.bill for record in records for hop in record.hops if hop.bill is not None]
    assert used.get("virtual_key:one:budget", 0) == sum(bill.nano_usd for bill in bills)
    # Its window is a minute, and what is asked here is asked in a tenth of that.
    assert used.get("virtual_key:one:rate_limit:requests", 0) == sum(
        bill.requests for bill in bills
    )


def crash(rng: random.Random) -> None:
    if rng.random() < 0.01:
        raise RuntimeError("scripted")


async def hear_out(exchange: Exchange) -> None:
    while True:
        event = await exchange.receive()
        if type(event).__name__ in {"Finished", "Failed"}:
            return


# Hedges


async def test_both_of_a_race_are_held_and_charged(autojump_clock: MockClock) -> None:
    pool = provider(pool_key("a"), pool_key("b"), hedge_after_ms=100)
    section = GovernanceSection(
        virtual_keys=(key(budget=budget(9.0), rate_limit=rate(tokens=10**6)),)
    )
    async with governed(section, (pool, completion(delay_s=1.0))) as it:
        asked = call(caller=CALLER, max_output_tokens=10)
        single = attrs.evolve(it.governor.policy, hedging=frozenset())
        target, sizes = asked.target, it.governor.sizes
        alone = single.terms(asked, target, sizes).amounts
        terms = it.governor.policy.terms(asked, target, sizes)
        prompt = terms.estimate.prompt_tokens
        assert terms.amounts.tokens == alone.tokens + prompt
        assert terms.amounts.nano_usd == alone.nano_usd + prompt * PROMPT

        heards: list[Heard] = []

        async def ask() -> None:
            heards.append(await it.hear(asked))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(0.5)
            held = (await it.ledger.ask_usage())["virtual_key:one:budget"].held
            assert held == terms.amounts.nano_usd
        (heard,) = heards
        bill = heard.record.hops[0].bill
        assert len(it.house.seen) == 2
        assert bill.nano_usd == COST + prompt * PROMPT
        assert bill.nano_usd <= terms.amounts.nano_usd, "no more is charged than was held"
        assert (await it.used())["virtual_key:one:budget"] == bill.nano_usd


async def test_a_budget_for_one_prompt_does_not_race_two_callers(
    autojump_clock: MockClock,
) -> None:
    """What is left holds one call with its race, not two of them."""
    pool = provider(pool_key("a"), pool_key("b"), hedge_after_ms=100)
    async with governed(None, (pool, completion(delay_s=1.0))) as it:
        asked = call(caller=CALLER, max_output_tokens=10)
        terms = it.governor.policy.terms(asked, asked.target, it.governor.sizes)
        alone = terms.estimate.nano_usd
        limit = budget(2 * alone / NANO)
        section = GovernanceSection(virtual_keys=(key(budget=limit),), pricing_overrides=(PRICE,))
        config = Config(providers={pool.name: pool}, governance=section)
        it.governor.policy = Policy.of(config, date(2026, 1, 1))
        errors: list[Any] = []

        async def ask() -> None:
            errors.append((await it.hear(asked)).error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
        assert sum(error is None for error in errors) == 1, "two estimates fit, two races do not"


@pytest.mark.parametrize(
    ("more", "races"),
    [
        ({}, True),
        ({"operation": Operation.IMAGE}, True),
        ({"operation": Operation.MODERATION}, False),
        ({"operation": Operation.RESPONSES, "members": {"background": b"true"}}, False),
        ({"operation": Operation.RELAY, "relay": Relay(method="POST", path="/v1/x")}, False),
    ],
)
async def test_only_what_may_race_is_held_twice(
    more: dict[str, Any], races: bool, autojump_clock: MockClock
) -> None:
    pool = provider(pool_key("a"), hedge_after_ms=100)
    async with governed(None, (pool, completion())) as it:
        asked = attrs.evolve(call(caller=CALLER), **more)
        terms = it.governor.policy.terms(asked, asked.target, it.governor.sizes)
        assert (terms.amounts.tokens > terms.estimate.tokens) == races


async def test_who_leaves_before_his_image_pays_what_he_asked_for(
    autojump_clock: MockClock,
) -> None:
    section = GovernanceSection(virtual_keys=(key(budget=budget(9.0)),))
    price = attrs.evolve(
        PRICE, request_types=("image_generation",), pricing_patch={"output_cost_per_image": 0.04}
    )
    async with governed(section, (provider(pool_key("a")), NEVER), prices=(price,)) as it:
        members = {"model": b'"m"', "prompt": b'"a cat"', "n": b"3"}
        asked = call(caller=CALLER)
        asked = attrs.evolve(asked, operation=Operation.IMAGE, members=members)
        with trio.move_on_after(1):
            await it.hear(asked)
        assert await it.used() == {"virtual_key:one:budget": 3 * 40_000_000}


# What is told later


PER_TOKEN = attrs.evolve(PRICE, request_types=("chat_completion", "responses"))
LATER = GovernanceSection(
    virtual_keys=(key(budget=budget(9.0), rate_limit=rate(tokens=10**6, requests=99)),)
)


def answered(value: dict[str, Any], kind: bytes = b"application/json") -> Answer:
    return attrs.evolve(completion(), headers=((b"content-type", kind),), pieces=(dumps(value),))


def response(status: str, **more: Any) -> dict[str, Any]:
    it = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m"}
    return it | {"background": True, "output": [], "usage": None} | more


def relayed(path: str, route: str, **more: Any) -> Call:
    relay = Relay(**({"method": "GET", "path": path} | more))
    asked = call("openai/", caller=CALLER, route=route)
    return attrs.evolve(asked, operation=Operation.RELAY, relay=relay, members={})


def retrieval() -> Call:
    return relayed("/v1/responses/resp_1", "/openai/v1/responses/{id}")


DONE = {"input_tokens": 300, "output_tokens": 200, "total_tokens": 500}
DONE_COST = 300 * PROMPT + 200 * OUTPUT


async def test_an_answer_in_the_background_is_charged_once_in_sum(
    autojump_clock: MockClock,
) -> None:
    script = by_order(
        answered(response("queued")),
        answered(response("in_progress")),
        answered(response("completed", usage=DONE)),
    )
    async with governed(LATER, (provider(pool_key("a")), script), prices=(PER_TOKEN,)) as it:
        asked = call(caller=CALLER)
        members = {"model": b'"m"', "input": b'"hi there"', "background": b"true"}
        asked = attrs.evolve(asked, operation=Operation.RESPONSES, members=members)
        calls = (asked, *(retrieval() for _ in range(4)))
        bills = [(await it.hear(each)).record.hops[0].bill for each in calls]
        used = await it.used()
    first, early, last, *again = bills
    assert first.is_estimated
    assert 0 < first.tokens < 20, "its prompt"
    assert first.nano_usd == first.tokens * PROMPT
    assert (early.tokens, early.nano_usd) == (0, 0)
    assert last.nano_usd == DONE_COST - first.nano_usd
    assert first.tokens + last.tokens == 500
    assert not last.is_estimated
    assert {(bill.tokens, bill.nano_usd) for bill in again} == {(0, 0)}
    assert used == {
        "virtual_key:one:budget": DONE_COST,
        "virtual_key:one:rate_limit:tokens": 500,
        "virtual_key:one:rate_limit:requests": 5,
    }


async def test_an_answer_that_was_paid_for_is_free_to_look_at(autojump_clock: MockClock) -> None:
    script = answered(response("completed", usage=DONE, background=False))
    async with governed(LATER, (provider(pool_key("a")), script), prices=(PER_TOKEN,)) as it:
        await it.hear(retrieval())
        assert await it.used() == {"virtual_key:one:rate_limit:requests": 1}


def result(number: int, tokens: int) -> bytes:
    usage = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    body = {"id": "c", "object": "chat.completion", "model": "m-2026-01-01", "usage": usage}
    return dumps({"custom_id": f"r{number}", "response": {"body": body}}) + b"\n"


def content() -> Call:
    read = relayed("/v1/files/file-1/content", "/openai/v1/files/{id}/content")
    return attrs.evolve(read, operation=Operation.FILE_CONTENT, ids=("file-1",))


HALF_PRICE = attrs.evolve(
    PRICE,
    match_type="exact",
    pattern="m",
    pricing_patch={"input_cost_per_token": 0.001, "input_cost_per_token_batches": 0.0005},
)


async def test_results_are_charged_line_by_line_at_the_price_of_batches(
    autojump_clock: MockClock,
) -> None:
    lines = tuple(result(number, 10) for number in range(100))
    whole = Answer(pieces=lines)
    cut = Answer(pieces=(*lines[:40], lines[40][:20], NetworkError("cut")))
    script = by_order(cut, whole, whole)
    async with governed(LATER, (provider(pool_key("a")), script), prices=(HALF_PRICE,)) as it:
        bills = [(await it.hear(content())).record.hops[0].bill for _ in range(3)]
        used = await it.used()
    assert [bill.tokens for bill in bills] == [400, 600, 0]
    assert [bill.nano_usd for bill in bills] == [200 * PROMPT, 300 * PROMPT, 0]
    assert used["virtual_key:one:budget"] == 500 * PROMPT


async def test_only_the_winner_of_a_race_is_heard(autojump_clock: MockClock) -> None:
    lines = (result(1, 10), result(2, 20))
    pool = provider(pool_key("a"), pool_key("b"), hedge_after_ms=100)
    script = by_order(Answer(pieces=lines, delay_s=1.0), Answer(pieces=lines, delay_s=0.9))
    async with governed(LATER, (pool, script)) as it:
        (hop,) = (await it.hear(content())).record.hops
        assert len(hop.attempts) == 2
        assert hop.bill.nano_usd == 30 * PROMPT


async def test_who_leaves_with_the_whole_of_it_pays(autojump_clock: MockClock) -> None:
    whole = dumps(response("completed", usage=DONE))
    script = attrs.evolve(answered({}), pieces=(whole, 60.0))
    async with governed(LATER, (provider(pool_key("a")), script), prices=(PER_TOKEN,)) as it:
        with trio.move_on_after(1):
            await it.hear(retrieval())
        assert (await it.used())["virtual_key:one:budget"] == DONE_COST


async def test_a_stream_from_the_background_is_paid_for_as_it_ends(
    autojump_clock: MockClock,
) -> None:
    events = (
        {"type": "response.created", "sequence_number": 0, "response": response("queued")},
        {"type": "response.completed", "sequence_number": 1, "response": response("completed", usage=DONE)},
    )  # fmt: skip
    frames = tuple(event_frame(str(each["type"]), dumps(each)) for each in events)
    script = by_order(streamed(*frames, whole=False), answered(response("completed", usage=DONE)))
    async with governed(LATER, (provider(pool_key("a")), script), prices=(PER_TOKEN,)) as it:
        members = {"model": b'"m"', "input": b'"hi"', "background": b"true", "stream": b"true"}
        asked = call(caller=CALLER, stream=True)
        await it.hear(attrs.evolve(asked, operation=Operation.RESPONSES, members=members))
        assert (await it.used())["virtual_key:one:budget"] == DONE_COST
        await it.hear(retrieval())
        assert (await it.used())["virtual_key:one:budget"] == DONE_COST


@pytest.mark.parametrize(
    ("told", "nano_usd"),
    [("gpt-4o-2024-08-06", 2_500), ("gpt-4o-2099-01-01", 2_500), ("prod-4o", 2_500), ("x", 0)],
)
async def test_what_is_told_is_priced_by_the_name_that_is_known(
    told: str, nano_usd: int, autojump_clock: MockClock
) -> None:
    named = pool_key("a", models=("*",), deployments={"gpt-4o": "prod-4o"})
    async with governed(None, (provider(named), completion()), prices=()) as it:
        asked = content()
        terms = it.governor.policy.terms(asked, asked.target, it.governor.sizes)
        usage = Usage(prompt_tokens=1, total_tokens=1)
        heard = ToldUsage(mark="f", model=told, operation=Operation.CHAT, usage=usage)
        assert terms.told_cost(heard, "a") == nano_usd


async def test_two_who_read_at_once_pay_once(autojump_clock: MockClock) -> None:
    script = Answer(pieces=(result(1, 10), 1.0, result(2, 20)))
    keys = (key(budget=budget(9.0)), key("two", "sk-bf-two", budget=budget(9.0)))
    section = GovernanceSection(virtual_keys=keys)
    async with governed(section, (provider(pool_key("a")), script), prices=(PRICE,)) as it:

        async def read(value: str) -> None:
            caller = Caller(virtual_key=Secret(value))
            await it.hear(attrs.evolve(content(), caller=caller))

        async with trio.open_nursery() as nursery:
            for value in (VALUE, "sk-bf-two"):
                nursery.start_soon(read, value)
        assert sum((await it.used()).values()) == 30 * PROMPT


async def test_whoever_is_not_counted_is_not_listened_to(autojump_clock: MockClock) -> None:
    section = GovernanceSection()
    async with governed(section, (provider(pool_key("a")), Answer(pieces=(result(1, 10),)))) as it:
        asked = attrs.evolve(content(), caller=Caller())
        assert (await it.hear(asked)).record.hops[0].bill is None
        assert len(it.ledger.paid) == 0


async def test_a_key_without_limits_has_its_bill(autojump_clock: MockClock) -> None:
    script = Answer(pieces=(result(1, 10),))
    async with governed(None, (provider(pool_key("a")), script)) as it:
        bills = [(await it.hear(content())).record.hops[0].bill for _ in range(2)]
        assert [bill.nano_usd for bill in bills] == [10 * PROMPT, 0]


async def test_a_run_is_charged_by_the_stream_that_it_ends_in(autojump_clock: MockClock) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    run = {"id": "run_1", "object": "thread.run", "status": "completed", "model": "m"}
    script = by_order(
        streamed(data_frame(dumps(run | {"status": "queued"})), data_frame(dumps(run | {"usage": usage})), whole=False),
        answered(run | {"usage": usage}),
    )  # fmt: skip
    async with governed(LATER, (provider(pool_key("a")), script)) as it:
        made = relayed("/v1/threads/runs", "/openai/v1/threads/runs", method="POST")
        await it.hear(attrs.evolve(made, stream=True))
        await it.hear(relayed("/v1/threads/t/runs/run_1", "/openai/v1/threads/{id}/runs/{id}"))
        assert (await it.used())["virtual_key:one:budget"] == COST


async def test_a_film_costs_the_seconds_that_were_asked_for(autojump_clock: MockClock) -> None:
    price = attrs.evolve(
        PRICE, request_types=("video_generation",), pricing_patch={"output_cost_per_second": 0.1}
    )
    film = {"id": "video_1", "object": "video", "status": "queued", "model": "sora-2", "seconds": "8"}  # fmt: skip
    async with governed(LATER, (provider(pool_key("a")), answered(film)), prices=(price,)) as it:
        await it.hear(relayed("/v1/videos", "/openai/v1/videos", method="POST"))
        await it.hear(relayed("/v1/videos/video_1", "/openai/v1/videos/{id}"))
        assert (await it.used())["virtual_key:one:budget"] == 8 * 100_000_000


async def test_an_order_of_answers_is_learned_from(autojump_clock: MockClock) -> None:
    async with governed(None, (provider(pool_key("a")), by_order(completion()))) as it:
        for _ in range(20):
            await it.hear()
        assert it.governor.sizes.learned("openai", "m") == 2
        assert await it.ledger.ask_usage() == dict[str, Counted]()
