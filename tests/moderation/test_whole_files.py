"""Files that are there whole or not at all."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from moderation.storage import WholeFileStorage


@pytest.fixture
def storage(tmp_path: Path) -> WholeFileStorage:
    return WholeFileStorage(
        tmp_path, allow_overwrite=True, file_permissions_mode=0o640, directory_permissions_mode=0o750
    )


class Interrupted(ContentFile[bytes]):
    """A source that fails half way, after a look at what is in the storage by then."""

    def __init__(self, storage: WholeFileStorage, name: str) -> None:
        super().__init__(b"new")
        self.storage = storage
        self.wanted = name
        self.seen: bytes | None = None

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        yield b"half"
        if self.storage.exists(self.wanted):
            self.seen = self.storage.open(self.wanted).read()
        raise OSError("the source is gone")


def test_files_are_stored_and_replaced(storage: WholeFileStorage, tmp_path: Path) -> None:
    for data in (b"one", b"another"):
        assert storage.save("a/b/file.jpg", ContentFile(data)) == "a/b/file.jpg"
        assert storage.open("a/b/file.jpg").read() == data
    path = tmp_path / "a/b/file.jpg"
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)] == [0o640, 0o750]
    assert list(path.parent.iterdir()) == [path]


def test_half_a_file_is_never_seen(storage: WholeFileStorage, tmp_path: Path) -> None:
    storage.save("old.jpg", ContentFile(b"old"))
    for name, seen in (("old.jpg", b"old"), ("new.jpg", None)):
        source = Interrupted(storage, name)
        with pytest.raises(OSError, match="gone"):
            storage.save(name, source)
        assert source.seen == seen
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old.jpg": b"old"}


def test_the_product_uses_it() -> None:
    assert isinstance(storages["default"], WholeFileStorage)
