"""The sample world's part in review: a flow with its queue and team, and drawn pictures on their way through it.

The pictures take the way of any upload: intake, engine, policy, routers.  Nothing is put into the queue by hand.
"""

import json
from collections.abc import Mapping

from django.conf import settings
from django.db import transaction

from moderation import intake, pipeline, storage
from moderation.intake import Sender, Wishes
from moderation.models import Account, Policy, Submission, User
from moderation.tasks import moderate
from reviews.models import FlowDefinition, ReviewQueue, WorkTeam
from reviews.sample_pictures import scenes

NAME = "sample-review"
UPLOADER = "uploader"
# When any label is doubtful, and one in twenty of the rest, so that what nobody doubts is checked too.
CONDITIONS = {
    "Conditions": [
        {
            "ConditionType": "ModerationLabelConfidenceCheck",
            "ConditionParameters": {"ModerationLabelName": "*", "ConfidenceLessThan": 90},
        },
        {"ConditionType": "Sampling", "ConditionParameters": {"RandomSamplingPercentage": 5}},
    ]
}


def seed(account: Account, *, inline: bool = False) -> int:
    """Make flow, queue, team and submissions, all of them or none; returns how many pictures were sent.

    Does nothing in an account that is in use.  The analyses are queued to the workers; with `inline` they run here.
    """
    if _in_use(account):
        return 0
    pictures = {name: scenes.draw(name) for name in scenes.SCENES}
    with transaction.atomic():
        # Two starts at once: the second waits here and then finds the account in use.
        Account.objects.select_for_update().get(pk=account.pk)
        if _in_use(account):
            return 0
        _flow(account)
        analyses = _send(account, pictures, queued=not inline)
    for analysis_id in analyses if inline else ():
        pipeline.moderate(analysis_id)
    return len(analyses)


def _in_use(account: Account) -> bool:
    return any(model.objects.filter(account=account).exists() for model in (Submission, FlowDefinition))


def _flow(account: Account) -> None:
    team = WorkTeam.objects.create(account=account, region=settings.REGION, name=NAME, description="The sample team")
    team.members.set(User.objects.filter(account=account, role__in=(User.Role.REVIEWER, User.Role.LEAD)))
    queue = ReviewQueue.objects.create(account=account, name=NAME, description="Doubtful pictures, and one in twenty")
    if settings.MEDIA_STORAGE == "file":
        storage.make_bucket(account, NAME)
    flow = FlowDefinition.objects.create(
        account=account,
        region=settings.REGION,
        name=NAME,
        conditions=json.dumps(CONDITIONS, indent=1),
        work_team=team,
        queue=queue,
        output_path=f"s3://{NAME}/answers" if settings.MEDIA_STORAGE == "file" else "",
    )
    flow.policies.add(Policy.objects.default_for(account))


def _send(account: Account, pictures: Mapping[str, bytes], *, queued: bool) -> list[int]:
    user = User.objects.filter(account=account, username=UPLOADER).first()
    sender = Sender(account, Submission.Source.SAMPLE, user)
    analyses = []
    for name, picture in pictures.items():
        analysis = intake.accept(sender, picture, Wishes(filename=f"{name}.jpg", external_id=f"sample-{name}")).analysis
        analyses.append(analysis.pk)
        if queued:
            moderate.delay_on_commit(analysis.pk)
    return analyses
