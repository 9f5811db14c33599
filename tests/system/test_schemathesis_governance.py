"""Requests made up from the description of ``/api/governance``, fit and unfit, sent to a gateway that has one noun of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from system.process import openai_provider, running
from system.schemathesis_hooks import GOVERNANCE, THERE
from system.test_schemathesis import run_schemathesis

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

NAMED = {"id": THERE, "name": THERE}
NOUNS: dict[str, Any] = {
    "virtual_keys": [
        {**NAMED, "value": "sk-bf-there", "provider_configs": [{"provider": "openai"}]}
    ],
    "teams": [NAMED],
    "customers": [NAMED],
    "routing_rules": [{**NAMED, "targets": [{"provider": "openai"}], "enabled": False}],
    "model_configs": [{"id": THERE, "model_name": "m"}],
    "pricing_overrides": [
        {
            "id": THERE,
            "scope_kind": "global",
            "match_type": "exact",
            "pattern": "m",
            "request_types": ["responses"],
            "pricing_patch": {"input_cost_per_token": 1},
        }
    ],
}


@pytest.mark.parametrize("phases", ["examples,fuzzing", "coverage"])
async def test_every_operation_of_governance_keeps_to_its_description(
    tmp_path: Path, phases: str
) -> None:
    """Fit bodies may be refused all the same: whether a team is there, a description cannot say."""
    config = {
        "providers": {"openai": openai_provider("http://127.0.0.1:9")},
        "governance": NOUNS,
    }
    options = (
        *("--phases", phases, "--max-examples", "5", "--include-path-regex", f"^{GOVERNANCE}"),
        *("--exclude-checks", "positive_data_acceptance"),
    )
    async with running(config, tmp_path) as gateway:
        status, text = await run_schemathesis(gateway.url, tmp_path, *options)
        complaints = [line for line in gateway.lines if line.get("level", "error") == "error"]
    assert status == 0, text[-20_000:]
    assert complaints == []
