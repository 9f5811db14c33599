"""Signatures against AWS's own vectors, and against botocore."""

from __future__ import annotations

import re
from urllib.parse import quote

import attrs
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from bifrost.config.key_configs import BedrockKeySettings
from bifrost.config.secret import AwsCredentials, Secret, Token
from bifrost.config.settings import KeySettings
from bifrost.dialects.scrub import scrubber
from bifrost.errors import ConfigurationMissing, UnsupportedOperation
from bifrost.providers.aws_signing import Signer, authorization, authorized, credentials_of, signed
from bifrost.providers.base import Origin, UpstreamRequest
from bifrost.schema.payload import BytesPayload

# AWS publishes both for its test suite.
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SUITE = AwsCredentials("AKIDEXAMPLE", SECRET)
STAMP = "20150830T123600Z"
NOW_S = 1440938160.0
SESSION = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/"
    "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7"
    "ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
EMPTY_HASH = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
FORM_HASH = b"9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
ALL = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

VECTORS: dict[str, tuple[str, tuple[tuple[str, str], ...], str]] = {
    "get-vanilla": ("GET /", (), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-header-key-duplicate": ("GET /", (("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")), "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    "get-header-value-order": ("GET /", (("my-header1", "value4"), ("my-header1", "value1"), ("my-header1", "value3"), ("my-header1", "value2")), "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
    "get-header-value-trim": ("GET /", (("my-header1", " value1"), ("my-header2", ' "a   b   c"')), "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    "get-unreserved": (f"GET /{ALL}", (), "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    "get-utf8": ("GET /\u1234", (), "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    "get-vanilla-empty-query-key": ("GET /?Param1=value1", (), "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    "get-vanilla-query-order-encoded": ("GET /?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", (), "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
    "get-vanilla-query-order-key-case": ("GET /?Param2=value2&Param1=value1", (), "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    "get-vanilla-query-order-key": ("GET /?Param1=value2&Param1=Value1", (), "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"),
    "get-vanilla-query-order-value": ("GET /?Param1=value2&Param1=value1", (), "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
    "get-vanilla-query-unreserved": (f"GET /?{ALL}={ALL}", (), "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
    "get-vanilla-utf8-query": ("GET /?\u1234=bar", (), "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    "get-relative-relative": ("GET /example1/example2/../..", (), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-relative": ("GET /example/..", (), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-slash-dot-slash": ("GET /./", (), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-slash-pointless-dot": ("GET /./example", (), "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
    "get-slash": ("GET //", (), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    "get-slashes": ("GET //example//", (), "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    "get-space": ("GET /example space/", (), "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    "get-special-character": ("GET /example/$delete", (), "a853c9b21b528b19643d00910d35b83a10c366a10833ceefb45edd6c80e40f27"),
    "post-vanilla": ("POST /", (), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-header-key-sort": ("POST /", (("my-header1", "value1"),), "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
    "post-header-value-case": ("POST /", (("my-header1", "VALUE1"),), "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    "post-sts-header-before": ("POST /", (("x-amz-security-token", SESSION),), "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    "post-vanilla-query": ("POST /?Param1=value1", (), "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
    "post-x-www-form-urlencoded-parameters": ("POST /", (("content-type", "application/x-www-form-urlencoded; charset=utf8"),), "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"),
    "post-x-www-form-urlencoded": ("POST /", (("content-type", "application/x-www-form-urlencoded"),), "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
}  # fmt: skip
"""AWS's test suite of Signature Version 4 (aws-c-auth v0.3.15), by its own names: request, headers, signature."""


@pytest.mark.parametrize("name", VECTORS)
def test_aws_own_vectors(name: str) -> None:
    line, headers, signature = VECTORS[name]
    method, _, target = line.partition(" ")
    lines = (("host", "example.amazonaws.com"), *headers, ("x-amz-date", STAMP))

    found = authorization(
        method.encode(),
        target.encode(),
        tuple((key.encode(), value.encode()) for key, value in lines),
        FORM_HASH if "form" in name else EMPTY_HASH,
        SUITE,
        region="us-east-1",
        service="service",
        stamp=STAMP,
    )

    names = ";".join(sorted({key for key, _ in lines}))
    assert found == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
        f" SignedHeaders={names}, Signature={signature}"
    )


def request(target: str = "/", body: bytes = b"", **more: str) -> UpstreamRequest:
    headers = {"host": "h.example", "content-type": "application/json", **more}
    return UpstreamRequest(
        method=b"POST",
        origin=Origin("https", "h.example", 443),
        target=target.encode(),
        headers=tuple(
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ),
        body=body,
    )


def sent(one: UpstreamRequest) -> dict[str, str]:
    headers = {name.decode(): value.decode() for name, value in one.headers}
    assert len(headers) == len(one.headers)
    return headers


def botocores(one: UpstreamRequest, credentials: AwsCredentials, service: str) -> str:
    """The same request signed by botocore, at the time that it was signed at."""
    told = sent(one)
    assert isinstance(one.body, bytes)
    theirs = AWSRequest(
        one.method.decode(),
        f"https://{told['host']}{one.target.decode()}",
        headers={key: told[key] for key in ("host", "content-type", "x-amz-content-sha256")},
        data=one.body,
    )
    theirs.context["timestamp"] = told["x-amz-date"]
    keys = Credentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None
    )
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(keys, service, "eu-west-1")
    auth._modify_request_before_signing(theirs)
    text = auth.string_to_sign(theirs, auth.canonical_request(theirs))
    return str(auth.signature(text, theirs))


DOTS = {".", ".."}
"""Steps in a path, which botocore takes before it signs; no path of ours has any."""

words = st.text(min_size=1, max_size=12).filter(lambda text: text not in DOTS)
secrets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)
segments = st.lists(words.map(lambda text: quote(text, safe="")), min_size=1, max_size=4)
raw_words = st.text(ALL + ":@!$'()*,;=", max_size=9).filter(lambda text: text not in DOTS)
raw_segments = st.lists(raw_words, max_size=5)
queries = st.dictionaries(words, st.text(max_size=9), max_size=4)


@given(
    segments | raw_segments,
    queries,
    st.binary(max_size=64),
    secrets,
    st.just("") | secrets,
    st.sampled_from(["bedrock", "sts", "s3"]),
    st.floats(0, 4e9),
)
def test_botocore_signs_likewise(
    segments: list[str],
    query: dict[str, str],
    body: bytes,
    secret: str,
    session: str,
    service: str,
    now_s: float,
) -> None:
    asked = "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in query)
    path = re.sub("/+", "/", f"/{'/'.join(segments)}")
    credentials = AwsCredentials("AKID", secret, session)
    one = request(f"{path}?{asked}" if asked else path, body)

    done = signed(one, credentials, region="eu-west-1", service=service, now_unix_s=now_s)

    signature = sent(done)["authorization"].rpartition("Signature=")[2]
    assert signature == botocores(done, credentials, service)


@pytest.mark.parametrize(
    ("target", "canonical"),
    [
        ("/model/anthropic.claude-v2:1/converse", "/model/anthropic.claude-v2:1/converse"),
        (
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x-v1%3A0/converse-stream",
            "/model/arn:aws:bedrock:eu-west-1:1:inference-profile%2Feu.x-v1:0/converse-stream",
        ),
    ],
)
def test_names_of_models_are_signed_as_they_are_sent(target: str, canonical: str) -> None:
    done = signed(request(target), SUITE, region="eu-west-1", service="bedrock", now_unix_s=NOW_S)
    other = signed(
        request(canonical), SUITE, region="eu-west-1", service="bedrock", now_unix_s=NOW_S
    )

    assert done.target == target.encode()
    signature = sent(done)["authorization"].rpartition("Signature=")[2]
    assert signature == botocores(done, SUITE, "bedrock")
    assert (sent(done) == sent(other)) == (target == canonical)


def test_what_is_signed_and_what_is_not() -> None:
    one = request("/x", b"{}", accept="a", x_amz_date="old", x_amzn_trace_id="t", x_amz_tier="p")

    done = signed(one, SUITE, region="r", service="bedrock", now_unix_s=NOW_S)

    told = sent(done)
    assert told["x-amz-date"] == STAMP
    assert told["accept"] == "a"
    assert (
        "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-tier,"
        in told["authorization"]
    )
    assert "x-amz-security-token" not in told
    assert done.sign is None
    assert SECRET not in repr(done) + repr(Signer(SUITE, region="r", service="s"))


def test_signing_again_replaces_the_signature() -> None:
    once = signed(request(), SUITE, region="r", service="s", now_unix_s=1.0)

    twice = signed(once, SUITE, region="r", service="s", now_unix_s=NOW_S)

    assert sent(twice) == sent(signed(request(), SUITE, region="r", service="s", now_unix_s=NOW_S))


def test_a_body_that_is_not_in_memory_is_signed_for_s3_only() -> None:
    one = attrs.evolve(request(), body=BytesPayload(b"a file"))

    done = signed(one, SUITE, region="r", service="s3", now_unix_s=NOW_S)

    assert sent(done)["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    with pytest.raises(UnsupportedOperation, match="cannot be signed"):
        signed(one, SUITE, region="r", service="bedrock", now_unix_s=NOW_S)


@pytest.mark.parametrize(
    "credentials", [AwsCredentials("A\r", "s"), AwsCredentials("A", "s", "t\N{SNOWMAN}")]
)
def test_credentials_that_no_header_can_hold_are_not_sent(credentials: AwsCredentials) -> None:
    with pytest.raises(ConfigurationMissing, match="hold characters") as caught:
        signed(request(), credentials, region="r", service="s", now_unix_s=NOW_S)

    assert caught.value.__cause__ is None


# The key's credential


def key(value: Secret | None = None, **bedrock: str) -> KeySettings:
    texts = {
        name: Secret(text) if name.endswith(("key", "token")) else text
        for name, text in bedrock.items()
    }
    settings = BedrockKeySettings(**{"region": "eu-west-1", **texts}) if bedrock else None  # type: ignore[arg-type]  # texts of the table, by name
    return KeySettings(id="k", name="k", value=value or Secret(""), bedrock=settings)


LENT = AwsCredentials("ASIA", "lent", "session")


@pytest.mark.parametrize(
    ("one", "credentials"),
    [
        (key(access_key="A", secret_key=" S "), AwsCredentials("A", "S")),
        (key(access_key="A", secret_key="S", session_token="T"), AwsCredentials("A", "S", "T")),
        (key(LENT, access_key="A", secret_key="S"), LENT),
        (key(Secret("bearer"), access_key="A", secret_key="S"), None),
        (key(access_key="A", secret_key=""), None),
        (key(region="r"), None),
        (key(), None),
    ],
)
def test_what_a_key_signs_with(one: KeySettings, credentials: AwsCredentials | None) -> None:
    assert credentials_of(one) == credentials


@pytest.mark.parametrize(
    ("one", "told", "region"),
    [
        (key(access_key="A", secret_key="S"), "", "eu-west-1"),
        (key(access_key="A", secret_key="S"), "us-west-2", "us-west-2"),
        (key(access_key="A", secret_key="S", region=""), "", "us-east-1"),
        (key(LENT), "", "us-east-1"),
    ],
)
def test_a_signing_key_signs_when_it_is_sent(one: KeySettings, told: str, region: str) -> None:
    ready = authorized(request(), one, region=told)

    assert "authorization" not in sent(ready)
    done = ready.signed(NOW_S)
    assert f"/20150830/{region}/bedrock/aws4_request" in sent(done)["authorization"]
    assert done.signed(NOW_S) is done


def test_a_plain_value_is_a_bearer() -> None:
    ready = authorized(request(authorization="Basic x"), key(Secret(" api-key ")))

    assert sent(ready)["authorization"] == "Bearer api-key"
    assert ready.signed(NOW_S) is ready


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (key(), "has no credential"),
        (key(access_key="A"), "has no credential"),
        (key(Secret("a\nb")), "no header may hold"),
    ],
)
def test_a_key_without_a_credential_is_a_configuration_error(one: KeySettings, text: str) -> None:
    with pytest.raises(ConfigurationMissing, match=text):
        authorized(request(), one)


def test_credentials_show_nothing_and_are_scrubbed_part_by_part() -> None:
    assert isinstance(LENT, Token)
    assert f"{LENT} {LENT!r}" == "*** Secret('***')"
    assert (LENT.access_key_id, LENT.secret_access_key, LENT.session_token) == (
        "ASIA",
        "lent",
        "session",
    )
    assert AwsCredentials("ASIA", "lent", "other") != LENT
    assert scrubber(LENT)("id ASIA, token session, key lent") == "id ***, token ***, key ***"
