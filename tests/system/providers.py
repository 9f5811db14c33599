"""A gateway before a provider of each dialect, all of them as strict as the real ones, and answering what they are asked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from system import as_asked
from system.anthropic_upstream import claude
from system.bedrock_like import BedrockLike
from system.process import for_all_of, openai_provider, running
from system.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import trio

    from system.process import Gateway
    from system.upstream import Behaviour

__all__ = ["MODELS", "all_of_them"]

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

MODELS: dict[str, Callable[[], Behaviour]] = {
    "openai/gpt-5": as_asked.openai,
    "anthropic/claude-sonnet-4-5": claude,
    "gemini/gemini-2.5-flash": as_asked.gemini,
    "gemini/gemini-3-pro-preview": as_asked.gemini,
    f"bedrock/{CLAUDE}": as_asked.bedrock,
    "cohere/command-a-reasoning-08-2025": as_asked.cohere,
}
"""Models, and who answers for their providers."""


@asynccontextmanager
async def all_of_them(nursery: trio.Nursery, folder: Path) -> AsyncIterator[Gateway]:
    """Serve all of them in ``nursery``, and a gateway before them, with the virtual key ``sk-bf-virtual``."""
    providers: dict[str, Any] = {}
    for model, behaviour in MODELS.items():
        name = model.partition("/")[0]
        upstream = BedrockLike() if name == "bedrock" else Upstream()
        upstream.scripts = {"*": [behaviour()], CLAUDE: [behaviour()]}
        await nursery.start(upstream.run)
        providers[name] = openai_provider(upstream.url, prefix=name)
    providers["bedrock"]["keys"][0]["bedrock_key_config"] = {"region": "eu-west-1"}
    config = {"providers": providers, "governance": for_all_of(*providers)}
    async with running(config, folder) as it:
        yield it
