"""Pydantic AI against a gateway: ``pydantic_ai_client.py BASE_URL MODEL`` prints what it heard as JSON."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def main(base_url: str, model: str) -> dict[str, Any]:
    provider = OpenAIProvider(base_url=base_url, api_key="sk-caller")
    agent: Agent[None, str] = Agent(OpenAIChatModel(model, provider=provider))
    armed: Agent[None, str] = Agent(OpenAIChatModel(model, provider=provider))

    @armed.tool_plain
    def weather(city: str, days: int = 1) -> str:
        """The weather in a city."""
        return f"Sunny in {city} for {days} days"

    picture = BinaryContent(data=base64.b64decode(PNG), media_type="image/png")
    return {
        "plain": agent.run_sync("Say hello").output,
        "stream": _streamed(agent),
        "tools": armed.run_sync("Use the tool: the weather in Paris?").output,
        "image": agent.run_sync(["What is this?", picture]).output,
    }


def _streamed(agent: Agent[None, str]) -> str:
    result = agent.run_stream_sync("Say hello")
    return "".join(result.stream_text(delta=True))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
