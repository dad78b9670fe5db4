"""Pictures named by S3Object: from folders and from an S3 server, whose they are, and what is told where none is."""

import logging
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone
from mypy_boto3_rekognition import RekognitionClient

from moderation import storage
from moderation.models import Account, Bucket, Submission
from reviews.models import HumanLoop
from tests import media
from tests.conftest import ObjectStore
from tests.moderation.aws.conftest import ClientFor
from tests.moderation.aws.rekognition_world import CONFIG, flow, named, refusal
from tests.world import ACME, World, issue

NO_METADATA = (
    "InvalidS3ObjectException",
    "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
)
INVALID = ("InvalidS3ObjectException", "Request has invalid S3 object.")
TOO_LARGE = ("ImageTooLargeException", "Image size is too large")
WEAPONS = ["Weapons", "Violence"]

pytestmark = pytest.mark.django_db(transaction=True)


def s3_object(name: str, bucket: str = "photos", **more: str) -> Any:
    return {"S3Object": {"Bucket": bucket, "Name": name, **more}}


def labels(client: RekognitionClient, image: Any) -> list[str]:
    return named(client.detect_moderation_labels(Image=image))


def on_server(account: Account, s3: ObjectStore, name: str, **more: Any) -> Bucket:
    """The account's row for a bucket of the S3 server."""
    fields = {"endpoint_url": s3.endpoint, "access_key_id": s3.access_key, "secret_access_key": s3.secret_key}
    return Bucket.objects.create(account=account, name=s3.bucket(name), **{**fields, **more})


@pytest.fixture(params=["files", "server"])
def bucket(request: pytest.FixtureRequest, world: World) -> Bucket:
    """Acme's bucket `photos`, of either kind."""
    if request.param == "files":
        return storage.make_bucket(world.acme, "photos")
    return on_server(world.acme, request.getfixturevalue("s3"), "photos")


def put(account: Account, name: str, data: bytes, bucket: str = "photos") -> None:
    storage.write(account, f"s3://{bucket}/{name}", data)


# --- what is there ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "deep/er/a.jpg",
        "grün/ß 日本 🙂.jpg",
        "a b+c%2F?d#e&f=g",
        "..a/b..",
        "x" * 255,
        "y/" * 511 + "yz",
    ],
    ids=lambda name: name[:12],
)
def test_an_object_is_looked_at(acme: RekognitionClient, world: World, bucket: Bucket, name: str) -> None:
    put(world.acme, name, media.picture("Weapons"))
    assert labels(acme, s3_object(name)) == WEAPONS
    assert Submission.objects.get().filename == name.rsplit("/", 1)[-1][:255]


def test_long_names_in_a_folder(acme: RekognitionClient, world: World) -> None:
    storage.make_bucket(world.acme, "photos")
    for name in ("x" * 1024, "ä" * 512):
        put(world.acme, name, media.picture("Weapons"))
        assert labels(acme, s3_object(name)) == WEAPONS


