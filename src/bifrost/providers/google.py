"""Tokens of Google Cloud, by all kinds of its credentials that need no program of their own. Pure.

Not supported, and told so: ``external_account`` with a program, a certificate or AWS behind it, and what else is not in
``KINDS``.

Sources: Google Cloud, "How Application Default Credentials works", "Workload Identity Federation", "Create short-lived
credentials for a service account"; Google Identity, "Using OAuth 2.0 for server to server applications"; AIP-4110 to
AIP-4118 (all as of November 2026). RFC 7523 and RFC 8693 are what the requests are made by.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import attrs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bifrost.codecs import json
from bifrost.config.secret import Secret
from bifrost.errors import ConfigurationMissing, NetworkError, UpstreamError, UpstreamTimeout
from bifrost.policy.token_sources import GoogleAccount, GooglePlace
from bifrost.providers.login_steps import (
    Answer,
    Ask,
    Grant,
    Here,
    Login,
    Part,
    asked,
    lifetime_s,
    members_of,
    posted,
    refusal,
    seconds_until,
    sendable,
    text_of_file,
)

__all__ = ["log_in"]

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
STS_URI = "https://sts.googleapis.com/v1/token"

METADATA_HOST = "metadata.google.internal"
METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"

FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
WELL_KNOWN = "application_default_credentials.json"

ASSERTION_S = 3600
"""The longest life that Google lets an assertion, and a token for it, have."""

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105  a name
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a name

MAX_SOURCES = 4
"""Accounts that impersonate accounts; each costs a request. Google's own library knows one (google-auth 2, 2026-11)."""


@attrs.frozen
class File:
    """Credentials as Google's files have them, and where they are from, for errors."""

    members: Mapping[str, Any] = attrs.field(repr=False)
    where: str
    depth: int = 0
    """How many others it is within."""

    @property
    def kind(self) -> str:
        return self.optional("type")

    def text(self, name: str) -> str:
        """Raises ConfigurationMissing if there is none."""
        return self.optional(name) or self._lacks(name)

    def optional(self, name: str) -> str:
        """Empty if there is none."""
        value = self.members.get(name)
        return value.strip() if isinstance(value, str) else ""

    def part(self, name: str) -> File:
        """What is nested there; empty if there is nothing."""
        value = self.members.get(name)
        return File(
            value if isinstance(value, dict) else {}, f"{self.where}: {name}", self.depth + 1
        )

    def secrets(self) -> tuple[Secret, ...]:
        """What no error may repeat."""
        names = ("client_secret", "refresh_token", "private_key")
        return tuple(Secret(self.optional(name)) for name in names if self.optional(name))

    def _lacks(self, name: str) -> str:
        raise ConfigurationMissing(f"{self.where}: {name} is missing")


def log_in(source: GoogleAccount | GooglePlace, here: Here) -> Login:
    """A token of ``source``. Raises ConfigurationMissing for credentials that are none, UpstreamError for refusals."""
    scopes = source.scopes
    if isinstance(source, GoogleAccount):
        file = _file_of(source.credentials.reveal(), "vertex_key_config.auth_credentials")
        return (yield from _of_file(file, scopes, here))
    found = yield from _default_file(here)
    if found is not None:
        return (yield from _of_file(found, scopes, here))
    return (yield from _metadata(scopes, here))


def _file_of(text: str, where: str) -> File:
    members = members_of(text)
    if not members:
        raise ConfigurationMissing(f"{where}: no credentials of Google's, which are a JSON object")
    return File(members, where)


def _of_file(file: File, scopes: tuple[str, ...], here: Here) -> Login:
    known = KINDS.get(file.kind)
    if known is None:
        kinds = ", ".join(KINDS)
        raise ConfigurationMissing(
            f"{file.where}: type {file.kind[:64]!r} is not supported; {kinds} are"
        )
    return (yield from known(file, scopes, here))


# The place


def _default_file(here: Here) -> Part[File | None]:
    """The file that the environment names, or the one where ``gcloud`` leaves it."""
    named = here.environ.get(FILE_VARIABLE, "").strip()
    path = named or _well_known(here.environ)
    if not path:
        return None
    text = yield from text_of_file(path, what="application default credentials")
    if text is not None:
        return _file_of(text, path)
    if named:
        raise ConfigurationMissing(f"{FILE_VARIABLE}: {named} is not there")
    return None


