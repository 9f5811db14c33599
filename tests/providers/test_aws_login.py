from __future__ import annotations

from typing import Any

import attrs
import pytest

from bifrost.config.secret import AwsCredentials
from bifrost.errors import ConfigurationMissing, ErrorClass, UpstreamError, UpstreamTimeout
from bifrost.policy.token_sources import AwsPlace, AwsRole
from bifrost.providers.aws_signing import signed
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.providers.login_steps import Answer, Grant
from providers.logging_in import NOW_S, Place, Reply, Sent, answer

PLACE = AwsPlace()
OWN = AwsCredentials("AKIAOWN", "own-secret", "own-session")
ROLE = AwsRole(
    role_arn="arn:aws:iam::1:role/r",
    external_id=None,
    session_name="bifrost-session",
    region="eu-west-1",
    credentials=OWN,
)
STS = "https://sts.eu-west-1.amazonaws.com/"
LENT = AwsCredentials("ASIALENT", "lent/secret+", "lent-session==")
LEFT_S = 1800.0

CREDENTIALS = """
      <Credentials>
        <AccessKeyId>ASIALENT</AccessKeyId><SecretAccessKey>lent/secret+</SecretAccessKey>
        <SessionToken>lent-session==</SessionToken><Expiration>2027-01-15T08:30:00Z</Expiration>
      </Credentials>"""


def assumed(action: str = "AssumeRole", credentials: str = CREDENTIALS) -> Answer:
    return Answer(
        200,
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
        f"<AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>{credentials}"
        f"</{action}Result></{action}Response>".encode(),
    )


def refused(status: int, code: str, message: str = "no") -> Answer:
    return Answer(
        status,
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>".encode(),
    )


def grant(credentials: AwsCredentials = LENT, lifetime_s: float = LEFT_S) -> Grant:
    return Grant(token=credentials, lifetime_s=lifetime_s)


# Roles


def test_a_role_is_assumed_with_the_keys_own_credentials() -> None:
    here = Place({STS: assumed()})

    assert here.log_in(ROLE) == grant()

    (sent,) = here.sent
    assert (sent.method, sent.url, sent.is_local) == ("POST", STS, False)
    assert sent.form == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::1:role/r",
        "RoleSessionName": "bifrost-session",
        "DurationSeconds": "3600",
    }
    assert sent.headers["x-amz-security-token"] == "own-session"
    assert sent.headers["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIAOWN/20270115/eu-west-1/sts/aws4_request,"
    )
    assert sent.headers["authorization"] == authorization_again(sent)


def authorization_again(sent: Sent) -> str:
    names = ("host", "content-type")
    request = UpstreamRequest(
        method=b"POST",
        origin=Origin("https", "x", 443),
        target=b"/",
        headers=tuple((name.encode(), sent.headers[name].encode()) for name in names),
        body=sent.body.encode(),
    )
    done = signed(request, OWN, region="eu-west-1", service="sts", now_unix_s=NOW_S)
    return dict(done.headers)[b"authorization"].decode()


def test_a_role_may_want_an_external_id() -> None:
    here = Place({STS: assumed()})

    here.log_in(attrs.evolve(ROLE, external_id="x 1", session_name="me"))

    assert here.sent[0].form["ExternalId"] == "x 1"
    assert here.sent[0].form["RoleSessionName"] == "me"


@pytest.mark.parametrize(
    ("region", "environ", "url"),
    [
        ("us-east-1", {}, "https://sts.us-east-1.amazonaws.com/"),
        ("cn-north-1", {}, "https://sts.cn-north-1.amazonaws.com.cn/"),
        ("us-east-1", {"AWS_ENDPOINT_URL_STS": "http://localhost:81"}, "http://localhost:81/"),
    ],
)
def test_where_sts_is(region: str, environ: dict[str, str], url: str) -> None:
    here = Place({url: assumed()}, environ=environ)

    assert here.log_in(attrs.evolve(ROLE, region=region)) == grant()


