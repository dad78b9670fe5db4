"""The control plane's rows: found by name or ARN in the caller's own account and region, made within limits, deleted.

The rows are the admin's.  What belongs to another account or region does not exist for the caller.
"""

from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from moderation.aws.arns import ArnError, Kind, ResourceArn
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller
from moderation.models import Account
from reviews.models import FlowDefinition, HumanTaskUi, Tag, WorkTeam

Row = TypeVar("Row", FlowDefinition, HumanTaskUi, WorkTeam)

_KINDS: dict[type, Kind] = {
    FlowDefinition: Kind.FLOW_DEFINITION,
    HumanTaskUi: Kind.HUMAN_TASK_UI,
    WorkTeam: Kind.WORKTEAM,
}


def arn_of(caller: Caller, model: type[Row], name: str) -> str:
    """The ARN of the caller's row of that name, whether it exists or not."""
    return str(ResourceArn(_KINDS[model], caller.region, caller.account_id, name))


def named(caller: Caller, model: type[Row], name: str, *, lock: bool = False) -> Row | None:
    """The caller's row of that name; with `lock` it is held until the transaction ends."""
    rows = model.objects.select_for_update() if lock else model.objects.all()
    return rows.filter(account_id=caller.account_id, region=caller.region, name=name).first()


def by_arn(caller: Caller, model: type[Row], arn: str, *, lock: bool = False) -> Row | None:
    """The caller's row with that ARN; None also for what is no such ARN, or one of another account or region."""
    try:
        name = ResourceArn.parse(_KINDS[model], arn).name
    except ArnError:
        return None
    return named(caller, model, name, lock=lock) if arn == arn_of(caller, model, name) else None


def create(caller: Caller, model: type[Row], limit_setting: str, default_limit: int, **fields: Any) -> Row:
    """Make a row; ResourceLimitExceeded where the region has as many as it may, ResourceInUse where the name is taken.

    Inside the caller's transaction: the account's row is held, so that those who create take turns.
    """
    account = Account.objects.select_for_update(no_key=True).get(pk=caller.account_id)
    limit = int(getattr(settings, limit_setting, default_limit))
    if model.objects.filter(account=account, region=caller.region).count() >= limit:
        many = f"The account has {limit} {model._meta.verbose_name_plural} in {caller.region}, which is its limit."
        raise AwsError("ResourceLimitExceeded", many)
    try:
        with transaction.atomic():
            return model.objects.create(account=account, region=caller.region, **fields)
    except IntegrityError:
        taken = f"{arn_of(caller, model, fields['name'])} exists already."
        raise AwsError("ResourceInUse", taken) from None


def delete(row: FlowDefinition | HumanTaskUi | WorkTeam) -> None:
    """Take the row out of sight, with its tags; its name is free again, and history goes on pointing to it."""
    row.deleted_at = timezone.now()
    row.save(update_fields=["deleted_at"])
    Tag.objects.of(row.arn).delete()


def invalid(message: str) -> AwsError:
    """ValidationException: the request fits the model, but not what is here."""
    return AwsError("ValidationException", message)
