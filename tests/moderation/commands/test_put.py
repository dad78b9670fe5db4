"""`manage.py put`."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from moderation import storage
from moderation.models import Bucket
from tests.world import ACME, World, world

__all__ = ["world"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(settings: Settings, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "var"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"a picture")
    return path


def put(file: Path, uri: str, account: str = ACME) -> str:
    out = StringIO()
    call_command("put", str(file), uri, "--account", account, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_the_file_is_where_s3_references_find_it(world: World, photo: Path) -> None:
    assert put(photo, "s3://pictures/a/b.jpg") == "s3://pictures/a/b.jpg"
    assert storage.read(world.acme, "pictures", "a/b.jpg") == b"a picture"
    photo.write_bytes(b"another")
    put(photo, "s3://pictures/a/b.jpg")
    assert storage.read(world.acme, "pictures", "a/b.jpg") == b"another"
    assert Bucket.objects.get().account == world.acme
    with pytest.raises(storage.BucketNotFound):
        storage.read(world.globex, "pictures", "a/b.jpg")


@pytest.mark.parametrize(
    "uri",
    ["pictures/a.jpg", "s3://", "s3://pictures", "s3://pictures/", "s3://pictures/../../a", "s3://a/b", "http://x/y"],
)
def test_unfit_addresses_are_refused(world: World, photo: Path, uri: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        put(photo, uri)
    assert not [path for path in (tmp_path / "var").rglob("*") if path.is_file()]


def test_a_file_that_cannot_be_read_is_named(world: World, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"missing\.jpg: No such file"):
        put(tmp_path / "missing.jpg", "s3://pictures/a.jpg")
    with pytest.raises(CommandError, match="Is a directory"):
        put(tmp_path, "s3://pictures/a.jpg")


def test_a_bucket_that_may_not_be_written_is_left_alone(world: World, photo: Path) -> None:
    Bucket.objects.create(account=world.acme, name="pictures", can_write=False)
    with pytest.raises(CommandError, match="may not be written"):
        put(photo, "s3://pictures/a.jpg")


def test_where_media_are_on_s3_no_bucket_is_made(world: World, photo: Path, settings: Settings) -> None:
    settings.MEDIA_STORAGE = "s3"
    with pytest.raises(CommandError, match="no bucket"):
        put(photo, "s3://pictures/a.jpg")
    assert not Bucket.objects.exists()
