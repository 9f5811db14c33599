"""The door /genai: paths, keys, models and methods; what a failure looks like; lists of models."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.catalog import Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, Config, KeySettings, ProviderSettings
from bifrost.dialects.gemini_signatures import NONE_NEEDED
from bifrost.dialects.gemini_thoughts import wrapped
from bifrost.errors import BadRequest, UnsupportedOperation
from bifrost.integrations import composite, genai
from bifrost.integrations.base import Request
from bifrost.integrations.finder import Finder
from bifrost.integrations.genai import GENAI, UNSUPPORTED, VERSIONS, model_name, routes, with_key
from bifrost.integrations.genai_models import genai_find, genai_model, genai_page
from bifrost.integrations.headers import HeaderRules
from bifrost.schema.call import Call, Dialect, Operation, Surface, Target

KEY = KeySettings(id="k", name="k", value=Secret("sk"))
SERVED = Catalog.of(
    Config(
        providers={
            name: ProviderSettings(name=name, keys=(KEY,)) for name in ("openai", "gemini", "groq")
        }
    )
)
OPEN = ClientSettings(allow_direct_keys=True)
FINDER = Finder.of((), genai.ROUTES.find)
CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]


def call(
    path: str,
    *headers: tuple[str, str],
    query: str = "",
    body: bytes | None = None,
    client: ClientSettings = OPEN,
    catalog: Catalog = SERVED,
    **members: Any,
) -> Call:
    found = FINDER.find(f"/genai/{path}")
    assert found is not None
    route, params = found
    request = Request(
        id="1",
        route=route,
        params=params,
        headers=tuple((name.encode(), value.encode()) for name, value in headers),
        query=query,
        body=json.dumps({"contents": CONTENTS, **members}).encode() if body is None else body,
        remote_addr="",
        received_s=0.0,
    )
    return route.parse(request, catalog, HeaderRules.of(client))


CHAT = "v1beta/models/gemini-2.5-pro:generateContent"


# Paths


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("method", "operation", "stream"),
    [
        ("generateContent", Operation.CHAT, False),
        ("streamGenerateContent", Operation.CHAT, True),
        ("countTokens", Operation.COUNT_TOKENS, False),
    ],
)
def test_a_path_is_a_model_and_a_method(
    version: str, method: str, operation: Operation, stream: bool
) -> None:
    found = call(f"{version}/models/openai/gpt-5:{method}")

    assert (found.operation, found.stream) == (operation, stream)
    assert found.target == Target("openai", "gpt-5")
    assert found.route == f"/genai/{version}/models/{{model}}:{method}"
    assert found.surface is Surface.GENAI
    assert found.asks_usage


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("gemini-2.5-pro", Target("gemini", "gemini-2.5-pro")),
        ("gemini/gemini-2.5-pro", Target("gemini", "gemini-2.5-pro")),
        ("models/groq/a/b", Target("groq", "a/b")),
        ("models/models/x", Target("gemini", "x")),
        ("groq/llama3:8b", Target("groq", "llama3:8b")),
        ("nobody/x", Target("gemini", "nobody/x")),
    ],
)
def test_whom_a_model_means(name: str, target: Target) -> None:
    assert call(f"v1/models/{name}:generateContent").target == target


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/genai",
        "/genai/v1beta",
        "/genai/v1beta/models",
        "/genai/v1beta/models/m",
        "/genai/v1beta/models/m:unknown",
        "/genai/v2/models/m:generateContent",
        "/genai/v1beta/tunedModels/m:generateContent",
        "/genai/v1beta/m:generateContent",
        "/genai_passthrough/v1beta/models/m:generateContent",
        "/v1beta/models/m:generateContent",
    ],
)
def test_other_paths_are_not_found_here(path: str) -> None:
    assert FINDER.find(path) is None


@given(st.text(alphabet="ab/:.%é \n", max_size=12))
def test_any_model_is_found(name: str) -> None:
    found = FINDER.find(f"/genai/v1/models/{name}:countTokens")

    assert found is not None
    assert found[1] == {"model": model_name(name)}


@pytest.mark.parametrize("prefix", ["/genai", "/litellm", "/litellm/genai"])
def test_the_version_may_be_left_out(prefix: str) -> None:
    """LiteLLM's ``gemini/`` asks so, with whatever base it is given."""
    finder = Finder.of((), genai.ROUTES.find, composite.find)

    found = finder.find(f"{prefix}/models/gemini-2.5-flash:generateContent")

    assert found is not None
    assert found[0].path.endswith("/v1beta/models/{model}:generateContent")
    assert found[1] == {"model": "gemini-2.5-flash"}


