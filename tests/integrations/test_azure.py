from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.catalog import Catalog
from bifrost.config.key_configs import AzureKeySettings
from bifrost.config.secret import Secret, Token
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.errors import BadRequest
from bifrost.integrations import azure, native, openai
from bifrost.integrations.base import NO_PARAMS, Request
from bifrost.integrations.finder import Finder
from bifrost.integrations.headers import HeaderRules
from bifrost.schema.call import Call, Operation, Target
from bifrost.schema.payload import BytesPayload, Field, File, Form

FINDER = Finder.of((*openai.ROUTES, *native.ROUTES), azure.find_deployment)
KEY = KeySettings(id="k", name="k", value=Secret("sk"))
SERVED = Catalog.of(
    Config(
        providers={
            name: ProviderSettings(name=name, keys=(KEY,)) for name in ("openai", "azure", "groq")
        }
    )
)
OPEN = ClientSettings(allow_direct_keys=True)
BOTH = pytest.mark.parametrize("prefix", azure.PREFIXES)
HERE = "https://his.openai.azure.com"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"


def call(
    path: str,
    *headers: tuple[str, str],
    query: str = "",
    form: Form | None = None,
    client: ClientSettings = OPEN,
    catalog: Catalog = SERVED,
    **members: Any,
) -> Call:
    found = FINDER.find(path)
    assert found is not None
    route, params = found
    asked = {"model": "ignored", "input": "x", "prompt": "p", "voice": "v"} | members
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], **asked}).encode()
    request = Request(
        id="1",
        route=route,
        params=params,
        headers=tuple((name.encode(), value.encode()) for name, value in headers),
        query=query,
        body=body,
        form=form,
        remote_addr="",
        received_s=0.0,
    )
    return route.parse(request, catalog, HeaderRules.of(client))


@BOTH
@pytest.mark.parametrize(
    ("suffix", "operation"),
    [
        ("chat/completions", Operation.CHAT),
        ("completions", Operation.TEXT),
        ("responses", Operation.RESPONSES),
        ("responses/input_tokens", Operation.COUNT_TOKENS),
        ("embeddings", Operation.EMBEDDING),
        ("audio/speech", Operation.SPEECH),
        ("audio/transcriptions", Operation.TRANSCRIPTION),
        ("audio/translations", Operation.TRANSLATION),
        ("images/generations", Operation.IMAGE),
        ("images/edits", Operation.IMAGE_EDIT),
        ("images/variations", Operation.IMAGE_VARIATION),
    ],
)
@pytest.mark.parametrize(
    ("deployment", "model"),
    [
        ("gpt-4o", "azure/gpt-4o"),
        ("azure", "azure/azure"),
        ("groq/llama", "groq/llama"),
        ("huggingface/fal-ai/flux/dev", "huggingface/fal-ai/flux/dev"),
    ],
)
def test_a_deployments_path_is_an_operation_and_a_model(
    prefix: str, suffix: str, operation: Operation, deployment: str, model: str
) -> None:
    found = FINDER.find(f"{prefix}{deployment}/{suffix}")

    assert found is not None
    assert found[0].operation is operation
    assert found[0].path == f"/openai/deployments/{{path}}/{suffix}"
    assert found[1] == {"model": model}


@BOTH
@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("", "invalid azure deployment path"),
        ("gpt-4o", "invalid azure deployment path"),
        ("gpt-4o/moderations", "invalid azure deployment path"),
        ("chat/completions", "missing deployment id"),
        ("/chat/completions", "missing deployment id"),
        ("groq//chat/completions", "missing deployment id"),
        ("//embeddings", "missing deployment id"),
    ],
)
def test_what_names_no_deployment_is_told_so(prefix: str, rest: str, text: str) -> None:
    with pytest.raises(BadRequest, match=text) as caught:
        call(prefix + rest)

    assert caught.value.status == 400


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments",
        "/openai/deployments/d/models",
        "/openai/openai/deployments/d/models/m",
        "/openai/deployments/d/chat",
        "/openai/deployments/d/chat/completions/1",
        "/openai/deployments/d/images/other",
        "/openai/v1/deployments/d/chat/completions",
        "/deployments/d/chat/completions",
        "/v1/unknown",
        "",
    ],
)
def test_other_paths_are_not_found_here(path: str) -> None:
    assert FINDER.find(path) is None


def test_whole_paths_come_before_patterns() -> None:
    for route in (*openai.ROUTES, *native.ROUTES):
        assert FINDER.find(route.path) == (route, NO_PARAMS)


@given(st.text(alphabet="ad/.%é \n", max_size=12), st.sampled_from(azure.PREFIXES))
def test_any_path_is_found_or_not(middle: str, prefix: str) -> None:
    found = FINDER.find(f"{prefix}{middle}/chat/completions")

    assert found is not None
    names = middle.split("/")
    assert bool(found[1]) is all(names)


@pytest.mark.parametrize(
    ("path", "model", "target"),
    [
        ("/openai/deployments/d/chat/completions", "groq/other", Target("azure", "d")),
        ("/openai/deployments/d/chat/completions", None, Target("azure", "d")),
        ("/openai/deployments/groq/m/chat/completions", "x", Target("groq", "m")),
        ("/openai/deployments/nobody/m/chat/completions", "x", Target("azure", "nobody/m")),
    ],
)
def test_the_path_wins_over_the_body(path: str, model: str | None, target: Target) -> None:
    found = call(path, model=model)

    assert found.target == target
    assert found.route == "/openai/deployments/{path}/chat/completions"


def test_fallbacks_without_a_provider_are_azures() -> None:
    found = call("/openai/deployments/d/chat/completions", fallbacks=["e", "groq/m"])

    assert found.fallbacks == (Target("azure", "e"), Target("groq", "m"))


