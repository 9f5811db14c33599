from __future__ import annotations

from typing import Any

import attrs
import pytest

from bifrost.config.key_configs import AzureKeySettings, BedrockKeySettings, VertexKeySettings
from bifrost.config.secret import AwsCredentials, Secret
from bifrost.config.settings import KeySettings
from bifrost.policy.eligibility import is_blank
from bifrost.policy.token_sources import (
    AwsPlace,
    AwsRole,
    GoogleAccount,
    GooglePlace,
    ManagedIdentity,
    Principal,
    TokenSource,
    own_token,
    token_source,
    token_sources,
)

LOGIN = "https://login.microsoftonline.com"
SCOPES = ("https://cognitiveservices.azure.com/.default",)
WHOLE: dict[str, Any] = {"client_id": "c", "client_secret": Secret("s"), "tenant_id": "t"}
PRINCIPAL = Principal(
    authority_host=LOGIN, tenant_id="t", client_id="c", client_secret=Secret("s"), scopes=SCOPES
)
BLANK = Secret("")
UNSET = Secret("", reference="env.NOT")


def key(value: Secret = BLANK, **azure: Any) -> KeySettings:
    settings = AzureKeySettings(endpoint="https://x.example", **azure)
    return KeySettings(id="k", name="k", value=value, azure=settings)


@pytest.mark.parametrize(
    ("one", "source"),
    [
        (key(**WHOLE), PRINCIPAL),
        (key(Secret("sk"), **WHOLE), PRINCIPAL),
        (key(**WHOLE, scopes=("a", "b")), attrs.evolve(PRINCIPAL, scopes=("a", "b"))),
        (key(**WHOLE, authority_host="https://l"), attrs.evolve(PRINCIPAL, authority_host="https://l")),
        (key(), ManagedIdentity(client_id=None, scopes=SCOPES)),
        (key(client_id="u"), ManagedIdentity(client_id="u", scopes=SCOPES)),
        (KeySettings(id="k", name="k"), ManagedIdentity(client_id=None, scopes=SCOPES)),
        (KeySettings(id="k", name="k", value=Secret("sk")), None),
        (KeySettings(id="k", name="k", value=UNSET), None),
        (key(Secret("sk")), None),
        (key(UNSET), None),
        (key(client_id="c", client_secret=UNSET, tenant_id="t"), None),
        (key(**WHOLE, is_callers=True), None),
    ],
)  # fmt: skip
def test_where_the_token_of_a_key_comes_from(one: KeySettings, source: TokenSource | None) -> None:
    assert token_source(one, "azure") == source
    assert token_source(one, "openai") is None


def test_keys_with_the_same_source_share_it_and_disabled_ones_have_none() -> None:
    other = key(**{**WHOLE, "client_id": "d"})
    off = attrs.evolve(key(**{**WHOLE, "client_id": "e"}), enabled=False)

    found = token_sources((key(**WHOLE), key(Secret("sk")), other, key(**WHOLE), off), "azure")

    assert found == (PRINCIPAL, attrs.evolve(PRINCIPAL, client_id="d"))


def test_a_source_does_not_show_its_secret() -> None:
    assert "Secret('***')" in repr(PRINCIPAL)


@pytest.mark.parametrize(
    ("one", "blank"),
    [
        (key(**WHOLE), False),
        (key(), False),
        (key(Secret("sk")), False),
        (key(UNSET), True),
        (key(Secret("  ")), True),
        (key(client_id="c", client_secret=UNSET, tenant_id="t"), True),
    ],
)
def test_a_key_of_azure_without_value_and_source_is_blank(one: KeySettings, blank: bool) -> None:
    assert is_blank(one, "azure") is blank


# Google


GOOGLE_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
FILE = Secret('{"type": "service_account"}')


def vertex(value: Secret = BLANK, **more: Any) -> KeySettings:
    settings = VertexKeySettings(project_id="p", region="r", **more)
    return KeySettings(id="k", name="k", value=value, vertex=settings)


