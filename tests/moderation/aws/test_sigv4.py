"""Signatures made by botocore itself are accepted; whatever is changed afterwards is refused."""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from moderation.aws import sigv4
from moderation.aws.errors import AwsError
from moderation.aws.sigv4 import Verified
from tests.moderation.aws.clients import HOST, KEY_ID, SECRET, Sent, send, sign


@dataclass(frozen=True)
class Key:
    secret: str


KEYS = {KEY_ID: Key(SECRET)}
JS_HEADERS = {
    "amz-sdk-invocation-id": "1e8f7f0e-7c1e-4f3e-9d3c-5b1b7c2d9e10",
    "amz-sdk-request": "attempt=1; max=3",
    "content-length": "26",
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "RekognitionService.DetectModerationLabels",
    "x-amz-user-agent": "aws-sdk-js/3.1142.0",
    "x-amz-content-sha256": hashlib.sha256(b'{"Image":{"Bytes":"YWJj"}}').hexdigest(),
}


def signed_at(sent: Sent) -> datetime:
    """The moment of X-Amz-Date, so that a signature is judged as if no time had passed; now, where there is none."""
    try:
        return datetime.strptime(sent.header("X-Amz-Date"), sigv4.TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC)


def verify(sent: Sent, *, services: tuple[str, ...] = ("rekognition", "sagemaker"), **options: Any) -> Verified[Key]:
    given: dict[str, Any] = {"now": signed_at(sent), "lookup": KEYS.get, "services": services} | options
    return sigv4.verify(sent.method, sent.target, sent.headers, sent.body, **given)


def refusal(sent: Sent, **options: Any) -> tuple[str, str]:
    with pytest.raises(AwsError) as caught:
        verify(sent, **options)
    return caught.value.code, caught.value.message


def with_header(sent: Sent, name: str, value: str) -> Sent:
    kept = tuple(pair for pair in sent.headers if pair[0].lower() != name.lower())
    return replace(sent, headers=(*kept, (name, value)))


def without_header(sent: Sent, name: str) -> Sent:
    return replace(sent, headers=tuple(pair for pair in sent.headers if pair[0].lower() != name.lower()))


KNOWN_GOOD = {
    "boto3 JSON": send("rekognition", "detect_moderation_labels", Image={"Bytes": b"abc"}),
    "boto3 sagemaker": send("sagemaker", "list_flow_definitions"),
    "boto3 POST REST": send("sagemaker-a2i-runtime", "stop_human_loop", HumanLoopName="loop-1"),
    "boto3 DELETE": send("sagemaker-a2i-runtime", "delete_human_loop", HumanLoopName="loop-1"),
    "boto3 query": send(
        "sagemaker-a2i-runtime",
        "list_human_loops",
        FlowDefinitionArn="arn:aws:sagemaker:us-east-1:123456789012:flow-definition/a+b ü",
        CreationTimeAfter=datetime(2026, 1, 31, tzinfo=UTC),
        SortOrder="Ascending",
        NextToken="a=b&c/d%2F",
        MaxResults=7,
    ),
    "boto3 %2F in the path": send("sagemaker-a2i-runtime", "describe_human_loop", HumanLoopName="a/b c%"),
    "JavaScript's headers": sign("POST", "/", JS_HEADERS, b'{"Image":{"Bytes":"YWJj"}}', "rekognition"),
    "spaces in a header": sign("GET", "/human-loops/a", {"x-amz-meta": "  two   spaces "}),
}


@pytest.mark.parametrize("name", KNOWN_GOOD)
def test_what_clients_sign_is_accepted(name):
    verified = verify(KNOWN_GOOD[name])
    assert verified.credential is KEYS[KEY_ID]
    assert (verified.access_key_id, verified.region) == (KEY_ID, "us-east-1")
    assert verified.service in ("rekognition", "sagemaker")


