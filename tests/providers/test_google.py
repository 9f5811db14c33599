from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64decode
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from bifrost.config.secret import Secret, Token
from bifrost.errors import ConfigurationMissing, ErrorClass, UpstreamError, UpstreamTimeout
from bifrost.policy.token_sources import GoogleAccount, GooglePlace
from bifrost.providers.login_steps import Answer, Grant
from providers.logging_in import NOW_S, Place, Sent, answer

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
PLACE = GooglePlace(scopes=(SCOPE,))

# Short, for speed: it has to be a key, and need not be a good one.
KEY = rsa.generate_private_key(65537, 1024)


def pem(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = KEY, password: bytes | None = None
) -> str:
    coding = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, coding).decode()


SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "p",
    "private_key_id": "kid-1",
    "private_key": pem(),
    "client_email": "robot@p.iam.gserviceaccount.com",
    "token_uri": "https://oauth2.test/token",
}
USER = {
    "type": "authorized_user",
    "client_id": "cid",
    "client_secret": "c+secret",
    "refresh_token": "1//refresh",
}
IMPERSONATION = (
    "https://iamcredentials.test/v1/projects/-/serviceAccounts/sa@p.iam:generateAccessToken"
)
IMPERSONATED = {
    "type": "impersonated_service_account",
    "service_account_impersonation_url": IMPERSONATION,
    "source_credentials": USER,
    "delegates": ["d1"],
}
EXTERNAL = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/x",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.test/v1/token",
    "credential_source": {"file": "/var/run/token"},
}
WORKFORCE_USER = {
    "type": "external_account_authorized_user",
    "client_id": "c:id",
    "client_secret": "s/1",
    "refresh_token": "1//refresh",
    "token_url": "https://sts.test/v1/oauthtoken",
}
TOKEN = answer(access_token="ya29.a", expires_in=3599)
IMPERSONATED_TOKEN = answer(accessToken="ya29.imp", expireTime="2027-01-15T08:30:00Z")
"""Half an hour after ``NOW_S``."""


def account(members: object) -> GoogleAccount:
    text = members if isinstance(members, str) else json.dumps(members)
    return GoogleAccount(credentials=Secret(text), scopes=(SCOPE,))


def grant(token: str = "ya29.a", lifetime_s: float = 3599.0) -> Grant:
    return Grant(token=Token(token), lifetime_s=lifetime_s)


def segment(text: str) -> Any:
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


# A service account


def test_a_service_account_asserts_itself() -> None:
    here = Place({"https://oauth2.test/token": TOKEN})

    assert here.log_in(account(SERVICE_ACCOUNT)) == grant()

    (sent,) = here.sent
    assert (sent.method, sent.is_local) == ("POST", False)
    assert sent.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    header, claims, signature = sent.form["assertion"].split(".")
    assert segment(header) == {"alg": "RS256", "typ": "JWT", "kid": "kid-1"}
    assert segment(claims) == {
        "iss": "robot@p.iam.gserviceaccount.com",
        "scope": SCOPE,
        "aud": "https://oauth2.test/token",
        "iat": int(NOW_S),
        "exp": int(NOW_S) + 3600,
    }
    KEY.public_key().verify(
        urlsafe_b64decode(signature + "=="), f"{header}.{claims}".encode(), PKCS1v15(), SHA256()
    )


def test_a_service_account_needs_neither_key_id_nor_address() -> None:
    names = ("type", "private_key", "client_email")
    here = Place({"https://oauth2.googleapis.com/token": TOKEN})

    assert here.log_in(account({name: SERVICE_ACCOUNT[name] for name in names})) == grant()

    header, claims, _ = here.sent[0].form["assertion"].split(".")
    assert "kid" not in segment(header)
    assert segment(claims)["aud"] == "https://oauth2.googleapis.com/token"


