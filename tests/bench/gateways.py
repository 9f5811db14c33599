"""The gateways under test, each set up in its own way to do the same: three weighted keys before one upstream.

Every gateway runs as one worker on 127.0.0.1, writes what it logs to a file, and serves chat of three models (``plain``
and ``stream`` of nginx, ``paced`` of the pacer), and ``responses`` and ``embeddings`` of nginx where it has them;
``translated`` is a stream of nginx in Anthropic's dialect, asked for and told in OpenAI's.
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
from bench.upstream import DIMENSIONS
from bench.wire import post

if TYPE_CHECKING:
    from bench.upstream import Upstream

__all__ = ["KEYS", "KINDS", "OURS", "Gateway", "Route", "bifrost", "direct", "litellm", "portkey"]

OURS = "bifrost"
EVERYBODYS = ("plain", "stream", "translated", "paced", "responses", "embeddings")
KINDS = (*EVERYBODYS, "governed")
STREAMS = frozenset({"stream", "translated", "paced"})
PATHS: Mapping[str, str] = MappingProxyType(
    {"responses": "/v1/responses", "embeddings": "/v1/embeddings"}
)
"""Of the kinds that are not chat."""
CHAT_PATH = "/v1/chat/completions"
KEYS: Mapping[str, float] = MappingProxyType(
    {"sk-bench-1": 0.5, "sk-bench-2": 0.3, "sk-bench-3": 0.2}
)
"""Key → weight. They open nothing: the mock takes any."""
VIRTUAL_KEY = "sk-bf-bench"
GOVERNANCE: Mapping[str, Any] = MappingProxyType(
    {
        "virtual_keys": [
            {
                "id": "bench",
                "name": "bench",
                "value": VIRTUAL_KEY,
                "team_id": "bench",
                "provider_configs": [
                    {"provider": "openai", "allowed_models": ["*"], "key_ids": ["*"]}
                ],
                "budget": {"max_limit": 1e6, "reset_duration": "1M", "calendar_aligned": True},
                "rate_limit": {
                    "request_max_limit": 10**9,
                    "request_reset_duration": "1h",
                    "token_max_limit": 10**12,
                    "token_reset_duration": "1h",
                },
            }
        ],
        "teams": [
            {
                "id": "bench",
                "name": "bench",
                "budget": {"max_limit": 1e6, "reset_duration": "1d"},
            }
        ],
    }
)
"""A key with a budget and limits of its own, and its team's budget: ``governed`` is asked with it."""
SYSTEM = "You are a helpful assistant."
QUESTION = "Say hello, and tell me in one sentence how you are today."

LOOPBACK = """\
// Portkey listens on every address and has no setting for it; this keeps it on loopback.
const { Server } = require('node:net');
const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest.filter((one) => typeof one === 'function'));
};
"""


def _chat(question: str) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": question},
    ]
    return {"messages": messages, "temperature": 0.7, "max_tokens": 512}


def _responses(question: str) -> dict[str, Any]:
    asked = {"instructions": SYSTEM, "input": question}
    return {**asked, "temperature": 0.7, "max_output_tokens": 512}


def _embeddings(question: str) -> dict[str, Any]:
    return {"input": [question], "dimensions": DIMENSIONS, "encoding_format": "float"}


BODIES = MappingProxyType({"responses": _responses, "embeddings": _embeddings})


MODELS = MappingProxyType(
    {"embeddings": "text-embedding-3-small", "translated": "claude-sonnet-4-5"}
)


def vendor_of(kind: str) -> str:
    """Whose dialect the upstream speaks; callers always speak OpenAI's."""
    return "anthropic" if kind == "translated" else "openai"


def path_of(kind: str) -> str:
    """The path that OpenAI has for it."""
    return PATHS.get(kind, CHAT_PATH)


def model_of(kind: str) -> str:
    """The model that the upstream is asked for: a name that the gateways know to be of the kind."""
    return MODELS.get(kind, "gpt-4o")


@attrs.frozen
class Route:
    """Where and how one kind of request is made."""

    port: int
    path: str
    model: str
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def body(self, kind: str, characters: int = 0) -> bytes:
        """A request, its question filled up to so many characters."""
        question = QUESTION.ljust(characters, "x")
        members = BODIES.get(kind, _chat)(question)
        more = {"stream": True} if kind in STREAMS else {}
        return json.dumps({"model": self.model, **members, **more}).encode()

    def request(self, kind: str) -> bytes:
        return post(self.port, self.path, self.headers, self.body(kind))


@attrs.frozen
class Gateway:
    """How to start one, and how to ask it. ``command`` is None for the direct call, which needs no process.

    ``routes`` are by kind; what the gateway has not is not among them.
    """

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
    header = {"Authorization": f"Bearer {next(iter(KEYS))}"}
    routes = {
        "stream": Route(at.port, f"/stream{CHAT_PATH}", "bench-stream", header),
        "paced": Route(at.paced_port, CHAT_PATH, "bench-paced", header),
    }
    for kind in ("plain", *PATHS):
        routes[kind] = Route(at.port, f"/plain{path_of(kind)}", f"bench-{kind}", header)
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
        "anthropic": provider("translated"),
    }
    document = {"providers": providers, "governance": dict(GOVERNANCE)}
    config = _write(folder / "config.json", document)
    of_kind = {"stream": "bench-stream", "paced": "bench-paced", "translated": "anthropic"}
    command = (
        *(sys.executable, "-m", "bifrost", "serve", "--config", config),
        *("--port", str(port), "--app-dir", str(folder / "data")),
    )
    routes = {
        kind: Route(
            port, "/openai" + path_of(kind), f"{of_kind.get(kind, 'openai')}/{model_of(kind)}"
        )
        for kind in KINDS
    }
    governed = {"x-bf-vk": VIRTUAL_KEY}
    routes["governed"] = attrs.evolve(routes["plain"], headers=governed)
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
                "model": f"{vendor_of(kind)}/{model_of(kind)}",
                # LiteLLM puts the version into Anthropic's paths itself.
                "api_base": at.base(kind) + ("" if kind == "translated" else "/v1"),
                "api_key": key,
                "weight": weight,
            },
        }
        for kind in EVERYBODYS
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
    routes = {kind: Route(port, path_of(kind), f"bench-{kind}") for kind in EVERYBODYS}
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
            {"provider": vendor_of(kind), "api_key": key, "weight": weight, "custom_host": f"{at.base(kind)}/v1"}
            for key, weight in KEYS.items()
        ]  # fmt: skip
        return json.dumps({"strategy": {"mode": "loadbalance"}, "targets": targets})

    routes = {
        kind: Route(port, path_of(kind), model_of(kind), {"x-portkey-config": header(kind)})
        for kind in EVERYBODYS
    }
    env = quiet_environment() | {"NODE_ENV": "production", "PORT": str(port)}
    return Gateway("portkey", version, routes, command, env, folder, port, "/")
