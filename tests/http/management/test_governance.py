"""``/api/governance`` before a steward with a store, without a gateway."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from quart import Response
from quart_trio import QuartTrio

from bifrost.actors.ledger_messages import Counted
from bifrost.actors.mailbox import ActorDied
from bifrost.codecs.json import dumps
from bifrost.config.settings import Config, ConfigStoreSettings
from bifrost.errors import GatewayError
from bifrost.http.management.desk import Desk
from bifrost.http.management.governance import Collaborators, governance_routes
from bifrost.management.steward import Compiled, Steward
from bifrost.store.config_open import open_config_store
from bifrost.store.keeper import StoreKeeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


T0 = 1_795_132_800.0
PREFIX = "/api/governance"
FILE: dict[str, Any] = {
    "providers": {"openai": {"keys": [{"name": "first", "id": "k1", "value": "sk-1"}]}},
    "governance": {
        "virtual_keys": [
            {
                "id": "of-file",
                "name": "of the file",
                "value": "sk-bf-of-the-file",
                "provider_configs": [{"provider": "openai", "allowed_keys": ["first"]}],
            }
        ]
    },
}
DAILY = {"max_limit": 2, "reset_duration": "1d"}
THREE = {"request_max_limit": 3, "request_reset_duration": "1m"}


@attrs.define(eq=False)
class Office:
    """The routes, with the hands of the clock and the counters in the test's."""

    steward: Steward
    config: Config
    live: dict[str, Counted] = attrs.field(factory=dict)
    written: dict[str, Counted] = attrs.field(factory=dict)
    applied: list[Compiled] = attrs.field(factory=list)
    is_broken: bool = False
    now_s: float = T0
    numbers: Any = attrs.field(factory=lambda: count(1))

    def new_id(self) -> str:
        self.now_s += 1
        return f"id-{next(self.numbers)}"

    async def read_usage(self, ids: frozenset[str], *, is_live: bool) -> Mapping[str, Counted]:
        if self.is_broken and is_live:
            raise ActorDied("ledger")
        counted = self.live if is_live else self.written
        return {name: counted[name] for name in ids if name in counted}

    def app(self) -> QuartTrio:
        app = QuartTrio(__name__)
        means = Collaborators(
            config=lambda: self.config,
            read_usage=self.read_usage,
            new_value=lambda: f"sk-bf-made-{next(self.numbers)}",
            new_id=self.new_id,
            wall=lambda: self.now_s,
        )
        app.register_blueprint(governance_routes(Desk(self.steward), means))

        @app.errorhandler(GatewayError)
        async def told(error: GatewayError) -> Response:
            said = {"message": error.message, "code": error.code, "param": error.param}
            return Response(dumps(said), error.status, content_type="application/json")

        return app

    async def ask(
        self, method: str, path: str, body: Any = None, status: int = 200, **headers: str
    ) -> Any:
        client = self.app().test_client()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        options = {} if body is None else {"json": body}
        answer = await client.open(f"{PREFIX}{path}", method=method, headers=sent, **options)
        told = await answer.get_json()
        assert answer.status_code == status, told
        return {**told, "etag": answer.headers.get("etag")} if "etag" in answer.headers else told

    async def made(self, kind: str, one: str, **body: Any) -> Any:
        status = 201 if kind == "pricing-overrides" else 200
        return (await self.ask("POST", f"/{kind}", body, status))[one]

    async def key(self, name: str = "mine", **body: Any) -> Any:
        return await self.made("virtual-keys", "virtual_key", name=name, **body)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    opened = open_config_store(ConfigStoreSettings(), tmp_path, None)
    keeper = StoreKeeper(opened.store, lambda: 0.5)
    steward = Steward(FILE, keeper, opened.means, {}, lambda: made.now_s)
    made = Office(steward, Config())
    made.config = (await steward.open()).config

    async def apply(compiled: Compiled) -> None:
        made.applied.append(compiled)

    made.steward.apply = apply
    yield made
    await opened.database.aclose()


