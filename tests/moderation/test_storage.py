"""Buckets: whose they are, what a key may be, and that files and S3 servers behave alike."""

import io
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.conf import settings

from moderation import storage
from moderation.models import Account, Bucket
from moderation.storage import (
    AccessDenied,
    BucketNotFound,
    Location,
    LocationInvalid,
    ObjectNotFound,
    ObjectTooLarge,
    StorageUnavailable,
    locate,
)
from tests.conftest import ObjectStore
from tests.media import picture
from tests.world import World, send

pytestmark = pytest.mark.django_db


@dataclass
class Place:
    """A bucket of Acme, of files or on a server."""

    account: Account
    bucket: Bucket

    def write(self, key: str, data: bytes) -> str:
        return storage.write(self.account, f"s3://{self.bucket.name}/{key}", data)

    def read(self, key: str, version: str | None = None, limit: int | None = None) -> bytes:
        return storage.read(self.account, self.bucket.name, key, version, limit)


@pytest.fixture(autouse=True)
def no_files_from_before() -> None:
    shutil.rmtree(Path(settings.DATA_DIR) / "buckets", ignore_errors=True)


@pytest.fixture(params=["files", "server"])
def place(request: pytest.FixtureRequest, world: World) -> Place:
    if request.param == "files":
        return Place(world.acme, storage.make_bucket(world.acme, "photos"))
    s3: ObjectStore = request.getfixturevalue("s3")
    return Place(world.acme, on_server(world.acme, s3.bucket("photos"), s3))


def on_server(account: Account, name: str, s3: ObjectStore, **more: str) -> Bucket:
    fields = {
        "endpoint_url": s3.endpoint,
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
        **more,
    }
    return Bucket.objects.create(account=account, name=name, **fields)


def folder(account: Account, name: str) -> Path:
    return Path(settings.DATA_DIR) / "buckets" / account.pk / name


# --- addresses ---


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://photos/a/b.jpg", "photos", "a/b.jpg"),
        ("s3://photos", "photos", ""),
        ("s3://photos/", "photos", ""),
        ("https://s3.amazonaws.com/photos/a/b", "photos", "a/b"),
        ("https://s3.eu-west-1.amazonaws.com/photos/a/b", "photos", "a/b"),
        ("https://photos.s3.eu-west-1.amazonaws.com/a/b", "photos", "a/b"),
        ("https://my.photos.s3.amazonaws.com/a", "my.photos", "a"),
        ("https://photos.s3.cn-north-1.amazonaws.com.cn/a", "photos", "a"),
    ],
)
def test_an_address_names_bucket_and_key(uri: str, bucket: str, key: str):
    assert locate(uri) == Location(bucket, key)


@pytest.mark.parametrize("uri", ["", "photos/a", "s3:///a", "http://s3.amazonaws.com/b/k", "https://evil.example/b/k"])
def test_anything_else_is_no_address(uri: str):
    with pytest.raises(LocationInvalid):
        locate(uri)


def test_a_prefix_takes_names_below_it():
    assert str(Location("b", "").below("x")) == "s3://b/x"
    assert str(Location("b", "p/").below("x")) == str(Location("b", "p").below("x")) == "s3://b/p/x"


# --- objects ---


def test_what_is_written_can_be_read_and_replaced(place: Place):
    assert place.write("deep/down/x.json", b"one") == "s3://photos/deep/down/x.json"
    place.write("deep/down/x.json", b"two")
    assert place.read("deep/down/x.json") == b"two"


def test_a_file_can_be_written_as_a_stream(place: Place):
    storage.write(place.account, "s3://photos/stream", io.BytesIO(b"x" * 100_000))
    assert len(place.read("stream")) == 100_000


@pytest.mark.parametrize(
    "key", ["grün/ß 日本.jpg", "a b+c%2F?d#e&f=g", "..a/b..", "-rf", "~", "a\\b", "x" * 255, "y/" * 511 + "yz"]
)
def test_odd_keys_are_just_keys(place: Place, key: str):
    place.write(key, key.encode())
    assert place.read(key) == key.encode()


def test_long_parts_of_a_key_stay_apart(world: World):
    place = Place(world.acme, storage.make_bucket(world.acme, "photos"))
    keys = ["ä" * 200 + end for end in "abc"]
    for key in keys:
        place.write(key, key[-1].encode())
    assert [place.read(key) for key in keys] == [b"a", b"b", b"c"]


def test_an_object_that_is_not_there(place: Place):
    place.write("here/too", b"")
    for key in ("nowhere", "here", "here/too/deep"):
        with pytest.raises(ObjectNotFound):
            place.read(key)


def test_an_object_larger_than_wanted(place: Place):
    place.write("big", b"x" * 11)
    assert place.read("big", limit=11) == b"x" * 11
    with pytest.raises(ObjectTooLarge, match="10 bytes"):
        place.read("big", limit=10)


@pytest.mark.parametrize("key", ["", "a\0b", "a\nb", "a\ud800", "x" * 1025, "ä" * 513])
def test_keys_that_no_store_takes(place: Place, key: str):
    for attempt in (lambda: place.write(key, b""), lambda: place.read(key)):
        with pytest.raises(LocationInvalid):
            attempt()


def test_a_bucket_may_be_closed_to_reading_or_writing(place: Place):
    place.write("x", b"x")
    Bucket.objects.update(can_write=False)
    with pytest.raises(AccessDenied, match="written"):
        place.write("x", b"y")
    assert place.read("x") == b"x"
    Bucket.objects.update(can_read=False)
    with pytest.raises(AccessDenied, match="read"):
        place.read("x")


