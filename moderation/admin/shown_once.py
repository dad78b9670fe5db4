"""A page that shows secrets: never cached, never in a message cookie."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse


def shown_once(
    request: HttpRequest, page: "admin.ModelAdmin[Any]", row: Model, title: str, rows: list[tuple[str, str]]
) -> HttpResponse:
    """The secrets in `rows` (name, value), with the way on to the row's page."""
    context = {**page.admin_site.each_context(request), "title": title, "opts": page.opts, "row": row, "rows": rows}
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return TemplateResponse(request, "admin/moderation/shown_once.html", context, headers=headers)
