from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from system.process import Gateway, for_all_of, openai_provider, running
from system.sdk import OPENED
from system.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import trio

CANARIES = ("sk-canary-aaaaaaaaaaaaaaaaaaaaaaaa", "sk-canary-bbbbbbbbbbbbbbbbbbbbbbbb")
"""Key values that must never be seen outside of an upstream request."""


@pytest.fixture(autouse=True)
def _closed_clients() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


@pytest.fixture
async def upstream(nursery: trio.Nursery) -> Upstream:
    """A scripted upstream, serving while the test runs."""
    it = Upstream()
    await nursery.start(it.run)
    return it


@pytest.fixture
async def gateway(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A gateway with two keys on provider openai and one on groq, both pointed at the scripted upstream."""
    config = {
        "client": {"max_request_body_size_mb": 2},
        "governance": for_all_of("mock", "openai", "groq"),
        "providers": {
            "mock": {},
            "openai": openai_provider(
                upstream.url,
                *CANARIES,
                network_config={
                    "max_retries": 1,
                    "retry_backoff_initial": 10,
                    "default_request_timeout_in_seconds": 2,
                    "stream_idle_timeout_in_seconds": 5,
                },
            ),
            # One provider for each status: what one does to its key must not be seen by the next.
            **{
                f"lone-{code}": {
                    "keys": [{"name": f"lone-{code}", "value": f"sk-lone-{code}"}],
                    "network_config": {"base_url": upstream.url, "max_retries": 0},
                    "custom_provider_config": {"base_provider_type": "openai"},
                }
                for code in (400, 401, 403, 404, 409, 422, 429, 500, 503)
            },
            "groq": {
                "keys": [{"name": "groq-1", "value": "gsk-canary-cccccccccccccccccccc"}],
                "network_config": {"base_url": upstream.url, "max_retries": 0},
                # Its circuit never opens: many faults can be tried on it one after the other.
                "failure_threshold": 1_000_000,
            },
        },
    }
    async with running(config, tmp_path) as it:
        yield it
    assert_no_secret(it.text)


def assert_no_secret(text: str) -> None:
    """No canary in ``text``, whole or in part."""
    for canary in (*CANARIES, "gsk-canary"):
        assert canary not in text
