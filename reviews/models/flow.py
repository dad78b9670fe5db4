"""Who reviews what: work teams, queues, worker task templates and flow definitions."""

import secrets
import uuid
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from moderation.aws.arns import Kind, ResourceArn
from moderation.models import Account, Policy, User
from reviews.conditions import ConditionError, parse
from reviews.models.deletion import NotDeleted

AWS_NAME = RegexValidator(
    r"^[a-z0-9](-*[a-z0-9]){0,62}\Z", "Lower-case letters, digits and single hyphens, at most 63."
)
TEAM_NAME = RegexValidator(r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}\Z", "Letters, digits and hyphens, at most 63.")


def check_conditions(text: str) -> None:
    """Refuse activation conditions that do not parse, naming the node."""
    if not text:
        return
    try:
        parse(text)
    except ConditionError as error:
        raise ValidationError(str(error)) from None


def new_sampling_secret() -> bytes:
    """The key of the sampling hash: without it nobody can tell which items will be sampled."""
    return secrets.token_bytes(32)


class WorkTeam(models.Model):
    """People who review together (SageMaker's Workteam)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="work_teams")
    region = models.CharField(max_length=40, default="us-east-1")
    name = models.CharField(max_length=63, validators=[TEAM_NAME])
    description = models.CharField(max_length=200, blank=True)
    members = models.ManyToManyField(User, blank=True, related_name="work_teams")
    member_definitions = models.JSONField(
        default=list, blank=True, editable=False, help_text="Who the members are, as SageMaker's clients said it."
    )
    defined_members = models.JSONField(
        default=list, blank=True, editable=False, help_text="The ids of the people that the definitions meant then."
    )
    notification_topic_arn = models.CharField(max_length=4096, blank=True, editable=False)
    worker_access = models.JSONField(null=True, blank=True, editable=False, help_text="WorkerAccessConfiguration.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[NotDeleted["WorkTeam"]] = NotDeleted()  # type: ignore[assignment]  # from NotDeleted[Self]
    everything: ClassVar[models.Manager["WorkTeam"]] = models.Manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["account", "region", "name"], condition=Q(deleted_at=None), name="work_team_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        """Its Amazon Resource Name."""
        return str(ResourceArn(Kind.WORKTEAM, self.region, self.account_id, self.name))


class ReviewQueue(models.Model):
    """A line of seats waiting for a person; flow definitions feed it."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="queues")
    name = models.CharField(max_length=63)
    description = models.CharField(max_length=200, blank=True)
    priority = models.SmallIntegerField(default=0, help_text="Higher is offered first.")
    is_paused = models.BooleanField(default=False)
    skills = models.JSONField(default=list, blank=True, help_text="Skills or languages a reviewer must have.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-priority", "name")
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="queue_unique")]

    def __str__(self) -> str:
        return self.name


