from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from bifrost.config.governance_section import AuthSection
from bifrost.config.options import ServeOptions
from bifrost.config.secret import Secret
from bifrost.config.settings import Config
from bifrost.config.starting import is_loopback, notices, refusals, refuse_workers

OPTIONS = ServeOptions(app_dir=Path("x"))
OPEN = attrs.evolve(OPTIONS, host="0.0.0.0")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True),
        ("0.0.0.0", False), ("::", False), ("", False), ("10.0.0.1", False), ("example.com", False),
    ],
)  # fmt: skip
def test_loopback_is_what_only_this_machine_reaches(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_plain_configuration_on_loopback_is_served() -> None:
    assert refusals(Config(), OPTIONS) == ()


def test_binding_beyond_loopback_without_login_is_refused() -> None:
    (reason,) = refusals(Config(), OPEN)

    assert "0.0.0.0" in reason
    assert "--insecure" in reason


def test_each_missing_protection_is_named() -> None:
    config = Config(unguarded=("saml_config.enabled", "guardrails_config.guardrail_rules"))

    assert [reason.split(":")[0] for reason in refusals(config, OPTIONS)] == list(config.unguarded)


def test_with_a_login_other_machines_may_reach_it() -> None:
    auth = AuthSection(admin_username="a", admin_password=Secret("b"), is_enabled=True)

    assert refusals(Config(auth=auth), OPEN) == ()
    assert refusals(Config(auth=attrs.evolve(auth, is_enabled=False)), OPEN) != ()


def test_insecure_serves_all_the_same() -> None:
    config = Config(unguarded=("saml_config.enabled",))

    assert refusals(config, attrs.evolve(OPEN, insecure=True)) == ()


def test_only_one_worker_is_served_and_why_is_said() -> None:
    assert refuse_workers(1) is None
    assert "share a store" in (refuse_workers(2) or "")


def test_notices_are_the_warnings_and_one_line_for_what_is_not_built() -> None:
    assert notices(Config(warnings=("a",))) == ("a",)
    assert notices(Config(warnings=("a",), unbuilt=("mcp", "plugins"))) == (
        "a",
        "not built yet, so without effect: mcp, plugins",
    )
