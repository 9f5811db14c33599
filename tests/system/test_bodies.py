"""Made-up request bodies against one running gateway: an answer or an error object, never a 5xx of ours, never silence.

A second gateway, which answers by its mock, is the upstream of every provider but ``mock``: so each body is read twice,
the second time as the quirks of a provider have left it.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system

PATHS = ("/openai/v1/chat/completions", "/openai/chat/completions", "/v1/chat/completions")
FAR = (
    "openai",
    "groq",
    "mistral",
    "openrouter",
    "xai",
    "cerebras",
    "perplexity",
    "fireworks",
    "nebius",
    "huggingface",
)
"""Providers whose upstream is the second gateway."""

LONG_S = 15.0
STOP_S = 20.0


@attrs.define(eq=False)
class Served:
    """A gateway process, and what it has written so far."""

    process: subprocess.Popen[bytes]
    url: str = ""
    lines: list[bytes] = attrs.field(factory=list)
    client: httpx.Client = attrs.field(factory=lambda: httpx.Client(timeout=LONG_S))

    def read_on(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    def wait_for_url(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            entry = json.loads(line)
            if entry["event"] == "listening":
                self.url = entry["url"]
                return
        raise AssertionError(b"".join(self.lines))

    def complaints(self) -> list[bytes]:
        """Lines that are none of the log's own (a traceback, say), and those of defects and crashes."""
        return [line for line in self.lines if _is_complaint(line)]


def _is_complaint(line: bytes) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return True
    return bool(entry["level"] == "error")


