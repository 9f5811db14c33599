from __future__ import annotations

import attrs

from bifrost.config.diff import ConfigDiff, applied, diff
from bifrost.config.load import parse_config

OLD = """
client: {max_inflight: 5, allowed_origins: [a.b]}
providers: {mock: {}, openai: {keys: [{name: k, value: env.KEY}]}, groq: {keys: [{name: g, value: v}]}}
"""
NEW = """
client: {max_inflight: 6, allowed_origins: [c.d]}
providers: {xai: {keys: [{name: x, value: v}]}, openai: {keys: [{name: k, value: env.KEY, weight: 2}]}, mock: {}}
"""


def test_the_same_text_is_no_difference() -> None:
    change = diff(parse_config(OLD, {"KEY": "a"}), parse_config(OLD, {"KEY": "a"}))

    assert change == ConfigDiff()
    assert change.summary() == {}


def test_what_came_went_and_changed_is_named() -> None:
    change = diff(parse_config(OLD, {}), parse_config(NEW, {}))

    assert change == ConfigDiff(
        added=("xai",),
        removed=("groq",),
        changed=("openai",),
        client=("max_inflight",),
        needs_restart=("allowed_origins",),
    )
    assert change.summary()["added"] == ["xai"]


def test_another_value_behind_the_same_reference_is_a_change() -> None:
    assert diff(parse_config(OLD, {"KEY": "a"}), parse_config(OLD, {"KEY": "b"})).changed == (
        "openai",
    )


def test_keys_that_need_a_restart_keep_their_old_values() -> None:
    old, new = parse_config(OLD, {}), parse_config(NEW, {})

    now = applied(old, new)

    assert (now.client.max_inflight, now.client.allowed_origins) == (6, ("a.b",))
    assert attrs.evolve(now, client=new.client) == new


def test_another_logs_store_needs_a_restart() -> None:
    old, new = parse_config("", {}), parse_config("logs_store: {enabled: false}", {})

    assert diff(old, new).needs_restart == ("logs_store",)
    assert applied(old, new) == old
