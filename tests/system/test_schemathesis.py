"""Requests made up by schemathesis from ``/openapi.json``, fit and unfit, sent to a gateway whose upstreams behave."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from system.openai_like import OpenAILike
from system.process import openai_provider, running

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.system

TESTS = Path(__file__).parents[1]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "allow_header_conformance",
)
LIMIT_S = 180.0
"""On the machine at its busiest; alone it takes a tenth of that."""

OTHERS = r"(/v1/tokenize|/v1/batches/\{id\}/results|/genai/.*files.*|/anthropic/v1/(files|messages/batches).*)$"
MANAGED = "^/api/"
EVERYTHING = (
    *("--phases", "examples,fuzzing", "--max-examples", "1"),
    *("--exclude-path-regex", f"{OTHERS}|{MANAGED}"),
)
"""A few bodies for each operation, but for those that these upstreams have no answer to: tokens themselves are Cohere's alone,
files and batches in other words Anthropic's and Gemini's, and the batches here have no results yet."""

MANAGEMENT = (
    "--phases",
    "examples,coverage,fuzzing",
    "--max-examples",
    "10",
    "--include-path-regex",
    "^/api/(?!governance/)",
)
"""What is well-formed may still be no good configuration, and only the configuration's own check can say so. Governance
has a test of its own."""

THOROUGH = (
    *("--phases", "coverage", "--include-path-regex"),
    r"^/(v1/(rerank|audio/transcriptions|models)|openai/v1/(files/\{id\}|batches)|ready)$",
)
"""Every way for a part to be fit or unfit: for one operation with JSON, one with a form, one of each other kind."""


async def run_schemathesis(
    url: str, folder: Path, *options: str, checks: Sequence[str] = CHECKS
) -> tuple[int, str]:
    """Its exit status and what it has to say."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json"),
        *("--checks", ",".join(checks), "--continue-on-failure", "--no-color"),
        *("--seed", "1", "--generation-database", "none", *options),
    ]
    hooks = {"SCHEMATHESIS_HOOKS": "system.schemathesis_hooks", "PYTHONPATH": str(TESTS)}
    with trio.fail_after(LIMIT_S):
        done = await trio.run_process(
            command,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=folder,
            env={**os.environ, **hooks},
        )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("options", [EVERYTHING, THOROUGH], ids=["everything", "thorough"])
async def test_every_operation_keeps_to_its_description(
    nursery: trio.Nursery, tmp_path: Path, options: tuple[str, ...]
) -> None:
    upstream = OpenAILike()
    await nursery.start(upstream.run)
    behaved: dict[str, Any] = {"network_config": {"max_retries": 0}, "failure_threshold": 1_000_000}
    config = {
        "client": {"max_request_body_size_mb": 1},
        "providers": {
            "mock": {"keys": [{"name": "mock-0"}]},
            "openai": openai_provider(upstream.url, prefix="openai", **behaved),
            "azure": {
                "keys": [
                    {
                        "name": "azure-0",
                        "value": "az-key",
                        "azure_key_config": {"endpoint": upstream.url},
                    }
                ],
                **behaved,
            },
            # The one here that can rank.
            "vllm": {
                "keys": [
                    {"name": "vllm-0", "vllm_key_config": {"url": upstream.url, "model_name": "m"}}
                ],
                **behaved,
            },
        },
    }

    async with running(config, tmp_path) as gateway:
        status, text = await run_schemathesis(gateway.url, tmp_path, *options)
        complaints = [line for line in gateway.lines if line.get("level", "error") == "error"]

    assert status == 0, text[-200_000:]
    assert complaints == []
    assert upstream.accepted


async def test_the_management_api_keeps_to_its_description(tmp_path: Path) -> None:
    config = {"providers": {"mock": {"keys": [{"name": "mock-0"}]}}}
    checks = [name for name in CHECKS if name != "positive_data_acceptance"]
    async with running(config, tmp_path) as gateway:
        status, text = await run_schemathesis(gateway.url, tmp_path, *MANAGEMENT, checks=checks)
        told = [line for line in gateway.lines if line.get("level", "error") == "error"]
        # Plugins of made-up names are not there, and that is told.
        complaints = [line for line in told if line["event"] != "plugin not loaded"]
        still_there = await gateway.get("/api/providers/mock")

    assert status == 0, text[-20_000:]
    assert complaints == []
    assert still_there.status_code == 200
