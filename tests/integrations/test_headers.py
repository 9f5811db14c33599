from __future__ import annotations

import base64
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.secret import AwsCredentials, Secret
from bifrost.config.settings import ClientSettings, HeaderFilterSettings
from bifrost.errors import BadRequest
from bifrost.governance.expressions import Mentions
from bifrost.integrations.headers import (
    FEATURES,
    MAX_KNOWN,
    MAX_KNOWN_BYTES,
    SESSION_PREFIX,
    HeaderLines,
    HeaderRules,
    LoginPlace,
    duration_s,
    request_id,
)
from bifrost.schema.call import Caller

OPEN = ClientSettings(allow_direct_keys=True)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def read(client: ClientSettings | None = None, /, *lines: tuple[str, str]) -> Caller:
    """The caller that sends ``lines``, whose names may be in any case."""
    rules = HeaderRules.of(client or ClientSettings())
    raw = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in lines)
    return rules.read(raw, "192.0.2.1")


def direct_key(*lines: tuple[str, str], client: ClientSettings = OPEN) -> str | None:
    key = read(client, *lines).direct_key
    return key.reveal() if key else None


def virtual_key(*lines: tuple[str, str]) -> str | None:
    key = read(None, *lines).virtual_key
    return key.reveal() if key else None


def test_without_headers_there_are_only_defaults() -> None:
    assert read() == Caller(remote_addr="192.0.2.1")


def test_pins_session_and_flags_are_read() -> None:
    caller = read(
        None,
        ("X-BF-API-Key-ID", "id-1"),
        ("x-bf-api-key", " main "),
        ("x-bf-session-id", "s"),
        ("x-bf-session-ttl", "5m"),
        ("x-bf-send-back-raw-request", "true"),
        ("x-bf-send-back-raw-response", "true"),
        ("x-bf-passthrough-extra-params", "true"),
        ("x-bf-strict", "true"),
        ("user-agent", "curl/8"),
        ("traceparent", TRACE),
    )

    assert caller == Caller(
        key_id="id-1",
        key_name="main",
        session_id="s",
        session_ttl_s=300.0,
        send_back_raw_request=True,
        send_back_raw_response=True,
        passthrough_extra_params=True,
        strict=True,
        remote_addr="192.0.2.1",
        user_agent="curl/8",
        traceparent=TRACE,
    )


@pytest.mark.parametrize("value", ["True", "1", "yes", "", "false", "true, true"])
def test_only_exactly_true_turns_a_flag_on(value: str) -> None:
    caller = read(None, ("x-bf-strict", value), ("x-bf-send-back-raw-response", value))

    assert not caller.strict
    assert not caller.send_back_raw_response


def test_of_a_repeated_header_of_ours_the_first_counts() -> None:
    assert read(None, ("x-bf-api-key", "a"), ("x-bf-api-key", "b")).key_name == "a"


def test_a_blank_handle_is_absent() -> None:
    assert read(None, ("x-bf-api-key", "  "), ("x-bf-vk", "")) == read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-bf-api-key", "x" * 257),
        ("x-bf-session-id", "x" * 257),
        ("x-bf-api-key-id", "a\x07b"),
        ("x-bf-vk", "x" * 16385),
        ("authorization", "Bearer sk-bf-\x01"),
        ("x-api-key", "sk-bf-with space"),
    ],
)
def test_a_handle_that_cannot_be_one_is_refused_without_being_told(name: str, value: str) -> None:
    with pytest.raises(BadRequest, match=name) as caught:
        read(None, (name, value))

    assert value not in caught.value.message


