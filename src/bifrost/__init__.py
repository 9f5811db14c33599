"""Bifrost: an LLM gateway on trio. ``bifrost serve`` is the program; this package is its rooms."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
