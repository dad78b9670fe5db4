"""How the bodies of uploads are read."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import DataAndFiles, MultiPartParser


class FormParser(MultiPartParser):
    """multipart/form-data, in UTF-8 as RFC 7578 has it.

    A `charset` in the header would otherwise be any codec of Python's, among them some that decode no text.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> "DataAndFiles[Any, Any]":
        """Fields and files; ParseError."""
        return super().parse(stream, media_type, {**(parser_context or {}), "encoding": "utf-8"})
