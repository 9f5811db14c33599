from __future__ import annotations

from typing import Any

import attrs
import pytest

from bifrost.config.key_configs import AzureKeySettings
from bifrost.config.secret import Secret
from bifrost.config.settings import KeySettings
from bifrost.policy.eligibility import is_blank
from bifrost.policy.token_sources import (
    ManagedIdentity,
    Principal,
    TokenSource,
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
