"""What a Gemini caller says survives the gateway's words: read into them and said again, it is the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bifrost.dialects.gemini_incoming import read_generate
from bifrost.dialects.gemini_request import encode_chat
from bifrost.schema.call import Call, Operation, Target

Object = dict[str, Any]

WORDS = st.text(min_size=1, max_size=8)
ARGS: Any = st.dictionaries(WORDS, st.none() | st.integers(-9, 9) | WORDS, max_size=3)
SIGNATURES = st.sampled_from(["c2ln", "+/8=", "dGV4dA=="])

TEXT = st.fixed_dictionaries({"text": WORDS})
PICTURE = st.just({"inlineData": {"mimeType": "image/png", "data": "aGk="}})
SOUND = st.just({"inlineData": {"mimeType": "audio/wav", "data": "aGk="}})
DOCUMENT = st.just({"inlineData": {"mimeType": "application/pdf", "data": "aGk="}})
ASKED = st.lists(TEXT | PICTURE | SOUND | DOCUMENT, min_size=1, max_size=3)


@st.composite
def rounds(draw: Any) -> list[Object]:
    """A question, calls, what came of them, an answer."""
    calls, results = [], []
    for number in range(draw(st.integers(1, 3))):
        name, call_id = draw(st.sampled_from("fg")), f"c{number}"
        call = {"functionCall": {"id": call_id, "name": name, "args": draw(ARGS)}}
        calls.append(call | {"thoughtSignature": draw(SIGNATURES)})
        result = draw(ARGS)
        results.append({"functionResponse": {"id": call_id, "name": name, "response": result}})
    return [
        {"role": "user", "parts": draw(ASKED)},
        {"role": "model", "parts": calls},
        {"role": "user", "parts": results},
        {"role": "model", "parts": [{"text": draw(WORDS)}]},
    ]


def again(body: Object) -> Object:
    incoming = read_generate({name: json.dumps(value).encode() for name, value in body.items()})
    assert incoming.lost == ()
    call = Call(
        id="c",
        operation=Operation.CHAT,
        stream=False,
        target=Target("gemini", "m"),
        members=incoming.members,
    )
    sent = encode_chat(call, "gemini-2.5-flash", "gemini")
    assert sent.dropped == ()
    found: Object = json.loads(sent.body)
    return found


@given(rounds(), ASKED)
def test_contents(contents: list[Object], last: list[Object]) -> None:
    said = [*contents, {"role": "user", "parts": last}]

    assert again({"contents": said})["contents"] == said


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "maxOutputTokens": st.integers(1, 9),
            "temperature": st.sampled_from([0, 0.5, 1]),
            "topP": st.just(0.5),
            "topK": st.just(3),
            "seed": st.integers(0, 9),
            "candidateCount": st.just(2),
            "stopSequences": st.just(["a", "b"]),
            "presencePenalty": st.just(0.5),
            "frequencyPenalty": st.just(0.5),
            "responseMimeType": st.just("application/json"),
            "thinkingConfig": st.just({"thinkingBudget": 1024}),
        },
    )
)
def test_settings(config: Object) -> None:
    contents = [{"role": "user", "parts": [{"text": "x"}]}]

    told = again({"contents": contents, "generationConfig": config}).get("generationConfig", {})

    if "thinkingConfig" in config:
        assert told["thinkingConfig"].pop("includeThoughts") is True
    assert told == config
