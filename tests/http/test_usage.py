"""``GET /v1/usage`` and who is told nothing by it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from quart import Response
from quart_trio import QuartTrio

from bifrost.actors.ledger_messages import Counted
from bifrost.actors.mailbox import ActorDied
from bifrost.codecs.json import dumps
from bifrost.config.load import parse_tree
from bifrost.errors import GatewayError
from bifrost.governance.policy import Policy
from bifrost.http.doors import Doors, compile_views
from bifrost.http.usage import usage_routes
from bifrost.management.governance_telling import told_body

if TYPE_CHECKING:
    from collections.abc import Mapping

T0 = 1_795_132_800.0
TREE: dict[str, Any] = {
    "governance": {
        "virtual_keys": [
            {
                "id": "vk",
                "name": "mine",
                "value": "sk-bf-mine",
                "team_id": "t",
                "budget": {"id": "b", "max_limit": 2, "reset_duration": "1d"},
                "provider_configs": [
                    {
                        "provider": name,
                        "rate_limit": {"request_max_limit": 1, "request_reset_duration": "1h"},
                        **more,
                    }
                    for name, more in (("groq", {}), ("openai", {"id": 7}))
                ],
            }
        ],
        "teams": [
            {
                "id": "t",
                "name": "T",
                "rate_limit": {
                    "id": "r",
                    "request_max_limit": 3,
                    "request_reset_duration": "1h",
                },
            }
        ],
    }
}


@attrs.define(eq=False)
class House:
    counted: dict[str, Counted] = attrs.field(factory=dict)
    is_complete: bool = True
    is_broken: bool = False

    async def read(self, ids: frozenset[str]) -> Mapping[str, Counted]:
        if self.is_broken:
            raise ActorDied("ledger")
        return {name: self.counted[name] for name in ids if name in self.counted}

    async def ask(self, **headers: str) -> tuple[int, Any]:
        config = parse_tree(TREE, {})
        policy = Policy.of(config, datetime.fromtimestamp(T0, UTC).date())
        doors = Doors(compile_views(config, policy.table))
        app = QuartTrio(__name__)
        app.register_blueprint(
            usage_routes(doors, self.read, lambda: T0 + 60, lambda: self.is_complete)
        )

        @app.errorhandler(GatewayError)
        async def told(error: GatewayError) -> Response:
            said = {"kind": error.kind, "code": error.code}
            return Response(dumps(said), error.status, content_type="application/json")

        answer = await app.test_client().get(
            "/v1/usage",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        return answer.status_code, await answer.get_json()


async def test_its_own_levels_with_what_is_used_and_held() -> None:
    counted = {"b": Counted(500_000_000, T0, 20_000_000), "other": Counted(9, T0)}
    status, told = await House(counted).ask(authorization="Bearer sk-bf-mine")
    assert status == 200
    *_, own, team = told["limits"]
    assert (own["level"], own["id"], team["level"], team["id"]) == (
        "virtual_key",
        "vk",
        "team",
        "t",
    )
    assert own["budget"]["current_usage"] == 0.5
    assert own["budget"]["held"] == 0.02
    assert own["budget"]["resets_at"] == "2026-11-21T00:00:00.000+00:00"
    assert team["rate_limit"]["requests"]["current_usage"] == 0


async def test_a_provider_config_is_told_by_the_id_that_the_management_api_has() -> None:
    _, told = await House().ask(x_bf_vk="sk-bf-mine")
    levels = [each for each in told["limits"] if each["level"] == "provider_config"]
    (key,) = TREE["governance"]["virtual_keys"]
    configs = told_body("virtual_key", "vk", key)["provider_configs"]
    assert [(each["id"], each["name"]) for each in levels] == [
        (each["id"], each["provider"]) for each in configs
    ]


@pytest.mark.parametrize(
    ("house", "headers", "found"),
    [
        (House(), {}, (401, "virtual_key_required")),
        (House(), {"x_bf_vk": "sk-bf-x"}, (403, "virtual_key_not_found")),
        (House(is_complete=False), {"x_bf_vk": "sk-bf-x"}, (503, "virtual_keys_not_loaded")),
        (House(is_broken=True), {"x_bf_vk": "sk-bf-mine"}, (503, "ledger_broken")),
    ],
)
async def test_who_is_told_nothing(
    house: House, headers: dict[str, str], found: tuple[int, str]
) -> None:
    status, told = await house.ask(**headers)
    assert (status, told["kind"] or told["code"]) == found
