from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.codecs.json import dumps
from bifrost.integrations.object_ids import (
    ANSWER_BYTES_MAX,
    ANSWER_IDS_MAX,
    EVENT_BYTES_MAX,
    NOTHING,
    REQUEST_BYTES_MAX,
    REQUEST_IDS_MAX,
    AnswerIds,
    StreamIds,
    answer_ids,
    google_files,
    request_ids,
)

KINDS = [
    "vs_68a", "file-6Fx", "file_6Fx", "asst_1", "thread_1", "conv_1", "resp_1", "upload_1", "ftjob-1", "video_1",
    "cntr_1", "eval_1", "batch_1", "vsfb_1", "run_1", "msg_1", "skill_1", "chatcmpl-1", "cfile_1", "evalrun_1",
    "0f8fad5b-d9cb-469f-a165-70867728950e",
]  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_seen_in_body_form_and_query(name: str) -> None:
    body = dumps({"a": [{"b": name}]})

    assert request_ids((), json=body) == (name,)
    assert request_ids((), fields=[("file_id", name.encode())]) == (name,)
    assert request_ids((), query=f"limit=1&after={name}") == (name,)


def test_the_path_comes_first_and_the_cursor_last() -> None:
    found = request_ids(
        ("anything", "vs_1"),
        query="after=file-9&after=vs_1",
        json=b'{"file_ids":["file-1","file-2","file-1"]}',
        fields=[("purpose", b"batch"), ("file_id", b"file-3"), ("text", b"x" * 300)],
    )

    assert found == ("anything", "vs_1", "file-1", "file-2", "file-3", "file-9")


@pytest.mark.parametrize(
    "body",
    [
        b'{"file-1":1}',
        b'{"file-1" : 1}',
        rb'{"text":"say \"file-1\" now"}',
        b'{"text":"see file-1"}',
        b'{"model":"gpt-4o"}',
        b'{"type":"input_text"}',
        b'{"a":"file-"}',
        b"",
        b"nonsense",
    ],
)
def test_what_is_no_id_is_not_seen(body: bytes) -> None:
    assert request_ids((), json=body) == ()


def test_the_ids_of_a_request_are_bounded() -> None:
    many = dumps({"file_ids": [f"file-{n}" for n in range(10_000)]})
    late = b'{"text":"%b","file_id":"file-1"}' % (b"x" * REQUEST_BYTES_MAX)

    assert len(request_ids(("p",), json=many)) == REQUEST_IDS_MAX
    assert request_ids((), json=late) == ()


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        ({"id": "file-1", "object": "file"}, ("file-1",)),
        ({"id": "any/thing"}, ("any/thing",)),
        (
            {"object": "list", "data": [{"id": "a"}, {"id": "b"}, {"id": "a"}], "first_id": "a"},
            ("a", "b"),
        ),
        ({"id": "run_1", "thread_id": "thread_1"}, ("run_1", "thread_1")),
        (
            {"id": "batch_1", "output_file_id": "file-2", "error_file_id": None},
            ("batch_1", "file-2"),
        ),
        ({"id": "upload_1", "file": {"id": "file-1"}}, ("upload_1", "file-1")),
        ({"id": "resp_1", "conversation": {"id": "conv_1"}}, ("resp_1", "conv_1")),
        ({"type": "response.created", "response": {"id": "resp_1"}}, ("resp_1",)),
        ({"id": "x", "metadata": {"id": "file-other"}, "text": "file-other"}, ("x",)),
        ({"id": 7, "data": [1, 2], "file": "name", "thread": []}, ()),
        ({"id": "", "data": [{"id": None}, {}]}, ()),
        ({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}, ()),
        ({"id": "gpt-4o", "object": "model"}, ()),
        ({"id": "a", "deleted": False}, ("a",)),
        ([{"id": "a"}], ()),
        ("a", ()),
    ],
)
def test_an_answer_says_what_its_key_has(answer: object, made: tuple[str, ...]) -> None:
    assert answer_ids(dumps(answer)) == AnswerIds(made)


@pytest.mark.parametrize("body", [b"", b"{", b"audio", b"\xff", b'{"id":"\xff"}', b"[" * 100_000])
def test_what_is_no_json_says_nothing(body: bytes) -> None:
    assert answer_ids(body) == NOTHING


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        ({"name": "files/abc", "displayName": "files/x"}, ("files-abc",)),
        ({"file": {"name": "files/abc"}}, ("files-abc",)),
        ({"files": [{"name": "files/a"}, {"name": "files/b"}]}, ("files-a", "files-b")),
        ({"name": "batches/b", "metadata": {"name": "batches/other"}}, ("batches-b",)),
        ({"name": "models/gemini"}, ()),
        # Whoever has ids may let callers choose names.
        ({"id": "asst_1", "name": "files/stolen"}, ("asst_1",)),
    ],
)
def test_googles_objects_have_names(answer: object, made: tuple[str, ...]) -> None:
    assert answer_ids(dumps(answer)).made == made


def test_a_request_names_googles_files_by_their_addresses() -> None:
    uri = "https://generativelanguage.googleapis.com/v1beta/files/"
    parts = [{"fileData": {"fileUri": f"{uri}{name}"}} for name in ("a-1", "b", "a-1")]

    assert google_files(dumps({"contents": [{"parts": parts}]})) == ("files-a-1", "files-b")
    assert google_files(b'{"text": "see /files/"}') == ()


@pytest.mark.parametrize(
    "said", ['"deleted":true', '"type":"file_deleted"', '"type":"message_batch_deleted"']
)
def test_a_deleted_object_is_gone(said: str) -> None:
    body = b'{"id":"file-1",%b}' % said.encode()

    assert answer_ids(body) == AnswerIds(gone=("file-1",))


def test_a_long_answer_is_not_read() -> None:
    assert answer_ids(b'{"id":"a","x":"%b"}' % (b"x" * ANSWER_BYTES_MAX)) == NOTHING


def test_the_ids_of_an_answer_are_bounded() -> None:
    body = dumps({"data": [{"id": f"file-{n}"} for n in range(ANSWER_IDS_MAX + 1)]})

    assert len(answer_ids(body).made) == ANSWER_IDS_MAX


STREAM = (
    b": hello\n\nevent: response.created\n"
    b'data: {"type":"response.created","response":{"id":"resp_1"}}\n\n'
    b'data: {"id":"another"}\n\n'
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=6).map(sorted))
def test_the_first_event_of_a_stream_says_it_however_it_is_cut(at: list[int]) -> None:
    reader = StreamIds()
    pieces = [STREAM[a:b] for a, b in zip([0, *at], [*at, len(STREAM)], strict=True)]

    told = [ids for ids in map(reader.feed, pieces) if ids != NOTHING]

    assert told == [AnswerIds(("resp_1",))]
    assert reader.is_done


def test_an_event_without_end_is_given_up() -> None:
    reader = StreamIds()

    assert reader.feed(b"data: " + b"x" * (EVENT_BYTES_MAX + 10)) == NOTHING
    assert reader.is_done
    assert reader.feed(b'\n\ndata: {"id":"a"}\n\n') == NOTHING


def test_the_results_of_a_batch_are_with_the_batch() -> None:
    assert request_ids(["batch-results-msgbatch_1"]) == ("batch-results-msgbatch_1", "msgbatch_1")
    assert request_ids(["batch-results-"]) == ("batch-results-",)
    assert request_ids((), json=b'{"input_file_id":"files-abc"}') == ("files-abc",)