class HumanTaskUi(models.Model):
    """A worker task template (SageMaker's HumanTaskUi)."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="human_task_uis")
    region = models.CharField(max_length=40, default="us-east-1")
    name = models.CharField(max_length=63, validators=[AWS_NAME])
    content = models.TextField(max_length=128_000)
    content_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[NotDeleted["HumanTaskUi"]] = NotDeleted()  # type: ignore[assignment]  # from NotDeleted[Self]
    everything: ClassVar[models.Manager["HumanTaskUi"]] = models.Manager()

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["account", "region", "name"], condition=Q(deleted_at=None), name="human_task_ui_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        """Its Amazon Resource Name."""
        return str(ResourceArn(Kind.HUMAN_TASK_UI, self.region, self.account_id, self.name))


class FlowDefinitionQuerySet(models.QuerySet["FlowDefinition"]):
    """Flow definitions, as far as loops may begin."""

    def taking(self, policy: Policy) -> "FlowDefinitionQuerySet":
        """The active ones for moderation that list the policy, the oldest first: that one takes its `review`."""
        return (
            self.filter(
                policies=policy,
                status=FlowDefinition.Status.ACTIVE,
                request_source=FlowDefinition.RequestSource.MODERATION,
            )
            .select_related("account")
            .order_by("pk")
        )

    def worked_by(self, user: User) -> "FlowDefinitionQuerySet":
        """Those whose work team the person is in."""
        return self.filter(account_id=user.account_id, work_team__members=user)


class FlowDefinitionManager(NotDeleted["FlowDefinition"]):
    """Flow definitions that were not deleted, asked for in the words of the routers and the queue."""

    def get_queryset(self) -> FlowDefinitionQuerySet:
        """All but the deleted."""
        return FlowDefinitionQuerySet(self.model, using=self._db).filter(deleted_at=None)

    def taking(self, policy: Policy) -> FlowDefinitionQuerySet:
        """As FlowDefinitionQuerySet.taking."""
        return self.get_queryset().taking(policy)

    def worked_by(self, user: User) -> FlowDefinitionQuerySet:
        """As FlowDefinitionQuerySet.worked_by, with the deleted ones: what still waits there wants somebody."""
        return FlowDefinition.everything.worked_by(user)


class FlowDefinition(models.Model):
    """Which results go to people, to whom, how many of them, and where the answers are written."""

    class Status(models.TextChoices):
        """SageMaker's words."""

        INITIALIZING = "Initializing", "Initializing"
        ACTIVE = "Active", "Active"
        FAILED = "Failed", "Failed"
        DELETING = "Deleting", "Deleting"

    class RequestSource(models.TextChoices):
        """What the flow reviews; empty is a custom task."""

        MODERATION = "AWS/Rekognition/DetectModerationLabels/Image/V3", "Moderation labels"
        TEXTRACT = "AWS/Textract/AnalyzeDocument/Forms/V1", "Documents (stored only)"
        CUSTOM = "", "Custom task"

    account = models.ForeignKey(Account, models.PROTECT, related_name="flow_definitions")
    region = models.CharField(max_length=40, default="us-east-1")
    name = models.CharField(max_length=63, validators=[AWS_NAME])
    request_source = models.CharField(
        max_length=80, choices=RequestSource, default=RequestSource.MODERATION, blank=True
    )
    conditions = models.TextField(
        max_length=10_240,
        blank=True,
        validators=[check_conditions],
        help_text="Activation conditions in Augmented AI's JSON. Empty: every item that is sent with this flow opens a "
        "human loop; of the items of its policies, those with the outcome 'review'.",
    )
    work_team = models.ForeignKey(WorkTeam, models.PROTECT, related_name="flow_definitions")
    queue = models.ForeignKey(ReviewQueue, models.PROTECT, related_name="flow_definitions")
    human_task_ui = models.ForeignKey(
        HumanTaskUi, models.PROTECT, null=True, blank=True, related_name="flow_definitions"
    )
    human_task_ui_arn = models.CharField(max_length=1024, blank=True)
    policies = models.ManyToManyField(
        Policy,
        blank=True,
        related_name="flow_definitions",
        help_text="Policies whose outcome 'review' opens a loop here; the conditions see all their items.",
    )
    task_title = models.CharField(max_length=128, default="Review the picture")
    task_description = models.CharField(max_length=255, default="Choose the labels that apply, or none.")
    task_count = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(3)],
        help_text="How many people answer each item.",
    )
    task_availability_lifetime_seconds = models.PositiveIntegerField(default=864_000, validators=[MinValueValidator(1)])
    task_time_limit_seconds = models.PositiveIntegerField(default=3600, validators=[MinValueValidator(30)])
    task_keywords = models.JSONField(default=list, blank=True)
    output_path = models.CharField(max_length=1024, blank=True, help_text="s3://bucket/prefix; empty: no output file.")
    kms_key_id = models.CharField(max_length=2048, blank=True)
    role_arn = models.CharField(max_length=2048, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.ACTIVE)
    failure_reason = models.CharField(max_length=1024, blank=True)
    version = models.PositiveIntegerField(
        default=1, editable=False, help_text="Goes up with every change of conditions."
    )
    sampling_secret = models.BinaryField(default=new_sampling_secret, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[FlowDefinitionManager] = FlowDefinitionManager()
    everything: ClassVar[FlowDefinitionQuerySet] = FlowDefinitionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        ordering = ("name",)
        constraints = [
            models.UniqueConstraint(
                fields=["account", "region", "name"], condition=Q(deleted_at=None), name="flow_definition_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
        """Save; changed conditions make a new version, so that stored traces say what judged them."""
        if self.pk:
            before = FlowDefinition.objects.filter(pk=self.pk).values_list("conditions", flat=True).first()
            self.version += before is not None and before != self.conditions
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    @property
    def is_active(self) -> bool:
        """Whether loops may begin."""
        return self.status == self.Status.ACTIVE

    @property
    def arn(self) -> str:
        """Its Amazon Resource Name."""
        return str(ResourceArn(Kind.FLOW_DEFINITION, self.region, self.account_id, self.name))

    @property
    def is_custom(self) -> bool:
        """Whether people answer a question of their own kind here, not which labels apply."""
        return self.request_source != self.RequestSource.MODERATION


class Skill(models.Model):
    """What a reviewer can judge: a skill or a language."""

    user = models.ForeignKey(User, models.CASCADE, related_name="skills")
    name = models.CharField(max_length=40)

    objects: ClassVar[models.Manager["Skill"]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="skill_unique")]

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """Who answered, for readers of output files: the same person always under the same meaningless id."""

    user = models.OneToOneField(User, models.CASCADE, related_name="worker")
    subject = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)

    def __str__(self) -> str:
        return self.worker_id

    @property
    def worker_id(self) -> str:
        """Sixteen hexadecimal digits."""
        return self.subject.hex[:16]
