"""What all providers of a foreign dialect share, shown with a dialect of three words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from bifrost.config.secret import Secret
from bifrost.config.settings import (
    CustomProviderSettings,
    KeySettings,
    NetworkSettings,
    ProviderSettings,
)
from bifrost.dialects.base import AnswerFacts, PlainAnswer
from bifrost.dialects.chat_request import read_chat
from bifrost.dialects.fields import Losses, mapped, sealed
from bifrost.dialects.foreign_stream import ForeignStream
from bifrost.dialects.hub import Answer, Conversation
from bifrost.dialects.openai_edit import Encoded
from bifrost.errors import (
    BadRequest,
    ConfigurationMissing,
    NetworkError,
    UnsupportedOperation,
    UpstreamError,
)
from bifrost.providers.foreign import Foreign, ForeignCoder, ForeignSpec, NativeCoder, foreign
from bifrost.record import Usage
from bifrost.schema.call import Call, Caller, Dialect, Native, Operation, Surface, Target
from providers.sent import sent_json

if TYPE_CHECKING:
    from bifrost.codecs import sse
    from bifrost.dialects.base import StreamDecoder
    from bifrost.dialects.hub import Teller
    from bifrost.providers.place import Place

TARGET = Target("toy", "m1")
FACTS = AnswerFacts(
    request_type="chat_completion",
    provider="toy",
    model_requested="m1",
    sent_s=1.0,
    sent_unix_s=9.0,
)
MESSAGES = json.dumps([{"role": "user", "content": "Hi"}]).encode()
FIELDS = {"temperature": mapped("heat")}


class ToyStream(ForeignStream):
    """Events are words; ``.`` is the end, ``!`` an error."""

    def _read(self, event: sse.SSEEvent, now_s: float) -> None:
        match event.data:
            case b".":
                self.conversation.count_tokens({"prompt_tokens": 1, "completion_tokens": 2})
                self.conversation.end(now_s)
            case b"!":
                self.conversation.fail(UpstreamError("it broke"))
            case word:
                self.conversation.begin(id="toy-1")
                self.conversation.say({"content": word.decode()}, now_s, raw=word)


def encode(call: Call, model: str, provider: str) -> Encoded:
    request = read_chat(call.members)
    body: dict[str, object] = {"who": model, "say": request.messages[-1].text}
    return sealed(body, request, Losses(), call, provider, fields=FIELDS)


def read(body: bytes, facts: AnswerFacts) -> Answer:
    message = {"role": "assistant", "content": json.loads(body)["said"]}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return Answer(value={"id": "x", "choices": choices, "usage": usage}, body=body)


def read_stream(facts: AnswerFacts, teller: Teller) -> StreamDecoder:
    return ToyStream(facts, Conversation(facts, teller))


def locate(
    base: Place, operation: Operation, model: str, key: KeySettings, *, stream: bool
) -> Place:
    return base.at(f"/{model}/{'stream' if stream else 'say'}")


SPEC = ForeignSpec(
    name="toy",
    dialect=Dialect.COHERE,
    base_url="https://toy.test",
    locate=locate,
    coders={
        Operation.CHAT: ForeignCoder(
            encode=encode,
            read=read,
            read_stream=read_stream,
            native=NativeCoder(
                encode=lambda call, model, provider: Encoded(b'{"native":1}'),
                relay=lambda body, facts: PlainAnswer(body=body),
                relay_stream=lambda facts: ToyStream(facts, Conversation(facts, ToyTeller())),
            ),
        )
    },
    credential=lambda key: ((b"x-toy", key.value.reveal().encode()),),
    headers=lambda call, body: ((b"toy-version", b"1"),),
    decode_models=lambda body: tuple({"id": name} for name in json.loads(body)),
)


@attrs.define
class ToyTeller:
    """Tells the words."""

    count: int = 0

    def tell(self, chunk: dict[str, Any], raw: bytes, now_s: float, out: list[bytes]) -> None:
        out.append(raw)
        self.count += 1

    def finish(self, head: dict[str, Any], usage: bytes, now_s: float, out: list[bytes]) -> None:
        out.append(b"<end>")


def toy(**more: Any) -> Foreign:
    return foreign(SPEC, ProviderSettings(name="toy", **more))


def key(**more: Any) -> KeySettings:
    return KeySettings(id="k", name="mine", value=Secret("secret-1234"), **more)


def call(**more: Any) -> Call:
    members = {"model": b'"toy/m1"', "messages": MESSAGES, **more.pop("members", {})}
    return Call(
        id="1",
        operation=more.pop("operation", Operation.CHAT),
        stream=more.pop("stream", False),
        target=TARGET,
        members=members,
        **more,
    )


def test_request_is_complete() -> None:
    request = toy().encode(call(), TARGET, key())

    assert (request.method, request.target) == (b"POST", b"/m1/say")
    assert sent_json(request) == {"who": "m1", "say": "Hi"}
    headers = dict(request.headers)
    assert headers[b"x-toy"] == b"secret-1234"
    assert headers[b"toy-version"] == b"1"
    assert headers[b"content-type"] == b"application/json"
    assert not request.is_native


def test_deployment_goes_instead_of_the_model() -> None:
    request = toy().encode(call(stream=True), TARGET, key(deployments={"m1": "d9"}))

    assert request.target == b"/d9/stream"
    assert request.model_deployment == "d9"


def test_what_is_lost_is_named_or_refused() -> None:
    members = {"temperature": b"0.5", "seed": b"7", "n": b"1", "extra_params": b'{"odd":1}'}

    assert toy().encode(call(members=members), TARGET, key()).dropped_params == (
        "extra_params.odd",
        "seed",
    )
    with pytest.raises(BadRequest, match=r"toy does not take: extra_params.odd, seed"):
        toy().encode(call(members=members, caller=Caller(strict=True)), TARGET, key())


def test_extra_params_go_in_where_that_is_asked_for() -> None:
    members = {"seed": b"7", "extra_params": b'{"odd":{"a":1},"who":"x","model":"y"}'}
    caller = Caller(passthrough_extra_params=True)

    request = toy().encode(call(members=members, caller=caller), TARGET, key())

    sent = sent_json(request)
    assert sent == {"who": "x", "say": "Hi", "odd": {"a": 1}, "seed": 7}
    assert request.dropped_params == ()


def test_callers_of_the_same_dialect_are_passed_through() -> None:
    native = Native(dialect=Dialect.COHERE, members={})
    request = toy().encode(call(native=native), TARGET, key())

    assert request.is_native
    assert request.body == b'{"native":1}'
    facts = attrs.evolve(FACTS, is_native=True, dialect=Dialect.COHERE)
    assert toy().decode_plain(b"as it came", facts).body == b"as it came"
    assert toy().stream_decoder(facts).feed(b"data: a\n\n", 2.0).data == b"a"


def test_callers_of_another_foreign_dialect_are_not() -> None:
    native = Native(dialect=Dialect.GEMINI, members={})

    assert not toy().encode(call(native=native), TARGET, key()).is_native


def test_headers_of_the_dialect_go_where_it_is_spoken() -> None:
    line = ("toy-beta", "b")
    for dialect in (Dialect.COHERE, Dialect.GEMINI):
        native = Native(dialect=dialect, members={}, headers=(line,))
        request = toy().encode(call(native=native), TARGET, key())

        assert ((b"toy-beta", b"b") in request.headers) is request.is_native


def test_what_had_no_word_in_chat_is_lost_and_named() -> None:
    asked = call(native=Native(dialect=Dialect.GEMINI, members={}), lost=("messages.content.x",))

    assert toy().encode(asked, TARGET, key()).dropped_params == ("messages.content.x",)


def test_responses_are_bridged() -> None:
    responses = call(operation=Operation.RESPONSES, members={"input": b'"Ho"', "store": b"true"})
    request = toy().encode(responses, TARGET, key())

    assert sent_json(request)["say"] == "Ho"
    facts = attrs.evolve(FACTS, operation=Operation.RESPONSES, request_type="responses")
    answer = json.loads(toy().decode_plain(b'{"said":"Hello"}', facts).body)
    assert answer["output"][0]["content"][0]["text"] == "Hello"


def test_what_it_has_not() -> None:
    adapter = toy()

    assert adapter.supports(Operation.CHAT, stream=True)
    assert not adapter.supports(Operation.EMBEDDING, stream=False)
    with pytest.raises(UnsupportedOperation, match="embedding is not supported by toy provider"):
        adapter.encode(call(operation=Operation.EMBEDDING), TARGET, key())


def test_custom_providers_may_be_kept_to_some_operations_and_moved() -> None:
    custom = CustomProviderSettings(
        base_provider_type="cohere",
        allowed_requests={"chat_completion": True},
        request_path_overrides={"chat_completion": "mine/chat"},
    )
    adapter = toy(custom=custom)

    assert not adapter.supports(Operation.CHAT, stream=True)
    assert adapter.encode(call(), TARGET, key()).target == b"/mine/chat"
    whole = attrs.evolve(custom, request_path_overrides={"chat_completion": "https://else.test/x"})
    assert toy(custom=whole).encode(call(), TARGET, key()).origin.host == "else.test"


@pytest.mark.parametrize("base_url", ["ftp://x", "https://", "https://a:b@c"])
def test_bad_addresses_are_told_at_once(base_url: str) -> None:
    with pytest.raises(ConfigurationMissing, match="provider toy"):
        toy(network=NetworkSettings(base_url=base_url))


def test_whole_answer_is_told_in_openais_words() -> None:
    plain = toy().decode_plain(b'{"said":"Hello"}', FACTS)

    told = json.loads(plain.body)
    assert told["choices"][0]["message"]["content"] == "Hello"
    assert told["extra_fields"]["provider"] == "toy"
    assert plain.usage == Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)


def events(data: bytes) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in data.decode().split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_stream_is_told_in_openais_words() -> None:
    decoder = toy().stream_decoder(FACTS)

    progress = decoder.feed(b"data: one\n\ndata: two\n\ndata: .\n\n", 2.0)

    assert progress.done
    assert progress.events == 3
    first, second, closing, done = events(progress.data)
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "one"}
    assert (first["id"], first["created"], first["model"]) == ("toy-1", 9, "m1")
    assert second["choices"][0]["delta"] == {"content": "two"}
    assert closing["usage"] == {"prompt_tokens": 1, "completion_tokens": 2}
    assert closing["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert done == "[DONE]"
    assert decoder.usage == Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    assert decoder.feed(b"data: late\n\n", 3.0).data == b""


def test_stream_that_is_cut_short_is_an_error() -> None:
    decoder = toy().stream_decoder(FACTS)
    decoder.feed(b"data: one\n\n", 2.0)

    progress = decoder.close(3.0)

    assert isinstance(progress.error, NetworkError)
    assert not progress.done


def test_error_in_a_stream_comes_after_what_was_said() -> None:
    progress = toy().stream_decoder(FACTS).feed(b"data: one\n\ndata: !\n\ndata: x\n\n", 2.0)

    assert b"one" in progress.data
    assert b'"x"' not in progress.data
    assert str(progress.error) == "it broke"


def test_stream_that_says_nothing_is_no_answer() -> None:
    decoder = ToyStream(FACTS, Conversation(FACTS, ToyTeller()))
    decoder.conversation.end(1.0)

    progress = decoder.conversation.take()

    assert isinstance(progress.error, UpstreamError)
    assert not progress.done


def test_models_and_refusals() -> None:
    assert toy().decode_models(b'["a"]') == ({"id": "a"},)
    error = toy().decode_error(429, (), b'{"error":{"message":"slow down, secret-1234"}}', key())
    assert (error.status, "secret-1234" in error.message) == (429, False)


def test_lists_are_asked_for_whatever_their_caller_speaks() -> None:
    listing = ForeignCoder(encode=encode, read=read, method=b"GET")
    spec = attrs.evolve(SPEC, coders={**SPEC.coders, Operation.LIST_MODELS: listing})
    asked = call(operation=Operation.LIST_MODELS, surface=Surface.GENAI)

    adapter = foreign(spec, ProviderSettings(name="toy"))

    assert adapter.encode(asked, TARGET, key()).method == b"GET"
