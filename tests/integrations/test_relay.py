from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.catalog import MAX_MODEL, Catalog
from bifrost.codecs.json import dumps, loads
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, HeaderFilterSettings
from bifrost.errors import BadRequest
from bifrost.integrations.forwarding import Forwarding
from bifrost.integrations.headers import HeaderLines, HeaderRules
from bifrost.integrations.relay import (
    MAX_QUERY,
    BodyKind,
    RelayRequest,
    batch_model,
    body_kind,
    relay_request,
)
from bifrost.integrations.relay_routes import Relayed
from bifrost.schema.call import Caller, Target

ROUTE = Relayed(
    "/openai/v1/vector_stores/{id}", "vector_stores", "/v1/vector_stores/vs_1", ("vs_1",)
)
CATALOG = Catalog(
    known=frozenset({"openai", "azure", "groq", "openrouter", "anthropic"}),
    configured=("openai",),
    available=frozenset({"openai"}),
)
OPEN = Forwarding.of(HeaderFilterSettings())
AZURE_SDK = Caller(user_agent="AzureOpenAI/Python 3.57.0")


def relay(
    query: bytes = b"",
    headers: HeaderLines = (),
    *,
    json: bytes = b"",
    fields: tuple[tuple[str, bytes], ...] = (),
    caller: Caller | None = None,
    forwarding: Forwarding = OPEN,
) -> RelayRequest:
    return relay_request(
        ROUTE,
        "POST",
        query,
        headers,
        caller=caller or Caller(),
        catalog=CATALOG,
        forwarding=forwarding,
        json=json,
        fields=fields,
    )


def test_what_says_nothing_of_the_gateway_goes_through_as_it_came() -> None:
    body = (
        b'{ "name" : "x",\n "model":"gpt-4o", "file_ids": ["file-1"], "provider": {"order": []} }'
    )

    request = relay(
        b"limit=1&after=vs_2&a%20b=%c3%bc&flag&&x=",
        ((b"content-type", b"application/json; charset=utf-8"), (b"openai-beta", b"assistants=v2")),
        json=body,
    )

    assert request == RelayRequest(
        route=ROUTE,
        method="POST",
        query="limit=1&after=vs_2&a%20b=%c3%bc&flag&&x=",
        target=Target("openai", "gpt-4o"),
        headers=(("openai-beta", "assistants=v2"),),
        content_type=b"application/json; charset=utf-8",
        json=body,
        ids=("vs_1", "file-1", "vs_2"),
    )


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        (b"provider=groq", ""),
        (b"provider=groq&limit=1", "limit=1"),
        (b"limit=1&provider=groq&after=a%2Bb", "limit=1&after=a%2Bb"),
        (b"p%72ovider=groq&x=provider", "x=provider"),
        (b"limit=1&&provider=groq", "limit=1&"),
    ],
)
def test_the_provider_is_taken_out_of_the_query(query: bytes, kept: str) -> None:
    request = relay(query)

    assert (request.target.provider, request.query) == ("groq", kept)


@pytest.mark.parametrize(
    ("query", "header", "body", "provider"),
    [
        (b"provider=azure", b"groq", {"provider": "openrouter"}, "azure"),
        (b"provider=", b"groq", {"provider": "openrouter"}, "groq"),
        (b"", b" GROQ ", {"provider": "openrouter"}, "groq"),
        (b"", None, {"provider": "openrouter", "model": "groq/m"}, "openrouter"),
        (b"", None, {"model": "groq/m"}, "groq"),
        (b"", None, {"model": "gpt-4o"}, "openai"),
        (b"", None, {}, "openai"),
    ],
)
def test_the_first_place_that_names_a_provider_counts(
    query: bytes, header: bytes | None, body: dict[str, str], provider: str
) -> None:
    headers = ((b"x-model-provider", header),) if header else ()

    request = relay(query, headers, json=dumps(body))

    assert request.target.provider == provider
    assert request.headers == ()
    assert "provider" not in loads(request.json)


