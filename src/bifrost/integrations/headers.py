"""A request's headers, as far as the gateway reads them: who calls, with which key, what is to go upstream.

``HeaderRules`` is compiled once from the client settings; a request costs one pass over its headers. Nothing that a
header says ever names a field of ours: labels and metadata go into maps of their own.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from bifrost.config.key_configs import AzureKeySettings, BedrockKeySettings
from bifrost.config.secret import AwsCredentials, Secret, Token
from bifrost.errors import BadRequest
from bifrost.governance.expressions import NO_MENTIONS, Mentions
from bifrost.integrations.forwarding import Forwarding, check_size, is_plain_text
from bifrost.schema.call import Caller
from bifrost.values import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from bifrost.config.settings import ClientSettings

__all__ = ["SESSION_PREFIX", "HeaderLines", "HeaderRules", "LoginPlace", "duration_s", "request_id"]

HeaderLines = tuple[tuple[bytes, bytes], ...]

Told = tuple[str, HeaderLines]
"""Where a request came from, and those of its headers that are read; of credentials a digest."""

OURS = b"x-bf-"

VIRTUAL_KEY_PREFIX = "sk-bf-"

SESSION_PREFIX = "bf-session-"
"""What tokens of the administrator's sessions begin with, so that none is ever taken for a provider's key."""

CREDENTIALS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")
"""Where a key may be, in the order that decides."""

AZURE_CREDENTIALS = (b"api-key", b"authorization")
"""Likewise, for a key of Azure."""

BEDROCK_CREDENTIALS = (b"bedrock-api-key", b"bedrock-access-key", b"bedrock-secret-key", b"bedrock-session-token")  # fmt: skip
"""Of ours, without their prefix: a caller's own key of Bedrock, or what he signs with."""

SEALED = frozenset([*CREDENTIALS, *(OURS + name for name in BEDROCK_CREDENTIALS)])
"""Where a key of a provider's may be, that nobody here has asked for."""

NEVER_LOGGED = frozenset(
    [
        *SEALED,
        b"x-bf-vk",
        b"cookie",
        b"set-cookie",
        b"proxy-authorization",
    ]
)
"""Not even if ``logging_headers`` names them."""

FEATURES = frozenset([
    b"vk", b"api-key", b"api-key-id", b"session-id", b"session-ttl", b"send-back-raw-request",
    b"send-back-raw-response", b"passthrough-extra-params", b"strict",
    b"azure-endpoint", b"bedrock-api-key", b"bedrock-access-key", b"bedrock-secret-key", b"bedrock-session-token",
    b"bedrock-region",
])  # fmt: skip
"""Headers of ours with one value each, without their prefix; the first of a repeated one counts."""

MAX_METADATA = 32
MAX_NAME = 128
MAX_VALUE = 2048
"""Characters of a text for the log; what is longer is cut."""

MAX_LABEL = 256
MAX_HANDLE = 256
MAX_KEY = 16384
"""Characters of a caller's key; Google's and Amazon's are the long ones."""

MAX_ENDPOINT = 2048

MAX_KNOWN = 1024
MAX_KNOWN_BYTES = 2048
"""Callers remembered, and of how much in their headers at most; when they are more, all are forgotten."""

EMPTY: Mapping[str, str] = MappingProxyType({})
EMPTY_REQUIRED: Mapping[bytes, str] = MappingProxyType({})

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_KEY = re.compile(r"[\x21-\x7e]+")
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""A signed JWT (RFC 7515, section 7.1), whose header is a JSON object: what Entra gives out. No key looks like it."""

_REGION = re.compile(r"[a-z]{2,16}(-[a-z0-9]{1,16}){1,4}")
"""What a region of AWS is called. It becomes a part of a host's name, so a caller's must be no more than that."""

NO_CREDENTIALS = frozenset({"basic", "aws4-hmac-sha256"})
"""Schemes of ``authorization`` that bring no key: a login to somebody else, a signature."""

_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "\N{MICRO SIGN}s": 1e-6,
    "\N{GREEK SMALL LETTER MU}s": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


def request_id(sent: bytes | None, new_id: Callable[[], str]) -> str:
    """The caller's own id if it is one: up to 128 printable characters; else a new one."""
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent.decode("ascii")
    return new_id()


def duration_s(text: str) -> float | None:
    """Seconds, from whole seconds (``"90"``) or a Go duration (``"1h30m"``, ``"500ms"``); ``None`` if neither, or not above 0."""
    text = text.strip()
    if len(text) > 64 or not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text) or None
    parts = list(_DURATION.finditer(text))
    if "".join(part[0] for part in parts) != text:
        return None
    return sum(float(part[1]) * _UNITS_S[part[2]] for part in parts) or None


