"""Clients of a gateway under test: the real OpenAI SDK for Python."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import openai
import trio

if TYPE_CHECKING:
    from system.process import Gateway

__all__ = ["OPENED", "in_thread", "sdk"]

OPENED: list[openai.OpenAI] = []
"""To be closed when the test is over."""


def sdk(gateway: Gateway, path: str = "/openai", **more: Any) -> openai.OpenAI:
    """A client of ``gateway``, closed when its test is over."""
    client = openai.OpenAI(base_url=gateway.url + path, api_key="unused", max_retries=0, **more)
    OPENED.append(client)
    return client


async def in_thread(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a blocking client without stopping the upstream that answers it."""
    return await trio.to_thread.run_sync(partial(call, *args, **kwargs))
