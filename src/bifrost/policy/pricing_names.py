"""Names of models: what is left of one without its provider, region, version and date."""

from __future__ import annotations

import re

__all__ = ["base_name", "other_names"]

REGION = re.compile(r"(?:us|us-gov|eu|apac|jp|au|ca|global)\.(?=[a-z0-9]+\.)")
"""A cross-region inference profile of Bedrock. Source: AWS, Bedrock user guide, 2026-11."""
MAKER = re.compile(
    r"(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|minimax|mistral|moonshot|nvidia|openai|qwen|stability|writer|zai)\."
)
"""Who made a model, in names of Bedrock."""
SUFFIX = re.compile(
    r"""(?:
        -v[0-9]+(?::[0-9]+)?(?::[0-9]+k)?   # Bedrock: -v1:0
      | -(?:19|20)[0-9]{2}-?[01][0-9]-?[0-3][0-9]    # OpenAI: -2024-08-06; Anthropic: -20250514
      | @(?:default|latest|[0-9]+)          # Vertex: @20250514
      | -[01][0-9]-20[0-9]{2}               # Cohere: -03-2025
      | -[012][0-9][0-9]{2}                 # Mistral: -2411; OpenAI: -0613
      | -00[0-9]                            # Gemini: -001
      | -latest
    )\Z""",
    re.VERBOSE,
)


def base_name(model: str) -> str:
    """``model`` without the prefix of its provider, its region and maker (Bedrock), its version and date.

    ``us.anthropic.claude-sonnet-4-20250514-v1:0`` and ``anthropic/claude-sonnet-4@20250514`` are both ``claude-sonnet-4``.
    """
    name = model.rsplit("/", 1)[-1]
    name = REGION.sub("", name, count=1) if REGION.match(name) else name
    name = MAKER.sub("", name, count=1) if MAKER.match(name) else name
    while (found := SUFFIX.search(name)) is not None and found.start() > 0:
        name = name[: found.start()]
    return name


def other_names(provider: str, model: str) -> list[tuple[str, str]]:
    """Provider and model by which a price may stand, the first being as they came; later ones only if it does not."""
    names = [(provider, model)]
    if provider == "gemini":
        names.append(("vertex", model))
    if provider == "vertex" and "/" in model:
        names.append(("vertex", model.rsplit("/", 1)[-1]))
    if provider == "bedrock":
        names.extend(("bedrock", each) for each in _bedrock_names(model))
    return names


def _bedrock_names(model: str) -> list[str]:
    """Of an ARN its last part, of an inference profile the model itself, and Claude's with its maker's name."""
    names = []
    if model.startswith("arn:") and "/" in model:
        model = model.rsplit("/", 1)[-1]
        names.append(model)
    if REGION.match(model):
        model = REGION.sub("", model, count=1)
        names.append(model)
    if "claude" in model and "anthropic." not in model:
        names.append(f"anthropic.{model}")
    return names
