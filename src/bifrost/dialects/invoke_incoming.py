"""Bodies of Bedrock's InvokeModel, and of its Rerank, in OpenAI's words, for upstreams that are not Bedrock.

Bodies that OpenAI has no words for are for Bedrock only: they come out without members.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs

from bifrost.codecs import json
from bifrost.dialects.anthropic_incoming import NAMES as MESSAGES_NAMES
from bifrost.dialects.anthropic_incoming import read_messages
from bifrost.dialects.bedrock_incoming import Incoming, read_converse_request
from bifrost.dialects.cohere_incoming import NAMES as COHERES_NAMES
from bifrost.dialects.cohere_incoming import read_embed
from bifrost.dialects.invoke_forms import TEXT_FORMS, Form, form_of
from bifrost.dialects.value_shape import list_of, obj, text, written
from bifrost.errors import BadRequest
from bifrost.schema.call import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.schema.call import Names, RawMembers

__all__ = ["Invoked", "read_invoked", "read_rerank_request", "rerank_model"]

Object = dict[str, Any]

SILENT = frozenset({"anthropic_version", "anthropic_beta", "model", "stream", "schemaVersion", "api_version"})  # fmt: skip
"""Members that say nothing here: the path says model and stream, and versions are always the same."""


@attrs.frozen
class Invoked:
    """What a body asks for. Without ``members``, it is for Bedrock only."""

    operation: Operation
    incoming: Incoming


def read_invoked(members: RawMembers, model: str) -> Invoked:
    """A body of InvokeModel for ``model``. Raises BadRequest with the place."""
    form = form_of(members, model)
    kept = {name: raw for name, raw in members.items() if name not in SILENT and raw != b"null"}
    row = READERS.get(form)
    if row is None:
        return Invoked(OTHERS[form], Incoming({}, ()))
    operation, read = row
    return Invoked(operation, read(kept, model, form))


def _messages(members: RawMembers, model: str, form: Form) -> Incoming:  # noqa: ARG001  a reader's
    read = read_messages({"model": json.dumps_str(model), **members})
    limit = _limit(members.get("max_tokens", b"null"))
    return Incoming(read.members, read.lost, limit, MESSAGES_NAMES)


def _limit(raw: bytes) -> int | None:
    """The caller's own bound of the output; what is no number of tokens is left for the upstream to refuse."""
    digits = raw if raw.isdigit() and len(raw) < 16 else b"0"
    return int(digits) or None


NOVAS = MappingProxyType({"max_new_tokens": "maxTokens", "top_p": "topP", "top_k": "topK"})
"""What Nova calls otherwise in a body of its own than Converse does."""


def _nova(members: RawMembers, model: str, form: Form) -> Incoming:  # noqa: ARG001  a reader's
    raw = members.get("inferenceConfig", b"null")
    if not raw.startswith(b"{"):
        return read_converse_request(members, model)
    config = {NOVAS.get(name, name): value for name, value in json.split_object(raw).items()}
    top_k = config.pop("topK", None)
    read = read_converse_request({**members, "inferenceConfig": json.join_object(config)}, model)
    return read if top_k is None else attrs.evolve(read, members={**read.members, "top_k": top_k})


def _text(members: RawMembers, model: str, form: Form) -> Incoming:
    row = TEXT_FORMS[form]
    asked, lost = _asked(members, row.inside, row.prompt)
    names = {to: name for name, to in row.fields.items()}
    told = {"model": json.dumps_str(model), "prompt": members[row.prompt]}
    for name, raw in asked.items():
        if name in names:
            told[names[name]] = raw
        else:
            lost.append(f"{row.inside}.{name}" if row.inside else name)
    _check_text(told["prompt"], row.prompt)
    within = f"{row.inside}." if row.inside else ""
    called = {name: within + to for name, to in row.fields.items()} | {"prompt": row.prompt}
    return Incoming(told, tuple(lost), _limit(told.get("max_tokens", b"")), called)


def _asked(members: RawMembers, inside: str, prompt: str) -> tuple[RawMembers, list[str]]:
    """What goes with a prompt, and what nothing stands for."""
    others = {name: raw for name, raw in members.items() if name != prompt}
    if not inside:
        return others, []
    raw = others.pop(inside, b"{}")
    if not raw.startswith(b"{"):
        raise BadRequest(f"{inside} must be an object", param=inside)
    found = {name: value for name, value in json.split_object(raw).items() if value != b"null"}
    return found, [*others]


def _check_text(raw: bytes, name: str) -> None:
    if not raw.startswith(b'"') or raw == b'""':
        raise BadRequest(f"{name} must be a text", param=name)