async def test_a_virtual_key_from_its_making_to_its_end(office: Office) -> None:
    team = await office.made("teams", "team", name="T")
    configs = [{"provider": "openai", "weight": 1, "allowed_models": ["*"], "key_ids": ["k1"]}]
    made = await office.ask(
        "POST",
        "/virtual-keys",
        {"name": "mine", "team_id": team["id"], "budget": DAILY, "provider_configs": configs},
    )
    assert made["message"] == "Virtual key created successfully"
    key = made["virtual_key"]
    assert key["value"].startswith("sk-bf-made-")
    assert office.applied[-1].policy.governance.virtual_keys[key["id"]].team_id == team["id"]
    path = f"/virtual-keys/{key['id']}"

    read = await office.ask("GET", path)
    assert read["etag"] == made["etag"]
    assert read["virtual_key"] == {**key, "value": read["virtual_key"]["value"]}
    assert key["value"] not in str(read)

    same = await office.ask("PUT", path, read["virtual_key"])
    changed = {"updated_at"}
    assert {n: v for n, v in same["virtual_key"].items() if n not in changed} == {
        n: v for n, v in read["virtual_key"].items() if n not in changed
    }
    compiled = office.applied[-1].policy.governance
    assert compiled.virtual_keys[key["id"]].hash in compiled.by_hash

    await office.ask("PUT", path, {"is_active": False}, if_match=read["etag"], status=409)
    await office.ask("PUT", path, {"is_active": False}, if_match=same["etag"])
    assert not office.applied[-1].policy.governance.virtual_keys[key["id"]].is_active
    gone = await office.ask("DELETE", path)
    assert gone["message"] == "Virtual key deleted successfully"
    for method in ("GET", "DELETE"):
        told = await office.ask(method, path, status=404)
        assert told["message"] == "Virtual key not found"
    assert (await office.ask("PUT", path, {}, 404))["message"] == "Virtual key not found"


async def test_limits_are_raised_and_taken_away(office: Office) -> None:
    key = await office.key(budget=DAILY, rate_limit=THREE)
    path = f"/virtual-keys/{key['id']}"
    raised = (await office.ask("PUT", path, {"budget": {"max_limit": 9}}))["virtual_key"]
    assert raised["budget"]["id"] == key["budget_id"]
    assert raised["budget"]["max_limit"] == 9
    assert raised["rate_limit"] == key["rate_limit"]
    none = (await office.ask("PUT", path, {"budget": {}, "rate_limit": {}}))["virtual_key"]
    assert none["budget"] is none["rate_limit"] is None
    assert not office.applied[-1].policy.governance.limits
    again = (await office.ask("PUT", path, {"budget": DAILY}))["virtual_key"]
    assert again["budget"]["id"] != key["budget_id"]


async def test_usage_is_told_live_or_as_it_was_written(office: Office) -> None:
    key = await office.key(budget=DAILY)
    path = f"/virtual-keys/{key['id']}"
    office.live[key["budget_id"]] = Counted(1_500_000_000, T0)
    office.written[key["budget_id"]] = Counted(1_000_000_000, T0)
    live = (await office.ask("GET", f"{path}?from_memory=true"))["virtual_key"]["budget"]
    written = (await office.ask("GET", path))["virtual_key"]["budget"]
    assert (live["current_usage"], written["current_usage"]) == (1.5, 1.0)
    listed = await office.ask("GET", "/budgets?from_memory=true")
    assert listed["budgets"] == [live]
    office.is_broken = True
    told = await office.ask("GET", f"{path}?from_memory=true", status=503)
    assert told["code"] == "ledger_broken"
    # What is changed is told, whatever is asked for besides: a new key's value is told this once.
    for asked in ("true", "maybe"):
        made = await office.ask("POST", f"/virtual-keys?from_memory={asked}", {"name": asked})
        assert made["virtual_key"]["value"]
        await office.ask("PUT", f"{path}?from_memory={asked}", {"description": asked})
    office.is_broken = False
    await office.ask("GET", f"{path}?from_memory=maybe", status=400)


async def test_a_customer_goes_and_leaves_his_people_free(office: Office) -> None:
    customer = await office.made("customers", "customer", name="C", budget=DAILY)
    team = await office.made(
        "teams", "team", name="T", customer_id=customer["id"], rate_limit=THREE
    )
    own = await office.key("own", customer_id=customer["id"])
    of_team = await office.key("of team", team_id=team["id"])
    shown = (await office.ask("GET", f"/customers/{customer['id']}"))["customer"]
    assert [each["id"] for each in shown["teams"]] == [team["id"]]
    assert [each["id"] for each in shown["virtual_keys"]] == [own["id"]]
    (listed,) = (await office.ask("GET", "/customers"))["customers"]
    assert listed == shown
    same = await office.ask("PUT", f"/customers/{customer['id']}", shown)
    assert same["customer"]["teams"] == shown["teams"]
    assert len((await office.ask("GET", "/budgets"))["budgets"]) == 1

    await office.ask("DELETE", f"/customers/{customer['id']}")
    assert (await office.ask("GET", f"/teams/{team['id']}"))["team"]["customer_id"] is None
    freed = await office.ask("GET", f"/virtual-keys/{own['id']}")
    assert freed["virtual_key"]["customer_id"] is None
    assert (await office.ask("GET", "/budgets"))["budgets"] == []
    assert len((await office.ask("GET", "/rate-limits"))["rate_limits"]) == 1

    await office.ask("DELETE", f"/teams/{team['id']}")
    freed = await office.ask("GET", f"/virtual-keys/{of_team['id']}")
    assert freed["virtual_key"]["team_id"] is None
    assert (await office.ask("GET", "/rate-limits"))["rate_limits"] == []