@frozen(kw_only=True)
class LoginPlace:
    """What ``authorization`` may be besides a key: the administrator's own credentials, which go nowhere.

    ``takes_authorization``: calls need a login, whose place it is; no direct key is looked for there. ``username`` is the
    administrator's; empty where there is no login.
    """

    takes_authorization: bool = False
    username: str = ""

    def owns(self, name: bytes, key: str) -> bool:
        """Whether ``key`` in this header is, or may be, the administrator's."""
        if key.startswith(SESSION_PREFIX):
            return True
        if name != b"authorization":
            return False
        return self.takes_authorization or (bool(self.username) and self._is_pair(key))

    def _is_pair(self, key: str) -> bool:
        """Name and password in base64, as older clients send them for a bearer."""
        try:
            return base64.b64decode(key, validate=True).startswith(f"{self.username}:".encode())
        except ValueError:
            return False


NO_LOGIN = LoginPlace()


@frozen(kw_only=True)
class HeaderRules:
    """What the client settings say of headers."""

    allow_direct_keys: bool
    allow_private_network: bool
    forwarding: Forwarding
    required: Mapping[bytes, str]
    """Name in lower case to how the configuration spells it."""
    logged: frozenset[bytes]
    labels: Mapping[bytes, str]
    """What may stand behind ``x-bf-prom-`` to the label's own name."""
    interesting: frozenset[bytes]
    """Names without our prefix that are worth a look."""
    wanted: Mentions = NO_MENTIONS
    """What routing rules ask for."""
    login: LoginPlace = NO_LOGIN
    _known: dict[Told, Caller] = attrs.field(factory=dict, init=False, repr=False, eq=False)
    """What was read before. A client says the same with every request."""

    @classmethod
    def of(
        cls,
        client: ClientSettings,
        wanted: Mentions = NO_MENTIONS,
        login: LoginPlace = NO_LOGIN,
    ) -> HeaderRules:
        """The rules of ``client``; ``wanted`` is what routing rules ask for, and costs nothing where it is nothing."""
        logging = (name.lower().encode() for name in client.logging_headers)
        logged = frozenset(name for name in logging if not _is_secret(name))
        return cls(
            allow_direct_keys=client.allow_direct_keys,
            allow_private_network=client.allow_private_network,
            forwarding=Forwarding.of(client.header_filter_config),
            required={name.lower().encode(): name for name in client.required_headers},
            logged=logged,
            labels=_labels(client.prometheus_labels),
            interesting=logged | {*CREDENTIALS, b"user-agent", b"traceparent"},
            wanted=wanted,
            login=login,
        )

    def without_required(self) -> HeaderRules:
        """The same rules for whoever makes no call, or whose call was let in before."""
        return attrs.evolve(self, required=EMPTY_REQUIRED) if self.required else self

    def read(self, headers: HeaderLines, remote_addr: str) -> Caller:
        """What ``headers`` (names in lower case) say.

        Raises BadRequest if a required one is missing, or one that the gateway reads cannot be what it should be.
        """
        self._require(headers)
        if self.wanted or self.forwarding.takes_plain or self.allow_direct_keys:
            return self._read_all(headers, remote_addr)
        interesting = self.interesting
        said = tuple([line for line in headers if line[0] in interesting or line[0][:5] == OURS])
        told = (
            remote_addr,
            tuple([_sealed(*line) if line[0] in SEALED else line for line in said]),
        )
        caller = self._known.get(told)
        return self._learned(told, said) if caller is None else caller

    def _read_all(self, headers: HeaderLines, remote_addr: str) -> Caller:
        caller = self._read(headers, remote_addr)
        return attrs.evolve(caller, rule_headers=self._asked(headers)) if self.wanted else caller

    def _learned(self, told: Told, said: HeaderLines) -> Caller:
        """What headers ``said``, from now on without reading them.

        Traces do not come twice. What goes upstream as it is may be a secret of the caller's, and is not kept.
        """
        caller = self._read(said, told[0])
        size = sum(len(name) + len(value) for name, value in said)
        is_usual = caller.traceparent is None and not caller.extra_headers
        if size <= MAX_KNOWN_BYTES and is_usual:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[told] = caller
        return caller

    def _read(self, headers: HeaderLines, remote_addr: str) -> Caller:
        reading = _Reading(self)
        takes_plain, interesting = self.forwarding.takes_plain, self.interesting
        for name, value in headers:
            if name.startswith(OURS):
                reading.own(name[len(OURS) :], value)
                if name in interesting:
                    reading.note(name, value)
                continue
            if takes_plain:
                reading.forward(name, value)
            if name in interesting:
                reading.known(name, value)
        return reading.caller(remote_addr)

    def _asked(self, headers: HeaderLines) -> Mapping[str, str]:
        """What rules may see of ``headers``: the first of a repeated one, and none that may be a credential."""
        names, found = self.wanted.headers, dict[str, str]()
        for raw, value in headers:
            name = raw.decode("latin-1")
            if (names is None or name in names) and not _is_secret(raw):
                found.setdefault(name, _text(value, MAX_VALUE))
        return MappingProxyType(found)

    def _require(self, headers: HeaderLines) -> None:
        if not self.required:
            return
        present = {name for name, _ in headers}
        missing = [told for name, told in self.required.items() if name not in present]
        if missing:
            text = f"missing required headers: {', '.join(missing)}"
            raise BadRequest(text, kind="missing_required_headers", type="missing_required_headers")