def test_accounts_do_not_see_each_others_buckets(place: Place, world: World):
    place.write("x", b"secret")
    with pytest.raises(BucketNotFound):
        storage.read(world.globex, "photos", "x")
    with pytest.raises(BucketNotFound):
        storage.write(world.globex, "s3://photos/x", b"mine")


# --- files ---


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a/.", "..", "a/"])
def test_no_key_leaves_the_folder_of_its_bucket(world: World, key: str):
    place = Place(world.acme, storage.make_bucket(world.acme, "photos"))
    for attempt in (lambda: place.write(key, b"x"), lambda: place.read(key)):
        with pytest.raises(LocationInvalid, match="parts"):
            attempt()


def test_a_bucket_of_files_lies_under_its_account(world: World):
    for account in (world.acme, world.globex):
        storage.make_bucket(account, "same")
        storage.write(account, "s3://same/who", account.pk.encode())
    for account in (world.acme, world.globex):
        path = folder(account, "same") / "who"
        assert path.read_text() == account.pk
        assert path.stat().st_mode & 0o077 == 0


def test_a_file_put_into_the_folder_by_hand_is_an_object(world: World):
    storage.make_bucket(world.acme, "dropped")
    folder(world.acme, "dropped").mkdir(parents=True)
    (folder(world.acme, "dropped") / "hello.txt").write_bytes(b"hello")
    assert storage.read(world.acme, "dropped", "hello.txt") == b"hello"


def test_a_key_below_a_file_cannot_be_written(world: World):
    place = Place(world.acme, storage.make_bucket(world.acme, "photos"))
    place.write("a", b"x")
    place.write("d/e", b"x")
    for key in ("a/b", "d"):
        with pytest.raises(LocationInvalid, match="folder"):
            place.write(key, b"x")
    assert place.read("a") == b"x"


def test_a_failed_write_leaves_what_was_there_and_nothing_else(world: World):
    place = Place(world.acme, storage.make_bucket(world.acme, "torn"))
    place.write("a", b"whole")

    class Torn(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(StorageUnavailable, match="No space left"):
        storage.write(world.acme, "s3://torn/a", Torn(b"xyz"))
    assert place.read("a") == b"whole"
    assert [path.name for path in folder(world.acme, "torn").iterdir()] == ["a"]


def test_a_bucket_of_files_keeps_no_versions(world: World):
    place = Place(world.acme, storage.make_bucket(world.acme, "photos"))
    place.write("a", b"x")
    with pytest.raises(ObjectNotFound, match="version"):
        place.read("a", version="1")


@pytest.mark.parametrize("name", ["ab", "../x", "a/b", "a b", "", "x" * 256, "second-look"])
def test_unfit_names_for_buckets(world: World, name: str):
    with pytest.raises(LocationInvalid):
        storage.make_bucket(world.acme, name)


def test_a_bucket_is_made_once(world: World):
    assert storage.make_bucket(world.acme, "photos") == storage.make_bucket(world.acme, "photos")


# --- servers ---


def test_a_version_is_read_from_a_server_that_keeps_them(world: World, s3: ObjectStore):
    s3.bucket("versions")
    s3.client.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    place = Place(world.acme, on_server(world.acme, "versions", s3))
    first = s3.client.put_object(Bucket="versions", Key="a", Body=b"one")["VersionId"]
    place.write("a", b"two")
    assert (place.read("a", version=first), place.read("a")) == (b"one", b"two")
    with pytest.raises((ObjectNotFound, LocationInvalid)):
        place.read("a", version="0" * 32)


def test_wrong_credentials_and_missing_buckets_on_a_server(world: World, s3: ObjectStore):
    s3.bucket("locked")
    locked = Place(world.acme, on_server(world.acme, "locked", s3, secret_access_key="wrong"))
    missing = Place(world.acme, on_server(world.acme, "not-on-the-server", s3))
    with pytest.raises(AccessDenied):
        locked.write("a", b"x")
    with pytest.raises(AccessDenied):
        locked.read("a")
    with pytest.raises(BucketNotFound):
        missing.write("a", b"x")


class Sick(BaseHTTPRequestHandler):
    """Answers 500 to everything."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def sick() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Sick) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_is_ill_or_gone_is_unavailable(world: World, sick: str):
    for name, endpoint in (("ill", sick), ("gone", "http://127.0.0.1:9")):
        fields = {"endpoint_url": endpoint, "access_key_id": "a", "secret_access_key": "b"}
        place = Place(world.acme, Bucket.objects.create(account=world.acme, name=name, **fields))
        with pytest.raises(StorageUnavailable, match=name):
            place.write("a", b"x")
        with pytest.raises(StorageUnavailable, match=name):
            place.read("a")


# --- the stored pictures ---


def test_every_account_finds_its_own_pictures_and_no_others(world: World):
    data = picture(seed=3)
    blob = send(world.acme, data).submission.blob
    assert blob
    assert storage.read(world.acme, storage.media_bucket(), blob.name) == data
    with pytest.raises(ObjectTooLarge):
        storage.read(world.acme, storage.media_bucket(), blob.name, limit=10)
    for account, key in (
        (world.globex, blob.name),
        (world.acme, blob.name.replace(world.acme.pk, world.globex.pk)),
        (world.globex, f"blobs/{world.globex.pk}/../{blob.name.removeprefix('blobs/')}"),
        (world.acme, "secrets/secret_key"),
    ):
        with pytest.raises((ObjectNotFound, LocationInvalid)):
            storage.read(account, storage.media_bucket(), key)


def test_stored_pictures_cannot_be_written_over(world: World):
    blob = send(world.acme).submission.blob
    assert blob
    with pytest.raises(AccessDenied):
        storage.write(world.acme, f"s3://{storage.media_bucket()}/{blob.name}", b"x")