async def test_lists_by_page_name_owner_and_order(office: Office) -> None:
    team = await office.made("teams", "team", name="T")
    customer = await office.made("customers", "customer", name="C")
    await office.key("beta", team_id=team["id"], budget=DAILY)
    await office.key("Alpha", customer_id=customer["id"], budget=DAILY)
    spender = await office.key("gamma", budget=DAILY, is_active=False)
    office.written[spender["budget_id"]] = Counted(10, T0)

    async def names(query: str) -> str:
        told = await office.ask("GET", f"/virtual-keys?{query}")
        assert told["count"] == len(told["virtual_keys"])
        return " ".join(each["name"] for each in told["virtual_keys"])

    assert await names("") == "of the file beta Alpha gamma"
    assert await names("search=A&sort_by=name") == "Alpha beta gamma"
    assert await names(f"team_id={team['id']}&customer_id={customer['id']}") == "beta Alpha"
    assert await names("sort_by=budget_spent&order=desc&limit=1") == "gamma"
    assert await names("sort_by=status&order=desc&limit=1") == "gamma"
    assert await names("limit=2&offset=1") == "beta Alpha"
    paged = await office.ask("GET", "/virtual-keys?limit=2&offset=3")
    assert {name: paged[name] for name in ("count", "total_count", "limit", "offset")} == {
        "count": 1,
        "total_count": 4,
        "limit": 2,
        "offset": 3,
    }
    assert (await office.ask("GET", "/virtual-keys?export=true"))["limit"] == 10_000
    assert (await office.ask("GET", "/virtual-keys?search=x"))["limit"] == 25
    for query in ("limit=101", "limit=0", "offset=-1", "sort_by=x", "order=x", "export=x"):
        await office.ask("GET", f"/virtual-keys?{query}", status=400)


async def test_many_are_told_as_few_are(office: Office) -> None:
    from bifrost.config.nouns import Put  # noqa: PLC0415  of this test alone

    puts = [
        Put(
            kind="virtual_key",
            id=f"k{n}",
            body={"id": f"k{n}", "name": f"k{n}", "value": f"sk-bf-{n}"},
        )
        for n in range(150)
    ]
    await office.steward.change(puts)
    assert (await office.ask("GET", "/virtual-keys"))["count"] == 151


