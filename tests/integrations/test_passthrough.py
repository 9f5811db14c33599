from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost.catalog import MAX_MODEL, Catalog
from bifrost.config.secret import Secret
from bifrost.config.settings import ClientSettings, HeaderFilterSettings
from bifrost.errors import (
    BadRequest,
    ErrorClass,
    MethodNotAllowed,
    RouteNotFound,
    UnsupportedOperation,
)
from bifrost.integrations.body_model import DIFFERING, MAX_MEMBERS, UNREADABLE
from bifrost.integrations.forwarding import Forwarding
from bifrost.integrations.headers import HeaderLines, HeaderRules
from bifrost.integrations.passthrough import (
    BROKEN_FORM,
    NOTHING_SAID,
    PREFIXES,
    TOO_LONG,
    FormReading,
    PassthroughRequest,
    Said,
    passthrough_request,
    passthrough_route,
    said_in_json,
)
from bifrost.schema.call import Caller

CATALOG = Catalog(
    known=frozenset({"openai", "azure", "groq", "anthropic", "gemini", "vertex", "mine"}),
    configured=("openai",),
    available=frozenset({"openai"}),
    bases={"mine": "anthropic"},
)
OPEN = Forwarding.of(HeaderFilterSettings())
FORM = b"multipart/form-data; boundary=b"


def request(
    path: str,
    *,
    method: str = "POST",
    query: bytes = b"",
    headers: HeaderLines = (),
    said: Said = NOTHING_SAID,
    caller: Caller | None = None,
    relay_admin: bool = False,
) -> PassthroughRequest:
    return passthrough_request(
        passthrough_route(method, path.encode()),
        method,
        query,
        headers,
        caller=caller or Caller(),
        catalog=CATALOG,
        forwarding=OPEN,
        said=said,
        relay_admin=relay_admin,
    )


def named(name: str) -> HeaderLines:
    return ((b"x-model-provider", name.encode()),)


@pytest.mark.parametrize(
    ("raw_path", "template", "path"),
    [
        (b"/openai_passthrough/v1/models", "/openai_passthrough/{path}", "/v1/models"),
        (b"/openai%5fpassthrough/v1/a%7eb%20c/", "/openai_passthrough/{path}", "/v1/a~b%20c/"),
        (b"/anthropic_passthrough/v1/x@y", "/anthropic_passthrough/{path}", "/v1/x@y"),
        (
            b"/genai_passthrough/v1beta/models/m:generateContent",
            "/genai_passthrough/{path}",
            "/v1beta/models/m:generateContent",
        ),
    ],
)
def test_the_prefix_is_taken_off(raw_path: bytes, template: str, path: str) -> None:
    route = passthrough_route("GET", raw_path)

    assert (route.template, route.path) == (template, path)


@pytest.mark.parametrize(
    "raw_path",
    [b"/openai_passthrough", b"/openai_passthrough/", b"/openai_passthroughs/x", b"/x/y", b"/"],
)
def test_there_is_nothing_beside_the_prefixes(raw_path: bytes) -> None:
    with pytest.raises(RouteNotFound):
        passthrough_route("GET", raw_path)


def test_methods_of_a_connection_are_not_passed() -> None:
    with pytest.raises(MethodNotAllowed):
        passthrough_route("TRACE", b"/openai_passthrough/v1/x")


@pytest.mark.parametrize("first", ["@evil.example", "u%40evil.example", "a:b@c"])
def test_nothing_that_looks_like_a_host_comes_first(first: str) -> None:
    with pytest.raises(BadRequest, match="host"):
        passthrough_route("GET", f"/openai_passthrough/{first}/x".encode())


@given(
    prefix=st.sampled_from(sorted(PREFIXES)),
    rest=st.text("/.%2fFeE5cC\\@:;?#a\x00\r\n ", max_size=24),
)
def test_whatever_gets_through_stays_below_a_base(prefix: str, rest: str) -> None:
    try:
        route = passthrough_route("GET", f"{prefix}/{rest}".encode())
    except BadRequest:
        return

    assert route.path.startswith("/")
    assert route.path[1:2] not in {"/", "@", "\\", ""}
    assert ".." not in route.path.split("/")
    assert not set(route.path) & set("\\?#;\r\n\x00 ")