@pytest.mark.parametrize("body", [{}, {"model": "m"}])
def test_an_azure_client_means_azure(body: dict[str, str]) -> None:
    assert relay(json=dumps(body), caller=AZURE_SDK).target.provider == "azure"
    assert relay(b"provider=openai", caller=AZURE_SDK).target.provider == "openai"


@pytest.mark.parametrize(
    ("body", "model", "sent"),
    [
        ({"model": "openai/gpt-4o", "x": 1}, "gpt-4o", {"model": "gpt-4o", "x": 1}),
        ({"model": "gpt-4o"}, "gpt-4o", {"model": "gpt-4o"}),
        ({"model": "meta/llama"}, "meta/llama", {"model": "meta/llama"}),
        (
            {"provider": "openrouter", "model": "anthropic/c"},
            "anthropic/c",
            {"model": "anthropic/c"},
        ),
        ({"provider": "openrouter", "model": "openrouter/a/c"}, "a/c", {"model": "a/c"}),
        ({"provider": "nobody"}, "", {"provider": "nobody"}),
        ({"provider": 1, "model": 2}, "", {"provider": 1, "model": 2}),
        ({"a": 1, "provider": "openai", "b": 2}, "", {"a": 1, "b": 2}),
    ],
)
def test_of_a_body_only_what_was_meant_for_the_gateway_changes(
    body: dict[str, object], model: str, sent: dict[str, object]
) -> None:
    request = relay(json=dumps(body))

    assert request.target.model == model
    assert request.json == dumps(sent)
    assert request.form_changes == {}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[1]", b"null", b"{}"])
def test_a_body_that_is_no_object_is_left_to_the_upstream(body: bytes) -> None:
    request = relay(json=body)

    assert (request.json, request.target) == (body, Target("openai", ""))


@pytest.mark.parametrize(
    ("json", "fields"),
    [
        (b"{", ()),
        (b'{"a":"\xff"}', ()),
        (rb'{"model":"\ud800"}', ()),
        (b'\xef\xbb\xbf{"model":"a"}', ()),
        (b'{"model":"a","model":"b"}', ()),
        (b'{"model":"a","MODEL":"b"}', ()),
        (b"", (("model", b"a"), ("model", b"b"))),
    ],
)
def test_a_model_that_the_upstream_may_read_otherwise(
    json: bytes, fields: tuple[tuple[str, bytes], ...]
) -> None:
    """The key is chosen for the one that the gateway reads."""
    with pytest.raises(BadRequest, match="model"):
        relay(json=json, fields=fields)


def test_a_model_said_twice_is_one() -> None:
    assert relay(json=b'{"model":"a","model":"a"}').target.model == "a"
    assert relay(fields=(("model", b"a"), ("model", b"a"))).target.model == "a"


def test_a_form_says_what_must_change_in_it() -> None:
    request = relay(
        fields=(("provider", b"groq"), ("model", b"groq/sora"), ("input", b"file-1")),
    )

    assert request.target == Target("groq", "sora")
    assert request.form_changes == {"provider": None, "model": b"sora"}
    assert request.ids == ("vs_1", "file-1")


def test_a_form_with_nothing_for_the_gateway_need_not_be_written_anew() -> None:
    assert relay(fields=(("model", b"sora"), ("purpose", b"batch"))).form_changes == {}


@pytest.mark.parametrize(
    ("query", "headers", "json", "fields", "stream"),
    [
        (b"", (), b'{"stream":true}', (), True),
        (b"", (), b'{"stream":false}', (), False),
        (b"", (), b'{"stream":"true"}', (), False),
        (b"stream=true&starting_after=3", (), b"", (), True),
        (b"stream=false", (), b"", (), False),
        (b"", (), b"", (("stream", b"True"),), True),
        (b"", ((b"accept", b"text/event-stream"),), b"", (), True),
        (b"", ((b"accept", b"application/json"),), b"", (), False),
        (b"", (), b"", (), False),
    ],
)
def test_events_are_asked_for_in_many_ways(
    query: bytes,
    headers: HeaderLines,
    json: bytes,
    fields: tuple[tuple[str, bytes], ...],
    *,
    stream: bool,
) -> None:
    assert relay(query, headers, json=json, fields=fields).stream is stream


