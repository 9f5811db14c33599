"""docs/openai-routes.md, made of the SDK's routes and the gateway's tables."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from bifrost.integrations.relay_routes import Refused, Relayed, Understood, classify
from sdk.routes import Route, routes

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PAGE", "main", "page", "word"]

PAGE = Path(__file__).parents[2] / "docs/openai-routes.md"

HEAD = """\
# The OpenAI SDK, method by method

What becomes of each method of the `openai` Python package when its client has `base_url=http://…/openai/v1` (or
`/openai`, or `/openai/openai/v1`). This page is made by `scripts/sdk-routes`; the tables that it is made of are in
`integrations/relay_routes.py`.

* **understood**: the gateway reads the request. Every configured provider that has the operation can serve it; models are
  chosen, failures fall back, usage is counted.
* **relayed**: the request goes on as it came, plain, streamed or multipart, to provider `openai`, or to the one that the
  query, the header `x-model-provider`, or the body's member `provider` names (`extra_query={{"provider": "groq"}}`,
  `extra_body=…`; it is taken out on the way). It takes a key from the same pool and is limited and recorded like every
  other. Where the path, the body or the query names an object that the gateway has seen made, it takes the key that made
  it. The answer comes back as it is.
* **refused**: 403 `admin_route_refused`. These routes govern an account: its people, keys, money and secrets. They are
  relayed like the others if `client.relay_admin_routes` is on.

Of {total} methods {understood} are understood, {relayed} relayed and {refused} refused. A route that is not here, because it
is newer than the SDK or another provider's own, is relayed. So is another method on a route that is relayed; one on a route
that is only understood is refused with 405. WebSocket connections are no HTTP routes and not part of this table:
`client.responses.connect` is served (`websocket.md`), `client.realtime.connect` and `client.live.connect` are not.

A path is refused with 400 if it could mean something else to somebody on the way: segments of dots or none, encoded
slashes, backslashes, percent signs, question marks and hashes, semicolons, control characters, anything beyond ASCII; one
of more than 2,048 bytes with 414.

| Method of `client` | Route | What becomes of it |
|---|---|---|
"""


def word(route: Route) -> str:
    """``understood``, ``relayed`` or ``refused``."""
    path = f"/openai/v1/{route.shape.replace('{id}', 'id')}"
    match classify(route.method, path):
        case Understood():
            return "understood"
        case Relayed():
            return "relayed"
        case Refused():
            return "refused"
        case other:
            assert_never(other)


def page(found: Iterable[Route]) -> str:
    """The whole page."""
    told = [(route, word(route)) for route in found]
    counts = Counter(what for _, what in told)
    rows = (
        f"| `{route.sdk_name}` | `{route.method} /{route.shape}` | {what} |\n"
        for route, what in told
    )
    return HEAD.format(total=len(told), **counts) + "".join(rows)


def main() -> int:
    """Write the page; with ``--check`` only say whether it is up to date."""
    parser = argparse.ArgumentParser(prog="scripts/sdk-routes", description=main.__doc__)
    parser.add_argument("--check", action="store_true")
    is_check = parser.parse_args().check
    text = page(routes())
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    if is_check:
        sys.stdout.write("docs/openai-routes.md is out of date: run scripts/sdk-routes\n")
        return 1
    PAGE.write_text(text)
    sys.stdout.write("wrote docs/openai-routes.md\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
