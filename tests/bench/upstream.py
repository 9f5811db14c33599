"""The mock upstream: nginx answers each kind of request at once; ``bench.pacer`` streams at a set pace.

nginx cannot see ``"stream": true`` in a body, so plain and streamed chat have addresses of their own.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import attrs

from bench.processes import free_port, launched, quiet_environment, wait_until_ok

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "ANSWER",
    "EMBEDDINGS",
    "EVENTS",
    "RESPONSE",
    "TEXT",
    "Upstream",
    "chunk",
    "locations",
    "message_stream_text",
    "stream_text",
    "upstream",
]

EVENTS = 257
"""``data:`` lines of one stream: a role, 254 words, a reason to finish, ``[DONE]``."""
WORDS = tuple(f" word{number:03}" for number in range(EVENTS - 3))
"""All different: LiteLLM breaks off a stream that repeats itself."""
TEXT = "".join(WORDS)

ANSWER = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "bench",
    "system_fingerprint": "$http_authorization",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello from the mock upstream, which is always well."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 10, "total_tokens": 22},
}  # fmt: skip
"""nginx puts the credential in the place of its variable, so that one can see which key was used."""

RESPONSE = {
    "id": "resp_bench",
    "object": "response",
    "created_at": 1_700_000_000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": "You are a helpful assistant.",
    "max_output_tokens": 512,
    "metadata": {"key": "$http_authorization"},
    "model": "bench",
    "output": [
        {
            "id": "msg_bench",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "Hello from the mock upstream, which is always well.",
                    "annotations": [],
                }
            ],
        }
    ],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": True,
    "temperature": 0.7,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 10,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 22,
    },
    "user": None,
}

DIMENSIONS = 256
"""Of the vector. nginx takes no answer longer than 4 KiB out of its configuration."""

EMBEDDINGS = {
    "object": "list",
    "data": [
        {
            "object": "embedding",
            "index": 0,
            "embedding": [round((n * 37 % 256 - 128) / 1999, 8) for n in range(DIMENSIONS)],
        }
    ],
    "model": "bench",
    "usage": {"prompt_tokens": 12, "total_tokens": 12},
}

ANSWERS = {"chat/completions": ANSWER, "responses": RESPONSE, "embeddings": EMBEDDINGS}
"""By the end of their paths."""

LOCATION = """\
        location = /plain/v1/{path} {{
            default_type application/json;
            return 200 '{answer}';
        }}
"""

CONFIG = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_max_body_size 64m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location = /health {{ return 200 'ok'; }}
{answers}        location /stream/ {{
            root {folder}/www;
            types {{}}
            default_type text/event-stream;
            # A static file may not be POSTed: the refusal is turned into the file. SSI, with nothing to do,
            # takes the length away, so that the stream is chunked as a provider's is.
            error_page 405 =200 $uri;
            ssi on;
            ssi_types text/event-stream;
            open_file_cache max=10;
        }}
    }}
}}
"""


STREAMED = frozenset({"stream", "translated"})
"""Kinds that nginx streams."""


@attrs.frozen
class Upstream:
    """Where the mock listens. A base address for OpenAI clients is ``.../v1`` below a path."""

    port: int
    paced_port: int

    def base(self, kind: str) -> str:
        """Base address, without ``/v1``, of one kind of request."""
        if kind == "paced":
            return f"http://127.0.0.1:{self.paced_port}"
        return f"http://127.0.0.1:{self.port}/{'stream' if kind in STREAMED else 'plain'}"


def chunk(delta: dict[str, str], finish: str | None = None) -> str:
    """One chat chunk as its SSE event."""
    event = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return f"data: {json.dumps(event, separators=(',', ':'))}\n\n"


def stream_text() -> str:
    """A whole stream of ``EVENTS`` events."""
    words = [chunk({"content": word}) for word in WORDS]
    head = chunk({"role": "assistant", "content": ""})
    return "".join([head, *words, chunk({}, "stop"), "data: [DONE]\n\n"])


def message_event(name: str, **members: object) -> str:
    """One event of Anthropic's Messages API."""
    data = json.dumps({"type": name, **members}, separators=(",", ":"))
    return f"event: {name}\ndata: {data}\n\n"


def message_stream_text() -> str:
    """The same words as Anthropic streams them."""
    usage = {"input_tokens": 12, "output_tokens": 1}
    message: dict[str, object] = {
        "id": "msg_bench",
        "type": "message",
        "role": "assistant",
        "model": "bench",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    block = {"type": "text", "text": ""}
    words = [
        message_event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        for word in WORDS
    ]
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return "".join(
        [
            message_event("message_start", message=message),
            message_event("content_block_start", index=0, content_block=block),
            *words,
            message_event("content_block_stop", index=0),
            message_event("message_delta", delta=ended, usage={"output_tokens": 254}),
            message_event("message_stop"),
        ]
    )


def locations() -> str:
    """nginx's places that give the fixed answers."""
    texts = {path: json.dumps(told, separators=(",", ":")) for path, told in ANSWERS.items()}
    return "".join(LOCATION.format(path=path, answer=text) for path, text in texts.items())


@contextmanager
def upstream(folder: Path) -> Iterator[Upstream]:
    """nginx and the pacer, running until the end."""
    at = Upstream(free_port(), free_port())
    pages = {"chat/completions": stream_text(), "messages": message_stream_text()}
    for path, text in pages.items():
        page = folder / "www/stream/v1" / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=at.port, answers=locations()))
    nginx = ["nginx", "-p", str(folder), "-c", str(config)]
    pacer = [sys.executable, "-m", "bench.pacer", str(at.paced_port)]
    env = quiet_environment()
    paths = {"PYTHONPATH": ":".join(sys.path)}
    with (
        launched(nginx, log=folder / "nginx.log", env=env, folder=folder) as first,
        launched(pacer, log=folder / "pacer.log", env=env | paths, folder=folder) as second,
    ):
        wait_until_ok(first, at.port, "/health", 10)
        wait_until_ok(second, at.paced_port, "/health", 10)
        yield at
