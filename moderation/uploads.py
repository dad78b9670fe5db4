"""What the upload page does with the files of one form."""

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

from moderation import intake, tasks
from moderation.decoding.types import MediaError
from moderation.forms import UploadForm
from moderation.intake import IntakeError, Sender, Wishes
from moderation.models import Submission, User


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one file: its submission, or why it is refused."""

    filename: str
    submission: Submission | None = None
    code: str = ""
    error: str = ""


def receive(user: User, form: UploadForm) -> list[Sent]:
    """Take the files of a valid form, each for itself: one that is refused does not hold the others back."""
    files: list[UploadedFile[bytes]] = form.cleaned_data["pictures"]
    pairs = zip(files, form.submission_ids(), strict=True)
    return [_receive(user, file, pk, form.cleaned_data["policy"]) for file, pk in pairs]


def _receive(user: User, file: UploadedFile[bytes], pk: UUID, policy: str) -> Sent:
    name = intake.clean_filename(file.name or "")
    # Before the file is read: whatever its size, it waits on the disk.
    if (file.size or 0) > settings.UPLOAD_MAX_BYTES:
        return Sent(name, code="too_large", error=_too_large(file.size or 0))
    sender = Sender(user.account, Submission.Source.UPLOAD, user)
    try:
        accepted = intake.accept(sender, file.read(), Wishes(filename=name, policy=policy, submission_id=pk))
    except (IntakeError, MediaError) as error:
        return Sent(name, code=error.code, error=error.message)
    if not accepted.replayed:
        tasks.moderate.delay_on_commit(accepted.analysis.pk)
    return Sent(name, accepted.submission)


def _too_large(size: int) -> str:
    sizes = {"size": filesizeformat(size), "limit": filesizeformat(settings.UPLOAD_MAX_BYTES)}
    return _("The file has %(size)s; at most %(limit)s are accepted.") % sizes
