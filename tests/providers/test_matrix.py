"""The matrix of who has what: whatever a provider has not is refused before anything is sent."""

from __future__ import annotations

import pytest

from bifrost.config.settings import KeySettings, NetworkSettings, ProviderSettings
from bifrost.errors import UnsupportedOperation
from bifrost.providers.table import BUILT, FOREIGN, MIXED, build_adapter
from bifrost.schema.call import Call, Operation, Target

Op = Operation

COLUMNS = (
    (Op.LIST_MODELS, False), (Op.TEXT, False), (Op.TEXT, True), (Op.CHAT, False), (Op.CHAT, True),
    (Op.RESPONSES, False), (Op.RESPONSES, True), (Op.EMBEDDING, False), (Op.RERANK, False), (Op.SPEECH, False),
    (Op.SPEECH, True), (Op.TRANSCRIPTION, False), (Op.TRANSCRIPTION, True), (Op.IMAGE, False), (Op.IMAGE, True),
    (Op.IMAGE_EDIT, False), (Op.IMAGE_EDIT, True), (Op.IMAGE_VARIATION, False), (Op.COUNT_TOKENS, False),
)  # fmt: skip
"""Operations, plain and streamed."""

MATRIX = {
    #               list text   chat   resp   emb rrk tts    stt    img    edit   var cnt
    "openai":      "1    1 1    1 1    1 1    1   0   1 1    1 1    1 1    1 1    1   1",
    "azure":       "1    1 1    1 1    1 1    1   0   1 1    1 0    1 1    1 1    0   1",
    "cohere":      "1    0 0    1 1    1 1    1   1   0 0    0 0    0 0    0 0    0   1",
    "gemini":      "1    0 0    1 1    1 1    1   0   1 1    1 1    1 0    1 0    0   1",
    "vertex":      "1    0 0    1 1    1 1    1   0   0 0    0 0    1 0    1 0    0   1",
    "mistral":     "1    0 0    1 1    1 1    1   0   0 0    1 1    0 0    0 0    0   0",
    "groq":        "1    0 0    1 1    1 1    0   0   1 0    1 0    0 0    0 0    0   0",
    "openrouter":  "1    1 1    1 1    1 1    0   0   0 0    0 0    0 0    0 0    0   0",
    "xai":         "1    1 1    1 1    1 1    0   0   0 0    0 0    1 0    0 0    0   0",
    "cerebras":    "1    1 1    1 1    1 1    0   0   0 0    0 0    0 0    0 0    0   0",
    "fireworks":   "1    0 0    1 1    1 1    0   0   0 0    0 0    0 0    0 0    0   0",
    "parasail":    "1    0 0    1 1    1 1    0   0   0 0    0 0    0 0    0 0    0   0",
    "nebius":      "1    1 1    1 1    1 1    1   0   0 0    0 0    1 0    0 0    0   0",
    "ollama":      "1    1 1    1 1    1 1    1   0   0 0    0 0    0 0    0 0    0   0",
    "sgl":         "1    1 1    1 1    1 1    1   0   0 0    0 0    0 0    0 0    0   0",
    "vllm":        "1    1 1    1 1    1 1    1   1   0 0    1 1    0 0    0 0    0   0",
    "perplexity":  "0    0 0    1 1    1 1    0   0   0 0    0 0    0 0    0 0    0   0",
    "huggingface": "1    0 0    1 1    1 1    1   0   1 0    1 0    1 0    1 0    0   0",
    "replicate":   "1    1 1    1 1    1 1    0   0   0 0    0 0    1 1    1 1    0   0",
    "elevenlabs":  "1    0 0    0 0    0 0    0   0   1 1    1 0    0 0    0 0    0   0",
}  # fmt: skip

ELSEWHERE = frozenset({"mock", "anthropic", "bedrock"})
"""Rows that other tests hold to what they have."""

CELLS = [
    (name, operation, stream, has == "1")
    for name, row in MATRIX.items()
    for (operation, stream), has in zip(COLUMNS, row.split(), strict=True)
]


def test_every_provider_that_is_built_has_its_line() -> None:
    assert {*BUILT, *FOREIGN, *MIXED} - ELSEWHERE == set(MATRIX)


@pytest.mark.parametrize(("name", "operation", "stream", "has"), CELLS)
def test_what_a_provider_has_not_is_refused_without_a_request(
    name: str, operation: Operation, stream: bool, has: bool
) -> None:
    network = NetworkSettings(base_url="https://upstream.example")
    adapter = build_adapter(ProviderSettings(name=name, network=network))

    assert adapter.supports(operation, stream=stream) is has
    if not has:
        call = Call(id="1", operation=operation, stream=stream, target=Target(name, "m"))
        with pytest.raises(UnsupportedOperation) as caught:
            adapter.encode(call, call.target, KeySettings(id="k", name="k"))
        assert caught.value.code == "unsupported_operation"
        assert f"is not supported by {name} provider" in caught.value.message
