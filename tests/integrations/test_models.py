from __future__ import annotations

import base64
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import dumps
from bifrost.config.key_configs import AzureKeySettings
from bifrost.config.settings import KeySettings
from bifrost.errors import BadRequest
from bifrost.integrations.models import (
    Model,
    find,
    merge,
    native_page,
    of_key,
    openai_list,
    openai_model,
)

KEY = KeySettings(id="k", name="k")
LISTED: list[Model] = [
    {"id": "gpt-4o", "created": 1},
    {"id": "gpt-4o-2024-08-06"},
    {"id": "o3"},
]


def key(**settings: Any) -> KeySettings:
    return attrs.evolve(KEY, **settings)


def ids(models: list[Model]) -> list[object]:
    return [model["id"] for model in models]


def served(settings: KeySettings, *names: str) -> list[object]:
    return ids(of_key("p", settings, [{"id": name} for name in names]))


def page(*names: str, size: str | None = None, token: str | None = None) -> Model:
    return native_page([{"id": name} for name in names], size, token)


def token(value: object) -> str:
    return base64.urlsafe_b64encode(dumps(value)).decode()


# One key's models


def test_models_get_their_providers_prefix_and_keep_what_is_known_of_them() -> None:
    models = of_key("openai", KEY, LISTED)

    assert models[0] == {"id": "openai/gpt-4o", "created": 1}
    assert ids(models) == ["openai/gpt-4o", "openai/gpt-4o-2024-08-06", "openai/o3"]
    assert LISTED[0] == {"id": "gpt-4o", "created": 1}


def test_an_allow_list_keeps_its_names_and_adds_those_not_reported() -> None:
    models = of_key("openai", key(models=("gpt-4o", "secret")), LISTED)

    assert models == [{"id": "openai/gpt-4o", "created": 1}, {"id": "openai/secret"}]


def test_an_empty_allow_list_serves_nothing() -> None:
    assert of_key("openai", key(models=()), LISTED) == []


@pytest.mark.parametrize(
    ("denied", "left"),
    [
        ("gpt-4o", ["p/gpt-4o-mini", "p/o3"]),
        ("gpt-4o-2024-08-06", ["p/gpt-4o-mini", "p/o3"]),
        ("gpt-4o-20991231", ["p/gpt-4o-mini", "p/o3"]),
        ("gpt-4o-mini", ["p/gpt-4o", "p/gpt-4o-2024-08-06", "p/o3"]),
        ("o3-0613", ["p/gpt-4o", "p/gpt-4o-2024-08-06", "p/gpt-4o-mini"]),
        ("o3@20250514", ["p/gpt-4o", "p/gpt-4o-2024-08-06", "p/gpt-4o-mini"]),
        ("o3-2407", ["p/gpt-4o", "p/gpt-4o-2024-08-06", "p/gpt-4o-mini"]),
        ("o30613", ["p/gpt-4o", "p/gpt-4o-2024-08-06", "p/gpt-4o-mini", "p/o3"]),
        ("o3-4096", ["p/gpt-4o", "p/gpt-4o-2024-08-06", "p/gpt-4o-mini", "p/o3"]),
    ],
)
def test_a_denied_name_hides_every_date_of_its_model(denied: str, left: list[str]) -> None:
    settings = key(blacklisted_models=(denied,))

    assert served(settings, "gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini", "o3") == left


def test_deny_beats_allow() -> None:
    assert served(key(models=("a", "b"), blacklisted_models=("a",)), "a", "b") == ["p/b"]


def test_a_deployment_appears_under_its_alias() -> None:
    settings = key(deployments={"gpt-4o": "prod-4o", "fast": "prod-mini"})

    models = of_key("p", settings, LISTED)

    assert models[0] == {"id": "p/gpt-4o", "created": 1, "deployment": "prod-4o"}
    assert models[-1] == {"id": "p/fast", "deployment": "prod-mini"}


def test_an_alias_that_is_not_allowed_does_not_appear() -> None:
    assert served(key(models=("a",), deployments={"a": "x", "b": "y"}), "a") == ["p/a"]


def test_aliases_are_the_allow_list_where_there_is_none() -> None:
    assert served(key(models=(), deployments={"a": "x"}), "a", "b") == ["p/a"]


def test_where_models_are_deployed_only_the_deployed_are_served() -> None:
    azure = key(deployments={"a": "x"}, azure=AzureKeySettings(endpoint="https://a.example"))

    assert served(azure, "a", "b") == ["p/a"]
    assert served(attrs.evolve(azure, deployments={}), "a", "b") == ["p/a", "p/b"]


@pytest.mark.parametrize(
    ("allowed", "left"), [(("*",), ["p/b"]), (("a", "b"), ["p/b"]), (("a",), [])]
)
def test_a_server_with_one_model_serves_that_one(allowed: tuple[str, ...], left: list[str]) -> None:
    assert served(key(models=allowed, model_name="b"), "a", "b") == left