WHERE = "vertex_key_config.auth_credentials"


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ("", f"{WHERE}: no credentials of Google's"),
        ("/path/to/file.json", f"{WHERE}: no credentials of Google's"),
        ("[]", f"{WHERE}: no credentials of Google's"),
        ({"type": "gdch_service_account"}, f"{WHERE}: type 'gdch_service_account' is not supported; service_account, authorized_user, impersonated_service_account, external_account, external_account_authorized_user are"),
        ({"a": 1}, f"{WHERE}: type '' is not supported"),
        ({**SERVICE_ACCOUNT, "client_email": None}, f"{WHERE}: client_email is missing"),
        ({**SERVICE_ACCOUNT, "private_key": ""}, f"{WHERE}: private_key is missing"),
        ({**SERVICE_ACCOUNT, "private_key": "s3cret"}, f"{WHERE}: private_key cannot be read"),
        ({**SERVICE_ACCOUNT, "private_key": pem(password=b"x")}, f"{WHERE}: private_key cannot be read"),
        ({**SERVICE_ACCOUNT, "private_key": pem(ec.generate_private_key(ec.SECP256R1()))}, f"{WHERE}: private_key is not one of RSA"),
        ({**SERVICE_ACCOUNT, "token_uri": "nowhere"}, f"{WHERE}: token_uri: a URL must begin with"),
        ({**USER, "refresh_token": 1}, f"{WHERE}: refresh_token is missing"),
        ({**IMPERSONATED, "source_credentials": {"type": "x"}}, f"{WHERE}: source_credentials: type 'x' is not supported"),
        ({**EXTERNAL, "credential_source": {"executable": {"command": "x"}}}, f"{WHERE}: credential_source: neither a file nor a url"),
        ({**EXTERNAL, "credential_source": {"environment_id": "aws1", "url": "http://169.254.169.254/x"}}, f"{WHERE}: credential_source: AWS is not supported"),
        ({**EXTERNAL, "credential_source": "x"}, f"{WHERE}: credential_source: neither a file nor a url"),
        (EXTERNAL, f"{WHERE}: credential_source: /var/run/token is not there"),
    ],
)  # fmt: skip
def test_what_are_no_credentials_is_told(members: object, text: str) -> None:
    with pytest.raises(ConfigurationMissing) as caught:
        Place().log_in(account(members))

    assert caught.value.message.startswith(text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("members", "reply", "text", "error_class"),
    [
        (SERVICE_ACCOUNT, answer(400, error="invalid_grant", error_description="Invalid JWT Signature."), "no token: 400 invalid_grant: Invalid JWT Signature.", ErrorClass.AUTH),
        (SERVICE_ACCOUNT, Answer(503, b"<html>"), "no token: 503", ErrorClass.SERVER),
        (SERVICE_ACCOUNT, answer(id_token="x"), "the answer holds no token that can be sent", ErrorClass.SERVER),
        ({**USER, "token_uri": "https://oauth2.test/token"}, answer(401, error="bad 1//refresh of c+secret"), "no token: 401 bad *** of ***", ErrorClass.AUTH),
    ],
)  # fmt: skip
def test_refusals_are_told_without_secrets(
    members: object, reply: Answer, text: str, error_class: ErrorClass
) -> None:
    with pytest.raises(UpstreamError) as caught:
        Place({"https://oauth2.test/token": reply}).log_in(account(members))

    assert caught.value.message == text
    assert caught.value.error_class is error_class


def test_an_assertion_that_is_echoed_is_scrubbed() -> None:
    def echo(sent: Sent) -> Answer:
        return answer(400, error=f"bad {sent.form['assertion']}")

    with pytest.raises(UpstreamError, match=r"no token: 400 bad \*\*\*$"):
        Place({"https://oauth2.test/token": echo}).log_in(account(SERVICE_ACCOUNT))


# Users


def test_a_user_refreshes() -> None:
    here = Place({"https://oauth2.googleapis.com/token": TOKEN})

    assert here.log_in(account(USER)) == grant()
    assert here.sent[0].form == {
        "grant_type": "refresh_token",
        "client_id": "cid",
        "client_secret": "c+secret",
        "refresh_token": "1//refresh",
    }


def test_a_user_of_a_workforce_pool_refreshes() -> None:
    here = Place({"https://sts.test/v1/oauthtoken": TOKEN})

    assert here.log_in(account(WORKFORCE_USER)) == grant()
    (sent,) = here.sent
    assert sent.form == {"grant_type": "refresh_token", "refresh_token": "1//refresh"}
    basic = sent.headers["authorization"].removeprefix("Basic ")
    assert b64decode(basic) == b"c%3Aid:s%2F1"


# Impersonation


def test_a_service_account_is_impersonated() -> None:
    here = Place({"https://oauth2.googleapis.com": TOKEN, IMPERSONATION: IMPERSONATED_TOKEN})

    assert here.log_in(account(IMPERSONATED)) == grant("ya29.imp", 1800.0)

    sent = here.sent[1]
    assert (sent.method, sent.url) == ("POST", IMPERSONATION)
    assert sent.headers["authorization"] == "Bearer ya29.a"
    assert sent.headers["content-type"] == "application/json"
    assert json.loads(sent.body) == {"scope": [SCOPE], "delegates": ["d1"], "lifetime": "3600s"}