def test_a_form_needs_no_model_where_the_path_has_one() -> None:
    file = File("file", b"a.wav", b"audio/wav", BytesPayload(b"x"))
    found = call("/openai/deployments/d/audio/transcriptions", form=(file,))

    assert found.target == Target("azure", "d")
    with pytest.raises(BadRequest, match="model is required"):
        call("/openai/v1/audio/transcriptions", form=(file, Field("x", b"y")))


# Azure's clients


@pytest.mark.parametrize(
    ("agent", "path", "target"),
    [
        ("AzureOpenAI/Python 2.0", "/openai/responses", Target("azure", "m")),
        ("AsyncAzureOpenAI/Python 2.0", "/openai/openai/responses", Target("azure", "m")),
        ("AzureOpenAI/JS 5.0", "/openai/openai/v1/responses/input_tokens", Target("azure", "m")),
        ("AzureOpenAI/JS 5.0", "/openai/chat/completions", Target("openai", "m")),
        ("OpenAI/Python 2.0", "/openai/responses", Target("openai", "m")),
    ],
)
def test_a_client_of_azure_means_azure_where_it_names_no_deployment(
    agent: str, path: str, target: Target
) -> None:
    assert call(path, ("user-agent", agent), model="m").target == target
    with_prefix = call(path, ("user-agent", agent), model="groq/m")
    assert with_prefix.target == Target("groq", "m")


def test_natively_the_provider_is_named_by_everybody() -> None:
    with pytest.raises(BadRequest, match="model should be in provider/model format"):
        call("/v1/responses", ("user-agent", "AzureOpenAI/JS"), model="m")


def test_azure_is_meant_only_where_it_is_served_or_the_key_is_the_callers() -> None:
    agent, nowhere = ("user-agent", "AzureOpenAI/JS"), Catalog.of(Config())
    own = (("x-bf-azure-endpoint", HERE), ("api-key", "k"))

    with pytest.raises(BadRequest, match="provider is required"):
        call("/openai/responses", agent, model="m", catalog=nowhere)
    with pytest.raises(BadRequest, match="provider is required"):
        call("/openai/responses", agent, ("api-key", "k"), model="m", catalog=nowhere)
    assert call("/openai/responses", agent, *own, model="m", catalog=nowhere).target == Target(
        "azure", "m"
    )


# A key of the caller's own

CHAT = "/openai/deployments/d/chat/completions"


def own(*headers: tuple[str, str], query: str = "", **client: Any) -> KeySettings | None:
    settings = ClientSettings(**{"allow_direct_keys": True, **client})
    return call(CHAT, *headers, query=query, client=settings).caller.own_key("azure")


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([("api-key", "k")], Secret("k")),
        ([("authorization", "Bearer b")], Secret("b")),
        ([("authorization", "Bearer b"), ("api-key", "k")], Secret("k")),
        ([("api-key", "sk-bf-virtual"), ("authorization", "Bearer b")], Secret("b")),
        ([("authorization", f"Bearer {JWT}")], Token(JWT)),
    ],
)
def test_a_callers_own_key(headers: list[tuple[str, str]], value: Secret) -> None:
    found = own(("x-bf-azure-endpoint", HERE), *headers, query="api-version=2025-01-01&x=y")

    assert found is not None
    assert found.id == "header-provided"
    assert (found.value, type(found.value)) == (value, type(value))
    assert found.azure == AzureKeySettings(
        endpoint=HERE, api_version="2025-01-01", is_callers=True, public_only=True
    )
    assert found.deployments == {}


def test_an_operator_may_permit_private_addresses() -> None:
    found = own(("x-bf-azure-endpoint", HERE), ("api-key", "k"), allow_private_network=True)

    assert found is not None
    assert found.azure is not None
    assert not found.azure.public_only
    assert found.azure.api_version is None


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([("x-bf-azure-endpoint", HERE), ("api-key", "k")], {"allow_direct_keys": False}),
        ([("x-bf-azure-endpoint", HERE), ("x-api-key", "k")], {}),
        ([("x-bf-azure-endpoint", HERE), ("api-key", "sk-bf-1")], {}),
        ([("x-bf-azure-endpoint", HERE)], {}),
        ([("x-bf-azure-endpoint", " "), ("api-key", "k")], {}),
        ([("api-key", "k"), ("authorization", "Bearer b")], {}),
    ],
)
def test_without_key_endpoint_or_leave_the_stored_keys_serve(
    headers: list[tuple[str, str]], client: dict[str, Any]
) -> None:
    assert own(*headers, **client) is None


def test_another_provider_in_the_path_gets_the_ordinary_key() -> None:
    headers = (("x-bf-azure-endpoint", HERE), ("api-key", "k"), ("authorization", "Bearer b"))
    found = call("/openai/deployments/groq/m/chat/completions", *headers)

    key = found.caller.own_key(found.target.provider)
    assert key is not None
    assert (key.value, key.azure) == (Secret("b"), None)


def test_an_endless_endpoint_or_query_is_refused() -> None:
    with pytest.raises(BadRequest, match="header x-bf-azure-endpoint must be text of at most 2048"):
        own(("x-bf-azure-endpoint", "https://" + "x" * 2048), ("api-key", "k"))
    with pytest.raises(BadRequest, match="the query is too long"):
        own(("x-bf-azure-endpoint", HERE), ("api-key", "k"), query="x" * 2049)


def test_the_version_of_a_stored_key_is_not_the_callers_to_say() -> None:
    assert call(CHAT, query="api-version=2025-01-01").caller.azure is None
