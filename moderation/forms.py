"""What people may send from the pages."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from moderation.models import Account, Policy, Submission
from moderation.models.submission import SubmissionQuerySet

PAGE_SIZE = 24

_GONE = _("This page of the list is no longer there.")
_NO_PICTURE = _("Choose at least one picture.")


class FilesInput(forms.FileInput):
    """A file input that takes several files."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """One or more files; an empty one is left to intake, which says what is wrong with it."""

    widget = FilesInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_empty_file=True, **kwargs)

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Each file checked as Django checks one; a list."""
        return [super(FilesField, self).clean(file, initial) for file in data or [None]]


class UploadForm(forms.Form):
    """Pictures, and the policy that shall judge them."""

    upload_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    policy = forms.ChoiceField(label=_("Policy"), required=False)
    pictures = FilesField(label=_("Pictures"), error_messages={"required": _NO_PICTURE, "invalid": _NO_PICTURE})

    def __init__(
        self,
        account: Account,
        data: MultiValueDict[str, str] | None = None,
        files: MultiValueDict[str, UploadedFile[bytes]] | None = None,
    ) -> None:
        super().__init__(data, files)
        policies = Policy.objects.filter(account=account, versions__isnull=False).distinct()
        choices = [
            ("" if policy.is_default else policy.name, policy.name)
            for policy in policies.order_by("-is_default", "name")
        ]
        field = self.fields["policy"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices if choices and not choices[0][0] else [("", _("default")), *choices]

    def submission_ids(self) -> Sequence[uuid.UUID]:
        """An id for each file, the same when the form is sent again."""
        upload_id: uuid.UUID = self.cleaned_data["upload_id"]
        return [uuid.uuid5(upload_id, str(place)) for place in range(len(self.cleaned_data["pictures"]))]


class SubmissionFilter(forms.Form):
    """What of the list is wanted, and from where on."""

    q = forms.CharField(label=_("File name or id"), required=False, max_length=200)
    status = forms.ChoiceField(
        label=_("Status"),
        required=False,
        choices=[("", _("Any status")), *Submission.Status.choices],
        error_messages={"invalid_choice": _("There is no such status.")},
    )
    cursor = forms.UUIDField(required=False, widget=forms.HiddenInput, error_messages={"invalid": _GONE})

    def page(self, submissions: SubmissionQuerySet) -> tuple[list[Submission], uuid.UUID | None]:
        """The rows of this page, newest first, and the cursor of the next page: the id of its last row."""
        if not self.is_valid():
            return [], None
        wanted = self._after(self._matching(submissions), submissions)
        rows = list(wanted.order_by("-created_at", "-pk")[: PAGE_SIZE + 1])
        more = len(rows) > PAGE_SIZE
        return rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].pk if more else None

    def _matching(self, submissions: SubmissionQuerySet) -> SubmissionQuerySet:
        if status := self.cleaned_data["status"]:
            submissions = submissions.filter(status=status)
        if text := self.cleaned_data["q"]:
            found = Q(filename__icontains=text) | Q(external_id=text)
            with suppress(ValueError):
                found |= Q(pk=uuid.UUID(text))
            submissions = submissions.filter(found)
        return submissions

    def _after(self, wanted: SubmissionQuerySet, submissions: SubmissionQuerySet) -> SubmissionQuerySet:
        if (cursor := self.cleaned_data["cursor"]) is None:
            return wanted
        last = submissions.filter(pk=cursor).first()
        if last is None:
            self.add_error(None, _GONE)
            return wanted.none()
        # The first condition says nothing new; it lets the index find the place.
        at = last.created_at
        return wanted.filter(Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(pk__lt=last.pk)))
