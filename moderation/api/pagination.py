"""Pages by cursor: `?cursor=`, `?limit=` up to 200; the newest first."""

from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

MAX_LIMIT = 200


class NewestFirst(CursorPagination):
    """DRF's cursors over `created_at`; an address that cannot be a page is an error with the input's name."""

    page_size = 50
    max_page_size = MAX_LIMIT
    page_size_query_param = "limit"
    page_size_query_description = f"Results on a page, 1 to {MAX_LIMIT}."
    cursor_query_description = "From `next` or `previous` of another page."
    ordering = ("-created_at", "-id")

    def get_page_size(self, request: Request) -> int:
        """`limit`, or 50."""
        text = request.query_params.get("limit")
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT and len(text) <= 3):
            raise ValidationError({"limit": [f"This must be a whole number from 1 to {MAX_LIMIT}."]}, "invalid")
        return int(text)

    def decode_cursor(self, request: Request) -> Cursor | None:
        """The cursor; DRF would hand a position that is no time to the database."""
        try:
            cursor: Cursor | None = super().decode_cursor(request)
            if cursor and cursor.position is not None:
                _check_moment(str(cursor.position))
        except (NotFound, ValueError) as error:
            raise ValidationError({"cursor": ["This is not the cursor of a page."]}, "invalid") from error
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        """The page and the addresses of its neighbours."""
        return Response({"results": data, "next": self.get_next_link(), "previous": self.get_previous_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The shape of a page."""
        address = {"type": ["string", "null"], "format": "uri"}
        names = ("results", "next", "previous")
        return {
            "type": "object",
            "required": names,
            "properties": {"results": schema, "next": address, "previous": address},
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """As DRF's, with the bounds of `limit`."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        bounds = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": self.page_size}
        return [{**each, "schema": bounds} if each["name"] == "limit" else each for each in parameters]


def _check_moment(text: str) -> None:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is not a moment")
