from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.gateways import KINDS, PATHS, Gateway, Route, direct
from bench.measures import MEASURES, Book, Running
from bench.upstream import Upstream, locations

if TYPE_CHECKING:
    from pathlib import Path

AT = Upstream(8001, 8002)


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("plain", {"messages", "max_tokens", "temperature"}),
        ("governed", {"messages", "max_tokens", "temperature"}),
        ("stream", {"messages", "max_tokens", "temperature", "stream"}),
        ("paced", {"messages", "max_tokens", "temperature", "stream"}),
        ("translated", {"messages", "max_tokens", "temperature", "stream"}),
        ("responses", {"instructions", "input", "max_output_tokens", "temperature"}),
        ("embeddings", {"input", "dimensions", "encoding_format"}),
    ],
)
def test_each_kind_is_asked_for_in_its_own_words(kind: str, members: set[str]) -> None:
    body = json.loads(Route(1, "/", "m").body(kind))

    assert body.pop("model") == "m"
    assert set(body) == members


def test_a_question_is_filled_up() -> None:
    assert len(Route(1, "/", "m").body("plain", 100_000)) > 100_000


def test_the_direct_call_has_every_kind_but_the_translated_one_at_its_own_address() -> None:
    routes = direct(AT).routes

    assert set(routes) == set(KINDS) - {"translated", "governed"}
    assert len({(route.port, route.path) for route in routes.values()}) == len(routes)


def test_nginx_takes_every_answer_out_of_its_configuration() -> None:
    text = locations()

    assert all(f"location = /plain{path} {{" in text for path in PATHS.values())
    # The limit of one word in it.
    assert max(map(len, text.split("return 200 "))) < 4096


@pytest.mark.parametrize("item", ["responses", "embeddings"])
def test_a_gateway_without_the_route_gets_no_figure(item: str, tmp_path: Path) -> None:
    book = Book()
    alone = Gateway("some", "1", {"plain": Route(1, "/", "m")})

    MEASURES[item](Running(alone, None, tmp_path), book, item, 1)

    assert (book.samples, book.invalid) == ({}, [])
