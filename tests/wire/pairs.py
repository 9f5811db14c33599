"""Recorded exchanges, both sides of the gateway: what comes in, and what goes out for it, without a loop or a socket.

A folder below ``tests/recorded/wire`` is one exchange. ``asked.json`` is the caller's request and ``answer.…`` the
upstream's answer (none where that is relayed as bytes), both written by hand; ``sent.http`` and ``told.…`` are what the gateway makes of them.
``PYTHONPATH=tests python -m wire.pairs`` writes those two anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import trio

from bifrost.catalog import Catalog
from bifrost.codecs.multipart import encode_form, form_content_type
from bifrost.config.key_configs import BedrockKeySettings
from bifrost.config.secret import Secret
from bifrost.config.settings import (
    ClientSettings,
    Config,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts
from bifrost.integrations.base import Request
from bifrost.integrations.headers import HeaderRules
from bifrost.integrations.manners import manner_of
from bifrost.integrations.mounted import FINDER
from bifrost.integrations.object_routes import operation_of
from bifrost.integrations.relay import changed_form, relay_request
from bifrost.integrations.relay_routes import Relayed, Understood, classify
from bifrost.providers.table import build_adapter
from bifrost.schema.call import Call, Relay, Surface
from bifrost.schema.payload import BytesPayload, Field, File, Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bifrost.providers.base import Adapter, UpstreamRequest

__all__ = ["FOLDER", "Pair", "call_of", "pairs"]

FOLDER = Path(__file__).parents[1] / "recorded/wire"
ADDRESSES = {
    "openai": None,
    "groq": None,
    "vllm": "http://127.0.0.1:8000",
    "anthropic": None,
    "bedrock": None,
    "cohere": None,
    "gemini": None,
}
KEY = KeySettings(
    id="k",
    name="recorded",
    value=Secret("sk-recorded"),
    bedrock=BedrockKeySettings(region="eu-west-1"),
)
BOUNDARY = b"bifrost-recorded"
STREAMS = {".sse", ".eventstream"}
ASKED_S, ANSWERED_S = 0.0, 0.25

CONFIG = Config(
    providers={
        name: ProviderSettings(name=name, keys=(KEY,), network=NetworkSettings(base_url=url))
        for name, url in ADDRESSES.items()
    }
)
CATALOG = Catalog.of(CONFIG)
RULES = HeaderRules.of(ClientSettings())


@attrs.frozen
class Pair:
    """One recorded exchange."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def made(self) -> dict[str, bytes]:
        """The files that the gateway makes, by their names."""
        call = call_of(self)
        adapter = build_adapter(CONFIG.providers[call.target.provider])
        request = adapter.encode(call, call.target, KEY)
        made = {"sent.http": _sent(request)}
        for answer in self.folder.glob("answer*"):
            told = _told(answer, call, adapter, request)
            made[_told_name(answer, call)] = told
        return made

    def recorded(self) -> dict[str, bytes]:
        """The same as they are kept."""
        kept = (path for path in self.folder.iterdir() if path.name.startswith(("sent", "told")))
        return {path.name: path.read_bytes() for path in kept}

    def write(self) -> None:
        for name, text in self.made().items():
            (self.folder / name).write_bytes(text)


def pairs() -> list[Pair]:
    return [Pair(path.parent) for path in sorted(FOLDER.glob("*/asked.json"))]


def call_of(pair: Pair) -> Call:
    """The call that its request is read as."""
    asked: dict[str, Any] = json.loads((pair.folder / "asked.json").read_text())
    path = asked["path"]
    headers = tuple((n.encode(), v.encode()) for n, v in asked.get("headers", {}).items())
    form = _form(asked["form"]) if "form" in asked else None
    body = json.dumps(asked["body"], ensure_ascii=False).encode() if "body" in asked else b""
    method = asked.get("method", "POST")
    bare, _, query = path.partition("?")
    found = FINDER.find(bare)
    if found is None:
        return _relayed(method, path, headers, body, form)
    route, params = found
    request = Request(
        id="call-1",
        route=route,
        params=params,
        query=query,
        headers=headers,
        body=body,
        remote_addr="192.0.2.1",
        received_s=ASKED_S,
        form=form,
        boundary=BOUNDARY,
    )
    return request.route.parse(request, CATALOG, RULES)