def test_a_region_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationMissing, match="the address of STS in 'a b@c'"):
        Place().log_in(attrs.evolve(ROLE, region="a b@c"))


def test_a_role_is_assumed_with_the_credentials_of_the_place() -> None:
    here = Place({STS: assumed()}, environ=KEYS)

    assert here.log_in(attrs.evolve(ROLE, credentials=None)) == grant()
    assert "Credential=AKIAENV/" in here.sent[0].headers["authorization"]


@pytest.mark.parametrize(
    ("reply", "text", "error_class"),
    [
        (refused(403, "AccessDenied", "not for you"), "no token: 403 AccessDenied: not for you", ErrorClass.AUTH),
        (refused(403, "SignatureDoesNotMatch", "should be own-secret x-amz-security-token:own-session"), "no token: 403 SignatureDoesNotMatch: should be *** x-amz-security-token:***", ErrorClass.AUTH),
        (refused(400, "Throttling"), "no token: 400 Throttling: no", ErrorClass.SERVER),
        (refused(500, "InternalFailure"), "no token: 500 InternalFailure: no", ErrorClass.SERVER),
        (Answer(503, b"<html"), "no token: 503", ErrorClass.SERVER),
        (Answer(200, b"{}"), "the answer of STS holds no credentials", ErrorClass.SERVER),
        (assumed(credentials=""), "the answer of STS holds no credentials", ErrorClass.SERVER),
        (assumed(credentials=CREDENTIALS.replace("2027", "2026")), "the answer holds credentials that are over already", ErrorClass.SERVER),
    ],
)  # fmt: skip
def test_refusals_of_sts_are_told_without_secrets(
    reply: Answer, text: str, error_class: ErrorClass
) -> None:
    with pytest.raises(UpstreamError) as caught:
        Place({STS: reply}).log_in(ROLE)

    assert caught.value.message == text
    assert caught.value.error_class is error_class


def test_a_sts_that_cannot_be_reached_is_a_network_error() -> None:
    with pytest.raises(Exception, match="connection refused"):
        Place().log_in(ROLE)


# The place

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENV", "AWS_SECRET_ACCESS_KEY": "env-secret"}
ENV = AwsCredentials("AKIAENV", "env-secret")
WEB = {
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/web",
    "AWS_ROLE_ARN": "arn:aws:iam::1:role/web",
    "AWS_REGION": "eu-west-1",
}
HOME = {"HOME": "/home/u"}
PROFILES = """
[default]
aws_access_key_id = AKIAFILE
aws_secret_access_key = file%secret

[dev]
aws_access_key_id=AKIADEV
aws_secret_access_key=dev-secret
aws_session_token = dev-session
"""
FILE = AwsCredentials("AKIAFILE", "file%secret")
DEV = AwsCredentials("AKIADEV", "dev-secret", "dev-session")
CREDENTIALS_FILE = "/home/u/.aws/credentials"
CONFIG_FILE = "/home/u/.aws/config"
CONTAINER = answer(
    AccessKeyId="ASIALENT",
    SecretAccessKey="lent/secret+",
    Token="lent-session==",
    Expiration="2027-01-15T08:30:00Z",
)
RELATIVE = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/1"}
FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
MACHINE = "http://169.254.169.254/latest"
ROLES = f"{MACHINE}/meta-data/iam/security-credentials/"
EC2: dict[str, Reply] = {
    f"{MACHINE}/api/token": Answer(200, b"imds-token"),
    ROLES: Answer(200, b"the role\n"),
    f"{ROLES}the%20role": CONTAINER,
}


