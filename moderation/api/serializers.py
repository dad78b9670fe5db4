"""What the REST face takes and shows; the rules are intake's and the models'."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from moderation import handoff, intake
from moderation.inference.types import Evidence
from moderation.intake import IntakeError, Wishes
from moderation.models import Analysis, Detection, Submission, Verdict
from moderation.models.submission import SubmissionQuerySet

MAX_WAIT_SECONDS = 30


class WaitQuery(serializers.Serializer[Any]):
    """The address of an upload."""

    wait = serializers.IntegerField(
        min_value=0,
        max_value=MAX_WAIT_SECONDS,
        default=0,
        help_text="Seconds to wait for the analysis before answering.",
    )


class NewSubmission(serializers.Serializer[Any]):
    """The form of an upload."""

    file = serializers.FileField(allow_empty_file=True, help_text="The picture: JPEG or PNG.")
    policy = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        help_text="The policy that judges; the account's default if empty.",
    )
    external_id = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        trim_whitespace=False,
        help_text=f"Your own name for it, at most {intake.MAX_EXTERNAL_ID} characters.",
    )
    metadata = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        max_length=intake.MAX_METADATA_BYTES,
        help_text=f"A JSON object as text, at most {intake.MAX_METADATA_BYTES} bytes; kept and shown, never read.",
    )

    def validate_metadata(self, text: str) -> dict[str, Any]:
        """The object that the text holds."""
        try:
            value = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise serializers.ValidationError("This is not JSON.", "invalid_json") from error
        if not isinstance(value, dict):
            raise serializers.ValidationError("This must be a JSON object.", "not_an_object")
        return value

    def wishes(self, idempotency_key: str) -> Wishes:
        """What intake wants to know, from a valid form."""
        said = self.validated_data
        return Wishes(
            filename=said["file"].name or "",
            policy=said["policy"],
            external_id=said["external_id"],
            metadata=said["metadata"],
            idempotency_key=idempotency_key,
        )

    def data_of_file(self) -> bytes:
        """The picture's bytes; IntakeError, before any is read, when there are too many or there is another file."""
        if len(self.context["files"].getlist("file")) > 1:
            raise IntakeError("too_many_files", "One file at a time is accepted.", "file", 1)
        file = self.validated_data["file"]
        intake.check_size(file.size)
        data: bytes = file.read()
        return data


class Media(serializers.Serializer[Submission]):
    """What is known of the picture."""

    kind = serializers.ChoiceField(choices=Submission.Kind.choices)
    format = serializers.CharField(source="media_format", help_text="JPEG or PNG.")
    width = serializers.IntegerField(help_text="Pixels, the right way up.")
    height = serializers.IntegerField(help_text="Pixels, the right way up.")
    size = serializers.IntegerField(source="media_size", help_text="Bytes.")
    sha256 = serializers.CharField(source="media_digest")


class Box(serializers.Serializer[Any]):
    """A rectangle in pixels of the picture, the right way up."""

    left = serializers.FloatField()
    top = serializers.FloatField()
    width = serializers.FloatField()
    height = serializers.FloatField()


class Label(serializers.Serializer[Detection]):
    """One label that was seen."""

    name = serializers.CharField(source="label")
    parent = serializers.CharField(help_text="Empty on level 1.")  # type: ignore[assignment]  # a field of that name
    level = serializers.IntegerField(min_value=1, max_value=3)
    confidence = serializers.FloatField(min_value=0, max_value=100)
    boxes = serializers.SerializerMethodField()
    timestamp_ms = serializers.IntegerField(allow_null=True, help_text="Where in a video; null for pictures.")

    @extend_schema_field(Box(many=True))
    def get_boxes(self, detection: Detection) -> list[dict[str, float]]:
        """Boxes are kept as lists of four numbers."""
        return [dict(zip(("left", "top", "width", "height"), box, strict=True)) for box in detection.boxes]


class Confidence(serializers.Serializer[Any]):
    """A content type and how sure the engine is of it."""

    name = serializers.CharField()
    confidence = serializers.FloatField(min_value=0, max_value=100)


class Because(serializers.Serializer[Any]):
    """A label, and the rule of the policy that it set off; people's verdicts name labels alone."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field of that name
    confidence = serializers.FloatField(required=False)
    rule = serializers.DictField(required=False)


class VerdictShown(serializers.Serializer[Verdict]):
    """An answer: by policy or by people."""

    outcome = serializers.ChoiceField(choices=Verdict.Outcome.choices)
    source = serializers.ChoiceField(choices=Verdict.Source.choices)  # type: ignore[assignment]  # a field of that name
    because = Because(many=True)
    policy = serializers.CharField(allow_null=True)
    policy_version = serializers.IntegerField(allow_null=True)
    decided_at = serializers.DateTimeField()

    def to_representation(self, instance: Verdict) -> dict[str, object]:
        """The shape that webhooks show as well."""
        return instance.as_json()


class Failure(serializers.Serializer[Analysis]):
    """Why there is no verdict."""

    code = serializers.CharField(source="error_code")
    message = serializers.CharField(source="error_message")


class Model(serializers.Serializer[Analysis]):
    """What made the scores."""

    engine = serializers.CharField()
    heads = serializers.CharField()
    calibration = serializers.CharField()
    moderation_model = serializers.CharField(help_text="The taxonomy's version.")


class SubmissionSummary(serializers.Serializer[Submission]):
    """A submission in a list."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Submission.Status.choices)
    url = serializers.SerializerMethodField()
    source = serializers.ChoiceField(choices=Submission.Source.choices)  # type: ignore[assignment]  # a field of that name
    external_id = serializers.CharField()
    filename = serializers.CharField()
    policy = serializers.CharField(source="policy.name")
    media = Media(source="*")
    created_at = serializers.DateTimeField()
    settled_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_url(self, submission: Submission) -> str:
        """Its own address."""
        return reverse("api-submission", args=[submission.pk], request=self.context["request"])


