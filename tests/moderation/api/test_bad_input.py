"""Whatever is sent, the answer says what is wrong with it: never a 500, never a submission by halves."""

import base64
import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from moderation.models import Submission
from tests import media
from tests import world as w
from tests.media import picture
from tests.moderation.api.test_errors import MEMBERS, check
from tests.world import World, api_client

LIST = "/api/v1/submissions/"
BOUNDARY = "----------------------------d74496d66958873e"

fuzz = hypothesis_settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


def post(client: Client, data: bytes | None = None, name: str = "photo.jpg", **fields: Any) -> Any:
    return client.post(LIST, {"file": w.upload(picture() if data is None else data, name), **fields})


def form(*parts: tuple[str, bytes], end: bool = True) -> bytes:
    """A multipart body; each part is its Content-Disposition after `form-data; `, and its content."""
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode("utf-8", "surrogateescape")
        + data
        + b"\r\n"
        for head, data in parts
    )
    return body + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def post_raw(
    client: Client, body: bytes, content_type: str = f"multipart/form-data; boundary={BOUNDARY}", **more: Any
) -> Any:
    return client.generic("POST", LIST, body, content_type, **more)


def told(answer: Any) -> None:
    """An answer that accepts, or a problem that blames the sender."""
    assert answer.status_code in (200, 202, 400, 404, 405, 406, 411, 413, 415, 422), answer.content
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert set(answer.json()) == MEMBERS


# --- pictures ---


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda: b"", 400, "empty"),
        (lambda: b"\xff", 415, "unsupported_format"),
        (media.zip_archive, 415, "unsupported_format"),
        (media.gif, 415, "unsupported_format"),
        (media.webp, 415, "unsupported_format"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported_format"),
        (media.truncated, 422, "corrupt"),
        (lambda: media.truncated("PNG"), 422, "corrupt"),
        (lambda: picture()[:-200], 422, "corrupt"),
        (lambda: b"\xff\xd8\xff" + bytes(5000), 422, "corrupt"),
        (media.png_bomb, 422, "side_too_long"),
        (lambda: media.png_bomb(10_000), 422, "corrupt"),
        (lambda: media.png(9_999, 9_999, 1, 0, b""), 422, "corrupt"),
        (media.tiny, 422, "too_small"),
        (lambda: picture(size=(49, 50)), 422, "too_small"),
    ],
)
def test_pictures_that_are_refused(world: World, make: Callable[[], bytes], status: int, code: str) -> None:
    problem = check(post(api_client(world.key), make()), status, code if status != 400 else "empty")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [("file", code)]
    if status == 415:
        assert problem["errors"][0]["limit"] == ["image/jpeg", "image/png"]
        assert "JPEG, PNG" in problem["detail"]
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    "make",
    [
        media.cmyk,
        media.grey16,
        media.rgb16,
        media.palette_with_transparency,
        media.animated_png,
        media.multi_picture,
        media.with_metadata,
        lambda: media.rotated(6),
        lambda: picture(size=(50, 50)),
    ],
)
def test_unusual_pictures_that_are_taken(world: World, make: Callable[[], bytes]) -> None:
    assert post(api_client(world.key), make()).status_code == 202


def test_the_name_decides_nothing(world: World) -> None:
    for name in ("photo.exe", "photo", "photo.gif", "noext."):
        assert post(api_client(world.key), name=name).json()["media"]["format"] == "JPEG"


# --- names ---


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/cron.d/x.png", "x.png"),
        ("é" * 300 + ".jpg", "é" * 251 + ".jpg"),
        ("x." + "ü" * 300, "." + "ü" * 254),
        ("x." + "😀" * 300, None),
        ("a\x00b\x01c\u202egpj.exe", "abcgpj.exe"),
        ("&#46;&#46;&#47;x.jpg", "x.jpg"),
        ("a b;c=d'.jpg", "a b;c=d'.jpg"),
        (".", None),
        ("..", None),
        ("", None),
    ],
)
def test_names_of_files(world: World, name: str, kept: str | None) -> None:
    quoted = name.replace('"', "%22")
    body = form((f'name="file"; filename="{quoted}"\r\nContent-Type: image/jpeg', picture()))
    answer = post_raw(api_client(world.key), body)
    told(answer)
    if kept is not None:
        assert answer.json()["filename"] == kept
    for submission in Submission.objects.all():
        assert len(submission.filename) <= 255
        assert submission.blob and submission.blob.name.startswith(f"blobs/{w.ACME}/")


def test_a_name_by_rfc_5987(world: World) -> None:
    for encoded in ("utf-8''%e2%82%ac.jpg", "utf-8''%ff%fe", "nonsense''x.jpg", "utf-16''%00", "'''", "hex''zz"):
        told(post_raw(api_client(world.key), form((f'name="file"; filename*={encoded}', picture()))))


# --- fields ---


