"""LangChain's ``ChatOpenAI`` against a gateway: ``langchain_client.py BASE_URL MODEL`` prints what it heard as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@tool
def weather(city: str, days: int = 1) -> str:
    """The weather in a city."""
    return f"Sunny in {city} for {days} days"


def main(base_url: str, model: str) -> dict[str, Any]:
    key = SecretStr("sk-caller")
    chat = ChatOpenAI(base_url=base_url, model=model, api_key=key, max_retries=0, timeout=30)
    picture: list[str | dict[Any, Any]] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    return {
        "plain": chat.invoke("Say hello").content,
        "stream": "".join(str(chunk.content) for chunk in chat.stream("Say hello")),
        "tools": _tool_loop(chat),
        "image": chat.invoke([HumanMessage(content=picture)]).content,
    }


def _tool_loop(chat: ChatOpenAI) -> str:
    armed = chat.bind_tools([weather])
    messages: list[Any] = [HumanMessage(content="Use the tool: the weather in Paris?")]
    asked = armed.invoke(messages)
    messages.append(asked)
    messages.extend(
        ToolMessage(content=weather.invoke(call["args"]), tool_call_id=call["id"])
        for call in asked.tool_calls
    )
    return str(armed.invoke(messages).content)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
