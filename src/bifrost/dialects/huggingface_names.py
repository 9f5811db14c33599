"""How models are called by Hugging Face's router, and who serves them.

Source: Hugging Face, "Inference Providers" and "Hub API", 2026-11.
"""

from __future__ import annotations

import re

__all__ = [
    "HF",
    "HUB_NAME",
    "INFERENCE_PROVIDERS",
    "OWN_NAME",
    "asked_of",
    "hugging_face_model",
    "provider_of",
]

HF = "hf-inference"
"""Hugging Face's own servers, which know models by their names on the hub."""

INFERENCE_PROVIDERS = frozenset(
    [
        "cerebras",
        "cohere",
        "fal-ai",
        "featherless-ai",
        "fireworks-ai",
        "groq",
        HF,
        "hyperbolic",
        "nebius",
        "novita",
        "nscale",
        "ovhcloud",
        "publicai",
        "replicate",
        "sambanova",
        "scaleway",
        "together",
        "wavespeed",
        "zai-org",
    ]
)
"""Whom Hugging Face's router can send a request on to."""

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,127}(?:/[A-Za-z0-9][\w.-]{0,127})?", re.ASCII)
"""A model on the hub."""

OWN_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,127}(?:/[A-Za-z0-9][\w.-]{0,127}){0,5}", re.ASCII)
"""A model as an inference provider may call it."""


def hugging_face_model(model: str) -> str:
    """``<inference provider>/<org>/<name>`` as the router wants it for a chat: ``<org>/<name>:<inference provider>``."""
    provider, _, rest = model.partition("/")
    if "/" in rest and provider in INFERENCE_PROVIDERS:
        return f"{rest}:{provider}"
    return rest if "/" in rest and provider == "auto" else model


def provider_of(model: str) -> tuple[str | None, str]:
    """Who is to serve ``model``, and its name on the hub; ``None`` leaves it to the hub."""
    provider, _, rest = model.partition("/")
    if "/" in rest and provider in INFERENCE_PROVIDERS:
        return provider, rest
    return None, rest if "/" in rest and provider == "auto" else model


def asked_of(model: str) -> tuple[str, str]:
    """The two parts of ``<inference provider>/<the provider's own name>``."""
    provider, _, name = model.partition("/")
    return provider, name
