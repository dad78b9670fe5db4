"""Buckets: the stores of files that an account's S3 references may name."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone

from moderation.encryption import EncryptedTextField
from moderation.models.access import Account


class Bucket(models.Model):
    """A store that S3Object, S3OutputPath and manifests of one account may name.

    Without an endpoint it lives under DATA_DIR/buckets/ACCOUNT/NAME, so accounts are apart by construction.
    """

    account = models.ForeignKey(Account, models.PROTECT, related_name="buckets")
    name = models.CharField(max_length=255, validators=[RegexValidator(r"^[0-9A-Za-z.\-_]{3,255}\Z")])
    endpoint_url = models.URLField(blank=True, help_text="Empty: files under DATA_DIR/buckets.")
    region = models.CharField(max_length=40, default="us-east-1")
    access_key_id = models.CharField(max_length=128, blank=True)
    secret_access_key = EncryptedTextField(blank=True)
    can_read = models.BooleanField(default=True)
    can_write = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("account", "name")
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="bucket_unique")]

    def __str__(self) -> str:
        return self.name