DROPPED = [
    "authorization", "api-key", "x-api-key", "x-goog-api-key", "host", "connection", "transfer-encoding", "cookie",
    "set-cookie", "proxy-authorization", "accept-encoding", "content-length", "content-encoding", "content-type",
    "x-bf-vk", "x-bf-anything", "x-bf-eh-openai-beta", "x-model-provider", "x-request-id", "x-forwarded-for",
    "forwarded", "origin", "referer", "sec-fetch-mode", "access-control-request-method", "te", "upgrade", "expect",
    "keep-alive", "trailer", "x-amz-security-token", "openai-organization", "openai-project",
]  # fmt: skip
SENT = [
    "openai-beta", "accept", "idempotency-key", "user-agent", "x-stainless-lang", "x-client-request-id", "anything",
]  # fmt: skip


@pytest.mark.parametrize("name", DROPPED)
def test_some_headers_stay_here(name: str) -> None:
    value = b"openai" if name == "x-model-provider" else b"v"

    assert relay(headers=((name.encode(), value),)).headers == ()


@pytest.mark.parametrize("name", SENT)
def test_the_others_go_on(name: str) -> None:
    lines = ((name.encode(), b"v"), (name.encode(), b"w"))

    assert relay(headers=lines).headers == ((name, "v"), (name, "w"))


@pytest.mark.parametrize("name", ["openai-organization", "openai-project"])
def test_whose_account_it_is_goes_with_the_callers_own_key(name: str) -> None:
    caller = Caller(direct_key=Secret("sk-own"))

    assert relay(headers=((name.encode(), b"v"),), caller=caller).headers == ((name, "v"),)


def test_what_connection_names_stays_here() -> None:
    headers = ((b"connection", b"close, X-Hop"), (b"x-hop", b"v"), (b"x-other", b"v"))

    assert relay(headers=headers).headers == (("x-other", "v"),)


def test_what_the_operator_denies_stays_here() -> None:
    forwarding = Forwarding.of(HeaderFilterSettings(denylist=("x-secret-*",)))
    headers = ((b"x-secret-a", b"v"), (b"x-open", b"v"))

    assert relay(headers=headers, forwarding=forwarding).headers == (("x-open", "v"),)


def test_a_header_asked_for_by_prefix_outranks_the_plain_one() -> None:
    headers = ((b"x-a", b"plain"), (b"x-b", b"plain"), (b"x-bf-eh-x-a", b"asked"))
    caller = HeaderRules.of(ClientSettings()).read(headers, "")

    assert sorted(relay(headers=headers, caller=caller).headers) == [
        ("x-a", "asked"),
        ("x-b", "plain"),
    ]


def test_a_header_that_the_allow_list_has_is_not_sent_twice() -> None:
    headers = ((b"x-a", b"plain"), (b"y-b", b"plain"))
    client = ClientSettings(header_filter_config=HeaderFilterSettings(allowlist=("x-*",)))
    caller = HeaderRules.of(client).read(headers, "")

    assert sorted(relay(headers=headers, caller=caller).headers) == [
        ("x-a", "plain"),
        ("y-b", "plain"),
    ]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"a=\x00", "percent-encoded ASCII"),
        (b"a=\xff", "percent-encoded ASCII"),
        (b"a= b", "percent-encoded ASCII"),
        (b"a=b#c", "percent-encoded ASCII"),
        (b"a=b\r\nx: y", "percent-encoded ASCII"),
        (b"provider=nobody", "there is no provider 'nobody'"),
        (b"provider=..%2f", r"there is no provider '\.\./'"),
    ],
)
def test_a_bad_query_is_refused(query: bytes, text: str) -> None:
    with pytest.raises(BadRequest, match=text) as caught:
        relay(query)

    assert caught.value.status == 400


