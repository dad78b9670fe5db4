"""How uploads reach the disk."""

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler


class BoundedUploadHandler(TemporaryFileUploadHandler):
    """Django's handler for files on disk, made safe against long names and endless files.

    Django builds the temporary file's name from the sender's extension, so that one of 250 characters is an OSError;
    and it writes whatever comes before anybody looks at the size.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Open a temporary file whose name owes nothing to the sender's."""
        FileUploadHandler.new_file(self, *args, **kwargs)
        self.file = TemporaryUploadedFile("upload", self.content_type, 0, self.charset, self.content_type_extra)
        self.file.name = self.file_name

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Write one chunk, but none beyond what is ever accepted; the file's `size` still says how much came."""
        return None if start > settings.UPLOAD_MAX_BYTES else super().receive_data_chunk(raw_data, start)