def _well_known(environ: Mapping[str, str]) -> str:
    if folder := environ.get("CLOUDSDK_CONFIG", "").strip():
        return f"{folder}/{WELL_KNOWN}"
    home = environ.get("HOME", "").strip()
    return f"{home}/.config/gcloud/{WELL_KNOWN}" if home else ""


def _metadata(scopes: tuple[str, ...], here: Here) -> Login:
    host = here.environ.get("GCE_METADATA_HOST", "").strip() or METADATA_HOST
    request = asked(
        f"http://{host}{METADATA_PATH}?{urlencode({'scopes': ','.join(scopes)})}",
        what="GCE_METADATA_HOST",
        headers=(("metadata-flavor", "Google"),),
    )
    try:
        answer = yield Ask(request, is_local=True)
    except (NetworkError, UpstreamTimeout) as error:
        raise UpstreamError(
            "no credentials of Google's: the key has no auth_credentials,"
            f" {FILE_VARIABLE} is not set, gcloud has left no file, and {host} does not answer",
            status=502,
            error_class=error.error_class,
        ) from None
    return _grant(answer)


# The kinds of files


def _service_account(file: File, scopes: tuple[str, ...], here: Here) -> Login:
    uri = file.optional("token_uri") or TOKEN_URI
    assertion = _assertion(file, uri, scopes, here)
    form = {"grant_type": JWT_BEARER, "assertion": assertion}
    answer = yield Ask(posted(uri, form, what=f"{file.where}: token_uri"))
    return _grant(answer, Secret(assertion))


def _assertion(file: File, uri: str, scopes: tuple[str, ...], here: Here) -> str:
    """A JWT by which the account asks for itself, signed with its key (RS256)."""
    now_s = int(here.now_unix_s)
    header = {"alg": "RS256", "typ": "JWT"}
    if key_id := file.optional("private_key_id"):
        header["kid"] = key_id
    claims = {
        "iss": file.text("client_email"),
        "scope": " ".join(scopes),
        "aud": uri,
        "iat": now_s,
        "exp": now_s + ASSERTION_S,
    }
    text = b".".join(_segment(json.dumps(part)) for part in (header, claims))
    signature = _private_key(file).sign(text, PKCS1v15(), SHA256())
    return f"{text.decode('ascii')}.{_segment(signature).decode('ascii')}"