def test_the_published_example_is_accepted():
    """The worked example of the Signature Version 4 documentation, with its published signature."""
    sent = Sent(
        "GET",
        "/?Action=ListUsers&Version=2010-05-08",
        (
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                "SignedHeaders=content-type;host;x-amz-date, "
                "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ),
        b"",
    )
    key = Key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    now = datetime(2015, 8, 30, 12, 38, tzinfo=UTC)
    verified = verify(sent, services=("iam",), now=now, lookup={"AKIDEXAMPLE": key}.get)
    assert verified.credential is key


def test_headers_that_botocore_would_not_sign_itself_are_verified():
    """curl signs User-Agent; botocore's signer leaves it out, so this signature is made by hand."""
    now = datetime.now(UTC)
    stamp, day = now.strftime(sigv4.TIMESTAMP), now.strftime("%Y%m%d")
    canonical = (
        f"POST\n/\n\nhost:{HOST}\nuser-agent:curl/8.5.0\nx-amz-date:{stamp}\n\nhost;user-agent;x-amz-date\n"
        + hashlib.sha256(b"{}").hexdigest()
    )
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{day}/us-east-1/sagemaker/aws4_request\n"
    text += hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in (day, "us-east-1", "sagemaker", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{day}/us-east-1/sagemaker/aws4_request, "
        f"SignedHeaders=host;user-agent;x-amz-date, Signature={hmac.new(key, text.encode(), 'sha256').hexdigest()}"
    )
    headers = (("Host", HOST), ("User-Agent", "curl/8.5.0"), ("X-Amz-Date", stamp), ("Authorization", authorization))
    sent = Sent("POST", "/", headers, b"{}")
    assert verify(sent).credential is KEYS[KEY_ID]
    assert refusal(with_header(sent, "User-Agent", "curl/8.5.1"))[0] == "InvalidSignatureException"


def test_an_old_fashioned_date_header_will_do():
    sent = sign("GET", "/human-loops", {"Date": "Sat, 31 Jan 2026 00:00:00 GMT"})
    assert not sent.header("X-Amz-Date")
    assert verify(sent).access_key_id == KEY_ID


@pytest.mark.parametrize("separator", [",", " ", " , ", ",   "])
def test_commas_and_spaces_between_the_parts_are_free(separator):
    sent = KNOWN_GOOD["boto3 JSON"]
    loose = sent.header("Authorization").replace(", ", separator)
    assert verify(with_header(sent, "Authorization", loose)).access_key_id == KEY_ID


# --- nothing that was signed can be changed ---------------------------------------------------------------------------


def flip(data: st.DataObject, text: str) -> str:
    """The text with one byte changed to any other."""
    raw = bytearray(text, "latin-1")
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    return raw.decode("latin-1")


samples = st.sampled_from(sorted(KNOWN_GOOD)).map(KNOWN_GOOD.__getitem__)


@given(samples, st.data())
def test_a_flipped_byte_of_the_method_is_refused(sent, data):
    refusal(replace(sent, method=flip(data, sent.method)))


@given(samples, st.data())
def test_a_flipped_byte_of_path_or_query_is_refused(sent, data):
    refusal(replace(sent, target=flip(data, sent.target)))


@given(samples, st.data())
def test_a_flipped_byte_of_the_body_is_refused(sent, data):
    refusal(replace(sent, body=flip(data, sent.body.decode() or "-").encode("latin-1")))


@given(samples, st.data())
def test_a_flipped_byte_of_a_signed_header_is_refused(sent, data):
    signed = sigv4.read_claim(sent.headers).signed_headers
    name, value = data.draw(st.sampled_from([pair for pair in sent.headers if pair[0].lower() in signed]))
    changed = flip(data, value)
    if changed.strip(" \t") != value.strip(" \t"):
        refusal(with_header(sent, name, changed))


@given(samples, st.data())
def test_a_flipped_byte_of_a_signed_headers_name_is_refused(sent, data):
    signed = sigv4.read_claim(sent.headers).signed_headers
    name, value = data.draw(st.sampled_from([pair for pair in sent.headers if pair[0].lower() in signed]))
    changed = flip(data, name)
    if changed.lower() != name.lower():
        refusal(replace(without_header(sent, name), headers=(*without_header(sent, name).headers, (changed, value))))


@given(samples, st.sampled_from(["Credential", "SignedHeaders", "Signature"]), st.data())
def test_a_flipped_byte_of_credential_scope_or_signature_is_refused(sent, part, data):
    header = sent.header("Authorization")
    value = header.split(f"{part}=")[1].split(",")[0]
    refusal(with_header(sent, "Authorization", header.replace(value, flip(data, value))))


@given(samples, st.data())
def test_a_byte_put_in_or_taken_out_is_refused(sent, data):
    place = data.draw(st.integers(1, len(sent.target)))
    added = data.draw(st.sampled_from("/.;#x%?&= \t\0"))
    # A question mark at the very end adds no query: it is the same request.
    assume(not (added == "?" and place == len(sent.target) and "?" not in sent.target))
    refusal(replace(sent, target=sent.target[:place] + added + sent.target[place:]))
    refusal(replace(sent, body=sent.body + b" "))


@given(st.text(max_size=300), samples)
def test_any_authorization_header_gets_a_refusal_and_no_crash(text, sent):
    refusal(with_header(sent, "Authorization", text))
    refusal(with_header(sent, "Authorization", f"AWS4-HMAC-SHA256 {text}"))


@given(st.text(max_size=40), samples)
def test_any_date_gets_a_refusal_and_no_crash(text, sent):
    refusal(with_header(sent, "X-Amz-Date", text))
    refusal(with_header(without_header(sent, "X-Amz-Date"), "Date", text))


# --- every refusal in its own words -----------------------------------------------------------------------------------

POST = KNOWN_GOOD["boto3 JSON"]


def test_no_authorization():
    expected = ("MissingAuthenticationTokenException", "Request is missing Authentication Token")
    assert refusal(without_header(POST, "Authorization")) == expected
    assert refusal(with_header(POST, "Authorization", "")) == expected


@pytest.mark.parametrize(
    ("authorization", "words"),
    [
        ("AWS4-HMAC-SHA256", "requires 'Credential' parameter. Authorization header requires 'Signature' parameter."),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, Signature=x", "requires 'SignedHeaders' parameter."),
        ("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=x", "exactly 5 slash-delimited elements"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a/b/c/d/aws4_request", "AWS4-HMAC-SHA256"),
        ("Bearer sl_token", "AWS4-HMAC-SHA256"),
    ],
)
def test_malformed_authorization(authorization, words):
    code, message = refusal(with_header(POST, "Authorization", authorization))
    assert code == "IncompleteSignatureException"
    assert words in message


def test_two_authorization_headers():
    twice = replace(POST, headers=(*POST.headers, ("Authorization", POST.header("Authorization"))))
    assert refusal(twice)[0] == "IncompleteSignatureException"


def test_unknown_key():
    expected = ("UnrecognizedClientException", "The security token included in the request is invalid.")
    assert refusal(POST, lookup={}.get) == expected


def test_a_key_id_that_no_database_could_hold_is_not_looked_up():
    hostile = POST.header("Authorization").replace(KEY_ID, "A\0B")

    def lookup(key_id):
        raise AssertionError(key_id)

    assert refusal(with_header(POST, "Authorization", hostile), lookup=lookup)[0] == "UnrecognizedClientException"


def test_wrong_secret():
    code, message = refusal(POST, lookup={KEY_ID: Key("another")}.get)
    assert code == "InvalidSignatureException"
    assert message == (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    )


def test_session_token():
    sent = sign("GET", "/human-loops", {"X-Amz-Security-Token": "token"})
    code, message = refusal(sent)
    assert code == "UnrecognizedClientException"
    assert "Session tokens are not issued here" in message


def test_clock():
    signed = signed_at(POST)
    assert verify(POST, now=signed + timedelta(minutes=5))
    assert verify(POST, now=signed - timedelta(minutes=5))
    late = signed + timedelta(minutes=5, seconds=1)
    earliest = (late - timedelta(minutes=5)).strftime(sigv4.TIMESTAMP)
    assert refusal(POST, now=late) == (
        "InvalidSignatureException",
        f"Signature expired: {POST.header('X-Amz-Date')} is now earlier than {earliest} "
        f"({late.strftime(sigv4.TIMESTAMP)} - 5 min.)",
    )
    early = signed - timedelta(minutes=5, seconds=1)
    assert refusal(POST, now=early)[1].startswith("Signature not yet current: ")
    assert verify(POST, now=late, window=timedelta(minutes=15))


@pytest.mark.parametrize(
    "date",
    ["2026-01-31T00:00:00Z", "20260131T000000", "20261331T000000Z", "\u0662\u0660\u0662\u06600131T000000Z", "x"],
)
def test_malformed_date(date):
    code, message = refusal(with_header(POST, "X-Amz-Date", date))
    assert code == "IncompleteSignatureException"
    assert "basic format" in message


def test_no_date():
    code, message = refusal(without_header(POST, "X-Amz-Date"))
    assert code == "IncompleteSignatureException"
    assert "'X-Amz-Date' or a 'Date' header" in message


def test_scope():
    assert refusal(POST, services=("sagemaker",)) == (
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'sagemaker'.",
    )
    assert refusal(POST, regions=["eu-west-1"]) == (
        "InvalidSignatureException",
        "Credential should be scoped to a valid region.",
    )
    assert verify(POST, regions=["us-east-1"]).region == "us-east-1"
    authorization = POST.header("Authorization")
    for scope in ("us-east-1x", "US-EAST-1", "x", "us_east_1", "..", "us-east-1000"):
        changed = with_header(POST, "Authorization", authorization.replace("us-east-1", scope))
        assert refusal(changed)[1] == "Credential should be scoped to a valid region."
    day = signed_at(POST).strftime("%Y%m%d")
    assert (
        "Date in Credential scope"
        in refusal(with_header(POST, "Authorization", authorization.replace(f"/{day}/", "/20200101/")))[1]
    )
    assert (
        "valid terminator"
        in refusal(with_header(POST, "Authorization", authorization.replace("aws4_request", "aws5_request")))[1]
    )


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "ap-southeast-2", "eu-isoe-west-1"])
def test_regions_of_every_kind(region):
    sent = send("sagemaker", "list_flow_definitions", region=region)
    assert verify(sent).region == region