@pytest.mark.parametrize(
    ("one", "source"),
    [
        (vertex(auth_credentials=FILE), GoogleAccount(credentials=FILE, scopes=GOOGLE_SCOPES)),
        (vertex(), GooglePlace(scopes=GOOGLE_SCOPES)),
        (vertex(auth_credentials=BLANK), GooglePlace(scopes=GOOGLE_SCOPES)),
        (vertex(auth_credentials=UNSET), None),
        (vertex(Secret("v")), None),
        (vertex(Secret("v"), auth_credentials=FILE), None),
        (vertex(UNSET, auth_credentials=FILE), None),
        (KeySettings(id="k", name="k"), None),
    ],
)
def test_where_the_token_of_a_vertex_key_comes_from(
    one: KeySettings, source: TokenSource | None
) -> None:
    assert token_source(one, "vertex") == source
    assert token_source(one, "gemini") is None
    assert is_blank(one, "vertex") is (source is None and not one.value)


# AWS


def bedrock(value: Secret = BLANK, **more: Any) -> KeySettings:
    settings = BedrockKeySettings(region=more.pop("region", "eu-west-1"), **more)
    return KeySettings(id="k", name="k", value=value, bedrock=settings)


OWN: dict[str, Any] = {"access_key": Secret("A"), "secret_key": Secret("S")}
ROLE = AwsRole(
    role_arn="r",
    external_id=None,
    session_name="bifrost-session",
    region="eu-west-1",
    credentials=None,
)
OWN_ROLE = attrs.evolve(ROLE, credentials=AwsCredentials("A", "S"))


@pytest.mark.parametrize(
    ("one", "source", "blank"),
    [
        (bedrock(), AwsPlace(), False),
        (bedrock(role_arn="r"), ROLE, False),
        (bedrock(role_arn="r", **OWN), OWN_ROLE, False),
        (
            bedrock(role_arn="r", external_id="x", session_name="s", region="", **OWN),
            attrs.evolve(OWN_ROLE, external_id="x", session_name="s", region="us-east-1"),
            False,
        ),
        (
            bedrock(role_arn="r", **OWN, session_token=Secret(" T ")),
            attrs.evolve(ROLE, credentials=AwsCredentials("A", "S", "T")),
            False,
        ),
        (bedrock(**OWN), None, False),
        (bedrock(Secret("api-key"), role_arn="r"), None, False),
        (bedrock(UNSET), None, True),
        (bedrock(access_key=UNSET, secret_key=UNSET), None, True),
        (bedrock(access_key=Secret("A"), secret_key=UNSET, role_arn="r"), None, True),
        (bedrock(access_key=BLANK, secret_key=BLANK), AwsPlace(), False),
        (KeySettings(id="k", name="k"), None, True),
        (KeySettings(id="k", name="k", value=Secret("api-key")), None, False),
    ],
)
def test_where_the_credentials_of_a_bedrock_key_come_from(
    one: KeySettings, source: TokenSource | None, blank: bool
) -> None:
    assert token_source(one, "bedrock") == source
    assert is_blank(one, "bedrock") is blank


@pytest.mark.parametrize(
    ("one", "own"),
    [
        (bedrock(**OWN), AwsCredentials("A", "S")),
        (bedrock(**OWN, session_token=Secret("T")), AwsCredentials("A", "S", "T")),
        (bedrock(**OWN, role_arn="r"), None),
        (bedrock(Secret("api-key"), **OWN), None),
        (bedrock(), None),
        (KeySettings(id="k", name="k"), None),
    ],
)
def test_a_pair_of_its_own_is_what_a_key_signs_with(
    one: KeySettings, own: AwsCredentials | None
) -> None:
    assert own_token(one, "bedrock") == own
    assert own_token(one, "openai") is None


def test_keys_without_logins_may_be_blank_where_their_provider_says() -> None:
    assert not is_blank(KeySettings(id="k", name="k"), "vllm")
    assert is_blank(KeySettings(id="k", name="k"), "openai")


def test_no_source_shows_its_secret() -> None:
    hush = Secret("hush-hush")
    sources = (
        token_source(vertex(auth_credentials=hush), "vertex"),
        token_source(bedrock(access_key=hush, secret_key=hush, role_arn="r"), "bedrock"),
    )

    assert "hush" not in repr(sources)
