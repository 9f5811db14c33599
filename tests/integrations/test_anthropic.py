"""What an Anthropic SDK asks for becomes a call: in the words of chat, and as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bifrost.catalog import Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import (
    ClientSettings,
    Config,
    HeaderFilterSettings,
    KeySettings,
    ProviderSettings,
)
from bifrost.errors import BadRequest, UnsupportedOperation
from bifrost.integrations.anthropic import ANTHROPIC, find_refused, routes
from bifrost.integrations.base import Request
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.mounted import FINDER
from bifrost.schema.call import Call, Dialect, Operation, Surface, Target


def provider(name: str) -> ProviderSettings:
    return ProviderSettings(name=name, keys=(KeySettings(id="k", name="k", value=Secret("s")),))


CATALOG = Catalog.of(Config(providers={name: provider(name) for name in ("anthropic", "openai")}))
BODY: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 5,
    "messages": [{"role": "user", "content": "hi"}],
}


def parsed(
    body: Any,
    path: str = "/anthropic/v1/messages",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    client: ClientSettings | None = None,
    catalog: Catalog = CATALOG,
    query: str = "",
) -> Call:
    found = FINDER.find(path)
    assert found is not None
    request = Request(
        id="c",
        route=found[0],
        headers=headers,
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
        remote_addr="",
        received_s=1.0,
        query=query,
    )
    return found[0].parse(request, catalog, HeaderRules.of(client or ClientSettings()))


def test_a_request_is_a_chat_and_stays_what_it_was() -> None:
    raw = b'{"model":"claude-x", "max_tokens":5,"system":"be","messages":[{"role":"user","content":"h\\u0069"}],"x":1.0}'

    call = parsed(raw, query="beta=true")

    assert (call.operation, call.surface, call.target) == (
        Operation.CHAT,
        Surface.ANTHROPIC,
        Target("anthropic", "claude-x"),
    )
    assert call.surface.dialect is Dialect.ANTHROPIC
    assert call.route == "/anthropic/v1/messages"
    assert not call.stream
    assert call.max_output_tokens == 5
    assert call.body_bytes == len(raw)
    assert dict(call.members) == {
        "model": b'"claude-x"',
        "messages": b'[{"role":"system","content":"be"},{"role":"user","content":"h\\u0069"}]',
        "max_completion_tokens": b"5",
        "x": b"1.0",
    }
    assert call.native is not None
    assert call.native.dialect is Dialect.ANTHROPIC
    assert call.native.query == "beta=true"
    assert dict(call.native.members) == {
        "model": b'"claude-x"',
        "max_tokens": b"5",
        "system": b'"be"',
        "messages": b'[{"role":"user","content":"h\\u0069"}]',
        "x": b"1.0",
    }


def test_others_are_asked_by_their_prefix_and_in_their_turn() -> None:
    fallbacks = ["gpt-4", "anthropic/claude-y"]

    call = parsed({**BODY, "model": "openai/gpt-4o", "fallbacks": fallbacks, "stream": True})

    assert call.target == Target("openai", "gpt-4o")
    assert call.fallbacks == (Target("openai", "gpt-4"), Target("anthropic", "claude-y"))
    assert call.stream
    assert call.native is not None
    assert "fallbacks" not in call.native.members
    assert "fallbacks" not in call.members


def test_a_count_is_no_stream() -> None:
    call = parsed({**BODY, "stream": True}, "/anthropic/v1/messages/count_tokens")

    assert (call.operation, call.stream) == (Operation.COUNT_TOKENS, False)


def test_what_has_no_word_in_chat_is_named() -> None:
    blocks = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]
    messages = [*BODY["messages"], {"role": "assistant", "content": blocks}]

    assert parsed({**BODY, "messages": messages}).lost == ("messages.content.server_tool_use",)


def test_a_file_that_is_named_is_looked_for() -> None:
    source = {"type": "file", "file_id": "file_011abc"}
    messages = [{"role": "user", "content": [{"type": "document", "source": source}]}]

    assert parsed({**BODY, "messages": messages}).ids == ("file_011abc",)


HEADERS = (
    (b"anthropic-version", b"2023-06-01"),
    (b"anthropic-beta", b"a-2025-01-01"),
    (b"anthropic-beta", b"b-2025-01-01"),
    (b"user-agent", b"claude-cli/2.0"),
    (b"x-app", b"cli"),
)


def test_headers_of_the_dialect_go_where_it_is_spoken_and_nowhere_else() -> None:
    call = parsed(BODY, headers=HEADERS)

    assert call.native is not None
    assert call.native.headers == (
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "a-2025-01-01"),
        ("anthropic-beta", "b-2025-01-01"),
    )
    assert call.caller.extra_headers == ()


def test_the_header_filter_has_its_say() -> None:
    denying = ClientSettings(header_filter_config=HeaderFilterSettings(denylist=("anthropic-b*",)))
    allowing = ClientSettings(
        header_filter_config=HeaderFilterSettings(allowlist=("anthropic-beta",))
    )

    denied = parsed(BODY, headers=HEADERS, client=denying)
    allowed = parsed(BODY, headers=HEADERS, client=allowing)

    for call in (denied, allowed):
        assert call.native is not None
        assert call.native.headers == (("anthropic-version", "2023-06-01"),)
    assert len(allowed.caller.extra_headers) == 2


@pytest.mark.parametrize(
    "line", [(b"x-api-key", b"sk-bf-v"), (b"authorization", b"Bearer sk-bf-v")]
)
def test_a_virtual_key_comes_as_the_sdk_sends_it(line: tuple[bytes, bytes]) -> None:
    key = parsed(BODY, headers=(line,)).caller.virtual_key

    assert key is not None
    assert key.reveal() == "sk-bf-v"


BAD: list[tuple[Any, str]] = [
    (b"{", "Invalid JSON"),
    (b"", "Invalid JSON"),
    (b"[]", "Invalid JSON"),
    ({**BODY, "model": ""}, "model is required"),
    ({**BODY, "stream": "yes"}, "stream must be"),
    ({**BODY, "fallbacks": "x"}, "fallbacks must be a list"),
    ({**BODY, "messages": []}, "messages must have"),
]


@pytest.mark.parametrize(("body", "text"), BAD)
def test_what_is_wrong_is_refused(body: Any, text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        parsed(body)


def test_a_limit_that_is_none_is_left_to_the_upstream() -> None:
    assert parsed({**BODY, "max_tokens": True}).max_output_tokens is None


@pytest.mark.parametrize("query", ["x" * 3000, "a b", "a#b", "\xe4"])
def test_an_odd_query_is_refused(query: str) -> None:
    with pytest.raises(BadRequest, match="query"):
        parsed(BODY, query=query)


def test_an_odd_header_is_refused() -> None:
    with pytest.raises(BadRequest, match="control characters"):
        parsed(BODY, headers=((b"anthropic-beta", b"a\x00b"),))


def test_without_a_provider_by_default_one_has_to_be_named() -> None:
    catalog = Catalog.of(Config(providers={"openai": provider("openai")}))

    with pytest.raises(BadRequest, match="provider is required"):
        parsed(BODY, catalog=catalog)


def test_completions_of_the_old_kind_are_refused_clearly() -> None:
    with pytest.raises(UnsupportedOperation, match="/v1/messages"):
        parsed(BODY, "/anthropic/v1/complete")
    assert find_refused("/anthropic/v1/other") is None


def test_the_routes_below_another_prefix() -> None:
    paths = [route.path for route in routes(ANTHROPIC, "/litellm/anthropic")]

    assert paths == [
        "/litellm/anthropic/v1/messages",
        "/litellm/anthropic/v1/messages/count_tokens",
    ]
