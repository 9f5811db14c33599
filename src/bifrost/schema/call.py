"""A request as the gateway understands it: what is asked, of whom, by whom, until when."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType

import attrs

from bifrost.config.key_configs import AzureKeySettings, BedrockKeySettings
from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings
from bifrost.schema.payload import Form, Payload
from bifrost.values import Choice

__all__ = [
    "NOBODY",
    "NO_NAMES",
    "UNROUTED",
    "Call",
    "Caller",
    "Dialect",
    "Identity",
    "Names",
    "Native",
    "Operation",
    "RawMembers",
    "Relay",
    "Routing",
    "Surface",
    "Target",
    "own_name",
    "request_type",
]

RawMembers = Mapping[str, bytes]
"""Top-level members of a JSON object in their order, each value as the bytes that came."""

NO_MEMBERS: RawMembers = MappingProxyType({})

NO_PAIRS: Mapping[str, str] = MappingProxyType({})

Names = Mapping[str, str]
"""What is called otherwise by its caller: his names by OpenAI's."""

NO_NAMES: Names = MappingProxyType({})

_HEAD = re.compile(r"[^.\[]*")

DIRECT = KeySettings(id="header-provided", name="header-provided")
"""What a key is called that came with its request."""


class Operation(Choice):
    """What is asked of a provider. The value is the original's name for it (``request_type``)."""

    LIST_MODELS = "list_models"
    CHAT = "chat_completion"
    TEXT = "text_completion"
    RESPONSES = "responses"
    COUNT_TOKENS = "count_tokens"
    EMBEDDING = "embedding"
    RERANK = "rerank"
    MODERATION = "moderation"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    TRANSLATION = "translation"
    IMAGE = "image_generation"
    IMAGE_EDIT = "image_edit"
    IMAGE_VARIATION = "image_variation"
    VIDEO = "video_generation"
    """Only a price has it: its routes are relayed."""
    FILE_UPLOAD = "file_upload"
    FILE_LIST = "file_list"
    FILE_RETRIEVE = "file_retrieve"
    FILE_DELETE = "file_delete"
    FILE_CONTENT = "file_content"
    BATCH_CREATE = "batch_create"
    BATCH_LIST = "batch_list"
    BATCH_RETRIEVE = "batch_retrieve"
    BATCH_CANCEL = "batch_cancel"
    BATCH_DELETE = "batch_delete"
    BATCH_RESULTS = "batch_results"
    RELAY = "passthrough"


class Dialect(Choice):
    """How a JSON API speaks: what a caller is answered in, and what an upstream is asked in."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    BEDROCK = "bedrock"
    INVOKE = "bedrock-invoke"
    """Anthropic's Messages in the frames of Bedrock's InvokeModel. No upstream is asked in it."""
    COHERE = "cohere"


class Surface(Choice):
    """Which door a call came in by: what it may leave out, and how its errors are told."""

    NATIVE = "native"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GENAI = "genai"
    BEDROCK = "bedrock"
    INVOKE = "bedrock-invoke"
    COHERE = "cohere"

    @property
    def dialect(self) -> Dialect:
        """What is spoken there."""
        return DIALECTS[self]


DIALECTS: Mapping[Surface, Dialect] = MappingProxyType(
    {
        Surface.NATIVE: Dialect.OPENAI,
        Surface.OPENAI: Dialect.OPENAI,
        Surface.ANTHROPIC: Dialect.ANTHROPIC,
        Surface.GENAI: Dialect.GEMINI,
        Surface.BEDROCK: Dialect.BEDROCK,
        Surface.INVOKE: Dialect.INVOKE,
        Surface.COHERE: Dialect.COHERE,
    }
)


@attrs.frozen
class Target:
    """A provider and a model of it, as the caller names them."""

    provider: str
    model: str
    is_default: bool = attrs.field(default=False, kw_only=True, eq=False)
    """The caller named the model only: ``provider`` is the surface's default, or that of the target before it."""