def _form(parts: list[dict[str, str]]) -> Form:
    return tuple(map(_part, parts))


def _part(part: Mapping[str, str]) -> Field | File:
    name, text = part["name"], part["text"].encode()
    if "filename" not in part:
        return Field(name, text)
    kind = part["type"].encode()
    return File(name, part["filename"].encode(), kind, BytesPayload(text))


def _relayed(
    method: str,
    target: str,
    headers: tuple[tuple[bytes, bytes], ...],
    body: bytes,
    form: Form | None,
) -> Call:
    """A request that goes on to the provider as it came."""
    path, _, query = target.partition("?")
    found = classify(method, path)
    route = found.onward if isinstance(found, Understood) else found
    assert isinstance(route, Relayed)
    kind = b"application/json" if body else b""
    lines = (*headers, (b"content-type", kind)) if kind else headers
    caller = RULES.read(lines, "192.0.2.1")
    read = relay_request(
        route,
        method,
        query.encode(),
        lines,
        caller=caller,
        catalog=CATALOG,
        forwarding=RULES.forwarding,
        json=body,
        fields=tuple((p.name, p.value) for p in form or () if isinstance(p, Field)),
    )
    onward = Relay(
        method=method,
        path=read.route.path,
        query=read.query,
        content_type=read.content_type if form is None else form_content_type(BOUNDARY),
        body=read.json
        if form is None
        else encode_form(changed_form(form, read.form_changes), BOUNDARY),
    )
    return Call(
        id="call-1",
        operation=operation_of(method, route.template),
        stream=read.stream,
        target=read.target,
        relay=onward,
        caller=attrs.evolve(caller, extra_headers=read.headers),
        surface=Surface.OPENAI,
    )


def _sent(request: UpstreamRequest) -> bytes:
    """The request as text: a line's end is one character, also in a form."""
    first = b"%b %b" % (request.method, request.target)
    lines = [first, *(b"%b: %b" % pair for pair in request.headers), b"", b""]
    body = request.body if isinstance(request.body, bytes) else trio.run(_joined, request.body)
    return b"\n".join(lines) + body.replace(b"\r\n", b"\n")


async def _joined(payload: Any) -> bytes:
    return b"".join([block async for block in payload.blocks()])


def _told_name(answer: Path, call: Call) -> str:
    """``told`` and how its caller's dialect frames it."""
    suffix = answer.suffix
    if suffix in STREAMS:
        suffix = ".eventstream" if call.surface is Surface.BEDROCK else ".sse"
    return answer.stem.replace("answer", "told") + suffix


def _told(path: Path, call: Call, adapter: Adapter, request: UpstreamRequest) -> bytes:
    """What the caller gets."""
    answer = path.read_bytes()
    facts = AnswerFacts(
        request_type=call.request_type,
        provider=call.target.provider,
        model_requested=call.target.model,
        sent_s=ASKED_S,
        received_s=ANSWERED_S,
        operation=call.operation,
        dialect=call.surface.dialect,
        is_native=request.is_native,
        members=call.members,
        native=call.native,
        dropped_params=request.dropped_params,
        model_deployment=request.model_deployment,
    )
    manner = manner_of(call.surface)
    if path.suffix in STREAMS:
        return _streamed(answer, call, adapter, facts)
    if (status := path.stem.partition("-")[2]).isdigit():
        error = adapter.decode_error(int(status), (), answer, KEY)
        return manner.body(error, call=call, target=call.target)
    plain = adapter.decode_plain(answer, facts)
    if plain.error is not None:
        return manner.body(plain.error, call=call, target=call.target)
    return plain.body


def _streamed(answer: bytes, call: Call, adapter: Adapter, facts: AnswerFacts) -> bytes:
    decoder = adapter.stream_decoder(facts)
    told = [progress := decoder.feed(answer, ANSWERED_S)]
    if not progress.done and progress.error is None:
        told.append(progress := decoder.close(ANSWERED_S))
    data = b"".join(progress.data for progress in told)
    if progress.error is None:
        return data
    return data + manner_of(call.surface).event(progress.error, call=call, target=call.target)


def _write() -> Iterator[str]:
    for pair in pairs():
        pair.write()
        yield pair.name


if __name__ == "__main__":
    print(*_write(), sep="\n")  # noqa: T201  what it is for