SOUND = {"responseModalities": ["AUDIO"]}


@pytest.mark.parametrize(
    ("model", "config", "operation"),
    [
        ("openai/tts-1", SOUND, Operation.SPEECH),
        ("openai/gpt-5", {"responseModalities": ["TEXT"]}, Operation.CHAT),
        ("gemini-2.5-flash-preview-tts", SOUND, Operation.CHAT),
    ],
)
def test_sound_of_others_than_google_is_speech(
    model: str, config: dict[str, Any], operation: Operation
) -> None:
    found = call(f"v1beta/models/{model}:generateContent", generationConfig=config)

    assert found.operation is operation


def test_sound_is_not_streamed() -> None:
    with pytest.raises(UnsupportedOperation):
        call("v1beta/models/openai/tts-1:streamGenerateContent", generationConfig=SOUND)


def test_the_templates_are_what_is_found() -> None:
    for route in genai.ROUTES.templates:
        found = FINDER.find(route.path.replace("{model}", "openai/m"))
        assert found == (route, {"model": "openai/m"})
    assert len(genai.ROUTES.templates) == 6 * len(VERSIONS)


def test_the_same_below_another_prefix() -> None:
    elsewhere = routes(attrs.evolve(GENAI, name="litellm"), "/litellm/genai")

    found = elsewhere.find("/litellm/genai/v1beta/models/m:generateContent")

    assert found is not None
    assert found[0].path == "/litellm/genai/v1beta/models/{model}:generateContent"
    assert elsewhere.find("/genai/v1beta/models/m:generateContent") is None


@pytest.mark.parametrize("method", UNSUPPORTED)
def test_what_is_not_served_says_so(method: str) -> None:
    with pytest.raises(UnsupportedOperation, match=method):
        call(f"v1beta/models/m:{method}")


# Calls


def test_a_call_has_the_request_in_both_dialects() -> None:
    found = call(
        CHAT,
        query="alt=sse&key=k&x=%C3%A9+y&access_token=t",
        fallbacks=["openai/gpt-5", "gemini-2.0"],
        generationConfig={"maxOutputTokens": 9, "speechConfig": {"a": 1}},
    )

    assert json.loads(found.members["messages"]) == [{"role": "user", "content": "hi"}]
    assert found.fallbacks == (Target("openai", "gpt-5"), Target("gemini", "gemini-2.0"))
    assert found.max_output_tokens == 9
    assert found.lost == ("generationConfig.speechConfig",)
    native = found.native
    assert native is not None
    assert native.dialect is Dialect.GEMINI
    assert [*native.members] == ["contents", "generationConfig"]
    assert json.loads(native.members["contents"]) == CONTENTS
    assert native.query == "x=%C3%A9+y"


def test_our_own_signatures_do_not_go_to_gemini() -> None:
    part = {"text": "a", "thoughtSignature": wrapped([{"a": "b"}])}
    found = call(CHAT, contents=[{"role": "model", "parts": [part]}])

    assert found.native is not None
    assert json.loads(found.native.members["contents"])[0]["parts"] == [
        {"text": "a", "thoughtSignature": NONE_NEEDED}
    ]
    [message] = json.loads(found.members["messages"])
    assert message["reasoning_details"] == [{"index": 0, "a": "b"}]