@pytest.mark.parametrize(
    ("environ", "files", "found"),
    [
        (KEYS, {}, ENV),
        ({**KEYS, "AWS_SESSION_TOKEN": "t"}, {}, AwsCredentials("AKIAENV", "env-secret", "t")),
        ({**KEYS, **WEB, **HOME, **RELATIVE, "AWS_PROFILE": "dev"}, {CREDENTIALS_FILE: PROFILES}, ENV),
        (HOME, {CREDENTIALS_FILE: PROFILES}, FILE),
        ({**HOME, **RELATIVE}, {CREDENTIALS_FILE: PROFILES}, FILE),
        ({**HOME, "AWS_PROFILE": "dev"}, {CREDENTIALS_FILE: PROFILES}, DEV),
        ({**HOME, "AWS_DEFAULT_PROFILE": "dev"}, {CREDENTIALS_FILE: PROFILES}, DEV),
        ({**HOME, "AWS_PROFILE": "dev"}, {CONFIG_FILE: PROFILES.replace("[dev]", "[profile dev]")}, DEV),
        (HOME, {CREDENTIALS_FILE: "[other]\na=b", CONFIG_FILE: PROFILES}, FILE),
        ({"AWS_SHARED_CREDENTIALS_FILE": "/creds"}, {"/creds": PROFILES}, FILE),
        ({**HOME, "AWS_CONFIG_FILE": "~/conf"}, {"/home/u/conf": PROFILES}, FILE),
    ],
)  # fmt: skip
def test_credentials_that_lie_about(
    environ: dict[str, str], files: dict[str, str], found: AwsCredentials
) -> None:
    here = Place(files=files, environ=environ)

    assert here.log_in(PLACE) == grant(found, 3600.0)
    assert here.sent == []


def test_a_web_identity_assumes_its_role() -> None:
    here = Place({STS: assumed("AssumeRoleWithWebIdentity")}, {"/web": "ey.J\n"}, WEB)

    assert here.log_in(PLACE) == grant()

    (sent,) = here.sent
    assert "authorization" not in sent.headers
    assert sent.form == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": "arn:aws:iam::1:role/web",
        "RoleSessionName": "bifrost-session",
        "WebIdentityToken": "ey.J",
    }


def test_a_web_identity_that_is_refused_is_told_without_its_token() -> None:
    reply = refused(400, "InvalidIdentityToken", "what is ey.J-1?")

    with pytest.raises(UpstreamError, match=r"400 InvalidIdentityToken: what is \*\*\*\?"):
        Place({STS: reply}, {"/web": "ey.J-1"}, WEB).log_in(PLACE)


@pytest.mark.parametrize(
    ("environ", "url", "token"),
    [
        (RELATIVE, "http://169.254.170.2/v2/credentials/1", None),
        ({FULL: "http://169.254.170.23/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/eks"}, "http://169.254.170.23/v1/credentials", "from-file"),
        ({FULL: "http://127.0.0.2:81/c", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "from-env"}, "http://127.0.0.2:81/c", "from-env"),
        ({FULL: "http://[fd00:ec2::23]/c"}, "http://[fd00:ec2::23]/c", None),
        ({FULL: "http://localhost/c"}, "http://localhost/c", None),
        ({FULL: "https://far.example/c"}, "https://far.example/c", None),
    ],
)  # fmt: skip
def test_a_container_has_credentials(environ: dict[str, str], url: str, token: str | None) -> None:
    here = Place({url: CONTAINER}, {"/eks": "from-file\n"}, environ)

    assert here.log_in(PLACE) == grant()
    (sent,) = here.sent
    assert (sent.method, sent.url, sent.is_local) == ("GET", url, True)
    assert sent.headers.get("authorization") == token


def test_a_machine_gives_its_roles_credentials_to_who_can_put() -> None:
    here = Place(EC2)

    assert here.log_in(PLACE) == grant()

    first, *others = here.sent
    assert (first.method, first.headers["x-aws-ec2-metadata-token-ttl-seconds"]) == ("PUT", "300")
    assert [one.url for one in others] == [ROLES, f"{ROLES}the%20role"]
    assert {one.headers["x-aws-ec2-metadata-token"] for one in others} == {"imds-token"}
    assert all(one.is_local for one in here.sent)


def test_a_machine_may_be_elsewhere() -> None:
    here = Place(
        {name.replace("169.254.169.254", "127.0.0.1:81"): reply for name, reply in EC2.items()},
        environ={"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:81/"},
    )

    assert here.log_in(PLACE) == grant()


