from __future__ import annotations

from collections import Counter
from functools import reduce

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.errors import ErrorClass
from bifrost.integrations.relay_routes import (
    ADMIN,
    METHODS,
    PREFIXES,
    RELAYED,
    UNDERSTOOD,
    Refused,
    Relayed,
    Understood,
    classify,
)
from sdk.page import PAGE, page, word
from sdk.routes import Route, routes, routes_of

SDK = routes()


def example(shape: str) -> str:
    return f"/openai/v1/{shape.replace('{id}', 'x-1')}"


def name_of(route: Route) -> str:
    verdict = classify(route.method, example(route.shape))
    if isinstance(verdict, Refused):
        return "administration" if verdict.status == 403 else verdict.why
    return verdict.template.replace("{path}", "{id}")


def test_every_route_of_the_sdk_has_a_name() -> None:
    without = [
        route
        for route in SDK
        if name_of(route) not in {f"/openai/v1/{route.shape}", "administration"}
    ]

    assert without == [], "name them in RELAYED or ADMIN of integrations/relay_routes.py"


def test_every_route_was_read_from_a_method_that_there_is() -> None:
    client = openai.OpenAI(api_key="k")
    methods = [reduce(getattr, route.sdk_name.split("."), client) for route in SDK]

    assert all(map(callable, methods))


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(SDK), "run scripts/sdk-routes"


def test_the_sdk_has_as_many_routes_as_were_counted_by_hand() -> None:
    # Of 3.57. A number far off means that the reader no longer understands the SDK's source.
    assert len({(route.method, route.shape) for route in SDK}) > 370
    assert Counter(map(word, SDK)).keys() == {"understood", "relayed", "refused"}


def test_all_that_is_understood_is_asked_for_by_the_sdk_or_is_our_own() -> None:
    asked = {(route.method, route.shape) for route in SDK}

    understood = {(method, shape.replace("{path}", "{id}")) for method, shape in UNDERSTOOD}
    assert understood - asked == {("GET", "batches/{id}/results")}


def test_all_that_has_a_name_is_asked_for_by_the_sdk() -> None:
    assert {route.shape for route in SDK} >= RELAYED


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_prefix_means_the_same(prefix: str) -> None:
    assert classify("POST", f"{prefix}embeddings") == Understood("/openai/v1/embeddings")
    assert classify("GET", f"{prefix}vector_stores/vs_1/files/file-1") == Relayed(
        "/openai/v1/vector_stores/{id}/files/{id}",
        "vector_stores",
        "/v1/vector_stores/vs_1/files/file-1",
        ("vs_1", "file-1"),
    )


@pytest.mark.parametrize(
    ("method", "shape", "template", "ids"),
    [
        ("POST", "threads/runs", "threads/runs", ()),
        ("GET", "threads/thread_1", "threads/{id}", ("thread_1",)),
        ("GET", "threads/runs/x", "threads/{other}", ("runs", "x")),
        ("GET", "agents/sessions", "agents/sessions", ()),
        ("GET", "agents/agent_1", "agents/{id}", ("agent_1",)),
        ("GET", "chat/completions", "chat/completions", ()),
        ("DELETE", "models/ft:a:b", "models/{id}", ("ft:a:b",)),
        ("PUT", "files/file-1/unheard/of", "files/{other}", ("file-1", "unheard", "of")),
        ("PATCH", "vector_stores", "vector_stores", ()),
        ("HEAD", "videos/video_1/content", "videos/{id}/content", ("video_1",)),
        ("GET", "skills/a%20b", "skills/{id}", ("a b",)),
        ("GET", "embeddings/x", "embeddings/{other}", ("x",)),
    ],
)
def test_a_relayed_route_has_a_template_and_ids(
    method: str, shape: str, template: str, ids: tuple[str, ...]
) -> None:
    verdict = classify(method, f"/openai/v1/{shape}")

    family = shape.partition("/")[0]
    assert verdict == Relayed(f"/openai/v1/{template}", family, f"/v1/{shape}", ids)


def test_a_family_that_nobody_knows_is_relayed_too() -> None:
    verdict = classify("PATCH", "/openai/v1/dreams/dream_1/images")

    assert verdict == Relayed(
        "/openai/v1/{other}", "other", "/v1/dreams/dream_1/images", ("dream_1", "images")
    )


def test_a_model_may_have_slashes_in_its_name() -> None:
    assert classify("GET", "/openai/v1/models/a/b/c") == Understood("/openai/v1/models/{path}")


ADMINISTRATIVE = [
    "organization/users",
    "organization",
    "organizations",
    "projects/p/roles",
    "vaults",
    "vaults/v/credentials",
    "webhook_endpoints/w/rotate_secret",
    "webhooks",
    "dashboard/billing/usage",
    "fine_tuning/checkpoints/ft:x/permissions",
    "fine_tuning/checkpoints/ft:x/permissions/p",
    "fine_tuning/Checkpoints/ft:x/Permissions",
    "fine_tuning/checkpoints/ft:x/permissions%20",
    "fine_tuning/checkpoints/ft:x/permissions.",
]


