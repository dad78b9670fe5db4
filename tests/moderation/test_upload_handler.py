"""Uploads on their way to the disk."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.test import RequestFactory
from pytest_django import Settings

from tests.world import upload


def received(file: Any) -> TemporaryUploadedFile:
    request = RequestFactory().post("/", {"file": file})
    found = request.FILES["file"]
    assert isinstance(found, TemporaryUploadedFile)
    return found


def test_a_file(settings: Settings) -> None:
    data = bytes(range(256)) * 1000
    file = received(upload(data, "photo.jpg"))
    assert (file.name, file.size, file.read()) == ("photo.jpg", len(data), data)


@pytest.mark.parametrize("name", ["x." + "ü" * 250, "y" * 300, "a.b/../c", "no extension"])
def test_names_leave_no_trace_on_the_disk(name: str) -> None:
    file = received(upload(b"x", name))
    assert file.name and len(file.name) <= 255
    assert Path(file.temporary_file_path()).suffix == ".upload"
    assert Path(file.temporary_file_path()).parent == Path(tempfile.gettempdir())


def test_no_more_is_written_than_is_ever_accepted(settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 100_000
    data = bytes(1_000_000)
    file = received(upload(data))
    assert file.size == len(data)
    written = Path(file.temporary_file_path()).stat().st_size
    assert 100_000 < written <= 100_000 + 2 * 64 * 1024


def test_exactly_what_is_accepted_is_whole(settings: Settings) -> None:
    settings.UPLOAD_MAX_BYTES = 100_000
    file = received(upload(b"x" * 100_000))
    assert (file.size, len(file.read())) == (100_000, 100_000)