@pytest.mark.parametrize(
    ("metadata", "code", "limit"),
    [
        ("{", "invalid_json", None),
        ("[1]", "not_an_object", None),
        ('"text"', "not_an_object", None),
        ("null", "not_an_object", None),
        ('{"a": NaN}', "invalid_number", None),
        ('{"a": 1e999}', "invalid_number", None),
        ('{"a": "\\u0000"}', "invalid_characters", None),
        ('{"\\ud800": 1}', "invalid_characters", None),
        ('{"a": [{"b": "\\udfff"}]}', "invalid_characters", None),
        ('{"a": ' + "[" * 30 + "]" * 30 + "}", "too_deep", 20),
        ('{"a": ' + "[" * 8000 + "]" * 8000 + "}", None, None),
        ('{"a": "' + "x" * 16_380 + '"}', None, None),
        ('{"a": "' + "é" * 9_000 + '"}', "metadata_too_large", 16_384),
        ('{"a": ' + "9" * 5000 + "}", "invalid_json", None),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else None,
)
def test_metadata_that_is_refused(world: World, metadata: str, code: str | None, limit: int | None) -> None:
    problem = check(post(api_client(world.key), metadata=metadata), 400, "invalid")
    [error] = problem["errors"]
    assert error["field"] == "metadata"
    assert code in (error["code"], None)
    assert error.get("limit") == limit
    assert not Submission.objects.exists()


@pytest.mark.parametrize(
    "metadata", [{}, {"a": "\\u0000"}, {"a": -1.5e-9, "b": 2**200, "c": "9" * 4000}, {"": None, "é": ["😀", True]}]
)
def test_metadata_that_is_taken(world: World, metadata: dict[str, Any]) -> None:
    assert post(api_client(world.key), metadata=json.dumps(metadata)).json()["metadata"] == metadata


@pytest.mark.parametrize("field", ["external_id", "policy", "metadata"])
def test_files_where_texts_belong(world: World, field: str) -> None:
    form = {"file": w.upload(picture()), field: w.upload(b"{}")}
    problem = check(api_client(world.key).post(LIST, form), 400, "invalid")
    assert [each["field"] for each in problem["errors"]] == [field]


def test_a_text_where_the_file_belongs(world: World) -> None:
    problem = check(api_client(world.key).post(LIST, {"file": "photo.jpg"}), 400, "invalid")
    assert [each["field"] for each in problem["errors"]] == ["file"]


def test_two_files(world: World) -> None:
    """Only one of them would be looked at."""
    problem = check(
        api_client(world.key).post(LIST, {"file": [w.upload(picture()), w.upload(media.tiny())]}), 400, "invalid"
    )
    assert problem["errors"][0] == {
        "field": "file",
        "code": "too_many_files",
        "message": "One file at a time is accepted.",
        "limit": 1,
    }


@pytest.mark.parametrize("value", ["x" * 201, "a\x00", "a\nb"])
def test_external_ids_that_are_refused(world: World, value: str) -> None:
    problem = check(post(api_client(world.key), external_id=value), 400, "invalid")
    assert [each["field"] for each in problem["errors"]] == ["external_id"]


# --- bodies ---


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 300,
        'multipart/form-data; boundary="ä"',
        "multipart/form-data; boundary=other",
        "multipart/mixed; boundary=x",
        "application/x-www-form-urlencoded",
        "image/jpeg",
        "nonsense",
        "",
        "/",
        ";;;",
    ],
)
def test_bodies_of_another_type(world: World, content_type: str) -> None:
    answer = post_raw(api_client(world.key), form(('name="file"; filename="a.jpg"', picture())), content_type)
    assert answer.status_code in (400, 415)
    told(answer)


@pytest.mark.parametrize("charset", ["hex", "rot13", "base64", "idna", "undefined", "utf-16", "utf-7", "nonsense"])
def test_any_charset_is_utf_8(world: World, charset: str) -> None:
    body = form(('name="file"; filename="a.jpg"', picture()), ('name="external_id"', "é".encode()))
    answer = post_raw(api_client(world.key), body, f"multipart/form-data; boundary={BOUNDARY}; charset={charset}")
    assert answer.json()["external_id"] == "é"


@pytest.mark.parametrize("head", ["base64", "quoted-printable", "x\r\nContent-Length: 9"])
def test_transfer_encodings(world: World, head: str) -> None:
    part = f'name="file"; filename="a.jpg"\r\nContent-Transfer-Encoding: {head}'
    told(post_raw(api_client(world.key), form((part, picture()))))


def test_too_many_fields(world: World) -> None:
    told(post_raw(api_client(world.key), form(*((f'name="f{number}"', b"") for number in range(1100)))))
    told(post_raw(api_client(world.key), form(*((f'name="f{number}"; filename="f"', b"") for number in range(200)))))
    told(api_client(world.key).get(f"{LIST}?{'&'.join(f'f{number}=' for number in range(1100))}"))


def test_a_field_of_ten_megabytes(world: World) -> None:
    body = form(('name="metadata"', b"x" * 10_000_000), ('name="file"; filename="a"', picture()))
    check(post_raw(api_client(world.key), body), 413, "too_large")


