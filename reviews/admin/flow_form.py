"""A flow definition as a form: conditions typed as JSON, said back in words, and tried on the pictures of late."""

from functools import cached_property
from typing import Any, ClassVar

from django import forms

from moderation.admin.scoping import SameAccountForm
from moderation.models import Account
from moderation.storage import LocationInvalid, locate
from reviews.conditions import ConditionError, Conditions, describe, parse, warnings
from reviews.models import FlowDefinition
from reviews.preview import Preview, preview

PREVIEW_BUTTON = "_preview"


class FlowForm(SameAccountForm[FlowDefinition]):
    """With the button `_preview` it never counts as valid: the page comes back with what was typed, and nothing is saved."""

    class Meta:
        model = FlowDefinition
        fields: ClassVar = "__all__"
        widgets: ClassVar = {
            "conditions": forms.Textarea(
                {"rows": 18, "cols": 90, "spellcheck": "false", "autocapitalize": "off", "class": "vLargeTextField code"}
            )
        }

    def is_valid(self) -> bool:
        """Never while trying out."""
        return super().is_valid() and not self.is_preview

    @property
    def is_preview(self) -> bool:
        """Whether the button was Preview."""
        return self.is_bound and PREVIEW_BUTTON in self.data

    def clean_output_path(self) -> str:
        """An address in a bucket of the account, which may be written."""
        path: str = self.cleaned_data["output_path"]
        if path:
            try:
                self._check_bucket(locate(path).bucket)
            except LocationInvalid as error:
                raise forms.ValidationError(str(error)) from None
        return path

    def clean(self) -> dict[str, Any]:
        """What the fields mean together."""
        cleaned = super().clean()
        if cleaned.get("conditions") and cleaned.get("request_source") == FlowDefinition.RequestSource.CUSTOM:
            self.add_error("conditions", "A custom task has no labels to check: leave the conditions empty.")
        return cleaned

    @cached_property
    def tried(self) -> "Tried | None":
        """What stands in the conditions now, in words; with numbers after Preview.  None where it does not parse."""
        text = self.data.get(self.add_prefix("conditions"), "") if self.is_bound else self.instance.conditions
        try:
            draft = parse(text) if text.strip() else None
        except ConditionError:
            return None
        return Tried(draft, self._numbers(draft) if self.is_preview and not self.errors.get("conditions") else None)

    def _numbers(self, draft: Conditions | None) -> Preview | None:
        account_id = self._account_id()
        if account_id is None:
            return None
        stored = FlowDefinition.objects.filter(pk=self.instance.pk).values_list("conditions", flat=True).first()
        present = parse(stored) if stored else None
        return preview(account_id, draft, present, compare=stored is not None)

    def _account_id(self) -> str | None:
        account = getattr(self, "cleaned_data", {}).get("account")
        return account.pk if isinstance(account, Account) else self.instance.account_id or None

    def _check_bucket(self, name: str) -> None:
        account = Account.objects.filter(pk=self._account_id()).first()
        bucket = account and account.buckets.filter(name=name).first()
        if bucket is None:
            raise forms.ValidationError(f"The account has no bucket {name[:100]!r}.")
        if not bucket.can_write:
            raise forms.ValidationError(f"The bucket {bucket.name} may not be written.")


class Tried:
    """Conditions said back: in words, with what is worth a look, and with numbers where they were asked for."""

    def __init__(self, draft: Conditions | None, numbers: Preview | None) -> None:
        self.words = describe(draft)
        self.warnings = warnings(draft) if draft else ()
        self.numbers = numbers