# Virtual keys


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("x-bf-vk", "anything")], "anything"),
        ([("authorization", "Bearer sk-bf-1")], "sk-bf-1"),
        ([("authorization", "bearer SK-BF-1")], "SK-BF-1"),
        ([("authorization", "sk-bf-1")], "sk-bf-1"),
        ([("x-api-key", "sk-bf-2")], "sk-bf-2"),
        ([("x-goog-api-key", "sk-bf-3")], "sk-bf-3"),
        ([("api-key", "sk-bf-4")], "sk-bf-4"),
        ([("x-goog-api-key", "sk-bf-3"), ("x-api-key", "sk-bf-2")], "sk-bf-2"),
        ([("x-api-key", "sk-bf-2"), ("authorization", "Bearer sk-bf-1")], "sk-bf-1"),
        ([("authorization", "Bearer sk-bf-1"), ("x-bf-vk", "own")], "own"),
        ([("authorization", "Bearer sk-other"), ("x-api-key", "sk-bf-2")], "sk-bf-2"),
        ([("authorization", "Basic sk-bf-1")], None),
        ([("authorization", "Bearer")], None),
        ([("authorization", "")], None),
        ([("authorization", "Bearer sk-other")], None),
    ],
)
def test_the_virtual_key_is_taken_from_the_first_place_that_has_one(
    lines: list[tuple[str, str]], expected: str | None
) -> None:
    assert virtual_key(*lines) == expected


# Direct keys


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([("authorization", "Bearer sk-1")], "sk-1"),
        ([("authorization", "raw-1")], "raw-1"),
        ([("authorization", "Basic dXNlcg==")], None),
        ([("api-key", "a"), ("x-goog-api-key", "g"), ("x-api-key", "x")], "x"),
        ([("api-key", "a"), ("x-goog-api-key", "g")], "g"),
        ([("api-key", "a")], "a"),
        ([("x-api-key", "x"), ("authorization", "Bearer b")], "b"),
        ([("authorization", "Bearer sk-bf-1"), ("x-api-key", "x")], "x"),
        ([("authorization", "Bearer sk-BF-1")], None),
        ([("authorization", "Bearer a"), ("authorization", "Bearer b")], "a"),
    ],
)
def test_the_callers_own_key_is_taken_from_the_first_place_that_has_one(
    lines: list[tuple[str, str]], expected: str | None
) -> None:
    assert direct_key(*lines) == expected


def test_without_leave_a_callers_own_key_is_ignored() -> None:
    assert direct_key(("authorization", "Bearer sk-1"), client=ClientSettings()) is None


@pytest.mark.parametrize("value", ["Bearer a b", "Bearer \xe9", "Bearer a\x00", "x" * 16385])
def test_a_key_that_no_header_may_carry_is_refused(value: str) -> None:
    with pytest.raises(BadRequest, match="the key in header authorization is not one"):
        direct_key(("authorization", value))


def test_keys_do_not_show() -> None:
    caller = read(OPEN, ("authorization", "Bearer sk-secret"), ("x-bf-vk", "sk-bf-secret"))

    assert "secret" not in repr(caller)


# What goes upstream


def test_headers_with_the_prefix_go_upstream_in_order_and_repeated() -> None:
    caller = read(
        None, ("x-bf-eh-Foo", "1"), ("x-bf-eh-bar", "2"), ("x-bf-eh-foo", "3"), ("accept", "*/*")
    )

    assert caller.extra_headers == (("foo", "1"), ("bar", "2"), ("foo", "3"))


def test_an_allow_list_lets_plain_headers_through() -> None:
    allow = ClientSettings(header_filter_config=HeaderFilterSettings(allowlist=("anthropic-*",)))

    caller = read(
        allow,
        ("anthropic-beta", "b"),
        ("accept", "*/*"),
        ("x-bf-eh-anthropic-version", "v"),
        ("x-bf-eh-foo", "1"),
    )

    assert caller.extra_headers == (("anthropic-beta", "b"), ("anthropic-version", "v"))


def test_a_plain_header_may_be_read_and_forwarded() -> None:
    allow = ClientSettings(header_filter_config=HeaderFilterSettings(allowlist=("*",)))

    caller = read(allow, ("traceparent", TRACE), ("authorization", "Bearer sk-1"))

    assert caller.traceparent == TRACE
    assert caller.extra_headers == (("traceparent", TRACE),)


def test_too_many_headers_to_forward_are_refused() -> None:
    lines = [(f"x-bf-eh-n{n}", "v") for n in range(65)]

    with pytest.raises(BadRequest, match="too many headers to forward") as caught:
        read(None, *lines)

    assert caught.value.status == 431
    assert len(read(None, *lines[:64]).extra_headers) == 64


# Labels and metadata