def test_a_body_too_large_is_refused_unread(world: World, settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 1000
    answer = post_raw(api_client(world.key), b"", CONTENT_LENGTH=str(2 * 1024 * 1024))
    problem = check(answer, 413, "too_large")
    assert problem["errors"][0]["limit"] == 1000


def test_a_body_in_chunks(world: World) -> None:
    """It would be taken for an empty one."""
    chunks = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    check(
        post_raw(api_client(world.key), form(('name="file"; filename="a"', picture())), **chunks),
        411,
        "length_required",
    )


@pytest.mark.parametrize("length", ["-1", "nonsense", "9" * 30, "1.5"])
def test_lengths_that_are_none(world: World, length: str) -> None:
    told(post_raw(api_client(world.key), form(('name="file"; filename="a"', picture())), CONTENT_LENGTH=length))


@pytest.mark.parametrize("cut", [10, 100, 3000, -5, -200])
def test_a_body_that_ends_too_soon(world: World, cut: int) -> None:
    """The last cuts leave the picture whole and lose the policy behind it."""
    body = form(('name="file"; filename="a.jpg"', picture()), ('name="policy"', b"x" * 100))
    wire: dict[str, Any] = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body[:cut])}
    answer = post_raw(api_client(world.key), body, **wire)
    assert answer.status_code == 400
    told(answer)
    assert not Submission.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("cut", [0, 200, 4000])
@pytest.mark.parametrize("abrupt", [True, False])
def test_an_upload_cut_in_the_middle(live_server: LiveServer, transactional_db: None, cut: int, abrupt: bool) -> None:
    world = w.build()
    body = form(('name="file"; filename="a.jpg"', picture()))
    head = (
        f"POST {LIST} HTTP/1.1\r\nHost: {live_server.thread.host}\r\nAuthorization: Bearer {world.key.token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with closing(socket.create_connection((live_server.thread.host, live_server.thread.port), 10)) as wire:
        wire.sendall(head.encode() + body[:cut])
        if not abrupt:
            wire.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: wire.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"application/problem+json" in answer
    time.sleep(0.3 if abrupt else 0)
    assert not Submission.objects.exists()
    assert post(api_client(world.key)).status_code == 202


# --- anything ---

texts = st.text(max_size=60)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@fuzz
@given(
    external_id=texts,
    policy=st.just("") | texts,
    metadata=st.dictionaries(texts, anything, max_size=4).map(json.dumps) | texts,
    key=st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=40),
)
def test_any_fields(world: World, external_id: str, policy: str, metadata: str, key: str) -> None:
    fields = {"external_id": external_id, "policy": policy, "metadata": metadata}
    body = form(
        ('name="file"; filename="a.jpg"', SMALL),
        *((f'name="{name}"', value.encode("utf-8", "surrogatepass")) for name, value in fields.items()),
    )
    answer = post_raw(api_client(world.key), body, HTTP_IDEMPOTENCY_KEY=key)
    told(answer)
    if answer.status_code == 202:
        told(api_client(world.key).get(f"{LIST}{answer.json()['id']}/"))


@fuzz
@given(
    body=st.binary(max_size=300) | st.binary(max_size=200).map(lambda data: form(('name="file"; filename="a"', data)))
)
def test_any_body(world: World, body: bytes) -> None:
    told(post_raw(api_client(world.key), body))


@fuzz
@given(start=st.integers(0, 3000), length=st.integers(0, 40), junk=st.binary(max_size=40))
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_any_damage_to_a_picture(world: World, format: str, start: int, length: int, junk: bytes) -> None:
    sound = SMALL if format == "JPEG" else SMALL_PNG
    told(post(api_client(world.key), sound[:start] + junk + sound[start + length :]))


@fuzz
@given(head=st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=80))
def test_any_disposition(world: World, head: str) -> None:
    told(post_raw(api_client(world.key), form((head, SMALL), ('name="file"; ' + head, SMALL))))


@fuzz
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["status", "source", "external_id", "created_after", "created_before", "cursor", "limit", "wait"]
            )
            | texts,
            texts.map(lambda text: text.encode("utf-8", "surrogatepass"))
            | st.datetimes().map(lambda t: t.isoformat().encode())
            | st.binary(max_size=30),
        ),
        max_size=4,
    )
)
def test_any_query(world: World, pairs: list[tuple[str, bytes]]) -> None:
    query = "&".join(
        f"{quote_from_bytes(name.encode('utf-8', 'surrogatepass'))}={quote_from_bytes(value)}" for name, value in pairs
    )
    told(api_client(world.key).get(f"{LIST}?{query}"))


@fuzz
@given(st.lists(st.sampled_from(["o", "r", "p"]), max_size=3), st.lists(texts, min_size=3, max_size=3), st.datetimes())
def test_any_cursor(world: World, names: list[str], values: list[str], moment: Any) -> None:
    values = [*values[:2], f"{moment}+00:00"]
    cursor = base64.b64encode(urlencode(list(zip(names, values, strict=False))).encode()).decode()
    told(api_client(world.key).get(LIST, {"cursor": cursor}))


@fuzz
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_address(world: World, rest: str) -> None:
    told(api_client(world.key).get("/api/v1/" + quote_from_bytes(rest.encode())))


SMALL = picture(size=(60, 60))
SMALL_PNG = picture(size=(60, 60), format="PNG")
