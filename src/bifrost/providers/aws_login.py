"""Temporary credentials of AWS: those of the place the gateway runs in, and roles assumed with them or with a key's own. Pure.

The place is searched as AWS's own tools do: variables, a web identity (EKS), the files of ``~/.aws``, the container's
endpoint (ECS, EKS), the machine's metadata (EC2, IMDSv2 only). Profiles that themselves assume a role, run a program or
log in by IAM Identity Center are not supported, and told so.

Sources: AWS SDKs and Tools Reference Guide, "Standardized credential providers"; AWS STS API Reference, AssumeRole and
AssumeRoleWithWebIdentity, version 2011-06-15; EC2 User Guide, "Use IMDSv2" (all as of November 2026).
"""

from __future__ import annotations

import configparser
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import attrs

from bifrost.config.secret import AwsCredentials, Secret
from bifrost.errors import (
    ConfigurationMissing,
    ErrorClass,
    NetworkError,
    UpstreamError,
    UpstreamTimeout,
)
from bifrost.policy.token_sources import AWS_REGION, AWS_SESSION_NAME, AwsPlace, AwsRole
from bifrost.providers.aws_signing import signed
from bifrost.providers.login_steps import (
    LIFETIME_S,
    Answer,
    Ask,
    Grant,
    Here,
    Login,
    Part,
    asked,
    members_of,
    posted,
    refusal,
    seconds_until,
    text_of_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.providers.base import UpstreamRequest

__all__ = ["log_in"]

STS_VERSION = "2011-06-15"
ROLE_S = 3600
"""The longest that a role may be assumed by another role; a single role may allow more, and none has to."""

CONTAINER = "http://169.254.170.2"
MACHINE = "http://169.254.169.254"
MACHINE_TOKEN_S = 300
ROLE_PATH = "/latest/meta-data/iam/security-credentials/"

LOCAL_HOSTS = frozenset({"localhost", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"})
"""Who may be asked for a container's credentials without TLS, besides loopback addresses."""

BUSY = frozenset({"Throttling", "ThrottlingException", "RequestLimitExceeded"})
"""Codes of STS that come with 400 and are no refusal of the credentials."""

UNSUPPORTED = ("role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file")  # fmt: skip
"""Members of a profile without keys that say where they come from in a way that is not supported."""


@attrs.frozen
class Found:
    """Credentials, and the seconds they are good for."""

    credentials: AwsCredentials
    lifetime_s: float = LIFETIME_S
    """Where nobody tells an end it is when to look again."""


def log_in(source: AwsPlace | AwsRole, here: Here) -> Login:
    """Credentials of ``source``. Raises ConfigurationMissing where there are none, UpstreamError for refusals."""
    if isinstance(source, AwsRole):
        own = source.credentials or (yield from _of_place(here)).credentials
        found = yield from _assume(source, own, here)
    else:
        found = yield from _of_place(here)
    return Grant(token=found.credentials, lifetime_s=found.lifetime_s)


def _of_place(here: Here) -> Part[Found]:
    for look in PLACES:
        found = yield from look(here)
        if found is not None:
            return found
    raise ConfigurationMissing(
        "no credentials of AWS: the key has neither value nor access_key, and there are none in the environment,"
        " in the files of ~/.aws, or from the container or the machine"
    )


# Variables


def _environment(here: Here) -> Part[Found | None]:
    yield from ()
    told = _told(here)
    access, secret = told("AWS_ACCESS_KEY_ID"), told("AWS_SECRET_ACCESS_KEY")
    if not access and not secret:
        return None
    if not access or not secret:
        raise ConfigurationMissing("one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is not set")
    return Found(AwsCredentials(access, secret, told("AWS_SESSION_TOKEN")))


def _told(here: Here) -> Callable[[str], str]:
    return lambda name: here.environ.get(name, "").strip()


# A web identity


def _web_identity(here: Here) -> Part[Found | None]:
    told = _told(here)
    path, role = told("AWS_WEB_IDENTITY_TOKEN_FILE"), told("AWS_ROLE_ARN")
    if not path or not role:
        return None
    what = "AWS_WEB_IDENTITY_TOKEN_FILE"
    token = yield from text_of_file(path, what=what)
    if not token:
        raise ConfigurationMissing(f"{what}: {path} is not there, or empty")
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": STS_VERSION,
        "RoleArn": role,
        "RoleSessionName": told("AWS_ROLE_SESSION_NAME") or AWS_SESSION_NAME,
        "WebIdentityToken": token.strip(),
    }
    region = told("AWS_REGION") or told("AWS_DEFAULT_REGION") or AWS_REGION
    answer = yield Ask(_sts(form, region, here))
    return _assumed(answer, here, Secret(token.strip()))


# Files


def _files(here: Here) -> Part[Found | None]:
    told = _told(here)
    home = told("HOME")
    profile = told("AWS_PROFILE") or told("AWS_DEFAULT_PROFILE")
    name = profile or "default"
    is_known = False
    for variable, default, section in (
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name),
        ("AWS_CONFIG_FILE", "config", name if name == "default" else f"profile {name}"),
    ):
        path = told(variable) or (f"{home}/.aws/{default}" if home else "")
        if path.startswith("~/"):
            path = f"{home}{path[1:]}"
        members = yield from _section(path, section)
        found = _keys_of(members or {}, path, name)
        if found is not None:
            return found
        is_known = is_known or members is not None
    if profile and not is_known:
        raise ConfigurationMissing(f"AWS_PROFILE: there is no profile {profile!r}")
    return None


def _section(path: str, name: str) -> Part[Mapping[str, str] | None]:
    text = (yield from text_of_file(path, what="credentials of AWS")) if path else None
    if text is None:
        return None
    parser = configparser.RawConfigParser(default_section="", strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        # Not chained: it quotes the line it does not understand.
        raise ConfigurationMissing(f"{path} is no file of AWS's profiles") from None
    return dict(parser[name]) if parser.has_section(name) else None


def _keys_of(members: Mapping[str, str], path: str, profile: str) -> Found | None:
    access = members.get("aws_access_key_id", "").strip()
    secret = members.get("aws_secret_access_key", "").strip()
    if access and secret:
        return Found(AwsCredentials(access, secret, members.get("aws_session_token", "").strip()))
    if told := [name for name in UNSUPPORTED if name in members]:
        raise ConfigurationMissing(
            f"{path}: profile {profile!r} has {told[0]}, which is not supported;"
            " aws_access_key_id with aws_secret_access_key is"
        )
    return None


# The container, the machine


def _container(here: Here) -> Part[Found | None]:
    told = _told(here)
    variable, url = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ""
    if path := told(variable):
        url = f"{CONTAINER}{path}"
    elif url := told("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
        _check_container(url, variable)
    else:
        return None
    token = yield from _container_token(here)
    headers = (("authorization", token),) if token else ()
    answer = yield Ask(asked(url, what=variable, headers=headers), is_local=True)
    return _credentials_in(answer, here, Secret(token))


def _check_container(url: str, variable: str) -> None:
    """Credentials are not to be had, nor a token sent, over a wire that others may listen to."""
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in LOCAL_HOSTS:
        return
    try:
        if ipaddress.ip_address(parts.hostname or "").is_loopback:
            return
    except ValueError:
        pass
    raise ConfigurationMissing(f"{variable}: without TLS only an address of this machine is asked")


def _container_token(here: Here) -> Part[str]:
    told = _told(here)
    variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
    path = told(variable)
    if not path:
        return told("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    token = yield from text_of_file(path, what=variable)
    if not token:
        raise ConfigurationMissing(f"{variable}: {path} is not there, or empty")
    return token.strip()


def _machine(here: Here) -> Part[Found | None]:
    told = _told(here)
    if told("AWS_EC2_METADATA_DISABLED").lower() == "true":
        return None
    variable = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    base = (told(variable) or MACHINE).rstrip("/")
    life = ("x-aws-ec2-metadata-token-ttl-seconds", str(MACHINE_TOKEN_S))
    request = asked(f"{base}/latest/api/token", what=variable, method=b"PUT", headers=(life,))
    try:
        answer = yield Ask(request, is_local=True)
    except (NetworkError, UpstreamTimeout):
        # Most likely no machine of Amazon's.
        return None
    if answer.status != 200:
        raise refusal(answer.status, ("the machine's metadata gives no token",))
    token = answer.body.decode("latin-1").strip()
    proof = (("x-aws-ec2-metadata-token", token),)
    url = f"{base}{ROLE_PATH}"
    answer = yield Ask(asked(url, what=variable, headers=proof), is_local=True)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise refusal(answer.status, ("the machine's metadata names no role",), (Secret(token),))
    role = answer.body.decode("utf-8", "replace").strip().partition("\n")[0]
    url = f"{url}{quote(role, safe='')}"
    answer = yield Ask(asked(url, what=variable, headers=proof), is_local=True)
    return _credentials_in(answer, here, Secret(token))


def _credentials_in(answer: Answer, here: Here, secret: Secret) -> Found:
    """Credentials as containers and machines tell them."""
    members = members_of(answer.body)
    names = ("AccessKeyId", "SecretAccessKey", "Token")
    access, key, token = (str(members.get(name) or "").strip() for name in names)
    if answer.status != 200 or not access or not key:
        words = (members.get("code") or members.get("Code"), members.get("message"))
        status = answer.status if answer.status != 200 else 502
        raise refusal(status, words, (secret,))
    life_s = seconds_until(members.get("Expiration"), here.now_unix_s)
    return Found(AwsCredentials(access, key, token), life_s)


PLACES: tuple[Callable[[Here], Part[Found | None]], ...] = (
    _environment,
    _web_identity,
    _files,
    _container,
    _machine,
)
"""Where credentials may be, in the order that they are looked for."""


# Roles


def _assume(source: AwsRole, own: AwsCredentials, here: Here) -> Part[Found]:
    form = {
        "Action": "AssumeRole",
        "Version": STS_VERSION,
        "RoleArn": source.role_arn,
        "RoleSessionName": source.session_name,
        "DurationSeconds": str(ROLE_S),
    }
    if source.external_id:
        form["ExternalId"] = source.external_id
    request = signed(
        _sts(form, source.region, here),
        own,
        region=source.region,
        service="sts",
        now_unix_s=here.now_unix_s,
    )
    answer = yield Ask(request)
    return _assumed(answer, here, own)


def _sts(form: Mapping[str, str], region: str, here: Here) -> UpstreamRequest:
    variable = "AWS_ENDPOINT_URL_STS"
    tail = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = here.environ.get(variable, "").strip() or f"https://sts.{region}.{tail}/"
    return posted(url, form, what=f"the address of STS in {region!r}")


def _assumed(answer: Answer, here: Here, secret: Secret) -> Found:
    told = _leaves(answer.body)
    if answer.status != 200:
        error = refusal(answer.status, (told.get("Code"), told.get("Message")), (secret,))
        if told.get("Code") in BUSY:
            error.error_class = ErrorClass.SERVER
        raise error
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    access, key, token = (told.get(name, "") for name in names)
    if not access or not key or not token:
        raise UpstreamError("the answer of STS holds no credentials", status=502)
    life_s = seconds_until(told.get("Expiration"), here.now_unix_s)
    return Found(AwsCredentials(access, key, token), life_s)


def _leaves(body: bytes) -> dict[str, str]:
    """The texts of an XML document by the names of their elements; none for what is no such thing."""
    try:
        # Expat bounds what entities come to since 2.4.1, and the body is of 64 KiB at most.
        root = ET.fromstring(body)  # noqa: S314  as above
    except ET.ParseError:
        return {}
    return {each.tag.rpartition("}")[2]: (each.text or "").strip() for each in root.iter()}
