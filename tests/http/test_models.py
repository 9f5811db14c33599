"""The routes of the model list, before real key pools: both shapes, one model, the choice of providers, and failures."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from actors.fakes import key, provider
from actors.scripted import REFUSED, Answer, House, house, refusal
from bifrost.actors.discovery import Discovery
from bifrost.codecs.json import dumps
from bifrost.config.load import parse_tree
from bifrost.config.settings import ClientSettings, Config, ProviderSettings
from bifrost.governance.model import Governance
from bifrost.http.anthropic_objects import AnthropicObjectsDoor
from bifrost.http.app import Front
from bifrost.http.async_jobs import AsyncJobs
from bifrost.http.batch_results import BatchResults
from bifrost.http.doors import Doors, compile_views
from bifrost.http.gate import Gate
from bifrost.http.genai_files import GenaiFilesDoor
from bifrost.http.inference import Inference
from bifrost.http.inline_batches import InlineBatches
from bifrost.http.listing import Listing
from bifrost.http.models import OPENAI_PREFIXES, model_routes
from bifrost.http.passthrough import PassthroughDoor
from bifrost.http.relayed import RelayDoor
from bifrost.http.responses_socket import ResponsesDoor
from bifrost.integrations.finder import Finder
from bifrost.management.login import Login
from bifrost.observe.http import HttpMeter
from bifrost.observe.prometheus import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from quart import Response
    from trio.testing import MockClock

OPENAI = provider(key("a"))
GROQ = provider(key("g"), name="groq")


def listing(*models: dict[str, Any] | str) -> Answer:
    data = [{"id": each} if isinstance(each, str) else each for each in models]
    return Answer(pieces=(dumps({"data": data}),))


@attrs.define(eq=False)
class Door:
    """A front with the model routes, and the house behind it."""

    front: Front
    house: House
    defects: list[BaseException]

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and body."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.ask("GET", path, names)
        assert answer.content_type == "application/json"
        return answer.status_code, await answer.get_json()

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> Response:
        peer = {"client": ("127.0.0.1", 1)}
        client = self.front.test_client()
        ask = client.get if method == "GET" else client.post
        return await ask(path, headers=headers, scope_base=peer)

    async def ids(self, path: str = "/v1/models", **headers: str) -> list[str]:
        status, body = await self.get(path, **headers)
        assert status == 200, body
        return [model["id"] for model in body["data"]]


@asynccontextmanager
async def door(*providers: tuple[ProviderSettings, Answer], **client: Any) -> AsyncIterator[Door]:
    settings = {each.name: each for each, _ in providers}
    config = Config(client=ClientSettings(**client), providers=settings)
    doors, defects, numbers = Doors(compile_views(config)), list[BaseException](), count()

    def new_id() -> str:
        return f"id-{next(numbers)}"

    async with house(*providers) as within:
        discovery = Discovery(within.pools, random.Random(0), lambda: 0.0, lambda *_: None)
        inference = Inference(Finder({}), doors, within.router.dispatch, new_id)
        listing = Listing(within.router.dispatch, lambda *_: (), lambda *_: None)
        results = BatchResults(within.router.dispatch)
        inline = InlineBatches(within.router.dispatch)
        front = Front(
            doors=doors,
            gate=Gate(
                Login(None, None, wall=lambda: 0.0, new_token=str, pepper=b""),
                doors,
                is_valid_key=lambda sent: False,
                local_only=True,
            ),
            responses=ResponsesDoor(Finder({}), doors, within.router.dispatch),
            inference=inference,
            async_jobs=AsyncJobs(finder=Finder({}), doors=doors, jobs=None),
            relays=RelayDoor(inference, listing, results, inline),
            passthrough=PassthroughDoor(inference),
            genai_files=GenaiFilesDoor(inference, listing),
            anthropic_objects=AnthropicObjectsDoor(inference, listing, results, inline),
            meter=HttpMeter(Metrics.of(config.client, inflight=lambda: 0)),
            new_id=new_id,
            log=lambda level, fields: None,
            on_defect=defects.append,
        )
        front.register_blueprint(model_routes(doors, discovery))
        yield Door(front, within, defects)
    assert defects == []


@pytest.mark.parametrize("prefix", OPENAI_PREFIXES)
async def test_openai_s_list(prefix: str) -> None:
    listed = listing({"id": "o3", "created": 5, "object": "x"}, {"id": "gpt-4o", "owned_by": "me"})
    async with door((OPENAI, listed), (GROQ, listing("llama"))) as it:
        status, body = await it.get(f"{prefix}/models")

    assert status == 200
    assert body == {
        "object": "list",
        "data": [
            {"id": "groq/llama", "object": "model", "created": 0, "owned_by": "groq"},
            {"id": "openai/gpt-4o", "object": "model", "created": 0, "owned_by": "me"},
            {"id": "openai/o3", "object": "model", "created": 5, "owned_by": "openai"},
        ],
    }


@pytest.mark.parametrize("name", ["gpt-4o", "openai/gpt-4o"])
async def test_openai_s_one_model(name: str) -> None:
    async with door((OPENAI, listing("gpt-4o"))) as it:
        status, body = await it.get(f"/openai/v1/models/{name}")

    assert (status, body["id"], body["object"]) == (200, "openai/gpt-4o", "model")


async def test_openai_s_model_that_is_not_there() -> None:
    async with door((OPENAI, listing("gpt-4o"))) as it:
        status, body = await it.get("/openai/v1/models/gpt-5")

    assert status == 404
    assert body["error"]["code"] == "model_not_found"
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"] == "The model 'gpt-5' does not exist"


async def test_the_native_list_comes_as_it_is_and_in_pages() -> None:
    async with door((OPENAI, listing("a", "b", {"id": "c", "more": 1}))) as it:
        _, whole = await it.get("/v1/models")
        _, first = await it.get("/v1/models?page_size=2")
        _, second = await it.get(f"/v1/models?page_size=2&page_token={first['next_page_token']}")
        status, refused = await it.get("/v1/models?page_size=many")

    assert whole["data"] == first["data"] + second["data"]
    assert whole["data"][2] == {"id": "openai/c", "more": 1}
    assert whole["extra_fields"]["request_type"] == "list_models"
    assert "next_page_token" not in second
    assert (status, refused["error"]["param"]) == (400, "page_size")


async def test_the_native_one_model_goes_by_its_whole_name() -> None:
    async with door((OPENAI, listing("a"))) as it:
        assert await it.get("/v1/models/openai/a") == (200, {"id": "openai/a"})
        status, body = await it.get("/v1/models/a")

    assert (status, body["error"]["message"]) == (404, "The model 'a' does not exist")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/models?provider=groq", {}),
        ("/v1/models", {"x_bf_model_provider": " Groq "}),
        ("/v1/models", {"x_bf_list_models_provider": "groq"}),
        (
            "/v1/models?provider=openai",
            {"x_bf_model_provider": "groq", "x_bf_list_models_provider": "all"},
        ),
    ],
)
async def test_one_provider_is_chosen(path: str, headers: dict[str, str]) -> None:
    async with door((OPENAI, listing("o3")), (GROQ, listing("llama"))) as it:
        assert await it.ids(path, **headers) == ["groq/llama"]
        assert [seen.provider for seen in it.house.seen] == ["groq"]


@pytest.mark.parametrize("choice", ["", "all", "ALL"])
async def test_all_providers_are_chosen(choice: str) -> None:
    async with door((OPENAI, listing("o3")), (GROQ, listing("llama"))) as it:
        assert await it.ids(f"/v1/models?provider={choice}") == ["groq/llama", "openai/o3"]


async def test_a_provider_that_nobody_knows_is_refused() -> None:
    async with door((OPENAI, listing("o3"))) as it:
        status, body = await it.get(f"/v1/models?provider={'x' * 100}")

    assert (status, body["error"]["param"]) == (400, "provider")
    assert body["error"]["message"] == f"unknown provider: {'x' * 64}"


async def test_a_provider_that_is_known_but_not_configured_is_refused() -> None:
    async with door((OPENAI, listing("o3"))) as it:
        status, body = await it.get("/v1/models?provider=groq")

    assert status == 400
    assert body["error"]["message"] == "failed to get config for provider: groq"


async def test_a_provider_that_fails_is_left_out() -> None:
    async with door((OPENAI, refusal(500)), (GROQ, listing("llama"))) as it:
        assert await it.ids() == ["groq/llama"]


async def test_a_list_that_is_empty_is_no_failure() -> None:
    async with door((OPENAI, refusal(500)), (GROQ, listing())) as it:
        assert await it.ids() == []
        assert await it.ids("/openai/v1/models") == []


async def test_nothing_configured_is_an_empty_list() -> None:
    async with door() as it:
        assert await it.ids() == []


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [(refusal(403, message="not yours"), 403, "not yours"), (REFUSED, 502, "connection refused")],
)
async def test_where_all_fail_an_upstream_s_error_is_told_before_the_configuration_s(
    answer: Answer, status: int, words: str
) -> None:
    """``groq`` comes first, but that it has no key says less."""
    keyless = provider(key("g", value=""), name="groq")
    async with door((keyless, listing("llama")), (OPENAI, answer)) as it:
        told, body = await it.get("/v1/models")

    assert told == status
    assert words in body["error"]["message"]
    of_groq, of_openai = body["extra_fields"]["key_statuses"]
    assert of_groq == {
        "key_id": "",
        "provider": "groq",
        "status": "list_models_failed",
        "error": of_groq["error"],
    }
    assert (of_openai["key_id"], of_openai["provider"]) == ("a", "openai")
    assert of_openai["error"]["status_code"] == status
    assert words in of_openai["error"]["error"]["message"]


async def test_where_nobody_has_a_key_the_configuration_is_told() -> None:
    async with door((provider(key("a", value="")), listing("o3"))) as it:
        status, body = await it.get("/openai/v1/models")

    assert status == 400
    assert "no keys found for provider: openai" in body["error"]["message"]


async def test_a_provider_whose_keys_all_rest_is_unavailable(autojump_clock: MockClock) -> None:
    async with door((OPENAI, refusal(429, retry_after_s=20))) as it:
        first, _ = await it.get("/v1/models")
        answer = await it.ask("GET", "/v1/models")

    assert first == 429
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "20"


async def test_a_key_s_models_go_under_the_gateway_s_names() -> None:
    narrow = provider(key("a", models=("gpt-4o", "mine"), deployments={"mine": "theirs"}))
    async with door((narrow, listing("gpt-4o", "o3"))) as it:
        _, body = await it.get("/v1/models")

    assert body["data"] == [{"id": "openai/gpt-4o"}, {"id": "openai/mine", "deployment": "theirs"}]


async def test_the_caller_s_headers_hold_here_too() -> None:
    async with door((OPENAI, listing("o3")), required_headers=("X-Team",)) as it:
        status, body = await it.get("/v1/models")
        assert await it.ids(x_team="a", x_bf_eh_trace="t") == ["openai/o3"]
        assert it.house.seen[0].headers[b"trace"] == b"t"

    assert (status, body["type"]) == (400, "missing_required_headers")


async def test_only_get_is_served() -> None:
    async with door((OPENAI, listing("o3"))) as it:
        answer = await it.ask("POST", "/v1/models")

    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha"])
async def test_google_s_list_in_pages(version: str) -> None:
    async with door((OPENAI, listing("a", "b")), (GROQ, listing("llama"))) as it:
        _, first = await it.get(f"/genai/{version}/models?pageSize=2")
        _, rest = await it.get(f"/genai/{version}/models?pageToken={first['nextPageToken']}")
        status, one = await it.get(f"/genai/{version}/models/openai/b")

    names = [each["name"] for each in (*first["models"], *rest["models"])]
    assert names == ["models/groq/llama", "models/openai/a", "models/openai/b"]
    assert (status, one) == (200, rest["models"][0])
    assert "nextPageToken" not in rest


async def test_google_s_key_may_be_in_the_query() -> None:
    async with door((OPENAI, listing("a")), allow_direct_keys=True) as it:
        status, body = await it.get("/genai/v1/models?key=%C3%A9")

    assert status == 400
    assert body["error"]["message"] == "the key in header x-goog-api-key is not one"


async def test_google_s_callers_are_told_failures_in_google_s_shape() -> None:
    async with door((OPENAI, refusal(403, message="not yours"))) as it:
        status, body = await it.get("/genai/v1beta/models")

    assert (status, body["error"]["code"]) == (403, 403)
    assert body["error"]["status"] == "PERMISSION_DENIED"


VIRTUAL = {"provider_configs": [], "id": "vk", "name": "vk", "value": "sk-bf-one"}


def lists_of(provider_name: str, models: list[str], keys: list[str]) -> dict[str, Any]:
    return {"provider": provider_name, "allowed_models": models, "key_ids": keys}


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ([], []),
        ([lists_of("openai", ["*"], ["*"])], ["openai/gpt-4o", "openai/o3"]),
        (
            [lists_of("openai", ["o3"], ["*"]), lists_of("groq", ["*"], ["*"])],
            ["groq/l", "openai/o3"],
        ),
        ([lists_of("openai", [], ["*"])], []),
        ([lists_of("openai", ["*"], ["nobody"]), lists_of("groq", ["l"], ["g"])], ["groq/l"]),
    ],
)
async def test_with_a_virtual_key_there_is_what_it_allows(
    configs: list[dict[str, Any]], expected: list[str]
) -> None:
    tree = {"governance": {"virtual_keys": [{**VIRTUAL, "provider_configs": configs}]}}
    governance = Governance.of_section(parse_tree(tree, {}).governance)
    async with door((OPENAI, listing("gpt-4o", "o3")), (GROQ, listing("l"))) as it:
        it.front._doors.views = attrs.evolve(it.front._doors.views, governance=governance)
        assert await it.ids(x_bf_vk="sk-bf-one") == expected
        assert await it.ids("/openai/v1/models", authorization="Bearer sk-bf-one") == expected
        assert await it.ids(x_bf_vk="sk-bf-unknown") == []
        assert len(await it.ids()) == 3


@pytest.mark.parametrize("value", ["", "sk-bf-other"])
async def test_who_has_to_have_a_virtual_key_gets_no_list_without_it(value: str) -> None:
    headers = {"x_bf_vk": value} if value else {}
    async with door((OPENAI, listing("o3")), enforce_auth_on_inference=True) as it:
        status, body = await it.get("/v1/models", **headers)
        assert (status, body["type"]) == (401, "virtual_key_required")
        assert not it.house.seen


async def test_a_virtual_key_that_is_switched_off_sees_nothing() -> None:
    off = {**VIRTUAL, "is_active": False, "provider_configs": [lists_of("openai", ["*"], ["*"])]}
    tree = {"governance": {"virtual_keys": [off]}}
    governance = Governance.of_section(parse_tree(tree, {}).governance)
    async with door((OPENAI, listing("gpt-4o"))) as it:
        it.front._doors.views = attrs.evolve(it.front._doors.views, governance=governance)
        assert await it.ids(x_bf_vk="sk-bf-one") == []


@pytest.mark.parametrize("prefix", ["/langchain", "/litellm", "/pydanticai"])
async def test_below_a_shared_prefix_lists_are_as_their_vendor_has_them(prefix: str) -> None:
    async with door((OPENAI, listing("a"))) as it:
        lists = {
            path: await it.get(f"{prefix}{path}/models")
            for path in ("", "/v1", "/openai/v1", "/anthropic/v1", "/genai/v1", "/genai/v1beta", "/v1beta")
        }  # fmt: skip
        one = await it.get(f"{prefix}/anthropic/v1/models/openai/a")
        googles = await it.get(f"{prefix}/genai/v1beta/models/openai/a")

    assert {status for status, _ in (*lists.values(), one, googles)} == {200}
    for path in ("", "/v1", "/openai/v1"):
        assert lists[path][1]["object"] == "list"
    assert lists["/anthropic/v1"][1]["has_more"] is False
    assert lists["/anthropic/v1"][1]["data"] == [one[1]]
    for path in ("/genai/v1", "/genai/v1beta", "/v1beta"):
        assert lists[path][1]["models"] == [googles[1]]
    assert (one[1]["type"], googles[1]["name"]) == ("model", "models/openai/a")


@pytest.mark.parametrize(
    ("vendor", "member"),
    [("anthropic", "request_id"), ("bedrock", "__type"), ("cohere", "message"), ("genai", "error")],
)
async def test_and_so_are_failures(vendor: str, member: str) -> None:
    async with door((OPENAI, listing("a"))) as it:
        plain = await it.get(f"/{vendor}/nothing")
        shared = await it.get(f"/litellm/{vendor}/nothing")
        wrong = await it.ask("POST", f"/litellm/{vendor}/nothing")

    assert (plain[0], shared[0], wrong.status_code) == (404, 404, 404)
    assert [*shared[1]] == [*plain[1]]
    assert member in shared[1]


@pytest.mark.parametrize("vendor", ["anthropic", "genai"])
async def test_a_wrong_method_is_told_in_the_vendors_words(vendor: str) -> None:
    async with door((OPENAI, listing("a"))) as it:
        answer = await it.ask("POST", f"/pydanticai/{vendor}/v1/models")
        own = await it.ask("POST", f"/{vendor}/v1/models")
        told, expected = await answer.get_json(), await own.get_json()

    assert (answer.status_code, own.status_code) == (405, 405)
    assert [*told] == [*expected]
    assert [*told["error"]] == [*expected["error"]]
