"""What the description says of the routes of files at Google's door."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.integrations.genai_files import FILE_ROUTES
from bifrost.integrations.openapi import OF_CALLS, About, Endpoint
from bifrost.integrations.openapi_parts import ANY_BYTES
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["genai_file_endpoints"]

SUMMARIES: Mapping[Operation, str] = MappingProxyType(
    {
        Operation.FILE_UPLOAD: "A file, the beginning of its upload, or a part of it",
        Operation.FILE_LIST: "Files of all keys, page by page",
        Operation.FILE_RETRIEVE: "What is known of a file",
        Operation.FILE_DELETE: "Delete a file",
        Operation.FILE_CONTENT: "What is in a file that a model has made",
    }
)


def genai_file_endpoints() -> tuple[Endpoint, ...]:
    """One for each of ``FILE_ROUTES``."""
    return tuple(
        Endpoint(method, template, _about(operation)) for method, template, operation in FILE_ROUTES
    )


def _about(operation: Operation) -> About:
    return About(
        summary=SUMMARIES[operation],
        tag="genai",
        bodies={ANY_BYTES: "bytes"} if operation is Operation.FILE_UPLOAD else {},
        headers=(*OF_CALLS, "x-model-provider"),
        is_verbatim=True,
    )
