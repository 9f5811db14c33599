from __future__ import annotations

import gzip

import pytest

from bifrost.config.settings import ClientSettings
from bifrost.errors import BadRequest, BodyTooLarge
from bifrost.governance.expressions import Mentions
from bifrost.integrations import native, openai
from bifrost.integrations.base import MAX_QUERY, Request, caller_of, unpack
from bifrost.integrations.headers import HeaderRules
from bifrost.schema.call import Operation, Surface


@pytest.mark.parametrize("coding", ["gzip", "GZIP ", "identity", ""])
def test_a_body_is_unpacked(coding: str) -> None:
    sent = gzip.compress(b"{}") if "g" in coding.lower() else b"{}"

    assert unpack(sent, coding, 2) == b"{}"


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"{}", "gzip"),
        (gzip.compress(b"{}")[:-3], "gzip"),
        (b"{}", "lzma"),
        (gzip.compress(gzip.compress(b"{}")), "gzip, gzip"),
        (b"{}", "\xff"),
    ],
)
def test_a_broken_body_is_refused(body: bytes, coding: str) -> None:
    with pytest.raises(BadRequest, match=r"^invalid compressed request body: ") as caught:
        unpack(body, coding, 100)

    assert caught.value.status == 400


def test_a_body_that_grows_too_large_is_refused() -> None:
    bomb = gzip.compress(bytes(10_000_000))

    with pytest.raises(BodyTooLarge) as caught:
        unpack(bomb, "gzip", 1000)

    told = "decompressed request body exceeds max allowed size of 1000 bytes"
    assert caught.value.message == told
    assert caught.value.status == 413


def test_every_operation_has_its_routes_on_each_surface() -> None:
    routes = {route.path: route for route in (*openai.ROUTES, *native.ROUTES)}
    named = {path: route.operation for path, route in routes.items() if path.startswith("/v1/")}

    assert len(routes) == len(openai.ROUTES) + len(native.ROUTES)
    for path, operation in named.items():
        assert routes[path].integration.surface is Surface.NATIVE
        for alias in (f"/openai{path}", f"/openai{path.removeprefix('/v1')}"):
            assert routes[alias].operation is operation
            assert routes[alias].integration.surface is Surface.OPENAI
    others = {op for op in Operation if op.value.startswith(("file_", "batch_", "list_", "pass"))}
    others.add(Operation.VIDEO)  # its routes are relayed
    assert set(named.values()) == set(Operation) - others


def test_a_request_does_not_show_its_headers_or_body() -> None:
    request = Request(
        id="r",
        route=native.ROUTES[0],
        headers=((b"authorization", b"secret"),),
        body=b"secret",
        remote_addr="",
        received_s=0.0,
    )

    assert "secret" not in repr(request)


def asked(wanted: Mentions, query: str) -> dict[str, str]:
    """What routing rules see of ``query``."""
    request = Request(
        id="r",
        route=native.ROUTES[0],
        headers=(),
        body=b"",
        remote_addr="",
        received_s=0.0,
        query=query,
    )
    return dict(caller_of(request, HeaderRules.of(ClientSettings(), wanted)).rule_params)


def test_rules_see_the_query_if_they_ask_for_it_but_no_credentials() -> None:
    query = "Region=eu%20west&empty=&key=AIza&access_token=t&oauth_token=t"

    assert asked(Mentions(params=True), query) == {"region": "eu west", "empty": ""}
    assert asked(Mentions(None), query) == {}


def test_only_where_rules_ask_for_it_is_a_query_bounded() -> None:
    long = "a" * (MAX_QUERY + 1)

    assert asked(Mentions(), long) == {}
    with pytest.raises(BadRequest, match="too long"):
        asked(Mentions(params=True), long)