def _is_secret(name: bytes) -> bool:
    return name.removeprefix(b"x-bf-eh-") in NEVER_LOGGED


def _labels(configured: tuple[str, ...]) -> Mapping[bytes, str]:
    """Spellings of each label: header names know no case, and some proxies drop those with an underscore."""
    spelt = {label.lower().replace("_", "-").encode(): label for label in configured}
    return spelt | {label.lower().encode(): label for label in configured}


@attrs.define(eq=False)
class _Reading:
    """One pass over a request's headers."""

    rules: HeaderRules
    user_agent: str = ""
    traceparent: str | None = None
    features: dict[bytes, bytes] = attrs.field(factory=dict)
    credentials: dict[bytes, str] = attrs.field(factory=dict)
    extra: list[tuple[str, str]] = attrs.field(factory=list)
    labels: dict[str, str] = attrs.field(factory=dict)
    metadata: dict[str, str] = attrs.field(factory=dict)

    def own(self, name: bytes, value: bytes) -> None:
        """A header of ours, without its prefix. Those that are not known mean nothing."""
        if name in FEATURES:
            self.features.setdefault(name, value)
        elif name.startswith(b"eh-"):
            self.forward(name[3:], value)
        elif name.startswith(b"prom-"):
            label = self.rules.labels.get(name[5:])
            if label is not None:
                self.labels[label] = _text(value, MAX_LABEL)
        elif name.startswith(b"lh-"):
            self.note(name[3:], value)

    def known(self, name: bytes, value: bytes) -> None:
        """A header of everybody's that the gateway reads or logs."""
        if name == b"user-agent":
            self.user_agent = _text(value, MAX_VALUE)
        elif name == b"traceparent":
            self.traceparent = _traceparent(value)
        elif name in CREDENTIALS:
            self.credential(name, value)
        if name in self.rules.logged:
            self.note(name, value)

    def note(self, name: bytes, value: bytes) -> None:
        if 0 < len(name) <= MAX_NAME and len(self.metadata) < MAX_METADATA:
            self.metadata[_text(name, MAX_NAME)] = _text(value, MAX_VALUE)

    def credential(self, name: bytes, value: bytes) -> None:
        text = value.decode("latin-1").strip()
        if name == b"authorization":
            scheme, _, token = text.partition(" ")
            if scheme.lower() in NO_CREDENTIALS:
                return
            if scheme.lower() == "bearer":
                text = token.strip()
        if text:
            self.credentials.setdefault(name, text)

    def forward(self, name: bytes, value: bytes) -> None:
        line = self.rules.forwarding.line(name, value)
        if line is not None:
            self.extra.append(line)

    def caller(self, remote_addr: str) -> Caller:
        if self.extra:
            check_size(self.extra)
        features, azure = self.features, self._azure()
        bedrock_key = self._bedrock_key()
        return Caller(
            key_id=self._handle(b"api-key-id"),
            key_name=self._handle(b"api-key"),
            direct_key=self._direct_key(CREDENTIALS),
            azure_key=None if azure is None else self._azure_key(),
            azure=azure,
            bedrock_key=bedrock_key,
            bedrock=None if bedrock_key is None else self._bedrock(bedrock_key),
            virtual_key=self._virtual_key(),
            session_id=self._handle(b"session-id"),
            session_ttl_s=_ttl(features.get(b"session-ttl")),
            extra_headers=tuple(self.extra),
            send_back_raw_request=features.get(b"send-back-raw-request") == b"true",
            send_back_raw_response=features.get(b"send-back-raw-response") == b"true",
            passthrough_extra_params=features.get(b"passthrough-extra-params") == b"true",
            strict=features.get(b"strict") == b"true",
            prom_labels=MappingProxyType(self.labels) if self.labels else EMPTY,
            log_metadata=MappingProxyType(self.metadata) if self.metadata else EMPTY,
            remote_addr=remote_addr,
            user_agent=self.user_agent,
            traceparent=self.traceparent,
        )

    def _handle(self, name: bytes, most: int = MAX_HANDLE) -> str | None:
        """The value of one of our headers that names something; blank is absent."""
        value = self.features.get(name)
        if value is None:
            return None
        text = value.decode("latin-1").strip()
        if len(text) > most or not is_plain_text(text):
            told = (OURS + name).decode()
            raise BadRequest(f"header {told} must be text of at most {most} characters")
        return text or None

    def _azure_key(self) -> Secret | None:
        """The key of a resource that the caller names; as a token, if it is one."""
        key = self._direct_key(AZURE_CREDENTIALS)
        return Token(key.reveal()) if key and _TOKEN.fullmatch(key.reveal()) else key

    def _azure(self) -> AzureKeySettings | None:
        endpoint = self._handle(b"azure-endpoint", MAX_ENDPOINT)
        if endpoint is None:
            return None
        return AzureKeySettings(
            endpoint=endpoint, is_callers=True, public_only=not self.rules.allow_private_network
        )

    def _bedrock_key(self) -> Secret | None:
        """A key of Bedrock, or a pair to sign with, that the caller brings."""
        if not self.rules.allow_direct_keys:
            return None
        key, access, secret, token = (self._own(name) for name in BEDROCK_CREDENTIALS)
        if key:
            return Secret(key)
        if not access and not secret:
            return None
        if not access or not secret:
            raise BadRequest("x-bf-bedrock-access-key and x-bf-bedrock-secret-key go together")
        return AwsCredentials(access, secret, token)

    def _own(self, name: bytes) -> str:
        text = self._handle(name, MAX_KEY)
        return _key(OURS + name, text).reveal() if text else ""

    def _bedrock(self, key: Secret) -> BedrockKeySettings | None:
        name = b"bedrock-region"
        region = self._handle(name)
        if region is not None and _REGION.fullmatch(region) is None:
            raise BadRequest("x-bf-bedrock-region is no name of a region")
        if region is None and isinstance(key, AwsCredentials):
            raise BadRequest("x-bf-bedrock-region header is required when using direct keys")
        return None if region is None else BedrockKeySettings(region=region)

    def _direct_key(self, places: tuple[bytes, ...]) -> Secret | None:
        if not self.rules.allow_direct_keys:
            return None
        for name in places:
            key = self.credentials.get(name)
            if key and not _is_virtual(key) and not self.rules.login.owns(name, key):
                return _key(name, key)
        return None

    def _virtual_key(self) -> Secret | None:
        own = self._handle(b"vk", MAX_KEY)
        if own is not None:
            return Secret(own)
        for name in CREDENTIALS:
            key = self.credentials.get(name)
            if key and _is_virtual(key):
                return _key(name, key)
        return None


