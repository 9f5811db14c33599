"""How each source of tokens is logged in to: one row a source."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bifrost.policy.token_sources import (
    AwsPlace,
    AwsRole,
    GoogleAccount,
    GooglePlace,
    ManagedIdentity,
    Principal,
)
from bifrost.providers import aws_login, entra, google

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bifrost.policy.token_sources import TokenSource
    from bifrost.providers.login_steps import Here, Login

__all__ = ["login"]

# A row's function takes its own kind of source, which the type of a mapping cannot say.
LOGINS: Mapping[type, Callable[[Any, Here], Login]] = MappingProxyType(
    {
        Principal: entra.log_in,
        ManagedIdentity: entra.log_in,
        GoogleAccount: google.log_in,
        GooglePlace: google.log_in,
        AwsPlace: aws_login.log_in,
        AwsRole: aws_login.log_in,
    }
)


def login(source: TokenSource, here: Here) -> Login:
    """The conversation that gives a token of ``source``, at its beginning."""
    return LOGINS[type(source)](source, here)