async def test_what_came_from_the_file_is_like_the_rest(office: Office) -> None:
    path = "/virtual-keys/of-file"
    key = (await office.ask("GET", path))["virtual_key"]
    (config,) = key["provider_configs"]
    assert (config["key_ids"], config["allowed_models"]) == (["first"], [])
    sent = {"provider_configs": [{"id": config["id"], "key_ids": ["k1"], "weight": 2}]}
    after = (await office.ask("PUT", path, sent))["virtual_key"]["provider_configs"]
    assert after == [
        {**config, "key_ids": ["k1"], "weight": 2, "keys": [{"key_id": "k1", "name": "first"}]}
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        ("virtual-keys", {"name": "of the file"}, 409, "is taken by virtual_key 'of-file'"),
        ("virtual-keys", {"name": "n", "value": "sk-bf-of-the-file"}, 409, "is taken by"),
        ("virtual-keys", {"name": "n", "team_id": "gone"}, 400, "team_id: found 'gone'"),
        ("virtual-keys", {"name": "n", "color": 1}, 400, "color: found an unknown key"),
        ("virtual-keys", {"name": 5}, 400, "name: found 5; allowed: "),
        (
            "virtual-keys",
            {
                "name": "n",
                "provider_configs": [{"provider": "openai", "allowed_models": ["*", "a"]}],
            },
            400,
            'provider_configs[0].allowed_models: found "*" among other names',
        ),
        (
            "virtual-keys",
            {"name": "n", "provider_configs": [{"provider": "openai", "key_ids": ["k9"]}]},
            400,
            "some keys not found for provider openai: expected 1, found 0",
        ),
        (
            "virtual-keys",
            {"name": "n", "provider_configs": [{"provider": "openai", "key_ids": ["first"]}]},
            400,
            "some keys not found for provider openai: expected 1, found 0",
        ),
        (
            "virtual-keys",
            {"name": "n", "provider_configs": [{"provider": "opnai", "key_ids": ["k1"]}]},
            400,
            "provider_configs[0].provider: found 'opnai'",
        ),
        (
            "routing-rules",
            {"name": "r", "targets": [{"provider": "opnai"}]},
            400,
            "targets[0].provider: found 'opnai'",
        ),
        (
            "routing-rules",
            {"name": "r", "targets": [{"provider": "openai", "key_id": "k9"}]},
            400,
            "targets[0].key_id: found 'k9'; allowed: the id of a key of openai",
        ),
        (
            "routing-rules",
            {"name": "r", "targets": [{"model": "m"}], "scope": "team", "scope_id": "t"},
            400,
            "scope_id: found 't'; allowed: the id of a team",
        ),
        (
            "model-configs",
            {"model_name": "m", "provider": "opnai"},
            400,
            "provider: found 'opnai'",
        ),
        (
            "pricing-overrides",
            {
                "scope_kind": "virtual_key",
                "virtual_key_id": "of-fil",
                "match_type": "exact",
                "pattern": "m",
                "request_types": ["responses"],
                "patch": {"input_cost_per_token": 1},
            },
            400,
            "virtual_key_id: found 'of-fil'; allowed: the id of a virtual_key (did you mean",
        ),
        (
            "virtual-keys",
            {"name": "n", "value": f"sk-b{'*' * 24}abcd"},
            400,
            "value: found a redacted",
        ),
        ("virtual-keys", [], 400, "Invalid JSON"),
        ("teams", {"name": "T", "customer_id": "gone"}, 400, "customer_id: found 'gone'"),
        ("teams", {}, 400, "name is required"),
        (
            "routing-rules",
            {"name": "r", "targets": [{"provider": "openai"}], "cel_expression": "model =="},
            400,
            "cel_expression: found",
        ),
        ("routing-rules", {"name": "r", "targets": []}, 400, "targets: found no target"),
        (
            "routing-rules",
            {"name": "r", "targets": [{"model": "m"}], "scope": "team"},
            400,
            "scope_id: found nothing",
        ),
        (
            "model-configs",
            {"model_name": "m", "budget": {"max_limit": -1, "reset_duration": "1d"}},
            400,
            "Budget max_limit cannot be negative: -1.00",
        ),
        (
            "pricing-overrides",
            {
                "scope_kind": "global",
                "provider_id": "openai",
                "match_type": "exact",
                "pattern": "m",
                "request_types": ["responses"],
                "patch": {"input_cost_per_token": 1},
            },
            400,
            "provider_id: found an id",
        ),
    ],
)
async def test_what_cannot_be_made(
    office: Office, path: str, body: Any, status: int, text: str
) -> None:
    told = await office.ask("POST", f"/{path}", body, status)
    assert text in told["message"]
    assert not office.applied
    assert "sk-bf-of-the-file" not in str(told)


async def test_rules_are_made_changed_and_told_by_scope(office: Office) -> None:
    rule = await office.made(
        "routing-rules",
        "rule",
        name="fast",
        cel_expression='model == "gpt-4o"',
        targets=[{"provider": "openai", "model": "gpt-5"}],
    )
    assert rule["targets"] == [
        {"provider": "openai", "model": "gpt-5", "key_id": None, "weight": 1.0}
    ]
    assert (rule["enabled"], rule["scope"], rule["scope_id"]) == (True, "global", None)
    twice = {"name": "fast", "targets": [{"model": "m"}]}
    await office.ask("POST", "/routing-rules", twice, 409)
    team = (await office.made("teams", "team", name="T"))["id"]
    scoped = {"scope": "team", "scope_id": team}
    await office.made("routing-rules", "rule", **twice, **scoped)
    told = await office.ask("GET", "/routing-rules?scope=global")
    assert [each["id"] for each in told["rules"]] == [rule["id"]]
    told = await office.ask("GET", f"/routing-rules?scope=team&scope_id={team}")
    assert told["total_count"] == 1
    path = f"/routing-rules/{rule['id']}"
    off = await office.ask("PUT", path, {"enabled": False, "priority": 3})
    assert (off["rule"]["enabled"], off["rule"]["priority"]) == (False, 3)
    assert list(office.applied[-1].policy.table.rules.by_scope) == [("team", team)]
    assert (await office.ask("DELETE", path))["message"] == "Routing rule deleted successfully"