def _sealed(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A line that tells itself from others, and nothing of what it says."""
    return name, hashlib.sha256(value).digest()


def _is_virtual(key: str) -> bool:
    return key[: len(VIRTUAL_KEY_PREFIX)].lower() == VIRTUAL_KEY_PREFIX


def _key(name: bytes, key: str) -> Secret:
    """A credential that may go on a wire. Raises BadRequest, which does not say what was found."""
    if len(key) > MAX_KEY or _KEY.fullmatch(key) is None:
        raise BadRequest(f"the key in header {name.decode()} is not one")
    return Secret(key)


def _ttl(value: bytes | None) -> float | None:
    return None if value is None else duration_s(value.decode("utf-8", "replace"))


def _traceparent(value: bytes) -> str | None:
    """The caller's trace context if it is well formed, without what later versions append.

    Source: W3C Trace Context, section 3.2.
    """
    text = value[:256].decode("latin-1").strip()
    found = _TRACEPARENT.match(text)
    if found is None:
        return None
    rest = text[found.end() :]
    is_sane = not rest if text.startswith("00") else not rest or rest.startswith("-")
    return found[0] if is_sane else None


def _text(value: bytes, most: int) -> str:
    """Text for logs and labels: at most ``most`` characters, none of them a control character."""
    text = value[: 4 * most].decode("utf-8", "replace")[:most]
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