def test_only_configured_labels_are_read() -> None:
    client = ClientSettings(prometheus_labels=("team", "Cost_Centre"))

    caller = read(
        client,
        ("x-bf-prom-team", "a"),
        ("x-bf-prom-cost-centre", "b\x07"),
        ("x-bf-prom-bifrost-governance-user-id", "admin"),
    )

    assert caller.prom_labels == {"team": "a", "Cost_Centre": "b?"}
    assert caller == attrs.evolve(read(client), prom_labels=caller.prom_labels)


def test_a_label_may_be_spelt_as_it_is_configured() -> None:
    client = ClientSettings(prometheus_labels=("cost_centre",))

    assert read(client, ("x-bf-prom-cost_centre", "b")).prom_labels == {"cost_centre": "b"}


def test_labels_are_cut() -> None:
    client = ClientSettings(prometheus_labels=("team",))

    assert read(client, ("x-bf-prom-team", "x" * 5000)).prom_labels == {"team": "x" * 256}


def test_metadata_comes_by_prefix_and_from_the_headers_configured_for_the_log() -> None:
    client = ClientSettings(logging_headers=("X-Tenant", "x-bf-session-id", "user-agent"))

    caller = read(
        client,
        ("x-bf-lh-run", "r-1"),
        ("x-tenant", "acme"),
        ("x-bf-session-id", "s"),
        ("user-agent", "curl/8"),
        ("x-bf-lh-", "nameless"),
        ("x-bf-lh-" + "n" * 200, "long name"),
    )

    assert caller.log_metadata == {
        "run": "r-1",
        "x-tenant": "acme",
        "x-bf-session-id": "s",
        "user-agent": "curl/8",
    }


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "X-Api-Key",
        "x-bf-vk",
        "cookie",
        "x-bf-eh-authorization",
        "x-bf-bedrock-secret-key",
        "x-bf-bedrock-session-token",
    ],
)
def test_a_credential_is_never_logged(name: str) -> None:
    caller = read(ClientSettings(logging_headers=(name,)), (name, "sk-bf-secret"))

    assert caller.log_metadata == {}


def test_metadata_is_bounded() -> None:
    lines = [(f"x-bf-lh-n{n}", "x" * 3000) for n in range(40)]

    metadata = read(None, *lines).log_metadata

    assert len(metadata) == 32
    assert {len(value) for value in metadata.values()} == {2048}


def test_a_header_that_is_not_ours_to_know_means_nothing() -> None:
    assert read(None, ("x-bf-key-id", "1"), ("x-bf-base-url", "http://evil")) == read()


def test_the_reference_names_every_header_that_is_read() -> None:
    reference = Path(__file__).parents[2].joinpath("docs/headers.md").read_text("utf-8")
    ours = [f"x-bf-{name.decode()}" for name in FEATURES]
    others = ["x-bf-eh-", "x-bf-prom-", "x-bf-lh-", "traceparent", "x-request-id"]

    told = [name for name in (*ours, *others) if f"`{name}" in reference]

    assert told == [*ours, *others]


# Required headers


def test_missing_required_headers_are_named() -> None:
    client = ClientSettings(required_headers=("X-Tenant", "x-run"))

    with pytest.raises(BadRequest) as caught:
        read(client, ("accept", "*/*"))

    assert caught.value.message == "missing required headers: X-Tenant, x-run"
    assert caught.value.type == caught.value.kind == "missing_required_headers"
    assert caught.value.status == 400


def test_rules_without_what_is_required() -> None:
    strict = HeaderRules.of(ClientSettings(required_headers=("x-run",), allow_direct_keys=True))
    free = HeaderRules.of(ClientSettings(allow_direct_keys=True))

    assert strict.without_required() == free
    assert free.without_required() is free


def test_a_required_header_may_have_any_value() -> None:
    client = ClientSettings(required_headers=("X-Tenant",))

    assert read(client, ("x-tenant", "")) == read()