@pytest.mark.parametrize(
    ("path", "headers", "model", "provider"),
    [
        ("/openai_passthrough/v1/x", (), "", "openai"),
        ("/anthropic_passthrough/v1/x", (), "", "anthropic"),
        ("/genai_passthrough/v1/models", (), "", "gemini"),
        ("/genai_passthrough/v1/projects/p/locations/l/x", (), "", "vertex"),
        ("/genai_passthrough/v1/projects/p/x", (), "", "gemini"),
        ("/genai_passthrough/v1/x", (), "projects/p/locations/l/models/m", "vertex"),
        ("/genai_passthrough/v1/x", ((b"authorization", b"Bearer ya29.abc"),), "", "vertex"),
        ("/genai_passthrough/v1/x", ((b"authorization", b"Bearer AIza"),), "", "gemini"),
        ("/genai_passthrough/v1/x", ((b"authorization", b"Basic ya29.abc"),), "", "gemini"),
        ("/genai_passthrough/v1/projects/p/locations/l/x", named("gemini"), "", "gemini"),
        ("/openai_passthrough/v1/x", named(" Anthropic "), "", "anthropic"),
        ("/openai_passthrough/v1/x", named("mine"), "", "mine"),
        ("/openai_passthrough/v1/x", named(""), "", "openai"),
    ],
)  # fmt: skip
def test_who_is_to_serve_it(path: str, headers: HeaderLines, model: str, provider: str) -> None:
    assert request(path, headers=headers, said=Said(model=model)).target.provider == provider


@pytest.mark.parametrize("name", ["groq", "azure"])
def test_the_others_have_no_passthrough(name: str) -> None:
    with pytest.raises(UnsupportedOperation, match=f"passthrough is not supported by {name}"):
        request("/openai_passthrough/v1/x", headers=named(name))


def test_a_provider_that_nobody_knows() -> None:
    with pytest.raises(BadRequest) as caught:
        request("/openai_passthrough/v1/x", headers=named("nobody"))

    assert (caught.value.status, caught.value.param) == (400, "provider")


@pytest.mark.parametrize(
    ("path", "said", "model"),
    [
        ("/openai_passthrough/v1/chat/completions", "gpt-4o", "gpt-4o"),
        ("/openai_passthrough/v1/models/ft:gpt-4o:org::x", "", "ft:gpt-4o:org::x"),
        ("/openai_passthrough/v1/models/a%20b", "", "a b"),
        ("/anthropic_passthrough/v1/messages", "claude", "claude"),
        ("/genai_passthrough/v1beta/models/gemini-2:generateContent", "other", "gemini-2"),
        ("/genai_passthrough/v1beta/tunedModels/t-1:generateContent", "", "t-1"),
        ("/genai_passthrough/v1beta/cachedContents", "models/gemini-2", "gemini-2"),
        ("/genai_passthrough/v1beta/models", "", ""),
        (
            "/genai_passthrough/v1/projects/p/locations/l/publishers/anthropic/models/claude@1:rawPredict",
            "",
            "claude@1",
        ),
        ("/genai_passthrough/v1/x", "projects/p/locations/l/publishers/g/models/m", "m"),
    ],
)  # fmt: skip
def test_the_model(path: str, said: str, model: str) -> None:
    assert request(path, said=Said(model=said)).target.model == model


def test_a_model_of_no_length() -> None:
    with pytest.raises(BadRequest, match="model must have at most"):
        request("/openai_passthrough/v1/x", said=Said(model="m" * (MAX_MODEL + 1)))


@pytest.mark.parametrize(
    ("path", "is_generation"),
    [
        ("/openai_passthrough/v1/chat/completions", True),
        ("/openai_passthrough/chat/completions/", True),
        ("/openai_passthrough/v1/responses", True),
        ("/openai_passthrough/v1/audio/speech", True),
        ("/openai_passthrough/v1/files", False),
        ("/openai_passthrough/v1/batches", False),
        ("/openai_passthrough/v1/audio/voices", False),
        ("/openai_passthrough/v1/threads/t/runs", False),
        ("/anthropic_passthrough/v1/messages", True),
        ("/anthropic_passthrough/v1/messages/count_tokens", True),
        ("/anthropic_passthrough/v1/messages/batches", False),
        ("/genai_passthrough/v1beta/models/m:generateContent", True),
        ("/genai_passthrough/v1beta/models/m:streamGenerateContent", True),
        ("/genai_passthrough/v1beta/models/m:batchEmbedContents", True),
        ("/genai_passthrough/v1beta/models/m:batchGenerateContent", False),
        ("/genai_passthrough/v1beta/models/m:predictLongRunning", False),
        ("/genai_passthrough/upload/v1beta/files", False),
    ],
)
def test_what_is_of_no_use_without_its_caller(path: str, is_generation: bool) -> None:
    assert request(path).is_generation == is_generation
    assert not request(path, method="PUT").is_generation


@pytest.mark.parametrize(
    ("path", "said", "stream"),
    [
        ("/openai_passthrough/v1/x", Said(stream=True), True),
        ("/openai_passthrough/v1/x", NOTHING_SAID, False),
        ("/genai_passthrough/v1beta/models/m:streamGenerateContent", NOTHING_SAID, True),
        ("/genai_passthrough/v1/models/m:streamRawPredict", NOTHING_SAID, True),
    ],
)
def test_a_stream(path: str, said: Said, stream: bool) -> None:
    assert request(path, said=said).stream == stream


