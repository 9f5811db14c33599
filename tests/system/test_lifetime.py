"""Start, drain, reload and refusal to start, of a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trio

from system.process import openai_provider, running
from system.upstream import Upstream, plain, raw, stream, stream_chunks

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.system

GOOD: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


def config(upstream: Upstream, *keys: str, **client: Any) -> dict[str, Any]:
    return {"client": client, "providers": {"openai": openai_provider(upstream.url, *keys)}}


async def test_a_drain_finishes_what_runs_and_exits_clean(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts["gpt-4o"] = [stream(pause_s=0.2)]
    answers: list[httpx.Response] = []

    async with running(config(upstream), tmp_path, fresh=True) as gateway:

        async def ask() -> None:
            answers.append(await gateway.post({**GOOD, "stream": True}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while not upstream.requests:
                await trio.sleep(0.01)
            gateway.terminate()
        code = await gateway.wait()

    assert answers[0].text.endswith("data: [DONE]\n\n")
    assert code == 0


async def test_what_outlasts_the_grace_is_told_so(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["gpt-4o"] = [stream(stream_chunks(), then_hang=True)]
    upstream.scripts["never"] = [raw(60.0)]
    answers: dict[str, httpx.Response] = {}

    async with running(config(upstream, drain_timeout_s=1), tmp_path, fresh=True) as gateway:

        async def ask(model: str, streamed: bool) -> None:
            answers[model] = await gateway.post({**GOOD, "model": model, "stream": streamed})

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "gpt-4o", True)
            nursery.start_soon(ask, "never", False)
            while len(upstream.requests) < 2:
                await trio.sleep(0.01)
            await trio.sleep(0.3)
            gateway.terminate()
        code = await gateway.wait()

    assert answers["never"].status_code == 503
    assert answers["never"].json()["error"]["code"] == "shutting_down"
    assert "[DONE]" not in answers["gpt-4o"].text
    assert '"shutting_down"' in answers["gpt-4o"].text.strip().rsplit("\n\n", 1)[-1]
    assert code == 0


async def test_a_second_signal_hurries(upstream: Upstream, tmp_path: Path) -> None:
    upstream.scripts["gpt-4o"] = [raw(60.0)]
    answers: list[httpx.Response] = []

    async with running(config(upstream, drain_timeout_s=60), tmp_path, fresh=True) as gateway:

        async def ask() -> None:
            answers.append(await gateway.post(GOOD))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while not upstream.requests:
                await trio.sleep(0.01)
            gateway.terminate()
            await gateway.wait_for("draining")
            gateway.terminate()
        code = await gateway.wait()

    assert answers[0].status_code == 503
    assert code == 0


async def test_a_reload_changes_keys_without_losing_a_call(
    upstream: Upstream, tmp_path: Path
) -> None:
    upstream.scripts["slow"] = [raw(1.0), plain()]
    slow = plain()

    async def late(conn: Any, received: Any) -> None:
        await trio.sleep(1.0)
        await slow(conn, received)

    upstream.scripts["slow"] = [late]
    answers: list[httpx.Response] = []

    async with running(config(upstream, "sk-old-key-00000"), tmp_path, fresh=True) as gateway:

        async def ask(model: str) -> None:
            answers.append(await gateway.post({**GOOD, "model": model}))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, "slow")
            while not upstream.requests:
                await trio.sleep(0.01)
            gateway.reconfigure(config(upstream, "sk-new-key-00000"))
            await gateway.wait_for("configuration reloaded")
            await ask("gpt-4o")

    assert [a.status_code for a in answers] == [200, 200]
    assert upstream.of("slow")[0].header("authorization") == "Bearer sk-old-key-00000"
    assert upstream.of("gpt-4o")[0].header("authorization") == "Bearer sk-new-key-00000"


async def test_a_broken_reload_keeps_the_last_good_configuration(
    upstream: Upstream, tmp_path: Path
) -> None:
    async with running(config(upstream), tmp_path, fresh=True) as gateway:
        gateway.reconfigure({"providers": {"openai": {"keyz": []}}})
        [line] = await gateway.wait_for("configuration not reloaded")
        answer = await gateway.post(GOOD)

    assert "providers.openai.keyz" in json.dumps(line)
    assert answer.status_code == 200


async def test_a_provider_is_added_and_removed_by_reload(
    upstream: Upstream, tmp_path: Path
) -> None:
    async with running(config(upstream), tmp_path, fresh=True) as gateway:
        before = await gateway.post({**GOOD, "model": "groq/x"})
        gateway.reconfigure(
            {
                "providers": {
                    "groq": openai_provider(upstream.url, prefix="groq"),
                    "openai": openai_provider(upstream.url, "k2"),
                }
            }
        )
        await gateway.wait_for("configuration reloaded")
        during = await gateway.post({**GOOD, "model": "groq/x"})
        gateway.reconfigure({"providers": {"groq": openai_provider(upstream.url, prefix="groq")}})
        await gateway.wait_for("configuration reloaded", 2)
        after = await gateway.post({**GOOD, "model": "openai/x"})

    assert before.status_code == 400
    assert during.status_code == 200
    assert after.status_code == 400
    assert "failed to get config for provider: openai" in after.text


async def test_unset_references_disable_their_key_with_one_warning(tmp_path: Path) -> None:
    settings = {
        "providers": {
            "mock": {},
            "openai": {"keys": [{"name": "main", "value": "env.BIFROST_TEST_UNSET"}]},
        }
    }
    async with running(settings, tmp_path, fresh=True) as gateway:
        answer = await gateway.post(
            {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "x"}]}
        )

    warnings = [line for line in gateway.lines if "BIFROST_TEST_UNSET" in json.dumps(line)]
    assert len(warnings) == 1
    assert answer.status_code == 400


def bifrost(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bifrost", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
    )


def test_a_broken_file_refuses_to_start_and_names_every_error(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("providers:\n  openai:\n    keyz: []\nclient:\n  max_inflight: many\n")

    for command in (["serve", "--port", "0", "--app-dir", str(tmp_path)], ["check-config"]):
        ended = bifrost(*command, "--config", str(path), folder=tmp_path)

        assert ended.returncode == 2
        assert "providers.openai.keyz" in ended.stderr
        assert "client.max_inflight" in ended.stderr


def test_a_protection_that_is_not_built_refuses_to_start(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("saml_config:\n  enabled: true\nproviders:\n  mock: {}\n")

    ended = bifrost("serve", "--config", str(path), "--port", "0", folder=tmp_path)

    assert ended.returncode == 2
    assert "saml_config.enabled" in ended.stderr


def test_explain_tells_who_would_serve_and_why_not(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        json.dumps(
            {
                "providers": {
                    "openai": {
                        "keys": [
                            {"name": "big", "value": "sk-1", "weight": 3},
                            {"name": "small", "value": "sk-2", "weight": 1},
                            {"name": "other", "value": "sk-3", "models": ["gpt-3"]},
                            {"name": "off", "value": "sk-4", "enabled": False},
                        ]
                    }
                }
            }
        )
    )

    ended = bifrost("explain", "gpt-4o", "--config", str(path), folder=tmp_path)

    assert ended.returncode == 0
    assert "openai" in ended.stdout
    assert "75" in ended.stdout
    assert "25" in ended.stdout
    assert "disabled" in ended.stdout
    assert "sk-" not in ended.stdout