# Small grammars


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"abc-1", "abc-1"),
        (b"x" * 128, "x" * 128),
        (b"x" * 129, "new"),
        (b"", "new"),
        (b"a b", "new"),
        (b"a\n", "new"),
        (b"\xc3\xa9", "new"),
        (None, "new"),
    ],
)
def test_a_sane_request_id_is_kept(sent: bytes | None, expected: str) -> None:
    assert request_id(sent, lambda: "new") == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        (" 90 ", 90.0),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("250ms", 0.25),
        ("5\N{MICRO SIGN}s", 5e-6),
        ("5\N{GREEK SMALL LETTER MU}s", 5e-6),
        ("5us", 5e-6),
        ("5ns", 5e-9),
        ("0", None),
        ("0s", None),
        ("-5m", None),
        ("", None),
        ("5", 5.0),
        ("5 m", None),
        ("m", None),
        ("5d", None),
        ("1e3", None),
        (".", None),
        ("\u0665", None),
        ("9" * 65, None),
    ],
)
def test_durations_are_read(text: str, seconds: float | None) -> None:
    expected = None if seconds is None else pytest.approx(seconds)

    assert duration_s(text) == expected


def test_an_invalid_session_ttl_is_ignored() -> None:
    assert read(None, ("x-bf-session-ttl", "soon")).session_ttl_s is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (TRACE, TRACE),
        (f" {TRACE} ", TRACE),
        ("cc" + TRACE[2:], "cc" + TRACE[2:]),
        ("cc" + TRACE[2:] + "-more", "cc" + TRACE[2:]),
        ("cc" + TRACE[2:] + "more", None),
        (TRACE + "-more", None),
        ("ff" + TRACE[2:], None),
        (TRACE.upper(), None),
        (TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32), None),
        (TRACE.replace("b7ad6b7169203331", "0" * 16), None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_a_trace_context_is_kept_if_it_is_well_formed(sent: str, kept: str | None) -> None:
    assert read(None, ("traceparent", sent)).traceparent == kept


# Laws

NAMES = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [b"authorization", b"x-api-key", b"api-key", b"user-agent", b"traceparent", b"x-tenant"]
    ),
    st.builds(
        lambda prefix, rest: prefix + rest,
        st.sampled_from([b"x-bf-", b"x-bf-eh-", b"x-bf-prom-", b"x-bf-lh-", b"x-bf-vk"]),
        st.binary(max_size=12),
    ),
    st.sampled_from([b"x-bf-session-ttl", b"x-bf-session-id", b"x-bf-api-key", b"x-bf-vk"]),
)
VALUES = st.one_of(st.binary(max_size=64), st.sampled_from([b"true", b"Bearer x", b"5m", b"Basic"]))
CLIENTS = st.builds(
    ClientSettings,
    allow_direct_keys=st.booleans(),
    prometheus_labels=st.just(("team",)),
    logging_headers=st.sampled_from([(), ("x-tenant", "authorization")]),
    required_headers=st.sampled_from([(), ("x-tenant",)]),
    header_filter_config=st.sampled_from(
        [HeaderFilterSettings(), HeaderFilterSettings(allowlist=("*",), denylist=("x-t*",))]
    ),
)


def tried(rules: HeaderRules, lines: HeaderLines) -> Caller | BadRequest:
    """The caller, or the refusal; anything else goes through."""
    try:
        return rules.read(lines, "")
    except BadRequest as error:
        return error