@pytest.mark.parametrize(
    "path",
    [
        "/openai_passthrough/v1/organization/users",
        "/openai_passthrough/organization/users",
        "/openai_passthrough/V1/v1/Organization",
        "/openai_passthrough/v1/projects",
        "/openai_passthrough/v1/fine_tuning/checkpoints/c/permissions/",
        "/anthropic_passthrough/v1/organizations/api_keys",
    ],
)
def test_what_is_the_operators_is_refused(path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        request(path)

    assert (caught.value.status, caught.value.error_class) == (403, ErrorClass.DENIED)
    assert request(path, relay_admin=True).target.provider


def test_google_has_projects_where_nobody_administrates() -> None:
    path = "/genai_passthrough/v1/projects/p/locations/l/endpoints/e:predict"

    assert request(path).target.provider == "vertex"


def test_a_query_goes_on_but_for_googles_credentials() -> None:
    query = b"alt=sse&key=AIza&a%20=%2f&&access%5Ftoken=x&monkey=1"

    assert request("/genai_passthrough/v1/x", query=query).query == "alt=sse&a%20=%2f&&monkey=1"
    assert request("/openai_passthrough/v1/x", query=query).query == query.decode()
    assert request("/genai_passthrough/v1/x", query=b"a&&b").query == "a&&b"
    with pytest.raises(BadRequest):
        request("/openai_passthrough/v1/x", query=b"a\r\nb")


def test_headers_go_on_but_for_credentials_and_what_is_ours() -> None:
    kept = ((b"user-agent", b"me"), (b"anthropic-beta", b"a"), (b"x-goog-api-client", b"b"))
    dropped = (
        b"authorization api-key x-api-key x-goog-api-key host connection transfer-encoding cookie set-cookie"
        b" proxy-authorization accept-encoding x-bf-vk x-bf-anything content-length x-model-provider x-hop"
        b" openai-organization openai-project x-goog-user-project"
    )
    lines = (*kept, *((name, b"x-hop") for name in dropped.split()), (b"content-type", b"a/b"))
    lines = tuple((n, b"openai" if n == b"x-model-provider" else v) for n, v in lines)

    sent = request("/openai_passthrough/v1/x", headers=lines)

    assert sent.headers == tuple((n.decode(), v.decode()) for n, v in kept)
    assert sent.content_type == b"a/b"


def test_an_account_may_be_named_by_whoever_brings_its_key() -> None:
    line = (b"openai-organization", b"org-1")
    own = Caller(direct_key=Secret("sk-own"))

    assert request("/openai_passthrough/v1/x", headers=(line,), caller=own).headers == (
        ("openai-organization", "org-1"),
    )


def test_headers_asked_for_by_prefix_are_sent_too() -> None:
    lines: HeaderLines = ((b"x-bf-eh-x-y", b"asked"), (b"x-y", b"plain"))
    caller = HeaderRules.of(ClientSettings()).read(lines, "")

    assert request("/openai_passthrough/v1/x", headers=lines, caller=caller).headers == (
        ("x-y", "asked"),
    )


def test_objects_are_noticed_by_their_looks() -> None:
    said = said_in_json(b'{"file": "file-2", "n": "no-id"}')

    sent = request("/openai_passthrough/v1/files/file-1/content", query=b"after=vs_3", said=said)

    assert sent.ids == ("file-1", "file-2", "vs_3")


@pytest.mark.parametrize(
    ("body", "model", "stream"),
    [
        (b'{"messages": [], "stream": true, "model": "m\\u00fc"}', "mü", True),
        (b'{"model": 7, "stream": "true"}', "", False),
        (b"{}", "", False),
        (b'{"model": "m"', "", False),
        (b'["model"]', "", False),
        (b"\xff", "", False),
    ],
)
def test_what_json_says(body: bytes, model: str, stream: bool) -> None:
    said = said_in_json(body)

    assert (said.model, said.stream) == (model, stream)


def form(*parts: tuple[str, bytes], filename: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    return b"".join(
        f'--b\r\ncontent-disposition: form-data; name="{name}"{file if name == "file" else ""}\r\n\r\n'.encode()
        + value
        + b"\r\n"
        for name, value in parts
    ) + b"--b--\r\n"  # fmt: skip


@pytest.mark.parametrize(
    ("body", "doubt"),
    [
        (b'{"model": "a", "model": "b"}', DIFFERING),
        (b'{"model": "a", "mod\\u0065l": "b"}', DIFFERING),
        (b'{"Model": "a", "model": "b"}', DIFFERING),
        (b'{"model": "a", "model": null}', DIFFERING),
        (b'{"model": "a", "model": "\\u0061"}', ""),
        (b'{"model": "a", "tools": [{"model": "b"}]}', ""),
        (b'\xef\xbb\xbf{"model": "a"}', UNREADABLE),
        ('{"model": "a"}'.encode("utf-16"), UNREADABLE),
        (' {"model": "a"}'.encode("utf-16-le"), UNREADABLE),
        ('{"model": "a"}'.encode("utf-16-be"), UNREADABLE),
        ('{"model": "a"}'.encode("utf-32"), UNREADABLE),
        (b'{"model": "a", "n": NaN}', UNREADABLE),
        (b'{"model": "a", "n": "\xff"}', UNREADABLE),
        (b'{"model": "a", "n": ' + b"[" * 2000 + b"]" * 2000 + b"}", UNREADABLE),
        (b'{"model": "a"} {}', UNREADABLE),
        (b'{"n":0' + b',"n":0' * MAX_MEMBERS + b"}", UNREADABLE),
        (b"\xff\xd8\xff\xe0 a picture", ""),
    ],
)
def test_a_body_that_others_may_read_otherwise(body: bytes, doubt: str) -> None:
    """A key may be for some models only: which of two counts, or what is no plain JSON, must not decide that."""
    said = said_in_json(body)

    assert said.doubt == doubt
    assert not doubt or said.model == ""


JSON = ((b"content-type", b"application/json"),)


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [
        ("/openai_passthrough/v1/chat/completions", JSON, Said(doubt=DIFFERING)),
        ("/openai_passthrough/v1/chat/completions", (), Said(doubt=UNREADABLE)),
        ("/openai_passthrough/v1/chat/completions", (), TOO_LONG),
        ("/openai_passthrough/v1/threads/t/runs", JSON, Said(doubt=DIFFERING)),
        ("/openai_passthrough/v1/videos", ((b"content-type", FORM),), Said(doubt=BROKEN_FORM)),
        ("/openai_passthrough/v1/batches", ((b"content-type", b"application/json; charset=UTF-7"),), NOTHING_SAID),
    ],
)  # fmt: skip
def test_doubt_about_the_model_is_refused(path: str, headers: HeaderLines, said: Said) -> None:
    with pytest.raises(BadRequest, match="model") as refused:
        request(path, headers=headers, said=said)

    assert refused.value.param == "model"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/genai_passthrough/v1beta/models/gemini-2.5-pro:generateContent", JSON),
        ("/genai_passthrough/upload/v1beta/files", ((b"content-type", b"text/plain"),)),
    ],
)
def test_doubt_that_decides_nothing_is_none(path: str, headers: HeaderLines) -> None:
    """Where the path names the model, or the body is whatever it is: a file."""
    assert request(path, headers=headers, said=Said(doubt=UNREADABLE)).target.provider == "gemini"


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (b"whisper", Said(model="whisper", stream=True)),
        # The first was taken once; upstreams that take the last could be asked for a model that the key is not for.
        (b"other", Said(stream=True, doubt=DIFFERING)),
    ],
)
@given(cuts=st.lists(st.integers(0, 400), max_size=8).map(sorted))
def test_what_a_form_says_wherever_it_is_cut(other: bytes, said: Said, cuts: list[int]) -> None:
    body = form(
        ("file", b"model"), ("model", b"whisper"), ("stream", b"True"), ("model", other), filename="a"
    )  # fmt: skip
    reading = FormReading(FORM)
    for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        reading.feed(body[begin:end])

    assert reading.said() == said
    assert not reading.is_over


