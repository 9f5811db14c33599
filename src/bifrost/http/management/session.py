"""``/api/session``: logging in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Blueprint, Response, request

from bifrost.errors import BadRequest
from bifrost.http.management.described import about
from bifrost.http.management.desk import answer, read_object, refusals_told, refuse_unknown
from bifrost.http.openapi import described
from bifrost.integrations.openapi import Access
from bifrost.management.login import COOKIE, SESSION_S, credentials_of

if TYPE_CHECKING:
    from bifrost.management.login import Login

__all__ = ["session_routes"]

LOGIN = about("Log in; sets a cookie", "session", "message", body="login", access=Access.PUBLIC)
LOGOUT = about("Log out", "session", "message")
ENABLED = about("Whether there is a login", "session", "session", access=Access.PUBLIC)


def session_routes(login: Login) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("session", __name__, url_prefix="/api/session")

    @described(LOGIN)
    async def begin() -> Response:
        sent = await read_object()
        refuse_unknown(sent, ("username", "password"))
        username, password = _text(sent, "username"), _text(sent, "password")
        with refusals_told():
            token = await login.begin(username, password, request.remote_addr or "")
        told = answer({"message": "Login successful"})
        _set_cookie(told, token, int(SESSION_S))
        return told

    @described(LOGOUT)
    async def end() -> Response:
        with refusals_told():
            for token, _ in credentials_of(_sent()):
                if token is not None:
                    await login.end(token)
        told = answer({"message": "Logout successful"})
        _set_cookie(told, "", 0)
        return told

    @described(ENABLED)
    async def is_enabled() -> Response:
        is_valid = login.is_enabled and await _is_valid(login)
        return answer({"is_auth_enabled": login.is_enabled, "has_valid_token": is_valid})

    routes.add_url_rule("/login", "login", begin, methods=["POST"])
    routes.add_url_rule("/logout", "logout", end, methods=["POST"])
    routes.add_url_rule("/is-auth-enabled", "is-auth-enabled", is_enabled, methods=["GET"])
    return routes


async def _is_valid(login: Login) -> bool:
    """By a session only: passwords are not tried here, where anybody may ask."""
    for token, _ in credentials_of(_sent()):
        if token is not None and await login.is_session(token):
            return True
    return False


def _sent() -> dict[bytes, bytes]:
    return {
        name: request.headers[name.decode()].encode("latin-1", "replace")
        for name in (b"cookie", b"authorization")
        if name.decode() in request.headers
    }


def _text(sent: dict[str, object], member: str) -> str:
    value = sent.get(member)
    if not isinstance(value, str):
        raise BadRequest(f"{member}: has to be a text", param=member)
    return value


def _set_cookie(told: Response, token: str, max_age_s: int) -> None:
    # Who ends TLS before us says so; that he can be believed is not needed for making a cookie narrower.
    is_secure = request.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
    told.set_cookie(
        COOKIE,
        token,
        max_age=max_age_s,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=is_secure,
    )
