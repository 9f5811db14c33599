"""LangChain, LiteLLM's library and Pydantic AI against a gateway before providers of other dialects.

Each is a process of its own: what they bring along is no business of this one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from system.anthropic_upstream import claude
from system.as_asked import gemini
from system.process import openai_provider, running
from system.upstream import Upstream

if TYPE_CHECKING:
    from system.process import Gateway
    from system.upstream import Behaviour

pytestmark = pytest.mark.system

FOLDER = Path(__file__).parent / "clients"

CLIENT_S = 120


PROVIDERS = {"anthropic/claude-sonnet-4-5": claude, "gemini/gemini-2.5-flash": gemini}
"""Models, and who answers for their providers."""


async def drive(
    client: str, gateway: Gateway, model: str, base: str = "/openai/v1"
) -> dict[str, Any]:
    """What ``client`` heard: plain, streamed, after a tool's answer, and of an image."""
    script = str(FOLDER / f"{client}_client.py")
    with trio.fail_after(CLIENT_S):
        done = await trio.run_process(
            [sys.executable, script, f"{gateway.url}{base}", model],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    heard: dict[str, Any] = json.loads(done.stdout)
    return heard


async def serving(nursery: trio.Nursery, behaviour: Behaviour) -> Upstream:
    upstream = Upstream()
    upstream.scripts["*"] = [behaviour]
    await nursery.start(upstream.run)
    return upstream


@pytest.mark.parametrize("client", ["langchain", "litellm", "pydantic_ai"])
async def test_a_client_of_openai_speaks_to_foreign_providers(
    client: str, nursery: trio.Nursery, tmp_path: Path
) -> None:
    providers = {}
    for model, behave in PROVIDERS.items():
        upstream = await serving(nursery, behave())
        name = model.partition("/")[0]
        providers[name] = openai_provider(upstream.url, prefix=name)
    async with running({"providers": providers}, tmp_path) as gateway:
        for model in PROVIDERS:
            heard = await drive(client, gateway, model)

            assert heard["plain"] == heard["stream"] == "Hello"
            assert "Sunny in Oslo for 2 days" in heard["tools"]
            assert heard["image"] == "A picture of type image/png"


async def test_litellm_speaks_geminis_own_dialect(nursery: trio.Nursery, tmp_path: Path) -> None:
    """It puts no version between its base and the model: both forms are served."""
    upstream = await serving(nursery, gemini())
    providers = {"gemini": openai_provider(upstream.url, prefix="gemini")}
    async with running({"providers": providers}, tmp_path) as gateway:
        for base in ("/litellm", "/litellm/v1beta", "/litellm/genai", "/genai/v1beta"):
            heard = await drive("litellm_gemini", gateway, "gemini/gemini-2.5-flash", base)

            assert heard == {"plain": "Hello", "stream": "Hello"}
