"""A flow definition as a form: conditions typed as JSON, said back in words, and tried on the pictures of late."""

import json
from functools import cached_property
from typing import Any, ClassVar

from django import forms

from moderation.admin.scoping import SameAccountForm
from moderation.models import Account, Bucket
from moderation.storage import LocationInvalid, locate
from reviews.condition_schema import MAX_CHARACTERS
from reviews.conditions import ConditionError, Conditions, describe, parse, warnings
from reviews.models import FlowDefinition
from reviews.preview import Preview, preview

PREVIEW_BUTTON = "_preview"


class FlowForm(SameAccountForm[FlowDefinition]):
    """With the button `_preview` it never counts as valid: the page comes back as typed, and nothing is saved."""

    class Meta:
        model = FlowDefinition
        fields: ClassVar = "__all__"
        widgets: ClassVar = {
            "conditions": forms.Textarea(
                {
                    "rows": 18,
                    "cols": 90,
                    "spellcheck": "false",
                    "autocapitalize": "off",
                    "class": "vLargeTextField code",
                }
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if stored := self.initial.get("conditions"):
            self.initial["conditions"] = _readable(stored)

    def is_valid(self) -> bool:
        """Never while trying out."""
        return super().is_valid() and not self.is_preview

    @property
    def is_preview(self) -> bool:
        """Whether the button was Preview."""
        return self.is_bound and PREVIEW_BUTTON in self.data

    def clean_conditions(self) -> str:
        """As typed; as stored where only the layout differs, so that no new version is made of it."""
        typed: str = self.cleaned_data["conditions"]
        stored: str = self.stored(self.instance)
        return stored if typed and stored and _meaning(typed) == _meaning(stored) else typed

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
        stored = self.stored(self.instance)
        return preview(account_id, draft, parse(stored) if stored else None, compare=self.instance.pk is not None)

    @staticmethod
    def stored(flow: FlowDefinition) -> str:
        """The conditions in force, whatever stands in the form; empty for a flow that is being made."""
        return FlowDefinition.objects.filter(pk=flow.pk).values_list("conditions", flat=True).first() or ""

    def _account_id(self) -> str | None:
        account = getattr(self, "cleaned_data", {}).get("account")
        return account.pk if isinstance(account, Account) else self.instance.account_id or None

    def _check_bucket(self, name: str) -> None:
        bucket = Bucket.objects.filter(account_id=self._account_id(), name=name).first()
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


def _meaning(text: str) -> str | None:
    """The conditions without their layout; None where they do not parse."""
    try:
        return parse(text).to_json()
    except ConditionError:
        return None


def _readable(text: str) -> str:
    """The conditions over several lines, where that is not too long to be saved again."""
    try:
        laid_out = json.dumps(parse(text).to_data(), indent=2, ensure_ascii=False)
    except ConditionError:
        return text
    return laid_out if len(laid_out) <= MAX_CHARACTERS else text
