from __future__ import annotations

import pytest

from bifrost.config.settings import HeaderFilterSettings
from bifrost.errors import BadRequest
from bifrost.integrations.forwarding import Forwarding, Patterns, check_size

NEVER = [
    "authorization",
    "proxy-authorization",
    "proxy-anything",
    "cookie",
    "set-cookie",
    "host",
    "connection",
    "content-length",
    "content-type",
    "content-encoding",
    "transfer-encoding",
    "accept-encoding",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "x-bf-api-key",
    "x-bf-api-key-id",
    "x-bf-vk",
    "x-bf-anything",
    "x-amz-security-token",
]


def forwarding(allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> Forwarding:
    return Forwarding.of(HeaderFilterSettings(allowlist=allow, denylist=deny))


@pytest.mark.parametrize("name", NEVER)
@pytest.mark.parametrize("allow", [(), ("*",)])
def test_what_frames_a_message_or_proves_an_identity_stays_here(
    name: str, allow: tuple[str, ...]
) -> None:
    rules = forwarding(allow)

    assert rules.line(name.encode(), b"v") is None
    assert rules.line(name.upper().encode(), b"v") is None


@pytest.mark.parametrize(
    ("allow", "deny", "name", "is_admitted"),
    [
        ((), (), "foo", True),
        ((), ("foo",), "foo", False),
        ((), ("FOO",), "foo", False),
        ((), ("foo",), "foo-bar", True),
        ((), ("foo*",), "foo-bar", False),
        ((), ("*",), "foo", False),
        (("bar",), (), "foo", False),
        (("Foo",), (), "foo", True),
        (("anthropic-*",), (), "anthropic-beta", True),
        (("*",), (), "foo", True),
        (("foo",), ("foo",), "foo", False),
    ],
)
def test_deny_beats_allow(
    allow: tuple[str, ...], deny: tuple[str, ...], name: str, is_admitted: bool
) -> None:
    rules = forwarding(allow, deny)

    assert rules.admits(name) is is_admitted
    assert rules.takes_plain is bool(allow)


def test_a_line_keeps_its_value_and_lowers_its_name() -> None:
    assert forwarding().line(b"Foo", b"a\tb\xe9") == ("foo", "a\tb\xe9")


@pytest.mark.parametrize("name", [b"", b"a b", b"a:b", b"a\n", b"\xe9", b"x" * 129])
def test_a_line_without_a_proper_name_is_refused(name: bytes) -> None:
    with pytest.raises(BadRequest, match="no proper name"):
        forwarding().line(name, b"v")


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"\0", b"\x1b[31m", b"\x7f"])
def test_a_value_with_control_characters_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match="header foo has control characters"):
        forwarding().line(b"foo", value)


def test_the_size_of_all_lines_is_bounded() -> None:
    check_size([("n", "v" * 1000)] * 32)

    with pytest.raises(BadRequest, match="32768 bytes"):
        check_size([("n", "v" * 1024)] * 32)


def test_no_patterns_are_false() -> None:
    assert not Patterns.of(())
    assert Patterns.of(("a",))
    assert Patterns.of(("a*",))
