from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bifrost.config.settings import Config
from bifrost.errors import BadRequest
from bifrost.http.doors import compile_views
from bifrost.http.inference import parsed
from bifrost.integrations.base import InferenceRoute, Request
from bifrost.integrations.openai import OPENAI
from bifrost.schema.call import Call, Operation, Target
from bifrost.schema.payload import LARGE_BYTES

if TYPE_CHECKING:
    from bifrost.catalog import Catalog
    from bifrost.integrations.headers import HeaderRules

VIEWS = compile_views(Config())


def request(size: int, model: str = "m") -> Request:
    def parse(asked: Request, catalog: Catalog, rules: HeaderRules) -> Call:
        assert (catalog, rules) == (VIEWS.catalog, VIEWS.headers)
        if not model:
            raise BadRequest("model is required")
        # The thread, for want of a better place.
        name = str(threading.get_ident())
        return Call(id=asked.id, operation=Operation.CHAT, stream=False, target=Target("p", name))

    route = InferenceRoute(path="/x", operation=Operation.CHAT, integration=OPENAI, parse=parse)
    return Request(
        id="r", route=route, headers=(), body=b" " * size, remote_addr="", received_s=0.0
    )


@pytest.mark.parametrize(("size", "is_here"), [(LARGE_BYTES - 1, True), (LARGE_BYTES, False)])
async def test_a_large_body_is_read_in_a_thread(size: int, is_here: bool) -> None:
    """So that others need not wait for it."""
    call = await parsed(request(size), VIEWS)

    assert (call.target.model == str(threading.get_ident())) is is_here


async def test_what_is_wrong_with_a_large_body_is_told_all_the_same() -> None:
    with pytest.raises(BadRequest, match="model is required"):
        await parsed(request(LARGE_BYTES, model=""), VIEWS)