def impersonated(times: int) -> dict[str, Any]:
    members: dict[str, Any] = USER
    for _ in range(times):
        members = {**IMPERSONATED, "source_credentials": members}
    return members


def test_accounts_may_impersonate_accounts_up_to_a_bound() -> None:
    here = Place({"https://oauth2.googleapis.com": TOKEN, IMPERSONATION: IMPERSONATED_TOKEN})

    here.log_in(account(impersonated(4)))
    assert len(here.sent) == 5

    with pytest.raises(ConfigurationMissing, match="source_credentials: more than 4 within one another"):  # fmt: skip
        here.log_in(account(impersonated(100)))
    assert len(here.sent) == 5


def test_an_impersonation_that_is_refused_is_told() -> None:
    denied = answer(403, error={"code": 403, "status": "PERMISSION_DENIED", "message": "not ya29.a"})  # fmt: skip
    here = Place({"https://oauth2.googleapis.com": TOKEN, IMPERSONATION: denied})

    with pytest.raises(UpstreamError) as caught:
        here.log_in(account(IMPERSONATED))

    assert caught.value.message == "no token: 403 PERMISSION_DENIED: not ***"
    assert caught.value.error_class is ErrorClass.AUTH


# Workload identity

URL_SOURCE = {"url": "http://127.0.0.1:81/token", "headers": {"x-proof": "1"}}
JSON_FORMAT = {"type": "json", "subject_token_field_name": "id_token"}


@pytest.mark.parametrize(
    ("source", "content"),
    [
        ({"file": "/token"}, " subject\n"),
        ({"file": "/token", "format": {"type": "text"}}, "subject"),
        ({"file": "/token", "format": JSON_FORMAT}, '{"id_token": "subject"}'),
        (URL_SOURCE, "subject"),
        ({**URL_SOURCE, "format": JSON_FORMAT}, '{"id_token": "subject"}'),
    ],
)
def test_a_token_of_somebody_elses_is_exchanged(source: dict[str, Any], content: str) -> None:
    here = Place(
        {"http://127.0.0.1:81/token": Answer(200, content.encode()), "https://sts.test": TOKEN},
        {"/token": content},
    )

    assert here.log_in(account({**EXTERNAL, "credential_source": source})) == grant()

    *before, sent = here.sent
    assert [(one.is_local, one.headers["x-proof"]) for one in before] == (
        [(True, "1")] if "url" in source else []
    )
    assert (sent.url, sent.is_local) == ("https://sts.test/v1/token", False)
    assert sent.form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": EXTERNAL["audience"],
        "scope": SCOPE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": "subject",
        "subject_token_type": EXTERNAL["subject_token_type"],
    }
    assert "authorization" not in sent.headers


@pytest.mark.parametrize(
    ("source", "content", "error", "text"),
    [
        ({"file": "/token"}, " \n", ConfigurationMissing, "there is no token in it"),
        ({"file": "/token", "format": JSON_FORMAT}, "subject", ConfigurationMissing, "there is no token in it"),
        ({"file": "/token", "format": {"type": "json"}}, "{}", ConfigurationMissing, "subject_token_field_name is missing"),
        ({"file": "/token"}, None, ConfigurationMissing, "credential_source: /token cannot be read"),
        ({"url": "http://127.0.0.1:81/no"}, "", UpstreamError, "no token: 500 .*credential_source: url"),
        ({**URL_SOURCE, "headers": {"a": "b\nc"}}, "", ConfigurationMissing, "line break"),
    ],
)  # fmt: skip
def test_somebody_elses_token_may_not_be_there(
    source: dict[str, Any], content: str | None, error: type[Exception], text: str
) -> None:
    here = Place({"http://127.0.0.1:81/no": Answer(500)}, {"/token": content})

    with pytest.raises(error, match=text):
        here.log_in(account({**EXTERNAL, "credential_source": source}))