@pytest.mark.parametrize("shape", ADMINISTRATIVE)
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_administration_is_refused(shape: str, prefix: str, method: str) -> None:
    verdict = classify(method, f"{prefix}{shape}")

    assert isinstance(verdict, Refused)
    error = verdict.error()
    assert (error.status, error.code) == (403, "admin_route_refused")
    assert error.error_class is ErrorClass.DENIED
    assert "client.relay_admin_routes" in error.message


@pytest.mark.parametrize("shape", ADMINISTRATIVE)
def test_administration_is_relayed_where_the_operator_says_so(shape: str) -> None:
    verdict = classify("GET", f"/openai/v1/{shape}", relay_admin=True)

    family = shape.partition("/")[0]
    assert verdict == Relayed(f"/openai/v1/{family}/{{other}}", family, f"/v1/{shape}")


@pytest.mark.parametrize(
    "path",
    [
        "/openai",
        "/openai/v1",
        "/openai/v1/v1/files",
        "/openai/v2/files",
        "/openai/v1beta/files",
        "/openai/openai/openai/files",
        "/openai/v1/openai/organization",
        "/openai/v1/openai",
        "/openai/v1/Organization/users",
        "/openai/v1/ORGANIZATION",
        "/openai/v1/organization%20/users",
        "/openai/v1/organization./users",
        "/openai/v1/@evil",
        "/openai/v1/a",
        "/openai/deployments/d/chat/completions",
        "/openai/v1/deployments",
        "/v1/files",
        "/anthropic/v1/messages",
        "/openai/v1/" + "a" * 65,
    ],
)
def test_what_is_no_family_is_not_found(path: str) -> None:
    verdict = classify("GET", path)

    assert isinstance(verdict, Refused)
    assert (verdict.error().status, verdict.error().message) == (404, f"Route not found: {path}")


@pytest.mark.parametrize(
    ("method", "shape", "allow"),
    [
        ("GET", "embeddings", ("POST", "OPTIONS")),
        ("PUT", "files", ("GET", "POST", "OPTIONS")),
        ("HEAD", "files/file-1", ("DELETE", "GET", "OPTIONS")),
        ("GET", "batches/b/cancel", ("POST", "OPTIONS")),
        ("TRACE", "vector_stores", (*METHODS, "OPTIONS")),
        ("CONNECT", "embeddings", (*METHODS, "OPTIONS")),
        ("get", "embeddings", (*METHODS, "OPTIONS")),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(
    method: str, shape: str, allow: tuple[str, ...]
) -> None:
    verdict = classify(method, f"/openai/v1/{shape}")

    assert isinstance(verdict, Refused)
    assert (verdict.error().status, verdict.allow) == (405, allow)


SEGMENTS = st.sampled_from(
    sorted({part for shape in RELAYED | ADMIN for part in shape.split("/")} | {"a", "b", "zz"})
)


@given(st.sampled_from(METHODS), st.lists(SEGMENTS, min_size=1, max_size=8), st.booleans())
def test_templates_are_of_a_bounded_number(method: str, segments: list[str], admin: bool) -> None:
    known = {f"/openai/v1/{shape}" for shape in RELAYED | {shape for _, shape in UNDERSTOOD}}
    families = {template.split("/")[3] for template in known} | {s.split("/")[0] for s in ADMIN}
    catch_all = {"/openai/v1/{other}", *(f"/openai/v1/{family}/{{other}}" for family in families)}

    verdict = classify(method, f"/openai/v1/{'/'.join(segments)}", relay_admin=admin)

    if isinstance(verdict, Relayed):
        assert verdict.family in families | {"other"}
        assert verdict.path == f"/v1/{'/'.join(segments)}"
    if not isinstance(verdict, Refused):
        assert verdict.template in known | catch_all


SOURCE = """
class Things:
    def get(self, a):
        return self._get(f"/things/{a}?beta=true", cast_to=int)
    def search(self):
        return self._get_api_list("/things/search", page=P, method="post")
    def change(self, a):
        return self._patch(path_template("/things/{a}", a=a))
    def put(self):
        return self._put(path="/things")
    def other(self):
        return other._get("/elsewhere"), self.get("/elsewhere"), get("/elsewhere")
class AsyncThings:
    async def get(self, a):
        return await self._get("/async")
"""


def test_routes_are_read_from_source() -> None:
    assert list(routes_of(SOURCE, "things")) == [
        Route("things/{id}", "GET", "things.get"),
        Route("things/search", "POST", "things.search"),
        Route("things/{id}", "PATCH", "things.change"),
        Route("things", "PUT", "things.put"),
    ]


@pytest.mark.parametrize("call", ["self._get(path)", "self._get()", "self._get(1)"])
def test_a_route_that_cannot_be_read_is_not_passed_over(call: str) -> None:
    source = f"class Things:\n    def get(self, path):\n        return {call}\n"

    with pytest.raises(ValueError, match=r"things\.get: no path that can be read"):
        list(routes_of(source, "things"))