def test_what_the_command_line_puts_is_found(acme: RekognitionClient, world: World, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(media.picture("Weapons", format="PNG"))
    call_command("put", str(path), "s3://by-command/in/here.png", account=ACME)
    assert labels(acme, s3_object("in/here.png", "by-command")) == WEAPONS


def test_bytes_and_object_have_the_same_answer(acme: RekognitionClient, world: World, bucket: Bucket) -> None:
    data = media.picture("Blood & Gore", 87)
    put(world.acme, "same.jpg", data)
    images: list[Any] = [{"Bytes": data}, s3_object("same.jpg"), s3_object("same.jpg")]
    told = [acme.detect_moderation_labels(Image=image, MinConfidence=0) for image in images]
    assert told[0]["ModerationLabels"] == told[1]["ModerationLabels"] == told[2]["ModerationLabels"]
    assert len(told[0]["ModerationLabels"]) == 3


def test_an_object_may_be_larger_than_bytes_in_a_request(acme: RekognitionClient, world: World, bucket: Bucket) -> None:
    data = media.picture("Weapons", format="PNG") + bytes(6 * 1024 * 1024)
    put(world.acme, "large.png", data)
    assert labels(acme, s3_object("large.png")) == WEAPONS


def test_versions(acme: RekognitionClient, world: World, s3: ObjectStore) -> None:
    on_server(world.acme, s3, "versioned")
    s3.client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    old, new = (
        s3.client.put_object(Bucket="versioned", Key="a.jpg", Body=media.picture(label))["VersionId"]
        for label in ("Weapons", "Gambling")
    )
    assert labels(acme, s3_object("a.jpg", "versioned")) == ["Gambling"]
    assert labels(acme, s3_object("a.jpg", "versioned", Version=new)) == ["Gambling"]
    assert labels(acme, s3_object("a.jpg", "versioned", Version=old)) == WEAPONS
    for wrong in ("0" * 32, "no version at all", "x" * 1024):
        assert refusal(acme, s3_object("a.jpg", "versioned", Version=wrong)) in (NO_METADATA, INVALID)
    s3.client.delete_object(Bucket="versioned", Key="a.jpg")
    assert refusal(acme, s3_object("a.jpg", "versioned")) == NO_METADATA
    assert labels(acme, s3_object("a.jpg", "versioned", Version=old)) == WEAPONS


def test_a_folder_keeps_no_versions(acme: RekognitionClient, world: World) -> None:
    storage.make_bucket(world.acme, "photos")
    put(world.acme, "a.jpg", media.picture())
    assert refusal(acme, s3_object("a.jpg", Version="1")) == NO_METADATA


def test_the_accounts_stored_pictures_are_a_bucket_too(acme: RekognitionClient, world: World) -> None:
    settings_bucket = storage.media_bucket()
    acme.detect_moderation_labels(Image={"Bytes": media.picture("Weapons", 95)})  # kept: its policy says `review`
    blob = Submission.objects.get().blob
    assert blob
    assert labels(acme, s3_object(blob.name, settings_bucket)) == WEAPONS
    assert refusal(acme, s3_object(blob.name.replace(ACME, "222222222222"), settings_bucket)) == NO_METADATA


# --- what is not there, or not the caller's ---------------------------------------------------------------------------


def test_no_such_key(acme: RekognitionClient, world: World, bucket: Bucket) -> None:
    put(world.acme, "here/a.jpg", media.picture())
    for name in ("nowhere.jpg", "here", "here/a.jpg/deeper", "HERE/a.jpg"):
        assert refusal(acme, s3_object(name)) == NO_METADATA
    assert not Submission.objects.exists()


@pytest.mark.parametrize("name", ["../a.jpg", "a/../../b", "..", "./a", "a/.", "x/../photos2/secret.jpg"])
def test_no_way_out_of_a_bucket(acme: RekognitionClient, world: World, bucket: Bucket, name: str) -> None:
    put(world.acme, "a.jpg", media.picture())
    assert refusal(acme, s3_object(name)) == INVALID


def test_on_one_server_a_name_does_not_lead_to_another_bucket(
    acme: RekognitionClient, world: World, s3: ObjectStore
) -> None:
    """Both buckets are open to the credentials; only one is the account's."""
    on_server(world.acme, s3, "ours")
    s3.client.put_object(Bucket=s3.bucket("theirs"), Key="secret.jpg", Body=media.picture("Weapons"))
    for name in (
        "../theirs/secret.jpg",
        "x/../../theirs/secret.jpg",
        "%2e%2e/theirs/secret.jpg",
        "/../theirs/secret.jpg",
    ):
        assert refusal(acme, s3_object(name, "ours"))[0] == "InvalidS3ObjectException"


def test_another_accounts_bucket_is_as_none(
    acme: RekognitionClient, client_for: ClientFor, world: World, s3: ObjectStore
) -> None:
    storage.make_bucket(world.globex, "globex-files")
    put(world.globex, "a.jpg", media.picture("Weapons"), "globex-files")
    on_server(world.globex, s3, "globex-server")
    put(world.globex, "a.jpg", media.picture("Weapons"), "globex-server")
    never = refusal(acme, s3_object("a.jpg", "never-made"))
    for bucket in ("globex-files", "globex-server"):
        assert labels(client_for(world.outsider_key), s3_object("a.jpg", bucket)) == WEAPONS
        assert refusal(acme, s3_object("a.jpg", bucket)) == never == NO_METADATA


def test_one_name_in_two_accounts_is_two_buckets(acme: RekognitionClient, client_for: ClientFor, world: World) -> None:
    for account, label in ((world.acme, "Weapons"), (world.globex, "Gambling")):
        storage.make_bucket(account, "photos")
        put(account, "a.jpg", media.picture(label))
    assert labels(acme, s3_object("a.jpg")) == WEAPONS
    assert labels(client_for(world.outsider_key), s3_object("a.jpg")) == ["Gambling"]


def test_a_bucket_that_may_not_be_read(acme: RekognitionClient, world: World, bucket: Bucket) -> None:
    put(world.acme, "a.jpg", media.picture())
    Bucket.objects.update(can_read=False)
    assert refusal(acme, s3_object("a.jpg")) == NO_METADATA
    Bucket.objects.update(can_read=True)
    assert labels(acme, s3_object("a.jpg")) == []


def test_a_bucket_that_the_server_does_not_have_or_open(
    acme: RekognitionClient, world: World, s3: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    s3.client.put_object(Bucket=s3.bucket("photos"), Key="a.jpg", Body=media.picture())
    wrong = {
        "not-made-there": {"endpoint_url": s3.endpoint},
        "photos": {"secret_access_key": "x" * 40},
        "gone": {"endpoint_url": "http://127.0.0.1:9"},
    }
    for name, fields in wrong.items():
        given = {"endpoint_url": s3.endpoint, "access_key_id": s3.access_key, "secret_access_key": s3.secret_key}
        Bucket.objects.create(account=world.acme, name=name, **{**given, **fields})
        with caplog.at_level(logging.INFO, "moderation.aws.s3_objects"):
            assert refusal(acme, s3_object("a.jpg", name)) == NO_METADATA
        assert name in caplog.text  # the log tells what the answer does not
        caplog.clear()


def test_names_that_the_model_refuses(acme: RekognitionClient, client_for: ClientFor, world: World) -> None:
    careless = client_for(world.key, parameter_validation=False)
    for where in (
        {"Bucket": "b/d", "Name": "a"},
        {"Bucket": "b", "Name": "a"},
        {"Bucket": "x" * 256, "Name": "a"},
        {"Bucket": "photos", "Name": ""},
        {"Bucket": "photos", "Name": "x" * 1025},
        {"Bucket": "photos", "Name": "a\0b"},
        {"Bucket": "photos", "Name": "a", "Version": ""},
    ):
        assert refusal(careless, {"S3Object": where})[0] == "ValidationException"
    for where in ({}, {"Bucket": "photos"}, {"Name": "a.jpg"}, {"Bucket": "photos", "Name": "a\nb"}):
        assert refusal(careless, {"S3Object": where}) == INVALID
    assert refusal(careless, s3_object("ä" * 513)) == INVALID  # more than 1024 bytes


# --- size -------------------------------------------------------------------------------------------------------------


def test_more_than_fifteen_mebibytes(acme: RekognitionClient, world: World, bucket: Bucket) -> None:
    picture = media.picture("Weapons", format="PNG")
    limit = 15 * 1024 * 1024
    assert limit == settings.UPLOAD_MAX_BYTES
    put(world.acme, "just.png", picture + bytes(limit - len(picture)))
    put(world.acme, "over.png", picture + bytes(limit - len(picture) + 1))
    assert labels(acme, s3_object("just.png")) == WEAPONS
    assert refusal(acme, s3_object("over.png")) == TOO_LARGE


class _Huge(BaseHTTPRequestHandler):
    """An S3 server that has an object of 10 GB, and counts what of it anybody takes."""

    taken = 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(10 * 1024**3))
        self.end_headers()
        try:
            while True:
                type(self).taken += self.wfile.write(bytes(65536))
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def huge() -> Iterator[str]:
    server = type("Server", (socketserver.ThreadingMixIn, HTTPServer), {"daemon_threads": True})(
        ("127.0.0.1", 0), _Huge
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_the_size_is_known_before_anything_is_fetched(acme: RekognitionClient, world: World, huge: str) -> None:
    Bucket.objects.create(account=world.acme, name="huge", endpoint_url=huge, access_key_id="x", secret_access_key="y")
    assert refusal(acme, s3_object("film.jpg", "huge")) == TOO_LARGE
    assert _Huge.taken < 8 * 1024 * 1024  # what lay in the buffers of the connection, of 10 GB


def test_an_object_that_is_no_picture(acme: RekognitionClient, world: World, bucket: Bucket) -> None:
    for name, data in (("empty.jpg", b""), ("text.jpg", b"hello"), ("film.jpg", media.gif())):
        put(world.acme, name, data)
        assert refusal(acme, s3_object(name))[0] == "InvalidImageFormatException"


# --- permissions ------------------------------------------------------------------------------------------------------


def allows(*statements: tuple[str, str], effect: str = "Allow") -> Any:
    return {
        "Statement": [{"Effect": effect, "Action": action, "Resource": resource} for action, resource in statements]
    }


def test_a_policy_must_open_the_object(client_for: ClientFor, world: World) -> None:
    """As with AWS: the caller's own right to read the object counts, and lacking it looks like a missing object."""
    storage.make_bucket(world.acme, "photos")
    put(world.acme, "public/a.jpg", media.picture("Weapons"))
    put(world.acme, "private/a.jpg", media.picture("Weapons"))
    detect = ("rekognition:DetectModerationLabels", "*")
    without = client_for(issue(world.acme, policy=allows(detect)))
    assert labels(without, {"Bytes": media.picture("Weapons")}) == WEAPONS
    assert refusal(without, s3_object("public/a.jpg")) == NO_METADATA
    some = client_for(issue(world.acme, policy=allows(detect, ("s3:GetObject", "arn:aws:s3:::photos/public/*"))))
    assert labels(some, s3_object("public/a.jpg")) == WEAPONS
    assert refusal(some, s3_object("private/a.jpg")) == NO_METADATA
    assert refusal(some, s3_object("public/../private/a.jpg")) == INVALID
    assert refusal(some, s3_object("public/a.jpg", Version="1")) == NO_METADATA


# --- human loops ------------------------------------------------------------------------------------------------------


def test_the_loop_names_the_callers_object(acme: RekognitionClient, world: World, bucket: Bucket) -> None:
    flow(world.acme)
    data = media.picture("Weapons", 70)
    put(world.acme, "in/a.jpg", data)
    answer = acme.detect_moderation_labels(Image=s3_object("in/a.jpg"), HumanLoopConfig=CONFIG)
    assert answer["HumanLoopActivationOutput"]["HumanLoopArn"]
    loop = HumanLoop.objects.get()
    assert loop.input_content["aiServiceRequest"]["image"] == {"s3Object": {"bucket": "photos", "name": "in/a.jpg"}}
    assert loop.submission and loop.submission.blob and loop.submission.blob.read() == data


def test_the_same_bytes_are_the_same_input_wherever_they_lie(
    acme: RekognitionClient, world: World, bucket: Bucket
) -> None:
    flow(world.acme)
    data = media.picture("Weapons", 70)
    for name in ("a.jpg", "b.jpg"):
        put(world.acme, name, data)
    images: list[Any] = [s3_object("a.jpg"), s3_object("b.jpg"), {"Bytes": data}]
    arns = {
        acme.detect_moderation_labels(Image=image, HumanLoopConfig=CONFIG)["HumanLoopActivationOutput"]["HumanLoopArn"]
        for image in images
    }
    assert len(arns) == HumanLoop.objects.count() == 1
    put(world.acme, "a.jpg", media.picture("Weapons", 70, seed=1))
    assert refusal(acme, s3_object("a.jpg"), HumanLoopConfig=CONFIG)[0] == "InvalidParameterException"


def test_the_loop_names_the_version(acme: RekognitionClient, world: World, s3: ObjectStore) -> None:
    on_server(world.acme, s3, "versioned")
    s3.client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    data = media.picture("Weapons", 70, seed=timezone.now().microsecond)
    version = s3.client.put_object(Bucket="versioned", Key="v.jpg", Body=data)["VersionId"]
    flow(world.acme)
    acme.detect_moderation_labels(Image=s3_object("v.jpg", "versioned", Version=version), HumanLoopConfig=CONFIG)
    assert HumanLoop.objects.get().input_content["aiServiceRequest"]["image"] == {
        "s3Object": {"bucket": "versioned", "name": "v.jpg", "version": version}
    }
