"""Buckets: which stores an account's S3 references may name."""

from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin

from moderation import webhooks
from moderation.admin.scoping import AccountScoped, SameAccountForm
from moderation.guarded_http import TargetError
from moderation.models import Bucket


class BucketForm(SameAccountForm[Bucket]):
    """The secret goes in and never comes out."""

    endpoint_url = forms.URLField(
        max_length=200, required=False, assume_scheme="https", help_text="Empty: files under DATA_DIR/buckets."
    )
    secret_access_key = forms.CharField(
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Never shown. Left empty, the one that is stored stays.",
    )

    class Meta:
        model = Bucket
        fields: ClassVar = [
            "account", "name", "endpoint_url", "region", "access_key_id", "secret_access_key", "can_read", "can_write",
        ]  # fmt: skip

    def clean_secret_access_key(self) -> str:
        """Empty keeps what is stored."""
        return str(self.cleaned_data["secret_access_key"]) or self.instance.secret_access_key

    def clean_endpoint_url(self) -> str:
        """The installation's own S3 server, or one that webhooks might go to as well."""
        url = str(self.cleaned_data["endpoint_url"])
        if url and url.rstrip("/") != settings.S3_ENDPOINT_URL.rstrip("/"):
            try:
                webhooks.check(url)
            except TargetError as error:
                raise forms.ValidationError(str(error)) from None
        return url


@admin.register(Bucket)
class BucketAdmin(AccountScoped[Bucket]):
    """Buckets."""

    form = BucketForm
    can_delete_rows = True
    list_display = ("name", "where", "can_read", "can_write", "created_at")
    list_select_related = ("account",)
    search_fields = ("name",)
    fields = tuple(BucketForm.Meta.fields)

    @admin.display(description="where")
    def where(self, bucket: Bucket) -> str:
        """The S3 server, or this machine."""
        return bucket.endpoint_url or "files on this machine"

    def get_readonly_fields(self, request: Any, obj: Bucket | None = None) -> Any:
        """A renamed bucket would lose its files."""
        return [*super().get_readonly_fields(request, obj), *(["name"] if obj else [])]