def test_embeddings_are_asked_for_in_the_gateways_words() -> None:
    content = {"parts": [{"text": "a"}]}
    one = call("v1/models/openai/e:embedContent", content=content, contents=None)
    many = call(
        "v1/models/openai/e:batchEmbedContents", requests=[{"content": content}], contents=None
    )

    assert (one.operation, one.native, one.members["input"]) == (Operation.EMBEDDING, None, b'"a"')
    assert (many.operation, many.members["input"]) == (Operation.EMBEDDING, b'["a"]')


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"body": b"{"}, "Invalid JSON payload received"),
        ({"body": b""}, "Invalid JSON payload received"),
        ({"contents": []}, "contents is required"),
        ({"fallbacks": 1}, "fallbacks must be a list"),
        ({"query": "é=1"}, "the query must be"),
        ({"query": "x" * 2049}, "the query is too long"),
        ({"catalog": Catalog.of(Config())}, "provider is required"),
    ],
)
def test_a_mistake(more: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        call(CHAT, **more)


def test_a_model_has_a_name() -> None:
    with pytest.raises(BadRequest, match="model is required"):
        call("v1/models/:generateContent")


def test_there_are_no_jobs_here() -> None:
    with pytest.raises(BadRequest, match="x-bf-async is not supported here"):
        call(CHAT, ("x-bf-async", "true"))


# Keys


@pytest.mark.parametrize(
    ("headers", "query", "direct", "virtual"),
    [
        ([("x-goog-api-key", "AIza")], "", "AIza", None),
        ([("x-goog-api-key", "sk-bf-1")], "", None, "sk-bf-1"),
        ([], "key=AIza", "AIza", None),
        ([], "alt=sse&key=sk-bf-1", None, "sk-bf-1"),
        ([], "key=", None, None),
        ([], "monkey=x", None, None),
        ([("x-goog-api-key", "AIza")], "key=other", "AIza", None),
    ],
)
def test_where_a_key_may_be(
    headers: list[tuple[str, str]], query: str, direct: str | None, virtual: str | None
) -> None:
    caller = call(CHAT, *headers, query=query).caller

    assert caller.direct_key == (None if direct is None else Secret(direct))
    assert caller.virtual_key == (None if virtual is None else Secret(virtual))


def test_a_key_that_is_none_is_refused_and_not_told() -> None:
    with pytest.raises(BadRequest) as caught:
        call(CHAT, query="key=a%20secret%C3%A9")

    assert "secret" not in caught.value.message


def test_a_key_of_the_query_stands_behind_the_headers() -> None:
    headers = ((b"a", b"b"),)

    assert with_key(headers, "key=k%2B") == (*headers, (b"x-goog-api-key", b"k+"))
    assert with_key(headers, "") is headers


# Models


def has(provider: str, operation: Operation, stream: bool) -> bool:
    """What a provider has that streams nothing."""
    return provider in {"gemini", "openai"} and not stream and operation in {Operation.CHAT, Operation.EMBEDDING}  # fmt: skip


def test_an_entry_in_googles_words() -> None:
    model: dict[str, object] = {"id": "gemini/gemini-2.5-pro", "displayName": "G", "version": "1"}

    assert genai_model(model, has) == {
        "name": "models/gemini-2.5-pro",
        "displayName": "G",
        "version": "1",
        "supportedGenerationMethods": ["generateContent", "embedContent"],
    }
    assert genai_model(
        {
            "id": "openai/gpt-5",
            "context_length": 9,
            "max_tokens": True,
            "supportedGenerationMethods": ["generateContent"],
        },
        has,
    ) == {
        "name": "models/openai/gpt-5",
        "displayName": "openai/gpt-5",
        "inputTokenLimit": 9,
        "supportedGenerationMethods": ["generateContent"],
    }


def test_pages() -> None:
    models: list[dict[str, object]] = [{"id": f"openai/{name}"} for name in "abc"]

    first = genai_page(models, {"pageSize": "2"}, has)
    second = genai_page(models, {"pageSize": "2", "pageToken": str(first["nextPageToken"])}, has)

    assert [*first] == ["models", "nextPageToken"]
    assert [*second] == ["models"]
    told: Any = (*first["models"], *second["models"])  # type: ignore[misc]  # a list of models, in both
    assert [each["name"] for each in told] == [f"models/openai/{name}" for name in "abc"]
    assert len(genai_page(models, {}, has)["models"]) == 3  # type: ignore[arg-type]  # plain dicts will do


@pytest.mark.parametrize(
    ("asked", "param"), [({"pageSize": "-1"}, "pageSize"), ({"pageToken": "x"}, "pageToken")]
)
def test_a_page_that_is_none(asked: dict[str, str], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        genai_page([], asked, has)

    assert caught.value.param == param


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("gemini-x", "models/gemini-x"),
        ("gemini/gemini-x", "models/gemini-x"),
        ("models/openai/a", "models/openai/a"),
    ],
)
def test_one_model(wanted: str, name: str) -> None:
    models: list[dict[str, object]] = [{"id": "gemini/gemini-x"}, {"id": "openai/a"}]

    assert genai_find(models, wanted, has)["name"] == name
    assert "displayName" in genai_find(models, wanted, has)


def test_a_model_that_is_not_listed_has_its_name() -> None:
    assert genai_find([], "x", has) == {"name": "models/x"}
