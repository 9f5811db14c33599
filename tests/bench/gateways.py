"""The gateways under test, each set up in its own way to do the same: three weighted keys before one upstream.

Every gateway runs as one worker on 127.0.0.1, writes what it logs to a file, and serves three models: ``plain`` and
``stream`` of nginx, and ``paced`` of the pacer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bench.installs import ROOT, litellm_script, portkey_script, revision_source
from bench.processes import free_port, quiet_environment
from bench.wire import post

if TYPE_CHECKING:
    from bench.upstream import Upstream

__all__ = ["KEYS", "KINDS", "OURS", "Gateway", "Route", "bifrost", "direct", "litellm", "portkey"]

OURS = "bifrost"
KINDS = ("plain", "stream", "paced")
KEYS: Mapping[str, float] = MappingProxyType(
    {"sk-bench-1": 0.5, "sk-bench-2": 0.3, "sk-bench-3": 0.2}
)
"""Key → weight. They open nothing: the mock takes any."""
QUESTION = "Say hello, and tell me in one sentence how you are today."

LOOPBACK = """\
// Portkey listens on every address and has no setting for it; this keeps it on loopback.
const { Server } = require('node:net');
const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest.filter((one) => typeof one === 'function'));
};
"""


@attrs.frozen
class Route:
    """Where and how one kind of chat is asked for."""

    port: int
    path: str
    model: str
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def body(self, kind: str, characters: int = 0) -> bytes:
        """A chat request, its question filled up to so many characters."""
        system = {"role": "system", "content": "You are a helpful assistant."}
        question = {"role": "user", "content": QUESTION.ljust(characters, "x")}
        chat = {"model": self.model, "messages": [system, question], "temperature": 0.7}
        more = {} if kind == "plain" else {"stream": True}
        return json.dumps({**chat, "max_tokens": 512, **more}).encode()

    def request(self, kind: str) -> bytes:
        return post(self.port, self.path, self.headers, self.body(kind))


@attrs.frozen
class Gateway:
    """How to start one, and how to ask it. ``command`` is None for the direct call, which needs no process."""

    name: str
    version: str
    routes: Mapping[str, Route]
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = MappingProxyType({})
    folder: Path = ROOT
    port: int = 0
    health: str = "/health"
    start_s: float = 120.0


def direct(at: Upstream) -> Gateway:
    """No gateway at all: what the mock upstream and the load clients can do by themselves."""
    path = "/v1/chat/completions"
    header = {"Authorization": f"Bearer {next(iter(KEYS))}"}
    routes = {
        "plain": Route(at.port, f"/plain{path}", "bench-plain", header),
        "stream": Route(at.port, f"/stream{path}", "bench-stream", header),
        "paced": Route(at.paced_port, path, "bench-paced", header),
    }
    return Gateway("direct", "", routes)


def _write(path: Path, config: Mapping[str, Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=1))
    return str(path)


def bifrost(at: Upstream, folder: Path, version: str, revision: str | None = None) -> Gateway:
    """This gateway as it stands in the work tree, or the source of ``revision`` in the same environment."""
    name, paths = OURS, {}
    if revision is not None:
        version, source = revision_source(revision)
        name, paths = f"{OURS}@{version}", {"PYTHONPATH": str(source)}
    folder = folder / name
    port = free_port()

    def provider(kind: str) -> dict[str, Any]:
        keys = [{"name": f"{kind}-{key}", "value": key, "weight": KEYS[key]} for key in KEYS]
        return {"keys": keys, "network_config": {"base_url": at.base(kind)}}

    own = {"custom_provider_config": {"base_provider_type": "openai"}}
    providers = {
        "openai": provider("plain"),
        "bench-stream": {**provider("stream"), **own},
        "bench-paced": {**provider("paced"), **own},
    }
    config = _write(folder / "config.json", {"providers": providers})
    models = {
        "plain": "openai/gpt-4o",
        "stream": "bench-stream/gpt-4o",
        "paced": "bench-paced/gpt-4o",
    }
    command = (
        *(sys.executable, "-m", "bifrost", "serve", "--config", config),
        *("--port", str(port), "--app-dir", str(folder / "data")),
    )
    path = "/openai/v1/chat/completions"
    routes = {kind: Route(port, path, model) for kind, model in models.items()}
    env = quiet_environment() | paths
    return Gateway(name, version, routes, command, env, folder, port)


def litellm(at: Upstream, folder: Path, version: str) -> Gateway:
    """LiteLLM's proxy: three deployments a model, drawn by weight; without telemetry, database and look-ups."""
    folder = folder / "litellm"
    port = free_port()
    deployments = [
        {
            "model_name": f"bench-{kind}",
            "litellm_params": {
                "model": "openai/gpt-4o",
                "api_base": f"{at.base(kind)}/v1",
                "api_key": key,
                "weight": weight,
            },
        }
        for kind in KINDS
        for key, weight in KEYS.items()
    ]
    config = {
        "model_list": deployments,
        "router_settings": {"routing_strategy": "simple-shuffle"},
        "litellm_settings": {"telemetry": False, "set_verbose": False},
        # No keys for callers: none of the gateways here checks who is asking.
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
    }
    command = (
        *(str(litellm_script(version)), "--config", _write(folder / "config.yaml", config)),
        *("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"),
    )
    # As its guide to production has it: log errors only, and the price list it ships.
    env = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    routes = {kind: Route(port, "/v1/chat/completions", f"bench-{kind}") for kind in KINDS}
    return Gateway(
        "litellm", version, routes, command, quiet_environment() | env, folder, port,
        "/health/liveliness",
    )  # fmt: skip


def portkey(at: Upstream, folder: Path, version: str) -> Gateway:
    """Portkey's gateway, which takes its configuration from a header of each request."""
    folder = folder / "portkey"
    port = free_port()
    shim = folder / "loopback.cjs"
    shim.parent.mkdir(parents=True, exist_ok=True)
    shim.write_text(LOOPBACK)
    script = str(portkey_script(version))
    command = ("node", "--require", str(shim), script, f"--port={port}", "--headless")

    def header(kind: str) -> str:
        targets = [
            {"provider": "openai", "api_key": key, "weight": weight, "custom_host": f"{at.base(kind)}/v1"}
            for key, weight in KEYS.items()
        ]  # fmt: skip
        return json.dumps({"strategy": {"mode": "loadbalance"}, "targets": targets})

    path = "/v1/chat/completions"
    routes = {
        kind: Route(port, path, "gpt-4o", {"x-portkey-config": header(kind)}) for kind in KINDS
    }
    env = quiet_environment() | {"NODE_ENV": "production", "PORT": str(port)}
    return Gateway("portkey", version, routes, command, env, folder, port, "/")