class SubmissionShown(SubmissionSummary):
    """A submission with all that is known of it.  `labels` to `error` come from its newest analysis."""

    metadata = serializers.DictField()
    labels = serializers.SerializerMethodField()
    content_types = serializers.SerializerMethodField()
    verdict = serializers.SerializerMethodField(help_text="The one that counts.")
    verdicts = serializers.SerializerMethodField(help_text="All, the newest first.")
    review = serializers.SerializerMethodField(help_text="Where people stand with it; null when none was asked.")
    model = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField(help_text="Only when the status is failed.")

    @extend_schema_field(Label(many=True))
    def get_labels(self, submission: Submission) -> Any:
        """Those that were emitted, the surest first."""
        analysis = _newest(submission)
        return [Label(each).data for each in analysis.detections.all()] if analysis else []

    @extend_schema_field(Confidence(many=True))
    def get_content_types(self, submission: Submission) -> Any:
        """Those that were emitted, the surest first."""
        analysis = _newest(submission)
        return [Confidence(each).data for each in analysis.content_types.all()] if analysis else []

    @extend_schema_field(VerdictShown(allow_null=True))
    def get_verdict(self, submission: Submission) -> Any:
        """The newest, people's before the machine's, as `Submission.latest_verdict` has it."""
        verdicts = submission.verdicts.all()
        counts = max(verdicts, key=lambda each: (each.source == Verdict.Source.HUMAN, each.pk), default=None)
        return counts and counts.as_json()

    @extend_schema_field(VerdictShown(many=True))
    def get_verdicts(self, submission: Submission) -> Any:
        """Each judgement by policy or people."""
        return [verdict.as_json() for verdict in submission.verdicts.all()]

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": True})
    def get_review(self, submission: Submission) -> Any:
        """As the review app describes it."""
        return handoff.door().describe(submission)

    @extend_schema_field(Model(allow_null=True))
    def get_model(self, submission: Submission) -> Any:
        """Versions, once an analysis has ended well."""
        analysis = _newest(submission)
        return Model(analysis).data if analysis and analysis.engine else None

    @extend_schema_field(Failure(allow_null=True))
    def get_error(self, submission: Submission) -> Any:
        """Why the newest analysis failed."""
        analysis = _newest(submission)
        failed = submission.status == Submission.Status.FAILED
        return Failure(analysis).data if analysis and failed else None


def in_full(submissions: SubmissionQuerySet) -> SubmissionQuerySet:
    """With all the rows that SubmissionShown shows, in a handful of queries however many there are."""
    return submissions.select_related("policy", "account", "blob").prefetch_related(
        "analyses__detections", "analyses__content_types", "verdicts__policy_version__policy"
    )


def _newest(submission: Submission) -> Analysis | None:
    # Through `all()`, which is ordered newest first and fetched ahead by `in_full`.
    return next(iter(submission.analyses.all()), None)


class ThresholdFigures(serializers.Serializer[Any]):
    """What happens to held-back pictures when a label is taken from a confidence on."""

    confidence = serializers.IntegerField(min_value=0, max_value=100)
    precision = serializers.FloatField(min_value=0, max_value=1)
    recall = serializers.FloatField(min_value=0, max_value=1)
    false_alarms = serializers.FloatField(min_value=0, max_value=1, help_text="Among the other pictures.")


class LabelFigures(serializers.Serializer[Any]):
    """How well a label was found on held-back pictures; precision depends on how many of them show it."""

    pictures_showing = serializers.IntegerField(min_value=0)
    other_pictures = serializers.IntegerField(min_value=0)
    average_precision = serializers.FloatField(min_value=0, max_value=1)
    thresholds = ThresholdFigures(many=True)


class TaxonomyLabel(serializers.Serializer[Any]):
    """A label that the taxonomy knows, and what the engine's word on it rests on."""

    name = serializers.CharField()
    parent = serializers.CharField(help_text="Empty on level 1.")  # type: ignore[assignment]  # a field of that name
    level = serializers.IntegerField(min_value=1, max_value=3)
    description = serializers.CharField()
    evidence = serializers.ChoiceField(choices=[each.value for each in Evidence])
    figures = LabelFigures(allow_null=True, help_text="Of measured labels alone.")


class TaxonomyContentType(serializers.Serializer[Any]):
    """A content type, and what the engine's word on it rests on."""

    name = serializers.CharField()
    evidence = serializers.ChoiceField(choices=[each.value for each in Evidence])


class Labels(serializers.Serializer[Any]):
    """The taxonomy as the engine in use knows it.

    measured: its precision and recall were measured, its figures say how; indirect: some output speaks of
    it; not_detected: the engine never names it.
    """

    taxonomy_version = serializers.CharField()
    engine = serializers.CharField()
    labels = TaxonomyLabel(many=True)
    content_types = TaxonomyContentType(many=True)