async def test_limits_of_models_and_providers(office: Office) -> None:
    made = await office.made(
        "model-configs", "model_config", model_name="gpt-4o", provider="openai", budget=DAILY
    )
    assert made["budget"]["max_limit"] == 2
    twice = {"model_name": "gpt-4o", "provider": "openai"}
    await office.ask("POST", "/model-configs", twice, 409)
    path = f"/model-configs/{made['id']}"
    wider = (await office.ask("PUT", path, {"provider": None}))["model_config"]
    assert wider["provider"] is None
    assert await office.ask("GET", "/providers") == {
        "providers": [],
        "count": 0,
        "total_count": 0,
        "limit": 0,
        "offset": 0,
    }
    put = await office.ask("PUT", "/providers/OpenAI", {"budget": DAILY})
    assert put["provider"]["provider"] == "openai"
    assert office.applied[-1].policy.governance.providers["openai"]
    (listed,) = (await office.ask("GET", "/providers"))["providers"]
    assert listed == put["provider"]
    await office.ask("PUT", "/providers/openai", {"budget": {}})
    assert (await office.ask("GET", "/providers"))["count"] == 0
    await office.ask("PUT", "/providers/openai", {"rate_limit": THREE})
    for _ in range(2):
        done = await office.ask("DELETE", "/providers/openai")
        assert done["message"] == "Provider governance deleted successfully"
    assert not office.applied[-1].policy.governance.providers
    for method, body in (("PUT", {"budget": DAILY}), ("DELETE", None)):
        told = await office.ask(method, "/providers/nobody", body, 404)
        assert told["message"] == "Provider not found"


async def test_a_provider_that_is_built_in_may_be_named_before_it_is_configured(
    office: Office,
) -> None:
    key = await office.key(provider_configs=[{"provider": "groq", "key_ids": ["*"]}])
    assert key["provider_configs"][0]["provider"] == "groq"
    await office.made("routing-rules", "rule", name="r", targets=[{"provider": "groq"}])


async def test_whoever_names_a_rule_s_team_may_be_changed_after_it_has_gone(
    office: Office,
) -> None:
    team = await office.made("teams", "team", name="T")
    scope = {"scope": "team", "scope_id": team["id"]}
    rule = await office.made("routing-rules", "rule", name="r", targets=[{"model": "m"}], **scope)
    await office.ask("DELETE", f"/teams/{team['id']}")
    path = f"/routing-rules/{rule['id']}"
    same = await office.ask("PUT", path, {**rule, "priority": 3})
    assert (same["rule"]["scope_id"], same["rule"]["priority"]) == (team["id"], 3)
    await office.ask("PUT", path, {"scope_id": "other"}, status=400)


async def test_prices_of_one_s_own(office: Office) -> None:
    sent = {
        "scope_kind": "provider",
        "provider_id": "openai",
        "match_type": "exact",
        "pattern": "gpt-4o",
        "request_types": ["chat_completion"],
        "patch": {"input_cost_per_token": 1},
    }
    made = await office.made("pricing-overrides", "pricing_override", **sent)
    path = f"/pricing-overrides/{made['id']}"
    for method, price in (("PUT", 2), ("PATCH", 3)):
        told = await office.ask(method, path, {"patch": {"output_cost_per_token": price}})
        assert told["pricing_override"]["patch"] == {"output_cost_per_token": price}
    told = await office.ask("GET", "/pricing-overrides?scope_kind=provider&provider_id=openai")
    assert [each["id"] for each in told["pricing_overrides"]] == [made["id"]]
    told = await office.ask("GET", "/pricing-overrides?virtual_key_id=x")
    assert told["count"] == 0
    await office.ask("DELETE", path)


async def test_a_reference_is_shown_as_one(office: Office) -> None:
    office.steward.environ = {"MINE": "sk-bf-from-outside"}
    key = await office.key("referred", value="env.MINE")
    assert key["value"] == "env.MINE"
    assert "sk-bf-from-outside" not in str(key)
