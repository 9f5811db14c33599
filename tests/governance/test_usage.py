from __future__ import annotations

from bifrost.actors.ledger_messages import Counted
from bifrost.config.governance_section import CustomerSection, TeamSection
from bifrost.governance.usage import counters_of, usage_of
from governance.nouns import at, budget, governance, key, only, rate

T0 = 1_704_067_200.0  # 2024-01-01, a Monday


def test_a_key_sees_its_whole_chain() -> None:
    held = governance(
        key(
            team_id="t",
            budget=budget(1.0, "1M", aligned=True),
            provider_configs=(at("openai", rate_limit=rate(tokens=9)), at("groq")),
        ),
        teams=(TeamSection(id="t", name="T", customer_id="c"),),
        customers=(CustomerSection(id="c", name="C", rate_limit=rate(requests=5, every="1h")),),
    )
    one = only(held)
    counters = counters_of(held, one)
    assert counters == {
        "virtual_key:one:openai:rate_limit:tokens",
        "virtual_key:one:budget",
        "customer:c:rate_limit:requests",
    }
    counted = {
        "virtual_key:one:budget": Counted(250_000_000, T0, 50_000_000),
        "customer:c:rate_limit:requests": Counted(5, T0 - 7200, 1),
    }
    told = usage_of(held, one, counted, T0 + 60)
    assert told["virtual_key"] == {"id": "one", "name": "one", "is_active": True}
    assert told["limits"] == [
        {
            "level": "provider_config",
            "id": one.provider_configs["openai"].id,
            "name": "openai",
            "rate_limit": {
                "tokens": {
                    "max_limit": 9,
                    "current_usage": 0,
                    "held": 0,
                    "reset_duration": "1m",
                    "calendar_aligned": False,
                    "last_reset": "2024-01-01T00:01:00.000+00:00",
                    "resets_at": "2024-01-01T00:02:00.000+00:00",
                    "resets_in_s": 60.0,
                }
            },
        },
        {
            "level": "virtual_key",
            "id": "one",
            "name": "one",
            "budget": {
                "max_limit": 1.0,
                "current_usage": 0.25,
                "held": 0.05,
                "reset_duration": "1M",
                "calendar_aligned": True,
                "last_reset": "2024-01-01T00:00:00.000+00:00",
                "resets_at": "2024-02-01T00:00:00.000+00:00",
            },
        },
        {
            "level": "customer",
            "id": "c",
            "name": "C",
            "rate_limit": {
                "requests": {
                    "max_limit": 5,
                    "current_usage": 0,
                    "held": 1,
                    "reset_duration": "1h",
                    "calendar_aligned": False,
                    "last_reset": "2024-01-01T00:01:00.000+00:00",
                    "resets_at": "2024-01-01T01:01:00.000+00:00",
                    "resets_in_s": 3600.0,
                }
            },
        },
    ]
