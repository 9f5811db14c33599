from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from bifrost.config.reference import attribute_docs, json_schema, markdown
from bifrost.config.settings import BreakerSettings, ClientSettings
from bifrost.config.shape import shape_of
from bifrost.config.whole import WholeFile

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = list(node.values())
    for each in node if isinstance(node, list) else []:
        yield from references(each)


def test_the_written_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/configuration-reference", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_every_client_key_is_documented() -> None:
    docs = attribute_docs(ClientSettings)

    assert [field.name for field in attrs.fields(ClientSettings) if not docs.get(field.name)] == []


def test_an_attribute_s_docstring_is_one_line() -> None:
    assert (
        attribute_docs(BreakerSettings)["half_open_max"]
        == "Trial requests at a time while half-open."
    )


def test_the_page_tells_keys_bounds_defaults_spellings_and_restarts() -> None:
    page = markdown()

    assert "| `weight` | number, 0 or more | `1.0` |" in page
    assert (
        "| `concurrency_and_buffer_size.concurrency` | whole number, 1 or more | `1000` |" in page
    )
    assert "| `failure_threshold` | whole number, 1 or more | `5` |" in page
    assert "| `log_retention_days` ↻ |" in page
    assert "Also spelt `retry_backoff_initial_ms`." in page
    assert "0 stands for the default." in page
    assert "*Not built yet.*" in page
    assert "As `governance.budgets[]`." in page or "As `governance.virtual_keys[]" in page


def test_the_schema_knows_every_key_and_its_references_resolve() -> None:
    schema = json_schema()

    assert json.loads(json.dumps(schema)) == schema
    properties, defs = schema["properties"], schema["$defs"]
    assert isinstance(properties, dict)
    assert isinstance(defs, dict)
    assert list(properties) == list(shape_of(WholeFile).known)
    assert {ref.removeprefix("#/$defs/") for ref in references(schema)} == set(defs)
    assert defs["KeySettings"]["required"] == ["name"]
    assert defs["KeySettings"]["properties"]["weight"]["minimum"] == 0
    assert defs["KeySettings"]["properties"]["models"]["uniqueItems"] is True
    assert "failure_threshold" in defs["ProviderSettings"]["properties"]
    assert "retry_backoff_max_ms" in defs["NetworkSettings"]["properties"]
    assert defs["CustomProviderSettings"]["properties"]["allowed_requests"]["propertyNames"]["enum"]