@given(CLIENTS, st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_any_headers_give_a_caller_or_a_refusal(
    client: ClientSettings, lines: list[tuple[bytes, bytes]]
) -> None:
    caller = tried(HeaderRules.of(client), tuple(lines))

    if isinstance(caller, BadRequest):
        assert 400 <= caller.status < 500
        return
    for name, value in caller.extra_headers:
        assert name == name.lower()
        assert name not in {"authorization", "cookie", "host", "x-api-key"}
        assert not {"\r", "\n", "\0"} & set(name + value)
    assert set(caller.prom_labels) <= {"team"}
    assert all(text.isprintable() for text in caller.log_metadata.values())


# Bedrock

PAIR = (("x-bf-bedrock-access-key", "AKIA"), ("x-bf-bedrock-secret-key", "s/1"))
REGION = ("x-bf-bedrock-region", "eu-west-1")


@pytest.mark.parametrize(
    ("lines", "value", "region"),
    [
        ([("x-bf-bedrock-api-key", " ABSK-1 ")], Secret("ABSK-1"), None),
        ([("x-bf-bedrock-api-key", "ABSK-1"), REGION, *PAIR], Secret("ABSK-1"), "eu-west-1"),
        ([*PAIR, REGION], AwsCredentials("AKIA", "s/1"), "eu-west-1"),
        ([*PAIR, ("x-bf-bedrock-session-token", "t="), REGION], AwsCredentials("AKIA", "s/1", "t="), "eu-west-1"),
        ([("authorization", "Bearer direct"), *PAIR, REGION], AwsCredentials("AKIA", "s/1"), "eu-west-1"),
        ([("authorization", "Bearer direct"), REGION], Secret("direct"), None),
        ([("authorization", "AWS4-HMAC-SHA256 Credential=a/b, Signature=c")], None, None),
        ([REGION], None, None),
    ],
)  # fmt: skip
def test_a_caller_may_bring_what_bedrock_wants(
    lines: list[tuple[str, str]], value: Secret | None, region: str | None
) -> None:
    caller = read(OPEN, *lines)
    own = caller.own_key("bedrock")

    assert (own and own.value) == value
    assert (own and own.bedrock and own.bedrock.region) == region
    others = [line for line in lines if not line[0].startswith("x-bf-bedrock-")]
    assert caller.own_key("openai") == read(OPEN, *others).own_key("openai")
    assert read(None, *lines).own_key("bedrock") is None


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (PAIR, "x-bf-bedrock-region header is required when using direct keys"),
        ([PAIR[0], REGION], "go together"),
        ([PAIR[1], REGION], "go together"),
        ([("x-bf-bedrock-api-key", "a b")], "the key in header x-bf-bedrock-api-key is not one"),
        ([*PAIR, ("x-bf-bedrock-session-token", "t\N{LATIN SMALL LETTER E WITH ACUTE}"), REGION], "the key in header x-bf-bedrock-session-token is not one"),
        ([*PAIR, ("x-bf-bedrock-region", "evil.test/#")], "x-bf-bedrock-region is no name of a region"),
        ([*PAIR, ("x-bf-bedrock-region", "localhost")], "x-bf-bedrock-region is no name of a region"),
    ],
)  # fmt: skip
def test_what_bedrock_could_not_use_is_refused(lines: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        read(OPEN, *lines)
    read(None, *lines)


def test_keys_of_aws_do_not_show() -> None:
    caller = read(OPEN, *PAIR, REGION)

    assert "AKIA" not in repr(caller)
    assert "s/1" not in repr(caller)


# What routing rules ask for


def asked(wanted: Mentions, *lines: tuple[str, bytes]) -> dict[str, str]:
    rules = HeaderRules.of(ClientSettings(), wanted)
    caller = rules.read(tuple((name.encode(), value) for name, value in lines), "")
    return dict(caller.rule_headers)


def test_rules_see_the_headers_they_mention_and_no_others() -> None:
    wanted = Mentions(frozenset({"x-tier", "x-bf-session-id", "user-agent"}))

    assert asked(
        wanted,
        ("x-tier", b"premium"),
        ("x-tier", b"second"),
        ("x-other", b"1"),
        ("x-bf-session-id", b"s"),
        ("user-agent", b"curl/8"),
    ) == {"x-tier": "premium", "x-bf-session-id": "s", "user-agent": "curl/8"}


def test_a_rule_that_names_none_sees_them_all() -> None:
    assert asked(Mentions(None), ("x-a", b"1"), ("x-b", b"2")) == {"x-a": "1", "x-b": "2"}


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "x-bf-vk", "cookie"])
def test_rules_see_no_credentials(name: str) -> None:
    assert asked(Mentions(frozenset({name})), (name, b"sk-bf-secret")) == {}
    assert asked(Mentions(None), (name, b"sk-bf-secret")) == {}


def test_what_rules_see_is_bounded_text() -> None:
    found = asked(Mentions(None), ("x-long", b"a" * 5000), ("x-odd", b"a\x00\xff\xc3\xa9"))

    assert found == {"x-long": "a" * 2048, "x-odd": "a?\N{REPLACEMENT CHARACTER}\u00e9"}


def test_without_rules_nothing_is_kept() -> None:
    assert asked(Mentions(), ("x-a", b"1")) == {}


PAIR_OF_ROOT = base64.b64encode(b"root:hunter2").decode()
SESSION = f"{SESSION_PREFIX}{'0' * 64}"