@pytest.mark.parametrize(
    ("more", "options", "basic"),
    [
        ({"workforce_pool_user_project": "p1"}, '{"userProject":"p1"}', None),
        ({"workforce_pool_user_project": "p1", "client_id": "c", "client_secret": "s"}, None, b"c:s"),
        ({"client_id": "c"}, None, b"c:"),
    ],
)  # fmt: skip
def test_who_asks_for_the_exchange(
    more: dict[str, str], options: str | None, basic: bytes | None
) -> None:
    here = Place({"https://sts.test": TOKEN}, {"/var/run/token": "subject"})

    here.log_in(account({**EXTERNAL, **more}))

    (sent,) = here.sent
    assert sent.form.get("options") == options
    told = sent.headers.get("authorization")
    assert told is None if basic is None else b64decode(str(told)[6:]) == basic


def test_an_exchanged_token_may_impersonate() -> None:
    here = Place(
        {"https://sts.googleapis.com/v1/token": TOKEN, IMPERSONATION: IMPERSONATED_TOKEN},
        {"/var/run/token": "subject"},
    )
    members = {
        **EXTERNAL,
        "token_url": None,
        "service_account_impersonation_url": IMPERSONATION,
        "service_account_impersonation": {"token_lifetime_seconds": 1800},
    }

    assert here.log_in(account(members)) == grant("ya29.imp", 1800.0)
    assert json.loads(here.sent[1].body)["lifetime"] == "1800s"


def test_a_subject_that_is_echoed_is_scrubbed() -> None:
    refused = answer(400, error="invalid_grant", error_description="what is subject-1?")
    here = Place({"https://sts.test": refused}, {"/var/run/token": "subject-1"})

    with pytest.raises(UpstreamError, match=r"invalid_grant: what is \*\*\*\?"):
        here.log_in(account(EXTERNAL))


# The place

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"  # fmt: skip
HOME = {"HOME": "/home/u"}
WELL_KNOWN = "/home/u/.config/gcloud/application_default_credentials.json"
USER_TEXT = json.dumps(USER)


@pytest.mark.parametrize(
    ("environ", "files"),
    [
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/adc.json", **HOME}, {"/adc.json": USER_TEXT, WELL_KNOWN: "{}"}),
        (HOME, {WELL_KNOWN: USER_TEXT}),
        ({"CLOUDSDK_CONFIG": "/sdk", **HOME}, {"/sdk/application_default_credentials.json": USER_TEXT, WELL_KNOWN: "{}"}),
    ],
)  # fmt: skip
def test_the_place_has_a_file(environ: dict[str, str], files: dict[str, str]) -> None:
    here = Place({"https://oauth2.googleapis.com": TOKEN}, files, environ)

    assert here.log_in(PLACE) == grant()


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, METADATA),
        (HOME, METADATA),
        ({"GCE_METADATA_HOST": "127.0.0.1:81"}, METADATA.replace("metadata.google.internal", "127.0.0.1:81")),
    ],
)  # fmt: skip
def test_the_place_is_a_machine_of_googles(environ: dict[str, str], url: str) -> None:
    here = Place({url: TOKEN}, environ=environ)

    assert here.log_in(PLACE) == grant()
    (sent,) = here.sent
    assert (sent.method, sent.is_local) == ("GET", True)
    assert sent.headers["metadata-flavor"] == "Google"
    assert parse_qs(sent.url.partition("?")[2]) == {"scopes": [SCOPE]}


def test_the_file_that_is_named_must_be_there() -> None:
    here = Place({METADATA: TOKEN}, environ={"GOOGLE_APPLICATION_CREDENTIALS": "/adc.json"})

    with pytest.raises(ConfigurationMissing, match=r"CREDENTIALS: /adc\.json is not there"):
        here.log_in(PLACE)


def test_a_file_that_is_none_names_itself() -> None:
    here = Place(files={WELL_KNOWN: '{"type": "x"}'}, environ=HOME)

    with pytest.raises(ConfigurationMissing, match=f"{WELL_KNOWN}: type 'x' is not supported"):
        here.log_in(PLACE)


@pytest.mark.parametrize("reply", [None, UpstreamTimeout("late")], ids=["refused", "silent"])
def test_a_place_without_credentials_says_where_it_looked(reply: UpstreamTimeout | None) -> None:
    here = Place({} if reply is None else {METADATA: reply})

    with pytest.raises(UpstreamError, match=r"no credentials of Google's: .*does not answer") as it:
        here.log_in(PLACE)
    assert it.value.error_class in {ErrorClass.NETWORK, ErrorClass.TIMEOUT}


def test_a_machine_without_an_account_is_told() -> None:
    here = Place({METADATA: Answer(404, b"not found")})

    with pytest.raises(UpstreamError, match="no token: 404"):
        here.log_in(PLACE)
