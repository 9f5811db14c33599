"""The model list as Google's SDKs read it, page by page.

Source: Google, Gemini API reference, "Models", 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.errors import BadRequest
from bifrost.integrations.genai import COLLECTION, model_name
from bifrost.integrations.models import native_page
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bifrost.integrations.models import Model

__all__ = ["genai_find", "genai_model", "genai_page"]

OWN = "gemini/"
"""What models of the default provider go without: ``openai/gpt-4o`` would be another model without its own."""

METHODS: Mapping[str, tuple[Operation, bool]] = MappingProxyType(
    {
        "generateContent": (Operation.CHAT, False),
        "streamGenerateContent": (Operation.CHAT, True),
        "countTokens": (Operation.COUNT_TOKENS, False),
        "embedContent": (Operation.EMBEDDING, False),
        "predict": (Operation.IMAGE, False),
    }
)
"""What each asks of a provider, and whether as a stream."""

Has = Callable[[str, Operation, bool], bool]
"""Whether a provider has an operation, perhaps as a stream."""

LIMITS = {
    "inputTokenLimit": ("inputTokenLimit", "max_input_tokens", "context_length"),
    "outputTokenLimit": ("outputTokenLimit", "max_output_tokens", "max_tokens"),
}
"""Google's names, and those that providers give the same."""

TEXTS = ("version", "description")


def genai_page(models: Sequence[Model], asked: Mapping[str, str], has: Has) -> Model:
    """The page that the query ``asked`` wants by ``pageSize`` and ``pageToken``. Raises BadRequest."""
    try:
        page = native_page(models, asked.get("pageSize"), asked.get("pageToken"))
    except BadRequest as error:
        name = "pageSize" if error.param == "page_size" else "pageToken"
        raise BadRequest(f"{name} is not valid", param=name) from error
    entries = page["data"]
    told: Model = {"models": [genai_model(model, has) for model in entries]}  # type: ignore[attr-defined]  # a dict of what is JSON
    if token := page.get("next_page_token"):
        told["nextPageToken"] = token
    return told


def genai_model(model: Model, has: Has) -> Model:
    """One entry. A provider that does not say what its model can do is taken at what itself can."""
    name = str(model["id"]).removeprefix(OWN)
    display = model.get("displayName") or model.get("display_name") or model.get("name")
    told: Model = {
        "name": f"{COLLECTION}{name}",
        "displayName": display if isinstance(display, str) else name,
        **{member: model[member] for member in TEXTS if isinstance(model.get(member), str)},
    }
    for member, names in LIMITS.items():
        limit = next((model[each] for each in names if type(model.get(each)) is int), None)
        if limit is not None:
            told[member] = limit
    methods = model.get("supportedGenerationMethods")
    provider = str(model["id"]).partition("/")[0]
    known = [name for name, (asked, stream) in METHODS.items() if has(provider, asked, stream)]
    told["supportedGenerationMethods"] = methods if isinstance(methods, list) else known
    return told


def genai_find(models: Sequence[Model], wanted: str, has: Has) -> Model:
    """The model ``wanted``, with its provider or, of ``gemini``, without; of one that is not listed its name alone."""
    name = model_name(wanted)
    found = next((model for model in models if model["id"] in {name, OWN + name}), None)
    return {"name": f"{COLLECTION}{name}"} if found is None else genai_model(found, has)