@pytest.mark.parametrize(
    ("name", "said"), [(b"a", NOTHING_SAID), (b"", Said(model="x"))]
)  # fmt: skip
def test_a_file_is_no_model(name: bytes, said: Said) -> None:
    """One without a name is a field to some."""
    reading = FormReading(FORM)
    file = form(("file", b"x"), filename="a").replace(b'name="file"', b'name="model"')
    reading.feed(file.replace(b'filename="a"', b'filename="%b"' % name))

    assert reading.said() == said


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(b"multipart/form-data", form()), (FORM, b"no form"), (FORM, b"--bx")],
)
def test_what_is_no_form_is_doubtful(content_type: bytes, body: bytes) -> None:
    reading = FormReading(content_type)
    reading.feed(body)
    reading.feed(form(("model", b"m")))

    assert (reading.is_over, reading.said()) == (True, Said(doubt=BROKEN_FORM))


def test_of_a_form_little_is_kept() -> None:
    reading = FormReading(FORM)
    reading.feed(form(("model", b"m" * 10_000), ("stream", b"1")))

    assert reading.said() == Said(model="m" * 4096, stream=True)


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4))
def test_any_json_can_be_looked_at(members: dict[str, object]) -> None:
    model = members.get("model")

    assert said_in_json(json.dumps(members).encode()).model == (
        model if isinstance(model, str) else ""
    )
