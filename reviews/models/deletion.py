"""Rows that are deleted and yet kept: history goes on pointing to them, and their names are free again."""

from typing import TypeVar

from django.db import models

M = TypeVar("M", bound=models.Model)


class NotDeleted(models.Manager[M]):
    """The rows whose `deleted_at` is empty."""

    def get_queryset(self) -> models.QuerySet[M]:
        """All but the deleted."""
        return super().get_queryset().filter(deleted_at=None)
