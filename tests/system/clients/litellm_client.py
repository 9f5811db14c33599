"""LiteLLM's library against a gateway: ``litellm_client.py BASE_URL MODEL`` prints what it heard as JSON."""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}


def main(base_url: str, model: str) -> dict[str, Any]:
    ask = partial(
        litellm.completion,
        model=f"openai/{model}",
        base_url=base_url,
        api_key="sk-caller",
        num_retries=0,
        timeout=30,
    )
    hello = [{"role": "user", "content": "Say hello"}]
    picture = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    parts = (chunk.choices[0].delta.content for chunk in ask(messages=hello, stream=True))
    return {
        "plain": _text(ask(messages=hello)),
        "stream": "".join(part or "" for part in parts),
        "tools": _tool_loop(ask),
        "image": _text(ask(messages=[{"role": "user", "content": picture}])),
    }


def _text(answer: Any) -> str:
    return str(answer.choices[0].message.content)


def _tool_loop(ask: Any) -> str:
    messages: list[Any] = [{"role": "user", "content": "Use the tool: the weather in Paris?"}]
    asked = ask(messages=messages, tools=[WEATHER]).choices[0].message
    messages.append(asked)
    for call in asked.tool_calls:
        words = "Sunny in {city} for {days} days".format(**json.loads(call.function.arguments))
        told = {"role": "tool", "tool_call_id": call.id, "content": words}
        messages.append(told)
    return _text(ask(messages=messages, tools=[WEATHER]))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
