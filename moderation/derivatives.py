"""The copies of a stored picture that people are shown: made when first asked for, kept, removed with the blob.

Nobody is ever sent the uploaded file itself: a copy is decoded and encoded anew, the right way up and without metadata.
"""

from enum import StrEnum

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from moderation.decoding.image import display_copy
from moderation.decoding.veil import grey, veiled
from moderation.intake import limits
from moderation.models import Blob

FULL_SIDE = 2048
VEILED_SIDE = 640
THUMBNAIL_SIDE = 160


class Variant(StrEnum):
    """How much of the picture a copy gives away."""

    THUMB_VEILED = "thumb-veiled"
    VEILED = "veiled"
    GREY = "grey"
    FULL = "full"


def read(blob: Blob, variant: Variant) -> bytes:
    """The copy as a JPEG; made on the first call.  Raises MediaError; OSError when the blob's file is gone."""
    name = _name(blob, variant)
    try:
        with default_storage.open(name) as file:
            return bytes(file.read())
    except FileNotFoundError:
        made = _make(blob.read(), variant)
    # Two first views at once write the same bytes twice.
    default_storage.save(name, ContentFile(made))
    return made


def remove(blob: Blob) -> None:
    """Delete every copy; those never made are no error."""
    for variant in Variant:
        default_storage.delete(_name(blob, variant))


def _name(blob: Blob, variant: Variant) -> str:
    return f"derivatives/{blob.account_id}/{blob.sha256[:2]}/{blob.sha256}/{variant}.jpg"


def _make(data: bytes, variant: Variant) -> bytes:
    match variant:
        case Variant.THUMB_VEILED:
            return veiled(data, THUMBNAIL_SIDE, limits())
        case Variant.VEILED:
            return veiled(data, VEILED_SIDE, limits())
        case Variant.GREY:
            return grey(data, FULL_SIDE, limits())
        case Variant.FULL:
            return display_copy(data, FULL_SIDE, limits=limits())