@pytest.mark.parametrize(
    ("environ", "replies"),
    [
        ({}, {}),
        ({}, {MACHINE: UpstreamTimeout("late")}),
        (HOME, {}),
        ({"AWS_EC2_METADATA_DISABLED": "True"}, EC2),
        ({}, {**EC2, ROLES: Answer(404)}),
    ],
)
def test_a_place_without_credentials_is_a_configuration_error(
    environ: dict[str, str], replies: dict[str, Reply]
) -> None:
    with pytest.raises(ConfigurationMissing, match="no credentials of AWS: the key has neither"):
        Place(replies, environ=environ).log_in(PLACE)


SSO = "[default]\nsso_session = x\n"


@pytest.mark.parametrize(
    ("environ", "files", "text"),
    [
        ({"AWS_ACCESS_KEY_ID": "hush"}, {}, "one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is not set"),
        (WEB, {}, "AWS_WEB_IDENTITY_TOKEN_FILE: /web is not there, or empty"),
        (WEB, {"/web": None}, "AWS_WEB_IDENTITY_TOKEN_FILE: /web cannot be read"),
        ({**HOME, "AWS_PROFILE": "no"}, {CREDENTIALS_FILE: PROFILES}, "AWS_PROFILE: there is no profile 'no'"),
        (HOME, {CONFIG_FILE: SSO}, f"{CONFIG_FILE}: profile 'default' has sso_session, which is not supported"),
        (HOME, {CREDENTIALS_FILE: "[default]\nhush hush"}, f"{CREDENTIALS_FILE} is no file of AWS's profiles"),
        (HOME, {CREDENTIALS_FILE: "hush"}, f"{CREDENTIALS_FILE} is no file of AWS's profiles"),
        (HOME, {CREDENTIALS_FILE: None}, f"credentials of AWS: {CREDENTIALS_FILE} cannot be read"),
        ({FULL: "http://far.example/hush"}, {}, f"{FULL}: without TLS only"),
        ({FULL: "http://8.8.8.8/hush"}, {}, f"{FULL}: without TLS only"),
        ({FULL: "nowhere"}, {}, f"{FULL}: without TLS only"),
        ({**RELATIVE, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/no"}, {}, "TOKEN_FILE: /no is not there, or empty"),
        ({**RELATIVE, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "hush\nhush"}, {}, "header authorization holds a line break"),
    ],
)  # fmt: skip
def test_what_is_amiss_is_told(
    environ: dict[str, str], files: dict[str, str | None], text: str
) -> None:
    with pytest.raises(ConfigurationMissing) as caught:
        Place(files=files, environ=environ).log_in(PLACE)

    assert text in caught.value.message
    assert "hush" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("replies", "text"),
    [
        ({f"{MACHINE}/api/token": Answer(403)}, "no token: 403 the machine's metadata gives no token"),
        ({**EC2, ROLES: Answer(401)}, "no token: 401 the machine's metadata names no role"),
        ({**EC2, f"{ROLES}the%20role": answer(Code="AssumeRoleUnauthorizedAccess", message="imds-token")}, r"no token: 502 AssumeRoleUnauthorizedAccess: \*\*\*"),
        ({**EC2, f"{ROLES}the%20role": Answer(500)}, "no token: 500"),
    ],
)  # fmt: skip
def test_a_machine_may_refuse(replies: dict[str, Any], text: str) -> None:
    with pytest.raises(UpstreamError, match=text):
        Place(replies).log_in(PLACE)


def test_a_container_may_refuse() -> None:
    reply = answer(403, code="Forbidden", message="from-env is no token")
    environ = {**RELATIVE, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "from-env"}

    with pytest.raises(UpstreamError, match=r"no token: 403 Forbidden: \*\*\* is no token"):
        Place({"http://169.254.170.2": reply}, environ=environ).log_in(PLACE)


def test_grants_show_nothing() -> None:
    assert "lent" not in repr(grant()) + repr(ROLE) + str(LENT)
