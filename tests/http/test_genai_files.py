"""The door of files at /genai: which requests it knows as parts of an upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bifrost.http.genai_files import GenaiFilesDoor
from bifrost.policy.upload_sessions import UploadSession, UploadSessions
from bifrost.schema.call import Caller

if TYPE_CHECKING:
    from trio.testing import MockClock

PATH = "/genai/upload/v1beta/files"


@pytest.mark.parametrize(
    ("path", "query", "is_known"),
    [
        (PATH, b"upload_id=t&upload_protocol=resumable", True),
        (PATH, b"upload_id=other", False),
        (PATH, b"", False),
        ("/genai/v1beta/models/m:generateContent", b"upload_id=t", False),
        ("/genai/v1beta/files", b"upload_id=t", False),
        ("/genai/v1beta/files/abc", b"upload_id=t", False),
    ],
)
async def test_parts_of_an_upload_are_let_in_by_their_token(
    path: str, query: bytes, is_known: bool, autojump_clock: MockClock
) -> None:
    """Google's SDK sends no key with them."""
    uploads = UploadSessions()
    session = UploadSession(provider="gemini", caller=Caller(), path="/upload/v1/files", query="")
    uploads.begin("t", session, autojump_clock.current_time())
    nothing: Any = None
    door = GenaiFilesDoor(nothing, nothing, uploads)

    assert door.goes_on(path, query) is is_known