def test_what_has_no_id_is_no_model() -> None:
    listed: list[Model] = [{"id": ""}, {"id": 7}, {}, {"id": "a"}]

    assert ids(of_key("p", KEY, listed)) == ["p/a"]


@given(
    st.lists(st.sampled_from("abcd")),
    st.sampled_from([("*",), (), ("a",), ("a", "e")]),
    st.lists(st.sampled_from("abe"), max_size=2, unique=True),
)
def test_each_model_is_listed_once_and_none_that_is_denied(
    listed: list[str], allowed: tuple[str, ...], denied: list[str]
) -> None:
    found = served(key(models=allowed, blacklisted_models=tuple(denied)), *listed)

    assert len(found) == len(set(found))
    assert not {f"p/{name}" for name in denied} & set(found)
    if "*" not in allowed:
        assert set(found) <= {f"p/{name}" for name in allowed}


# All of them


def test_lists_are_merged_sorted_and_the_first_describes() -> None:
    merged = merge([[{"id": "b", "n": 1}, {"id": "a"}], [{"id": "b", "n": 2}, {"id": "c"}], []])

    assert merged == [{"id": "a"}, {"id": "b", "n": 1}, {"id": "c"}]


def test_openai_has_its_own_shape() -> None:
    models: list[Model] = [
        {"id": "openai/a", "created": 5, "owned_by": "me", "object": "x"},
        {"id": "groq/b"},
    ]

    assert openai_list(models) == {
        "object": "list",
        "data": [
            {"id": "openai/a", "object": "model", "created": 5, "owned_by": "me"},
            {"id": "groq/b", "object": "model", "created": 0, "owned_by": "groq"},
        ],
    }


@pytest.mark.parametrize(
    ("created", "told"),
    [(5, 5), (5.7, 5), (True, 0), ("2024", 0), (None, 0), (float("inf"), 0), (float("nan"), 0)],
)
def test_openai_wants_a_whole_number_of_seconds(created: object, told: int) -> None:
    assert openai_model({"id": "p/a", "created": created})["created"] == told


@pytest.mark.parametrize("owner", [None, "", 7])
def test_openai_wants_an_owner(owner: object) -> None:
    assert openai_model({"id": "p/a", "owned_by": owner})["owned_by"] == "p"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("openai/gpt", "openai/gpt"),
        ("gpt", "openai/gpt"),
        ("groq/a/b", "groq/a/b"),
        ("a/b", None),
        ("nobody", None),
    ],
)
def test_a_model_is_found_with_or_without_openais_prefix(wanted: str, found: str | None) -> None:
    models: list[Model] = [{"id": "groq/a/b"}, {"id": "openai/gpt"}]

    assert find(models, wanted) == (None if found is None else {"id": found})


# Pages


@pytest.mark.parametrize("size", [None, "", "0", "3", "999999999"])
def test_everything_fits_on_one_page_unless_less_is_asked_for(size: str | None) -> None:
    assert page("a", "b", "c", size=size) == {"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}


def test_an_empty_list_is_an_empty_page() -> None:
    assert page() == {"data": []}


@given(st.integers(0, 12), st.integers(1, 5))
def test_the_pages_are_the_list(count: int, size: int) -> None:
    names = [f"m{n:02}" for n in range(count)]
    found: list[object] = []
    following: str | None = ""

    while following is not None:
        answer: dict[str, Any] = page(*names, size=str(size), token=following)
        assert len(answer["data"]) <= size
        found += answer["data"]
        following = answer.get("next_page_token")

    assert found == [{"id": name} for name in names]


def test_a_token_of_another_list_starts_again() -> None:
    following = page("a", "b", "c", size="2")["next_page_token"]

    assert page("a", "x", "y", size="2", token=str(following))["data"] == [
        {"id": "a"},
        {"id": "x"},
    ]


def test_past_the_end_there_is_an_empty_page() -> None:
    assert page("a", token=token({"o": 5, "l": "z"})) == {"data": []}


@pytest.mark.parametrize(
    "bad",
    [
        "!!!",
        "a",
        "\u00e9",
        "\ud800",
        "A" * 5000,
        token([]),
        token(7),
        token("x"),
        token({}),
        token({"o": 1}),
        token({"o": "1", "l": ""}),
        token({"o": -1, "l": ""}),
        token({"o": True, "l": ""}),
        token({"o": 1.0, "l": ""}),
    ],
)
def test_a_token_that_is_none_is_refused(bad: str) -> None:
    with pytest.raises(BadRequest, match="invalid page_token"):
        page("a", "b", token=bad)


@pytest.mark.parametrize("size", ["-1", "x", "1.5", " 1", "\u0661", "9" * 10])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(BadRequest, match="page_size must be a whole number"):
        page("a", size=size)
