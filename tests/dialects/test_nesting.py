"""What is nested deeper than can be written is refused, wherever in a request it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bifrost.codecs.json import loads
from bifrost.dialects import bedrock_incoming, cohere_incoming, gemini_incoming
from bifrost.dialects.openai_edit import merge_extra
from bifrost.dialects.value_shape import written
from bifrost.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

DEEP = b'{"a":' * 400 + b"1" + b"}" * 400
SAID = b'{"role":"user","content":"hi"}'
CONVERSED = b'{"role":"user","content":[{"text":"hi"}]}'
ASKED = b'{"role":"user","parts":[{"text":"hi"}]}'


def converse(members: dict[str, bytes]) -> object:
    return bedrock_incoming.read_converse_request(members, "m")


@pytest.mark.parametrize(
    ("read", "members"),
    [
        (
            cohere_incoming.read_chat,
            {
                "messages": b"[%b]" % SAID,
                "tools": b'[{"function":{"name":"f","parameters":%b}}]' % DEEP,
            },
        ),
        (
            cohere_incoming.read_chat,
            {"messages": b'[{"role":"user","content":[{"type":"document","document":%b}]}]' % DEEP},
        ),
        (cohere_incoming.read_embed, {"inputs": b"[%b]" % DEEP}),
        (
            converse,
            {
                "messages": b"[%b]" % CONVERSED,
                "toolConfig": b'{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":%b}}}]}'
                % DEEP,
            },
        ),
        (
            converse,
            {
                "messages": b'[{"role":"assistant","content":[{"toolUse":{"toolUseId":"a","name":"f","input":%b}}]}]'
                % DEEP
            },
        ),
        (
            converse,
            {
                "messages": b'[{"role":"user","content":[{"toolResult":{"toolUseId":"a","content":[{"json":%b}]}}]}]'
                % DEEP
            },
        ),
        (
            gemini_incoming.read_generate,
            {
                "contents": b'[%b,{"role":"model","parts":[{"functionCall":{"name":"f","args":%b}}]}]'
                % (ASKED, DEEP)
            },
        ),
        (
            gemini_incoming.read_generate,
            {
                "contents": b'[%b,{"role":"model","parts":[{"functionCall":{"name":"f"}}]},'
                b'{"role":"user","parts":[{"functionResponse":{"name":"f","response":%b}}]}]'
                % (ASKED, DEEP)
            },
        ),
    ],
)
def test_deep_requests_are_refused(
    read: Callable[[dict[str, bytes]], object], members: dict[str, bytes]
) -> None:
    with pytest.raises(BadRequest, match="nested too deeply"):
        read(members)


def test_deep_extra_params_are_refused() -> None:
    with pytest.raises(BadRequest, match="nested too deeply"):
        merge_extra(b"{}", {"a": loads(DEEP)})


def test_what_can_be_written_is() -> None:
    assert written({"a": [1]}) == b'{"a":[1]}'
