from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, HeaderFilterSettings
from bifrost.integrations.headers import HeaderRules
from bifrost.jobs.headers import Kept, sift


def rules(**client: Any) -> HeaderRules:
    return HeaderRules.of(ClientSettings(**client))


DIRECT = rules(allow_direct_keys=True)

PLAIN = (
    (b"content-type", b"multipart/form-data; boundary=x"),
    (b"user-agent", b"test"),
    (b"traceparent", b"00-1-1-00"),
    (b"x-bf-session-id", b"s"),
    (b"x-bf-api-key", b"name of a stored key"),
    (b"x-bf-api-key-id", b"id of a stored key"),
    (b"x-bf-eh-x-tenant", b"t"),
    (b"x-bf-lh-team", b"a"),
)


def test_what_says_nothing_secret_is_kept_in_its_order() -> None:
    assert sift(PLAIN, DIRECT) == Kept(PLAIN, ())


@pytest.mark.parametrize(
    "line",
    [
        (b"x-bf-vk", b"sk-bf-1"),
        (b"authorization", b"Bearer sk-bf-1"),
        (b"authorization", b"bearer  SK-BF-1"),
        (b"authorization", b" sk-bf-1 "),
        (b"x-api-key", b"sk-bf-1"),
        (b"cookie", b"a=b"),
        (b"proxy-authorization", b"Basic eA=="),
        (b"x-bf-async", b"true"),
        (b"x-bf-async-id", b"1"),
        (b"x-bf-async-job-result-ttl", b"1"),
        (b"content-length", b"1"),
        (b"content-encoding", b"gzip"),
        (b"host", b"h"),
    ],
)
def test_what_a_job_has_no_use_for_goes(line: tuple[bytes, bytes]) -> None:
    assert sift((line,), DIRECT) == Kept((), ())


def test_a_direct_key_is_a_secret_where_it_is_taken_and_nothing_where_it_is_not() -> None:
    line = (b"authorization", b"Bearer sk-mine")

    assert sift((line,), rules()) == Kept((), ())
    assert sift((line,), DIRECT) == Kept((), ((b"authorization", Secret("Bearer sk-mine")),))


@pytest.mark.parametrize("name", [b"api-key", b"access-key", b"secret-key", b"session-token"])
def test_a_callers_keys_of_aws_are_secrets(name: bytes) -> None:
    line = (b"x-bf-bedrock-" + name, b"v")

    assert sift((line,), DIRECT) == Kept((), ((line[0], Secret("v")),))


@pytest.mark.parametrize(
    "name",
    [b"x-bf-eh-x-access-token", b"x-bf-eh-x-signature", b"x-upstream-password", b"x-bf-lh-api_key"],
)
def test_a_forwarded_line_with_the_name_of_a_secret_is_one(name: bytes) -> None:
    forwards = HeaderFilterSettings(allowlist=("x-upstream-*",))
    line = (name, b"v")

    assert sift((line,), rules(header_filter_config=forwards)) == Kept((), ((name, Secret("v")),))


def test_a_secret_that_nobody_reads_goes() -> None:
    line = (b"x-csrf-token", b"v")

    assert sift((line,), rules()) == Kept((), ())
    assert sift((line,), rules(logging_headers=("X-CSRF-Token",))).secrets == (
        (b"x-csrf-token", Secret("v")),
    )


def test_an_author_is_no_secret() -> None:
    line = (b"x-bf-lh-author", b"v")

    assert sift((line,), rules()) == Kept((line,), ())


@given(
    st.lists(
        st.sampled_from(
            [*PLAIN, (b"authorization", b"Bearer sk-mine"), (b"x-api-key", b"sk-bf-1"), (b"x-bf-eh-x-token", b"\xe9")]
        ),
        max_size=8,
    ),
    st.booleans(),
)  # fmt: skip
def test_the_caller_is_the_same_but_for_his_virtual_key(
    lines: list[tuple[bytes, bytes]], takes_direct_keys: bool
) -> None:
    reads = rules(allow_direct_keys=takes_direct_keys)
    kept = sift(tuple(lines), reads)
    again = (*kept.headers, *((n, v.reveal().encode("latin-1")) for n, v in kept.secrets))

    before, after = reads.read(tuple(lines), ""), reads.read(again, "")

    assert (after.direct_key, after.key_id, after.key_name, after.session_id) == (
        before.direct_key,
        before.key_id,
        before.key_name,
        before.session_id,
    )
    assert sorted(after.extra_headers) == sorted(before.extra_headers)
