from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import attrs
import pytest

from bifrost.config.secret import Secret, Token
from bifrost.errors import ConfigurationMissing, ErrorClass, UpstreamError
from bifrost.policy.token_sources import ManagedIdentity, Principal
from bifrost.providers.base import Origin
from bifrost.providers.entra import read_grant, token_request

SECRET = "top~secret+1"
PRINCIPAL = Principal(
    authority_host="https://login.example/base",
    tenant_id="t/../x",
    client_id="c",
    client_secret=Secret(SECRET),
    scopes=("a/.default", "b"),
)
MACHINE = ManagedIdentity(client_id=None, scopes=("https://cognitiveservices.azure.com/.default",))


def test_a_service_principal_logs_in_with_its_secret() -> None:
    request = token_request(PRINCIPAL)

    assert request.origin == Origin("https", "login.example", 443)
    assert request.target == b"/base/t%2F..%2Fx/oauth2/v2.0/token"
    assert request.method == b"POST"
    assert dict(request.headers)[b"content-type"] == b"application/x-www-form-urlencoded"
    assert isinstance(request.body, bytes)
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["c"],
        "client_secret": [SECRET],
        "scope": ["a/.default b"],
    }
    assert SECRET not in repr(request)


@pytest.mark.parametrize("client_id", [None, "user&1"])
def test_a_managed_identity_asks_its_machine(client_id: str | None) -> None:
    request = token_request(attrs.evolve(MACHINE, client_id=client_id))

    path, _, query = request.target.decode().partition("?")
    assert request.origin == Origin("http", "169.254.169.254", 80)
    assert (request.method, path) == (b"GET", "/metadata/identity/oauth2/token")
    assert dict(request.headers)[b"metadata"] == b"true"
    assert parse_qs(query) == {
        "api-version": ["2018-02-01"],
        "resource": ["https://cognitiveservices.azure.com"],
        **({"client_id": [client_id]} if client_id else {}),
    }


def test_a_login_without_an_address_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationMissing, match="authority_host: a URL must begin with"):
        token_request(attrs.evolve(PRINCIPAL, authority_host=""))


@pytest.mark.parametrize(
    ("told", "lifetime_s"),
    [
        (3599, 3599.0),
        ("86399", 86399.0),
        (1e9, 86400.0),
        (None, 3600.0),
        ("soon", 3600.0),
        (-1, 3600.0),
        ("inf", 3600.0),
        ([], 3600.0),
    ],
)
def test_a_token_and_its_life(told: Any, lifetime_s: float) -> None:
    grant = read_grant(
        200, json.dumps({"access_token": "eyJ.a.b", "expires_in": told}).encode(), PRINCIPAL
    )

    assert grant.token == Token("eyJ.a.b")
    assert isinstance(grant.token, Token)
    assert grant.lifetime_s == lifetime_s
    assert "eyJ" not in repr(grant)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"access_token": 1}',
        b'{"access_token": ""}',
        b'{"access_token": "a b"}',
        b'{"access_token": "a\\nb"}',
        '{"access_token": "\N{SNOWMAN}"}'.encode(),
        json.dumps({"access_token": "a" * 16385}).encode(),
    ],
)
def test_what_is_no_token_is_refused(body: bytes) -> None:
    with pytest.raises(UpstreamError, match="no token that can be sent"):
        read_grant(200, body, PRINCIPAL)


@pytest.mark.parametrize(
    ("status", "body", "text", "error_class"),
    [
        (
            401,
            {"error": "invalid_client", "error_description": f"AADSTS7000215: bad {SECRET}\r\nTrace ID: 1"},
            "no token: 401 invalid_client: AADSTS7000215: bad ***",
            ErrorClass.AUTH,
        ),
        (400, {"error": "unauthorized_client"}, "no token: 400 unauthorized_client", ErrorClass.AUTH),
        (503, None, "no token: 503", ErrorClass.SERVER),
        (302, {}, "no token: 302", ErrorClass.SERVER),
        (429, {"error": ["x"]}, "no token: 429 ['x']", ErrorClass.SERVER),
    ],
)  # fmt: skip
def test_a_refusal_is_told_without_the_secret(
    status: int, body: Any, text: str, error_class: ErrorClass
) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_grant(status, json.dumps(body).encode(), PRINCIPAL)

    assert caught.value.message == text
    assert caught.value.error_class is error_class


def test_a_machine_that_refuses_is_told_too() -> None:
    with pytest.raises(UpstreamError, match="no token: 400 invalid_request: Identity not found"):
        read_grant(
            400,
            b'{"error":"invalid_request","error_description":"Identity not found"}',
            MACHINE,
        )
