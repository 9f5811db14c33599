"""Every prefix speaks every dialect that it should, with and without the vendor's name."""

from __future__ import annotations

import pytest

from bifrost.integrations import anthropic, bedrock, cohere, genai, openai
from bifrost.integrations.composite import DESCRIBED, MODEL_PREFIXES, PREFIXES, find
from bifrost.integrations.mounted import FINDER
from bifrost.schema.call import Operation, Surface

VENDORS = ("/openai", "/anthropic", "/genai", "/bedrock", "/cohere")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(
    ("vendor", "path", "surface", "operation", "params"),
    [
        *(
            ("/openai", version + path, Surface.OPENAI, operation, {})
            for version in ("", "/v1")
            for path, operation in {**openai.JSON_PATHS, **openai.FORM_PATHS}.items()
        ),
        *(
            ("/anthropic", path, Surface.ANTHROPIC, operation, {})
            for path, operation in anthropic.PATHS.items()
        ),
        *(
            ("/cohere", path, Surface.COHERE, operation, {})
            for path, operation in cohere.PATHS.items()
        ),
        *(
            (
                "/genai",
                f"/v1beta/models/openai/gpt-5:{name}",
                Surface.GENAI,
                method.operation,
                {"model": "openai/gpt-5"},
            )
            for name, method in genai.METHODS.items()
        ),
        *(
            (
                "/bedrock",
                f"/model/openai/gpt-5/{name}",
                Surface.INVOKE if name.startswith("invoke") else Surface.BEDROCK,
                action.operation,
                {"model": "openai/gpt-5"},
            )
            for name, action in bedrock.ACTIONS.items()
        ),
    ],
)
def test_each_prefix_speaks_each_dialect(
    prefix: str,
    named: bool,
    vendor: str,
    path: str,
    surface: Surface,
    operation: Operation,
    params: dict[str, str],
) -> None:
    found = FINDER.find(f"{prefix}{vendor if named else ''}{path}")

    assert found is not None
    route, given = found
    assert route.integration.surface is surface
    assert route.operation is operation
    assert dict(given) == params
    assert route.path.startswith(prefix)


@pytest.mark.parametrize(
    "path", ["/langchain", "/langchain/", "/langchain/nothing", "/langchainx/chat/completions", "/"]
)
def test_other_paths_are_nobodys(path: str) -> None:
    assert find(path) is None


def test_the_description_has_each_route_once() -> None:
    paths = [route.path for route in DESCRIBED]

    assert len(paths) == len(set(paths))
    assert {f"/{path.split('/')[1]}" for path in paths} == set(PREFIXES)
    assert not [path for path in paths if path.startswith(tuple(p + v for p in PREFIXES for v in VENDORS))]  # fmt: skip


def test_models_are_listed_below_each() -> None:
    assert {prefix for prefix in PREFIXES if {prefix, f"{prefix}/v1"} <= set(MODEL_PREFIXES)} == set(PREFIXES)  # fmt: skip
