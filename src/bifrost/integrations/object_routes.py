"""Which relayed requests are about files and batches: those have names of their own, and their answers are read."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["operation_of"]

OPERATIONS: Mapping[tuple[str, str], Operation] = MappingProxyType(
    {
        ("POST", "/openai/v1/files"): Operation.FILE_UPLOAD,
        ("GET", "/openai/v1/files"): Operation.FILE_LIST,
        ("GET", "/openai/v1/files/{id}"): Operation.FILE_RETRIEVE,
        ("DELETE", "/openai/v1/files/{id}"): Operation.FILE_DELETE,
        ("GET", "/openai/v1/files/{id}/content"): Operation.FILE_CONTENT,
        ("POST", "/openai/v1/batches"): Operation.BATCH_CREATE,
        ("GET", "/openai/v1/batches"): Operation.BATCH_LIST,
        ("GET", "/openai/v1/batches/{id}"): Operation.BATCH_RETRIEVE,
        ("POST", "/openai/v1/batches/{id}/cancel"): Operation.BATCH_CANCEL,
        ("GET", "/openai/v1/batches/{id}/results"): Operation.BATCH_RESULTS,
    }
)
"""By method and template."""


def operation_of(method: str, template: str) -> Operation:
    """The operation that ``method`` on a route of ``template`` is."""
    return OPERATIONS.get((method, template), Operation.RELAY)
