"""Tags: keys and values that SageMaker's clients hang on flow definitions, task UIs, work teams and the workforce."""

from collections.abc import Mapping
from typing import ClassVar

from django.db import models

from moderation.models import Account


class TagQuerySet(models.QuerySet["Tag"]):
    """Tags, by the resource they hang on."""

    def of(self, resource_arn: str) -> "TagQuerySet":
        """Those of one resource, by key; its ARN says whose it is."""
        return self.filter(resource_arn=resource_arn).order_by("key")

    def put(self, account: Account, resource_arn: str, tags: Mapping[str, str]) -> None:
        """Hang these on a resource; a key that is there gets the new value."""
        self.bulk_create(
            [Tag(account=account, resource_arn=resource_arn, key=key, value=value) for key, value in tags.items()],
            update_conflicts=True,
            unique_fields=["account", "resource_arn", "key"],
            update_fields=["value"],
        )


class Tag(models.Model):
    """One key of one resource."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="tags")
    resource_arn = models.CharField(max_length=256)
    key = models.CharField(max_length=128)
    value = models.CharField(max_length=256, blank=True)

    objects: ClassVar[TagQuerySet] = TagQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("key",)
        constraints = [models.UniqueConstraint(fields=["account", "resource_arn", "key"], name="tag_unique")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"