@attrs.frozen(kw_only=True)
class Caller:
    """What the request's headers say of its sender and of his wishes."""

    key_id: str | None = None
    """Pin a stored key by id (``x-bf-api-key-id``); wins over the name."""
    key_name: str | None = None
    direct_key: Secret | None = None
    """The provider's own key, sent by a caller who may (``allow_direct_keys``)."""
    azure_key: Secret | None = None
    """Such a key of an Azure resource, which ``azure`` places; where Azure is the target, in place of ``direct_key``."""
    azure: AzureKeySettings | None = None
    bedrock_key: Secret | None = None
    """Such a key of Bedrock, or ``AwsCredentials``; where Bedrock is the target, in place of ``direct_key``."""
    bedrock: BedrockKeySettings | None = None
    """Where ``bedrock_key`` is good, if the caller says so."""
    virtual_key: Secret | None = None
    former_virtual_key_hash: str = ""
    """That of the virtual key of a caller who has gone, and whose key was not kept: of a job's submitter."""
    session_id: str | None = None
    session_ttl_s: float | None = None
    extra_headers: tuple[tuple[str, str], ...] = ()
    """To be sent upstream, already filtered; names are lower case."""
    send_back_raw_request: bool = False
    send_back_raw_response: bool = False
    passthrough_extra_params: bool = False
    strict: bool = False
    """Refuse instead of dropping what the target cannot take."""
    prom_labels: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}))
    log_metadata: Mapping[str, str] = attrs.field(factory=lambda: MappingProxyType({}))
    rule_headers: Mapping[str, str] = attrs.field(default=NO_PAIRS, repr=False)
    """Headers that routing rules ask for; names are lower case. Credentials are never among them."""
    rule_params: Mapping[str, str] = attrs.field(default=NO_PAIRS, repr=False)
    """The query, if routing rules ask for it; likewise."""
    remote_addr: str = ""
    user_agent: str = ""
    traceparent: str | None = None
    """The trace that the request belongs to, as W3C's header says it; checked, and without what is not of version 00."""

    @cached_property
    def virtual_key_hash(self) -> str:
        """Names the virtual key without telling it: the SHA-256 of its value, empty if there is none."""
        key = self.virtual_key
        if key is None:
            return self.former_virtual_key_hash
        return hashlib.sha256(key.reveal().encode()).hexdigest()

    def own_key(self, provider: str) -> KeySettings | None:
        """The caller's own key for ``provider``, if one came along."""
        if provider == "azure":
            # Without its resource's address a key of Azure is of no use, and clients of Azure always send one.
            found = self.azure_key
            return None if found is None else attrs.evolve(DIRECT, value=found, azure=self.azure)
        if provider == "bedrock" and self.bedrock_key is not None:
            return attrs.evolve(DIRECT, value=self.bedrock_key, bedrock=self.bedrock)
        return None if self.direct_key is None else attrs.evolve(DIRECT, value=self.direct_key)


@attrs.frozen(kw_only=True)
class Identity:
    """Whose virtual key came along, as governance knows it. Empty texts where there is none, or no such owner."""

    virtual_key_id: str = ""
    virtual_key_name: str = ""
    team_id: str = ""
    team_name: str = ""
    customer_id: str = ""
    customer_name: str = ""


NOBODY = Identity()


@attrs.frozen(kw_only=True)
class Routing:
    """Who chose the targets, where that was not the caller alone."""

    engines: tuple[str, ...] = ()
    """``routing-rule``, ``governance``: in the order in which they decided."""
    rule_id: str = ""
    rule_name: str = ""
    log: tuple[str, ...] = ()
    """How it was decided, for people."""


UNROUTED = Routing()


@attrs.frozen(kw_only=True)
class Relay:
    """A request that goes on as it came: what of it is not in the call's other members.

    ``path`` and ``query`` are encoded; the path begins with ``/v1/`` and is safe to be appended to a base.
    """

    method: str
    path: str
    query: str = ""
    content_type: bytes | None = None
    body: bytes | Payload = attrs.field(default=b"", repr=False)
    verbatim: bool = False
    """It came by a passthrough route: ``path`` may begin with anything, and the answer is the caller's whatever its status."""
    is_generation: bool = False
    """It asks for tokens and leaves nothing behind that anybody would miss: of no use without its caller."""
    batch_endpoint: str = ""
    """If told: ``body`` is a batch whose requests stand in it, for this endpoint, and what is uploaded is the file they make."""


