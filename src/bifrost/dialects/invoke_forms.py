"""What a body of Bedrock's InvokeModel is: each family of models has words of its own, and the body says which.

Source: AWS, Amazon Bedrock user guide, "Inference request parameters and response fields for foundation models", 2026-11.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from bifrost.schema.call import RawMembers

__all__ = ["TEXT_FORMS", "Form", "TextForm", "form_of", "text_form_of"]


class Form(enum.Enum):
    """Whose words a body is in."""

    MESSAGES = "messages"
    """Anthropic's."""
    NOVA = "nova"
    """Converse's own, but for some names."""
    TITAN = "titan"
    LLAMA = "llama"
    MISTRAL = "mistral"
    COMMAND = "command"
    CLAUDE = "claude"
    """Before there were messages."""
    TITAN_EMBED = "titan-embed"
    COHERE_EMBED = "cohere-embed"
    RERANK = "rerank"
    IMAGE = "image"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class TextForm:
    """How a completion is asked for. ``fields`` are their names by OpenAI's; ``inside`` is the object they are in."""

    prompt: str
    fields: Mapping[str, str]
    inside: str = ""


def _text(prompt: str = "prompt", inside: str = "", **fields: str) -> TextForm:
    return TextForm(prompt=prompt, inside=inside, fields=MappingProxyType(fields))


TEXT_FORMS: Mapping[Form, TextForm] = MappingProxyType(
    {
        Form.TITAN: _text(
            prompt="inputText",
            inside="textGenerationConfig",
            max_tokens="maxTokenCount",
            temperature="temperature",
            top_p="topP",
            stop="stopSequences",
        ),
        Form.LLAMA: _text(max_tokens="max_gen_len", temperature="temperature", top_p="top_p"),
        Form.MISTRAL: _text(
            max_tokens="max_tokens",
            temperature="temperature",
            top_p="top_p",
            top_k="top_k",
            stop="stop",
        ),
        Form.COMMAND: _text(
            max_tokens="max_tokens",
            temperature="temperature",
            top_p="p",
            top_k="k",
            stop="stop_sequences",
        ),
        Form.CLAUDE: _text(
            max_tokens="max_tokens_to_sample",
            temperature="temperature",
            top_p="top_p",
            top_k="top_k",
            stop="stop_sequences",
        ),
    }
)
"""Those that complete a text."""

MODELS = (
    ("anthropic.claude-v2", Form.CLAUDE),
    ("anthropic.claude-instant", Form.CLAUDE),
    ("meta.llama", Form.LLAMA),
    ("mistral.", Form.MISTRAL),
    ("amazon.titan-text", Form.TITAN),
    ("amazon.titan-tg1", Form.TITAN),
    ("cohere.command-text", Form.COMMAND),
    ("cohere.command-light-text", Form.COMMAND),
)
"""By what is in a model's name: those who complete texts."""

OF_EMBEDDINGS = frozenset({"dimensions", "embeddingConfig", "embeddingTypes", "inputImage", "normalize"})  # fmt: skip
OF_NOVA = frozenset({"inferenceConfig", "schemaVersion", "toolConfig"})
OF_COMMAND = frozenset({"k", "num_generations", "p", "return_likelihoods", "stop_sequences", "truncate"})  # fmt: skip


def text_form_of(model: str) -> Form | None:
    """The words in which ``model`` of Bedrock's completes a text; ``None`` if it does not, as far as is known."""
    lowered = model.lower()
    return next((form for sign, form in MODELS if sign in lowered), None)


def form_of(members: RawMembers, model: str) -> Form:
    """What a body with ``members`` for ``model`` is, whoever is to serve it."""
    names, lowered = set(members), model.lower()
    if members.get("messages", b"").startswith(b"["):
        return Form.NOVA if "nova" in lowered or names & OF_NOVA else Form.MESSAGES
    if names & {"inputText", "inputImage"}:
        is_embedding = "embed" in lowered or names & OF_EMBEDDINGS
        return Form.TITAN_EMBED if is_embedding else Form.TITAN
    if "taskType" in names or "text_prompts" in names or "stability." in lowered:
        return Form.IMAGE
    if {"query", "documents"} <= names:
        return Form.RERANK
    if "texts" in names or "input_type" in names:
        return Form.COHERE_EMBED
    return _of_prompt(names, lowered) if "prompt" in names else Form.UNKNOWN


def _of_prompt(names: set[str], model: str) -> Form:
    known = text_form_of(model)
    if known is not None:
        return known
    if "max_tokens_to_sample" in names or "claude" in model:
        return Form.CLAUDE
    if "max_gen_len" in names or "llama" in model:
        return Form.LLAMA
    return Form.COMMAND if names & OF_COMMAND or "cohere" in model else Form.MISTRAL