@contextmanager
def served(config: dict[str, Any], folder: Path, name: str) -> Iterator[Served]:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(config))
    command = [
        *(sys.executable, "-m", "bifrost", "serve", "--config", str(path), "--port", "0"),
        *("--host", "127.0.0.1", "--app-dir", str(folder)),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        it = Served(process)
        try:
            it.wait_for_url()
            reader = threading.Thread(target=it.read_on)
            reader.start()
            with it.client:
                yield it
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        reader.join(STOP_S)
    assert process.returncode == 0
    assert b"".join(it.complaints()).decode() == ""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Checked at its end: it has written nothing but its log, and no defect into that."""
    folder = tmp_path_factory.mktemp("bodies")
    with ExitStack() as stack:
        far = stack.enter_context(served({"providers": {"mock": {}}}, folder, "far"))
        near = {name: _to(far.url, name) for name in FAR}
        config = {"client": {"max_request_body_size_mb": 1}, "providers": {"mock": {}, **near}}
        yield stack.enter_context(served(config, folder, "near"))


def _to(url: str, provider: str) -> dict[str, Any]:
    path = "/openai/v1" if provider == "perplexity" else "/openai"
    return {
        "keys": [{"name": f"{provider}-main", "value": "sk-x"}],
        "network_config": {"base_url": f"{url}{path}", "max_retries": 0},
        "failure_threshold": 1_000_000,
    }


# Bodies

texts = st.text(st.characters(exclude_categories=()), max_size=20)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
DEPTHS = (60, 253, 256, 700, 1023, 1100, 20_000)
deep = st.sampled_from([60, 256]).flatmap(
    lambda n: st.sampled_from(["[" * n + "]" * n, '{"a":' * n + "1" + "}" * n])
)
"""Raw JSON."""

good_models = st.sampled_from(
    [
        "mock/echo",
        "mock/fixed",
        "mock/echo?chunks=3",
        "xai/mock/grok-4",
        "huggingface/groq/mock/echo",
        "huggingface/auto/mock/x",
        *(f"{provider}/mock/echo" for provider in FAR),
    ]
)
odd_models = st.one_of(
    st.sampled_from(["gpt-4o", "anthropic/x", "nobody/x", "openai/", "/", "", "mock/", "a" * 600]),
    texts.map(lambda text: f"mock/{text}"),
    texts.map(lambda text: f"groq/mock/echo?text={text}"),
    values,
)
parts = st.fixed_dictionaries(
    {"type": st.just("text") | scalars},
    optional={"text": texts | values, "cache_control": values},
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "user", "assistant", "tool"]) | scalars},
    optional={
        "content": texts | st.lists(parts, max_size=3) | values,
        "reasoning": texts | values,
        "reasoning_details": st.lists(values, max_size=2) | values,
        "tool_calls": st.lists(values, max_size=2),
        "cache_control": values,
    },
)
# No status that rests a key or is a 5xx, and no silence: what is asked for is no fault.
scripts = st.fixed_dictionaries(
    {},
    optional={
        "text": texts | values,
        "chunks": st.integers(1, 70) | scalars,
        "status": st.sampled_from([200, 204, 400, 404, 409, 413, 422, 999, -1, "x", None]),
        "finish_reason": texts | values,
        "tool_calls": st.lists(values, max_size=3) | values,
        "code": texts | scalars,
        "message": texts | scalars,
        "retry_after_s": st.integers(0, 3) | values,
    },
)
reasoning = st.fixed_dictionaries(
    {},
    optional={
        "effort": texts | values,
        "max_tokens": st.integers() | values,
        "enabled": st.booleans() | values,
    },
)
tools = st.fixed_dictionaries({"type": st.just("function")}, optional={"cache_control": values})
entries = st.fixed_dictionaries({"model": good_models | odd_models}, optional={"provider": texts})

members: dict[str, st.SearchStrategy[Any]] = {
    "model": odd_models,
    "messages": st.lists(messages | values, max_size=3) | values,
    "stream": values,
    "stream_options": st.fixed_dictionaries({"include_usage": st.booleans() | values}) | values,
    "fallbacks": st.lists(good_models | odd_models | entries, max_size=3) | values,
    "mock": scripts | values,
    "max_tokens": st.integers(-2, 2**65) | values,
    "max_completion_tokens": st.integers(-2, 2**65) | values,
    "reasoning": reasoning | values,
    "reasoning_effort": st.sampled_from(["minimal", "low", "none"]) | values,
    "reasoning_max_tokens": st.integers() | values,
    "tools": st.lists(tools | values, max_size=2) | values,
    "tool_choice": st.sampled_from(["auto", "none"]) | values,
    "extra_params": st.dictionaries(texts | st.just("ai_project_id"), values, max_size=3) | values,
    "ai_project_id": texts | values,
    "prompt_cache_key": texts | values,
    "user": texts | values,
    "stop": values,
    "verbosity": values,
}
"""What may be put into a good body, or in the place of what is there: fit, or anything."""

changes = st.sampled_from(sorted(members)).flatmap(
    lambda name: st.tuples(st.just(name), members[name])
)


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A good body with some changes, as bytes: mostly JSON, sometimes with a deep or repeated member, or damage."""
    body = {
        "model": draw(good_models),
        "messages": draw(st.lists(messages, min_size=1, max_size=3)),
        "stream": draw(st.booleans()),
        **dict(draw(st.lists(changes, max_size=4))),
    }
    text = json.dumps(body, ensure_ascii=draw(st.booleans()))
    kind = draw(st.sampled_from(["whole"] * 8 + ["deep", "twice", "cut", "damaged", "any"]))
    if kind == "deep":
        text = with_member(text, draw(st.sampled_from(PLACES)), draw(deep))
    elif kind == "twice":
        text = f"{text[:-1]},{text[1:]}"
    data = text.encode("utf-8", "surrogatepass")
    if kind == "cut":
        data = data[: draw(st.integers(0, len(data)))]
    elif kind == "damaged":
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    elif kind == "any":
        data = draw(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
    return data


PLACES = (
    "messages",
    "mock",
    "extra_params",
    "fallbacks",
    "tools",
    "reasoning",
    "stream_options",
    "x",
)


def with_member(text: str, place: str, raw: str) -> str:
    """The object ``text`` with one more member, of which ``raw`` is a part."""
    told = {
        "messages": f'[{{"role":"user","content":{raw}}}]',
        "mock": f'{{"tool_calls":[{raw}]}}',
        "tools": f'[{{"cache_control":{raw}}}]',
        "extra_params": f'{{"x":{raw}}}',
        "fallbacks": f"[{raw}]",
    }.get(place, raw)
    return f'{text[:-1]},"{place}":{told}}}'


headers = st.fixed_dictionaries(
    {},
    optional={
        "x-bf-passthrough-extra-params": st.just("true"),
        "x-bf-send-back-raw-request": st.just("true"),
        "x-bf-send-back-raw-response": st.just("true"),
        "x-bf-session-id": st.sampled_from(["s", "t"]),
        "content-type": st.sampled_from(["application/json", "text/plain"]),
    },
)
rare_headers = st.sampled_from(
    [{}] * 8
    + [
        {"x-bf-strict": "true"},
        {"x-bf-api-key": "nobody"},
        {"content-encoding": "gzip"},
        {"content-encoding": "br"},
        {"content-encoding": "x"},
    ]
)


# What comes back


def check_error(body: Any) -> None:
    assert isinstance(body["is_bifrost_error"], bool)
    assert 300 <= body["status_code"] < 500, body
    assert isinstance(body["error"]["message"], str)
    assert isinstance(body["extra_fields"], dict)


def check_stream(text: str) -> None:
    """Whole events, and at the end ``[DONE]``, or an error instead."""
    assert text.endswith("\n\n")
    *frames, last = text.removesuffix("\n\n").split("\n\n")
    for frame in frames:
        assert frame == ": ping" or isinstance(json.loads(frame.removeprefix("data: ")), dict)
    if last != "data: [DONE]":
        check_error(json.loads(last.removeprefix("data: ")))


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.headers["content-type"] == "text/event-stream":
        assert answer.status_code == 200
        check_stream(answer.text)
    elif answer.status_code == 200:
        assert answer.json()["object"] == "chat.completion"
    else:
        body = answer.json()
        check_error(body)
        assert body["status_code"] == answer.status_code


@settings(max_examples=400, deadline=None)
@given(data=written(), path=st.sampled_from(PATHS), lines=headers, rare=rare_headers)
def test_a_body_is_answered_or_refused(
    gateway: Served, data: bytes, path: str, lines: dict[str, str], rare: dict[str, str]
) -> None:
    if rare.get("content-encoding") == "gzip" and len(data) % 4:
        data = gzip.compress(data)

    check(gateway.client.post(gateway.url + path, content=data, headers=lines | rare))


@pytest.mark.parametrize("provider", ["mock", "openai", "openrouter", "fireworks"])
@pytest.mark.parametrize("place", PLACES)
def test_depth_is_no_defect(gateway: Served, provider: str, place: str) -> None:
    """Nor is what can be read but not written: our JSON reads 1024 levels and writes 254."""
    model = "mock/echo" if provider == "mock" else f"{provider}/mock/echo"
    good = json.dumps({"model": model, "messages": [{"role": "user", "content": "x"}]})
    lines = {
        "x-bf-passthrough-extra-params": "true",
        "x-bf-send-back-raw-request": "true",
        "x-bf-send-back-raw-response": "true",
    }
    for depth in DEPTHS:
        for raw in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            body = with_member(good, place, raw).encode()
            check(gateway.client.post(gateway.url + PATHS[0], content=body, headers=lines))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("provider", ["mock", *FAR])
@pytest.mark.parametrize("stream", [False, True])
def test_a_good_body_is_answered_by_every_provider(
    gateway: Served, path: str, provider: str, stream: bool
) -> None:
    """Or the bodies made up above would say little."""
    model = "mock/fixed" if provider == "mock" else f"{provider}/mock/fixed"
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "x"}]}

    answer = gateway.client.post(gateway.url + path, json=body)

    check(answer)
    assert answer.status_code == 200
    assert "Bifrost." in answer.text