@attrs.frozen(kw_only=True)
class Native:
    """A request as its caller said it, in another dialect than OpenAI's: for an upstream that speaks it too.

    ``members`` is the body without what the gateway consumed (``fallbacks``), ``query`` what was asked behind the path,
    ``headers`` are those that mean something in this dialect only; names are lower case.
    """

    dialect: Dialect
    members: RawMembers = attrs.field(repr=False)
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    relay: Relay | None = None
    """Instead of the members, of a request about files and batches; ``headers`` are all that go upstream then."""


@attrs.frozen(kw_only=True)
class Call:
    """One request. Frozen: a filter that changes it makes another.

    ``members`` is the body without what the gateway consumed (``fallbacks``), in OpenAI's dialect with the gateway's
    extensions, whatever the caller's own is; it is handed on as it came to an upstream of the same dialect. ``deadline_s`` and ``received_s`` are on trio's clock; ``received_s`` is
    when the whole body was there.
    """

    id: str
    operation: Operation
    stream: bool
    target: Target
    fallbacks: tuple[Target, ...] = ()
    members: RawMembers = NO_MEMBERS
    native: Native | None = None
    """The request in its caller's own dialect, where that is not OpenAI's."""
    names: Names = NO_NAMES
    """What ``members`` are called in the request as it came, where that is something else."""
    lost: tuple[str, ...] = ()
    """What ``native`` says and ``members`` have no word for, by name: dropped for whoever is asked in other words."""
    form: Form | None = None
    """The body instead of ``members``, where it came as ``multipart/form-data``; without what the gateway consumed.

    An upload has it beside its ``relay``, for providers that want it told otherwise.
    """
    boundary: bytes = b""
    """What parts of a form are to be kept apart by on their way upstream: random, for files must not foresee it."""
    relay: Relay | None = None
    """The request itself, where it is for the provider to understand."""
    ids: tuple[str, ...] = ()
    """Objects of the provider's that the request names, the most telling first: only the key that made them knows them."""
    body_bytes: int = 0
    caller: Caller = attrs.field(factory=Caller)
    identity: Identity = NOBODY
    """Set by governance, round the exchange."""
    routing: Routing = UNROUTED
    """Likewise."""
    surface: Surface = Surface.OPENAI
    route: str = ""
    """The route's template, for metrics and logs."""
    received_s: float = 0.0
    deadline_s: float = float("inf")
    max_output_tokens: int | None = None
    """The caller's own bound, where the body has one."""
    asks_usage: bool = False
    """Whether a stream's caller asked for usage himself."""

    @property
    def virtual_key_hash(self) -> str:
        """The caller's."""
        return self.caller.virtual_key_hash

    def named(self, place: str) -> str:
        """The caller's own name for a place in ``members``: of one that lies deeper, for the member that it is in."""
        return own_name(self.names, place)

    @property
    def is_background(self) -> bool:
        """Whether what is asked for goes on after its answer (the Responses API's ``background``)."""
        return self.members.get("background") == b"true"

    @property
    def creates(self) -> bool:
        """Whether doing it twice could make something twice."""
        return self.relay is not None and self.relay.method not in {"GET", "HEAD"}

    @property
    def may_race(self) -> bool:
        """Whether it may be asked for twice at once, the slower one being given up: nothing is left behind by that."""
        return not self.creates and not self.is_background

    @property
    def outlives_caller(self) -> bool:
        """Whether it is seen to its end though nobody waits for it any more."""
        is_wanted = self.relay is None or not self.relay.is_generation
        return self.creates and is_wanted and not self.stream

    @property
    def is_verbatim(self) -> bool:
        """Whether the upstream's answer is the caller's as it is, refusals among it."""
        return self.relay is not None and self.relay.verbatim

    @property
    def request_type(self) -> str:
        """The operation's name on the wire: ``chat_completion_stream`` for a stream."""
        return request_type(self.operation, stream=self.stream)


def own_name(names: Names, place: str) -> str:
    """The caller's name for ``place``, by ``names``: of one that lies deeper, for the member that it is in."""
    found = names.get(place)
    if found is None and names and (head := _HEAD.match(place)) is not None:
        found = names.get(head[0])
    return place if found is None else found


def request_type(operation: Operation, *, stream: bool) -> str:
    """``operation`` as the wire names it."""
    return f"{operation.value}_stream" if stream else operation.value