@pytest.mark.parametrize(
    ("place", "line", "expected"),
    [
        # Without a login everything but a session is a key.
        (LoginPlace(), ("authorization", f"Bearer {PAIR_OF_ROOT}"), PAIR_OF_ROOT),
        (LoginPlace(), ("authorization", f"Bearer {SESSION}"), None),
        (LoginPlace(), ("x-api-key", SESSION), None),
        # A login that does not guard calls leaves keys their place.
        (LoginPlace(username="root"), ("authorization", "Bearer sk-1"), "sk-1"),
        (LoginPlace(username="root"), ("authorization", f"Bearer {PAIR_OF_ROOT}"), None),
        (LoginPlace(username="else"), ("authorization", f"Bearer {PAIR_OF_ROOT}"), PAIR_OF_ROOT),
        # One that does takes it.
        (LoginPlace(takes_authorization=True), ("authorization", "Bearer sk-1"), None),
        (LoginPlace(takes_authorization=True), ("x-api-key", "sk-1"), "sk-1"),
    ],
)
def test_the_administrator_s_credentials_are_no_keys(
    place: LoginPlace, line: tuple[str, str], expected: str | None
) -> None:
    rules = HeaderRules.of(OPEN, login=place)
    key = rules.read(((line[0].encode(), line[1].encode()),), "").direct_key
    assert (key.reveal() if key else None) == expected


# What is remembered

LINES = st.sampled_from(
    [
        (b"authorization", b"Bearer sk-own-1"),
        (b"authorization", b"Bearer sk-bf-one"),
        (b"authorization", b"Bearer sk-bf-two"),
        (b"x-api-key", b"sk-bf-two"),
        (b"x-bf-vk", b"sk-bf-one"),
        (b"x-bf-session-id", b"s1"),
        (b"x-bf-strict", b"true"),
        (b"x-bf-eh-x", b"1"),
        (b"x-bf-lh-a", b"1"),
        (b"x-bf-prom-team", b"a"),
        (b"x-bf-bedrock-api-key", b"bedrock-1"),
        (b"x-tenant", b"t"),
        (b"user-agent", b"one"),
        (b"user-agent", b"two"),
        (b"traceparent", TRACE.encode()),
        (b"content-length", b"7"),
    ]
)
CLIENT = ClientSettings(logging_headers=("x-tenant",), prometheus_labels=("team",))


@given(st.lists(st.tuples(st.lists(LINES, max_size=5), st.sampled_from(["a", "b"])), max_size=8))
def test_what_was_read_before_is_what_would_be_read_anew(
    requests: list[tuple[list[tuple[bytes, bytes]], str]],
) -> None:
    rules = HeaderRules.of(CLIENT)
    for lines, address in [*requests, *requests]:
        fresh = HeaderRules.of(CLIENT).read(tuple(lines), address)
        assert rules.read(tuple(lines), address) == fresh


def test_a_caller_who_says_the_same_is_the_same() -> None:
    rules = HeaderRules.of(CLIENT)
    said = ((b"x-bf-vk", b"sk-bf-one"), (b"user-agent", b"one"))

    first = rules.read((*said, (b"content-length", b"1")), "a")
    assert rules.read((*said, (b"content-length", b"2")), "a") is first
    assert rules.read(said, "b").remote_addr == "b"


@pytest.mark.parametrize(
    "name",
    ["authorization", "x-api-key", "api-key", "x-goog-api-key", "x-bf-bedrock-secret-key", "x-bf-eh-x"],
)  # fmt: skip
def test_no_key_that_nobody_asked_for_is_remembered(name: str) -> None:
    rules = HeaderRules.of(CLIENT)
    rules.read(((name.encode(), b"sk-canary-7"), (b"user-agent", b"one")), "a")

    assert b"sk-canary-7" not in b"".join(value for _, lines in rules._known for _, value in lines)
    assert "sk-canary-7" not in repr([*rules._known.values()])


def test_memory_has_a_bound() -> None:
    rules = HeaderRules.of(CLIENT)
    for number in range(MAX_KNOWN + 10):
        rules.read(((b"user-agent", b"%d" % number),), "a")
    rules.read(((b"user-agent", b"x" * (MAX_KNOWN_BYTES + 1)),), "a")

    assert len(rules._known) <= MAX_KNOWN
    assert max(len(value) for _, lines in rules._known for _, value in lines) < MAX_KNOWN_BYTES