@pytest.mark.parametrize("name", ["x-amz-target", "x-amz-date", "host"])
def test_what_decides_the_meaning_must_be_signed(name):
    authorization = POST.header("Authorization")
    signed = sigv4.read_claim(POST.headers).signed_headers
    fewer = authorization.replace(";".join(signed), ";".join(each for each in signed if each != name))
    code, message = refusal(with_header(POST, "Authorization", fewer))
    assert code == "InvalidSignatureException"
    assert message == f"'{name}' must be a 'SignedHeader' in the AWS Authorization."


def test_a_header_added_beside_a_signed_one_is_refused():
    more = replace(POST, headers=(*POST.headers, ("X-Amz-Target", "SageMaker.DeleteFlowDefinition")))
    assert refusal(more)[0] == "InvalidSignatureException"


def test_the_digest_header_must_be_the_bodys():
    body = b'{"Image":{"Bytes":"YWJj"}}'
    for digest in ("UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", hashlib.sha256(b"").hexdigest(), ""):
        sent = sign("POST", "/", JS_HEADERS | {"x-amz-content-sha256": digest}, body, "rekognition")
        expected = "The provided 'x-amz-content-sha256' header does not match what was computed."
        assert refusal(sent) == ("InvalidSignatureException", expected)


def test_a_method_in_another_spelling_is_another_method():
    assert refusal(replace(POST, method="post"))[0] == "InvalidSignatureException"


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x0b"])
def test_only_spaces_are_trimmed(space):
    sent = KNOWN_GOOD["spaces in a header"]
    assert refusal(with_header(sent, "x-amz-meta", f"two spaces{space}"))[0] == "InvalidSignatureException"
    assert refusal(with_header(sent, "x-amz-meta", f"two{space}spaces"))[0] == "InvalidSignatureException"


def test_a_signed_header_that_is_gone_is_refused():
    sent = sign("GET", "/human-loops", {"x-empty": ""})
    assert verify(sent)
    assert refusal(without_header(sent, "x-empty"))[0] == "InvalidSignatureException"


@pytest.mark.parametrize(
    "target", ["//", "/human-loops/../", "/./", "/human-loops//a", "http://x/", "", "*", "/a b", "/a#b"]
)
def test_targets_that_would_be_normalised_are_refused(target):
    sent = KNOWN_GOOD["boto3 DELETE"]
    assert refusal(replace(sent, target=target))[0] == "InvalidSignatureException"
