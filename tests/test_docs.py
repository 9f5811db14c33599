"""The docs say what is there: links lead somewhere, and no metric and no provider is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bifrost.config.settings import ClientSettings
from bifrost.dialects import huggingface_embed, huggingface_media
from bifrost.dialects.anthropic_fields import ANTHROPIC_FIELDS
from bifrost.dialects.bedrock_images import FIELDS as BEDROCK_IMAGE_FIELDS
from bifrost.dialects.cohere_fields import FIELDS as COHERE_FIELDS
from bifrost.dialects.elevenlabs_speech import FIELDS as ELEVENLABS_FIELDS
from bifrost.dialects.fields import Fate, Fields
from bifrost.dialects.gemini_edits import EDIT_FIELDS
from bifrost.dialects.gemini_fields import FIELDS as GEMINI_FIELDS
from bifrost.dialects.gemini_images import FIELDS as GEMINI_IMAGE_FIELDS
from bifrost.dialects.gemini_images import IMAGEN_FIELDS
from bifrost.dialects.gemini_speech import FIELDS as GEMINI_SPEECH_FIELDS
from bifrost.dialects.gemini_transcript import FIELDS as GEMINI_TRANSCRIPT_FIELDS
from bifrost.dialects.replicate_request import EDIT_FIELDS as REPLICATE_EDIT_FIELDS
from bifrost.dialects.replicate_request import FIELDS as REPLICATE_FIELDS
from bifrost.dialects.replicate_request import IMAGE_FIELDS as REPLICATE_IMAGE_FIELDS
from bifrost.errors import ErrorClass
from bifrost.integrations import native
from bifrost.management.governance_nouns import NATURES
from bifrost.observe.lines import call_line
from bifrost.observe.prometheus import KEY_STATES, Metrics
from bifrost.providers.table import BUILT, FOREIGN, MIXED, UNBUILT
from bifrost.record import Bill, CallRecord, HopRecord, Outcome, Usage
from bifrost.schema.call import Identity, Operation, Routing
from bifrost.transport.mock import _CHECKS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EVERYTHING = CallRecord(
    call_id="c",
    request_type="chat_completion_stream",
    route="/r",
    stream=True,
    outcome=Outcome.ERROR,
    status=502,
    error_class=ErrorClass.NETWORK,
    error_code="c",
    traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
    error_message="m",
    provider="p",
    model="m",
    fallback_index=1,
    usage=Usage(),
    started_unix_s=1.0,
    total_s=9.0,
    queue_wait_s=1.0,
    backoff_s=1.0,
    downstream_s=1.0,
    first_event_s=1.0,
    identity=Identity(
        virtual_key_id="v", virtual_key_name="n", team_id="t", team_name="T", customer_id="c"
    ),
    routing=Routing(engines=("e",), rule_id="r", rule_name="R", log=("l",)),
    hops=(HopRecord(provider="p", model="m", bill=Bill(1, 1, 1, is_estimated=True)),),
    remote_addr="::1",
    user_agent="u",
    log_metadata={"a": "b"},
)
"""A record with something to say in every field of its line."""
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_metric_is_described() -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    metrics = Metrics.of(ClientSettings(), inflight=lambda: 0)
    types = {name: family._type for name, family in metrics._families.items()}
    rows = r"^\| `(\w+)` \| (counter|gauge|histogram) \|"

    assert dict(re.findall(rows, page, re.MULTILINE)) == types
    assert set(re.findall(r"`(bifrost_\w+|http_\w+)`", page)) <= set(types)


def test_every_label_is_described() -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    metrics = Metrics.of(ClientSettings(), inflight=lambda: 0)
    labels = {label for family in metrics._families.values() for label in family._labelnames}

    assert {label for label in labels if f"`{label}`" not in page} == set()


def test_every_field_of_a_log_line_is_described() -> None:
    page = (ROOT / "docs/metrics.md").read_text()
    table = page.partition("| Field |")[2].partition("\n\n")[0]
    told = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)))

    assert set(told) == set(call_line(EVERYTHING))


def test_every_state_of_a_key_is_described() -> None:
    page = (ROOT / "docs/metrics.md").read_text()

    assert [state for state in KEY_STATES if f"`{state}`" not in page] == []


def test_every_provider_is_described() -> None:
    page = (ROOT / "docs/providers.md").read_text()
    table = page.partition("| Provider |")[2].partition("\n\n")[0]
    addresses = {name: row.base_url for name, row in BUILT.items() if name != "mock"}

    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == set(BUILT)
    assert dict(re.findall(r"^\| `([\w-]+)` \| `(http[^`]+)` \|", table, re.MULTILINE)) == {
        name: address for name, address in addresses.items() if address
    }


def test_every_operation_of_every_provider_is_described() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    table = page.partition("| Provider | Besides |")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    common = {Operation.CHAT, Operation.LIST_MODELS}

    assert set(told) == set(BUILT)
    for name, row in BUILT.items():
        if name == "openai":
            continue
        has = {operation.value for operation in set(row.paths) - common} | {"responses"}
        assert set(re.findall(r"`(\w+)`", told[name])) == has, name
        assert ("by chat" in told[name]) is (Operation.RESPONSES not in row.paths)


def test_every_provider_with_an_api_of_its_own_is_described() -> None:
    page = (ROOT / "docs/providers.md").read_text()
    operations = (ROOT / "docs/operations.md").read_text()

    for name, row in FOREIGN.items():
        address = f" | `{row.base_url}` |" if row.base_url else ""
        assert re.search(rf"^\| `{name}` \| .*{re.escape(address)}", page, re.MULTILINE), name
        told = re.search(rf"^\| `{name}` \| (.*) \|$", operations, re.MULTILINE)
        assert told is not None, name
        has = {operation.value for operation in row.coders}
        is_bridged = Operation.CHAT in row.coders and Operation.RESPONSES not in row.coders
        by_chat = {"responses"} if is_bridged else set()
        assert set(re.findall(r"`(\w+)`", told[1])) == has | by_chat, name


def test_every_provider_of_several_dialects_is_described() -> None:
    for page in ("docs/providers.md", "docs/operations.md"):
        text = (ROOT / page).read_text()
        assert [name for name in MIXED if f"\n| `{name}` | " not in text] == []


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("Anthropic", ANTHROPIC_FIELDS),
        ("Cohere", COHERE_FIELDS),
        ("Replicate", REPLICATE_FIELDS),
        ("Pictures by Replicate", REPLICATE_IMAGE_FIELDS),
        ("Pictures changed by Replicate", REPLICATE_EDIT_FIELDS),
        ("Embeddings by Hugging Face", huggingface_embed.FIELDS),
        ("Pictures by Hugging Face", huggingface_media.IMAGE_FIELDS),
        ("Pictures changed by Hugging Face", huggingface_media.EDIT_FIELDS),
        ("Speech by Hugging Face", huggingface_media.SPEECH_FIELDS),
        ("ElevenLabs", ELEVENLABS_FIELDS),
        ("Pictures by Bedrock", BEDROCK_IMAGE_FIELDS),
        ("Pictures by Gemini", GEMINI_IMAGE_FIELDS),
        ("Pictures by Imagen", IMAGEN_FIELDS),
        ("Pictures to be changed by Gemini", EDIT_FIELDS),
        ("Speech by Gemini", GEMINI_SPEECH_FIELDS),
        ("Transcripts by Gemini", GEMINI_TRANSCRIPT_FIELDS),
    ],
)
def test_every_field_that_a_provider_is_told_is_described(section: str, fields: Fields) -> None:
    page = (ROOT / "docs/providers.md").read_text()
    table = page.partition(f"## {section}\n")[2].partition("| Field |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE)

    assert dict(rows) == {
        name: (
            "dropped"
            if field.fate is Fate.DROPPED
            else ", ".join(f"`{word}`" for word in field.to.split(", ") if word) or "taken"
        )
        + (f": {field.note}" if field.note else "")
        for name, field in fields.items()
    }


def test_every_path_of_an_operation_is_described() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `(/[\w/]+)` \|", page, re.MULTILINE))

    assert rows == {
        route.operation.value: route.path.removeprefix("/v1") for route in native.ROUTES
    }


def test_every_field_that_gemini_takes_is_described() -> None:
    page = (ROOT / "docs/providers.md").read_text()
    table = page.partition("| Field | In Gemini |")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))

    assert set(told) == set(GEMINI_FIELDS)
    for name, field in GEMINI_FIELDS.items():
        assert told[name].startswith("dropped") is (field.fate is Fate.DROPPED), name
        assert all(f"`{to}`" in told[name] for to in field.to.split(", ") if to), name


def test_every_provider_that_is_not_built_is_named() -> None:
    page = (ROOT / "docs/providers.md").read_text()

    assert [name for name in UNBUILT if f"`{name}`" not in page] == []


def test_everything_that_the_mock_can_be_told_is_described() -> None:
    page = (ROOT / "docs/mock-provider.md").read_text()

    assert [name for name in _CHECKS if f"`{name}`" not in page] == []


def test_everything_of_governance_s_nouns_is_described() -> None:
    page = (ROOT / "docs/governance.md").read_text()
    table = page.partition("| Path | ")[2].partition("\n\n")[0]

    for nature in NATURES.values():
        (row,) = re.findall(
            rf"^\| `/{nature.path}(?:/{{provider}})?` \| .*[A-Z]+.* \|$", table, re.MULTILINE
        )[-1:]
        names = re.findall(r"`(\w+)`(\*?)", row)
        assert {name for name, _ in names} == set(nature.taken)
        assert {name for name, star in names if star} == set(nature.needed)


def test_every_denial_of_governance_is_described() -> None:
    page = (ROOT / "docs/governance.md").read_text()
    sources = (ROOT / "src/bifrost").rglob("*.py")
    kinds = {
        kind
        for source in sources
        for kind in re.findall(
            r'kind="([a-z_]+_(?:required|not_found|blocked|exceeded))"', source.read_text()
        )
    }

    assert len(kinds) >= 6
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in page] == []