def _titan_embed(members: RawMembers, model: str, form: Form) -> Incoming:  # noqa: ARG001  a reader's
    if "inputImage" in members:
        return Incoming({}, ())
    _check_text(members["inputText"], "inputText")
    told = {"model": json.dumps_str(model), "input": members["inputText"]}
    if "dimensions" in members:
        told["dimensions"] = members["dimensions"]
    silent = {("normalize", b"true"), ("embeddingTypes", b'["float"]')}
    others = [
        name
        for name, raw in members.items()
        if name not in {"inputText", "dimensions"} and (name, raw) not in silent
    ]
    return Incoming(told, tuple(others), names={"input": "inputText"})


def _cohere_embed(members: RawMembers, model: str, form: Form) -> Incoming:  # noqa: ARG001  a reader's
    read = read_embed({"model": json.dumps_str(model), **members})
    return Incoming(read.members, read.lost, names=COHERES_NAMES)


def _rerank(members: RawMembers, model: str, form: Form) -> Incoming:  # noqa: ARG001  a reader's
    return Incoming({"model": json.dumps_str(model), **members}, ())


READERS: Mapping[Form, tuple[Operation, Callable[[RawMembers, str, Form], Incoming]]] = (
    MappingProxyType(
        {
            Form.MESSAGES: (Operation.CHAT, _messages),
            Form.NOVA: (Operation.CHAT, _nova),
            Form.TITAN_EMBED: (Operation.EMBEDDING, _titan_embed),
            Form.COHERE_EMBED: (Operation.EMBEDDING, _cohere_embed),
            Form.RERANK: (Operation.RERANK, _rerank),
            **dict.fromkeys(TEXT_FORMS, (Operation.TEXT, _text)),
        }
    )
)

OTHERS: Mapping[Form, Operation] = MappingProxyType(
    {Form.IMAGE: Operation.IMAGE, Form.UNKNOWN: Operation.CHAT}
)
"""Bodies for Bedrock only."""


# Rerank, which is an API of its own. Source: AWS, Agents for Amazon Bedrock runtime API reference, "Rerank", 2026-11.

CONFIG = "rerankingConfiguration"
MODEL = f"{CONFIG}.bedrockRerankingConfiguration"


def rerank_model(members: RawMembers) -> object:
    """The model that a body of Rerank names by its ARN. Raises BadRequest."""
    found = _model_configuration(members).get("modelArn")
    if not found:
        place = f"{MODEL}.modelConfiguration.modelArn"
        raise BadRequest(f"{place} is required", param=place)
    return found


def _model_configuration(members: RawMembers) -> Object:
    return obj(_ranking(members).get("modelConfiguration"), f"{MODEL}.modelConfiguration")


def _ranking(members: RawMembers) -> Object:
    config = obj(_decoded(members, CONFIG), CONFIG)
    return obj(config.get("bedrockRerankingConfiguration"), MODEL)


def _decoded(members: RawMembers, name: str) -> Any:  # noqa: ANN401  a JSON value
    try:
        return json.loads(members.get(name, b"null"))
    except json.InvalidJSON as error:
        raise BadRequest("Invalid JSON", cause=str(error)) from error


def read_rerank_request(members: RawMembers, model: str) -> Incoming:
    """What a body of Rerank asks of ``model``. Raises BadRequest with the place."""
    ranking, configuration = _ranking(members), _model_configuration(members)
    queries = [*list_of(_decoded(members, "queries"), "queries")]
    if len(queries) != 1:
        raise BadRequest("queries must have one query", param="queries")
    told: Object = {"model": model, "query": _query(*queries[0])}
    sources = list_of(_decoded(members, "sources"), "sources")
    told["documents"] = [_document(obj(item, place), place) for item, place in sources]
    if ranking.get("numberOfResults") is not None:
        told["top_n"] = ranking["numberOfResults"]
    extra = configuration.get("additionalModelRequestFields") or {}
    lost = [f"additionalModelRequestFields.{name}" for name in extra if name not in OF_COHERE]
    told |= {name: value for name, value in extra.items() if name in OF_COHERE}
    known = {CONFIG, "queries", "sources"}
    lost += [name for name, raw in members.items() if name not in known and raw != b"null"]
    members = {name: written(value) for name, value in told.items()}
    return Incoming(members, tuple(lost), names=OF_RANKING)


OF_COHERE = frozenset({"max_tokens_per_doc"})

OF_RANKING: Names = MappingProxyType(
    {"documents": "sources", "query": "queries", "top_n": f"{MODEL}.numberOfResults"}
)
"""What Rerank calls otherwise."""


def _query(query: object, place: str) -> str | None:
    where = f"{place}.textQuery"
    return text(obj(obj(query, place).get("textQuery"), where), "text", where)


def _document(source: Object, place: str) -> object:
    where = f"{place}.inlineDocumentSource"
    inline = obj(source.get("inlineDocumentSource"), where)
    if inline.get("type") == "JSON":
        document = obj(inline.get("jsonDocument"), f"{where}.jsonDocument")
        return written(document).decode()
    told = obj(inline.get("textDocument"), f"{where}.textDocument")
    return text(told, "text", f"{where}.textDocument")
