"""How the bodies of uploads are read."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import DataAndFiles, MultiPartParser

_CHUNK = 64 * 1024


class FormParser(MultiPartParser):
    """multipart/form-data, in UTF-8 as RFC 7578 has it, and whole.

    A `charset` in the header would otherwise be any codec of Python's, among them some that decode no text.  A form cut
    short would otherwise pass for a shorter form: the picture, without the policy that was to follow.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> "DataAndFiles[Any, Any]":
        """Fields and files; ParseError."""
        context = {**(parser_context or {}), "encoding": "utf-8"}
        counted = _Counted(stream)
        parsed = super().parse(counted, media_type, context)  # type: ignore[arg-type]  # all that is asked for is `read`
        while counted.read(_CHUNK):
            pass
        if counted.count < int(context["request"].META.get("CONTENT_LENGTH") or 0):
            raise ParseError("The request ended before all of it had come.", "cut_short")
        return parsed


class _Counted:
    """A stream that knows how much was read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data