def test_a_long_query_is_refused_as_such() -> None:
    assert relay(b"a" * MAX_QUERY).query == "a" * MAX_QUERY
    with pytest.raises(BadRequest, match="at most 16384 bytes") as caught:
        relay(b"a" * (MAX_QUERY + 1))

    assert caught.value.status == 414


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ((b"bad name", b"v"), "no proper name"),
        ((b"x-a", b"v\x00"), "control characters"),
        ((b"x-model-provider", b"nobody"), "there is no provider 'nobody'"),
    ],
)
def test_a_bad_header_is_refused(line: tuple[bytes, bytes], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        relay(headers=(line,))


def test_too_many_headers_are_refused() -> None:
    with pytest.raises(BadRequest, match="too many headers") as caught:
        relay(headers=tuple((b"x-%d" % n, b"v") for n in range(65)))

    assert caught.value.status == 431


def test_a_model_without_end_is_refused() -> None:
    with pytest.raises(BadRequest, match="at most 512 characters"):
        relay(json=dumps({"model": "m" * (MAX_MODEL + 1)}))


def test_headers_and_bodies_are_not_shown() -> None:
    request = relay(headers=((b"x-a", b"hidden"),), json=b'{"a":"hidden"}')

    assert "hidden" not in repr(request)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (b"application/json", BodyKind.JSON),
        (b"Application/JSON ; charset=utf-8", BodyKind.JSON),
        (b"application/problem+json", BodyKind.JSON),
        (b"application/jsonl", BodyKind.OPAQUE),
        (b"multipart/form-data; boundary=x", BodyKind.FORM),
        (b"Multipart/Form-Data", BodyKind.FORM),
        (b"multipart/mixed", BodyKind.OPAQUE),
        (b"application/sdp", BodyKind.OPAQUE),
        (b"", BodyKind.OPAQUE),
        (None, BodyKind.OPAQUE),
    ],
)
def test_the_content_type_says_how_a_body_is_read(
    content_type: bytes | None, kind: BodyKind
) -> None:
    assert body_kind(content_type) is kind


NAMES = st.sampled_from(["model", "provider", "name", "stream", "file_ids", "ü"])
VALUES: st.SearchStrategy[object] = st.sampled_from(
    ["openai", "openai/m", "groq/m", "groq", "", "openai/", "ü", None, True, 1.5, [], {"provider": "groq"}]
)  # fmt: skip


@given(st.dictionaries(NAMES, VALUES))
def test_nothing_else_of_a_body_is_lost(body: dict[str, object]) -> None:
    request = relay(json=dumps(body))

    sent = loads(request.json)
    prefix = f"{request.target.provider}/"
    assert list(sent) == [name for name in body if name in sent]
    assert set(body) - set(sent) <= {"provider"}
    for name, value in sent.items():
        is_prefixed = name == "model" and value != body[name]
        assert body[name] == (f"{prefix}{value}" if is_prefixed else value)


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"requests":[{"body":{"model":"anthropic/m"}},{"body":{"model":"n"}}]}', "m"),
        (b'{"requests":[{"params":{"model":"m"}}]}', "m"),
        (b'{"requests":[{"body":{"model":7}}]}', ""),
        (b'{"requests":[{}]}', ""),
        (b'{"requests":[7]}', ""),
        (b'{"requests":[]}', ""),
        (b'{"requests":7}', ""),
        (b'{"input_file_id":"file-1"}', ""),
        (b"", ""),
    ],
)
def test_the_model_of_a_batch_is_that_of_its_first_request(body: bytes, model: str) -> None:
    assert batch_model(body, "anthropic") == model