def _segment(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _private_key(file: File) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(file.text("private_key").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not chained: what the key is made of is nobody's.
        raise ConfigurationMissing(f"{file.where}: private_key cannot be read") from None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigurationMissing(f"{file.where}: private_key is not one of RSA")
    return key


def _authorized_user(file: File, scopes: tuple[str, ...], here: Here) -> Login:  # noqa: ARG001  as the others
    """The scopes are those that the user agreed to."""
    form = {
        "grant_type": "refresh_token",
        "client_id": file.text("client_id"),
        "client_secret": file.text("client_secret"),
        "refresh_token": file.text("refresh_token"),
    }
    uri = file.optional("token_uri") or TOKEN_URI
    answer = yield Ask(posted(uri, form, what=f"{file.where}: token_uri"))
    return _grant(answer, *file.secrets())


def _external_user(file: File, scopes: tuple[str, ...], here: Here) -> Login:  # noqa: ARG001  as the others
    """A user of a workforce pool. A refresh token that comes with the answer is not kept: the file is the operator's."""
    form = {"grant_type": "refresh_token", "refresh_token": file.text("refresh_token")}
    basic = _basic(file.text("client_id"), file.text("client_secret"))
    what = f"{file.where}: token_url"
    answer = yield Ask(posted(file.text("token_url"), form, what=what, headers=(basic,)))
    return _grant(answer, *file.secrets())


def _impersonated(file: File, scopes: tuple[str, ...], here: Here) -> Login:
    source = file.part("source_credentials")
    if source.depth > MAX_SOURCES:
        text = f"more than {MAX_SOURCES} within one another; an account has delegates for that"
        raise ConfigurationMissing(f"{file.where}: {text}")
    own = yield from _of_file(source, scopes, here)
    delegates = file.members.get("delegates")
    return (yield from _impersonate(file, own, scopes, delegates or [], ASSERTION_S, here))


def _external(file: File, scopes: tuple[str, ...], here: Here) -> Login:
    """A token of somebody else's, exchanged for one of Google's."""
    subject = yield from _subject_token(file)
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "audience": file.text("audience"),
        "scope": " ".join(scopes),
        "requested_token_type": ACCESS_TOKEN,
        "subject_token": subject,
        "subject_token_type": file.text("subject_token_type"),
    }
    client = file.optional("client_id")
    project = file.optional("workforce_pool_user_project")
    if project and not client:
        form["options"] = json.dumps({"userProject": project}).decode()
    headers = (_basic(client, file.optional("client_secret")),) if client else ()
    uri = file.optional("token_url") or STS_URI
    answer = yield Ask(posted(uri, form, what=f"{file.where}: token_url", headers=headers))
    grant = _grant(answer, Secret(subject), *file.secrets())
    if not file.optional("service_account_impersonation_url"):
        return grant
    told = file.part("service_account_impersonation").members.get("token_lifetime_seconds")
    life_s = int(lifetime_s(told))
    return (yield from _impersonate(file, grant, scopes, [], life_s, here))


KINDS: Mapping[str, Callable[[File, tuple[str, ...], Here], Login]] = MappingProxyType(
    {
        "service_account": _service_account,
        "authorized_user": _authorized_user,
        "impersonated_service_account": _impersonated,
        "external_account": _external,
        "external_account_authorized_user": _external_user,
    }
)
"""By the ``type`` of a file."""


def _impersonate(
    file: File, own: Grant, scopes: tuple[str, ...], delegates: object, life_s: int, here: Here
) -> Login:
    wanted = {"scope": scopes, "delegates": delegates, "lifetime": f"{life_s}s"}
    request = asked(
        file.text("service_account_impersonation_url"),
        what=f"{file.where}: service_account_impersonation_url",
        method=b"POST",
        headers=(
            ("content-type", "application/json"),
            ("authorization", f"Bearer {own.token.reveal()}"),
        ),
        body=json.dumps(wanted),
    )
    answer = yield Ask(request)
    members = members_of(answer.body)
    if answer.status != 200:
        raise _refusal(answer, own.token)
    return Grant(
        token=sendable(members.get("accessToken")),
        lifetime_s=seconds_until(members.get("expireTime"), here.now_unix_s),
    )


def _basic(client: str, secret: str) -> tuple[str, str]:
    """As RFC 6749, section 2.3.1, has it: both encoded before they are joined."""
    pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
    return "authorization", f"Basic {b64encode(pair.encode()).decode('ascii')}"


# A token of somebody else's


def _subject_token(file: File) -> Part[str]:
    """From a file or a URL, as text or as a member of a JSON object. Raises ConfigurationMissing for other sources."""
    source = file.part("credential_source")
    if path := source.optional("file"):
        found = yield from text_of_file(path, what=source.where)
        if found is None:
            raise ConfigurationMissing(f"{source.where}: {path} is not there")
        text = found
    elif url := source.optional("url"):
        if source.optional("environment_id"):
            raise ConfigurationMissing(f"{source.where}: AWS is not supported; file and url are")
        text = yield from _told_by_url(url, source)
    else:
        raise ConfigurationMissing(
            f"{source.where}: neither a file nor a url, and nothing else is supported"
        )
    return _picked(text, source)


def _told_by_url(url: str, source: File) -> Part[str]:
    headers = source.part("headers").members
    request = asked(
        url,
        what=f"{source.where}: url",
        headers=tuple((name, str(value)) for name, value in headers.items()),
    )
    answer = yield Ask(request, is_local=True)
    if answer.status != 200:
        raise refusal(answer.status, (f"{source.where}: url",))
    return answer.body.decode("utf-8", "replace")


def _picked(text: str, source: File) -> str:
    shape = source.part("format")
    if shape.optional("type") == "json":
        value = members_of(text).get(shape.text("subject_token_field_name"))
        text = value if isinstance(value, str) else ""
    if not text.strip():
        raise ConfigurationMissing(f"{source.where}: there is no token in it")
    return text.strip()


# Answers


def _grant(answer: Answer, *secrets: Secret) -> Grant:
    if answer.status != 200:
        raise _refusal(answer, *secrets)
    members = members_of(answer.body)
    return Grant(
        token=sendable(members.get("access_token")),
        lifetime_s=lifetime_s(members.get("expires_in")),
    )


def _refusal(answer: Answer, *secrets: Secret) -> UpstreamError:
    """OAuth's errors are two texts, those of Google's APIs an object."""
    members = members_of(answer.body)
    error = members.get("error")
    if isinstance(error, dict):
        return refusal(answer.status, (error.get("status"), error.get("message")), secrets)
    return refusal(answer.status, (error, members.get("error_description")), secrets)
