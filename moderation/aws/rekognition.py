"""The Rekognition operations."""

import hashlib
from collections.abc import Mapping
from typing import NotRequired, TypedDict

from django.conf import settings

from moderation import handoff, intake, pipeline
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller, OperationTable
from moderation.decoding.image import read_info
from moderation.decoding.types import MediaError, MediaOutOfMemory, SideTooLong, TooManyPixels, TooSmall
from moderation.handoff import Activation, HandoffError, ReviewRequest
from moderation.inference.types import EngineOutOfMemory
from moderation.models import Analysis, Submission
from moderation.permissions import UPLOADS
from moderation.taxonomy import LABELS, ancestors

DEFAULT_MIN_CONFIDENCE = 50.0

_BASE64_BEGINNINGS = (b"data:", b"/9j/", b"iVBORw0KGgo")


class S3Object(TypedDict, total=False):
    """An object in one of the account's buckets."""

    Bucket: str
    Name: str
    Version: str


class Image(TypedDict, total=False):
    """A picture: its bytes, or where it lies."""

    Bytes: bytes
    S3Object: S3Object


class DataAttributes(TypedDict, total=False):
    """What the sender says about the picture's content."""

    ContentClassifiers: list[str]


class HumanLoopConfig(TypedDict):
    """The flow definition that decides whether people look at the picture."""

    HumanLoopName: str
    FlowDefinitionArn: str
    DataAttributes: NotRequired[DataAttributes]


class DetectModerationLabelsRequest(TypedDict):
    """The members of the request, converted and checked."""

    Image: Image
    MinConfidence: NotRequired[float]
    HumanLoopConfig: NotRequired[HumanLoopConfig]
    ProjectVersion: NotRequired[str]


def detect_moderation_labels(caller: Caller, request: DetectModerationLabelsRequest) -> dict[str, object]:
    """The moderation labels of one picture, at or above MinConfidence, with their ancestors."""
    adapter = request.get("ProjectVersion")
    caller.require("rekognition:DetectModerationLabels", adapter or "*", roles=UPLOADS)
    data = _picture(request["Image"])
    if adapter:
        raise AwsError("ResourceNotFoundException", f"The project version {adapter} does not exist.")
    min_confidence = request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE)
    review = _review_request(caller, request.get("HumanLoopConfig"), min_confidence)
    analysis, activation = _moderate(caller, data, review)
    return {
        "ModerationLabels": _labels(analysis.scores["labels"], min_confidence),
        "ModerationModelVersion": analysis.moderation_model,
        "ContentTypes": _content_types(analysis.scores["content_types"], min_confidence),
        "HumanLoopActivationOutput": activation and _activation_output(activation),
    }


def _picture(image: Image) -> bytes:
    if ("Bytes" in image) == ("S3Object" in image):
        raise _invalid("Image must hold one of Bytes and S3Object, and not both.")
    if "Bytes" in image:
        return image["Bytes"]
    raise AwsError(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. Check object key, region and/or access permissions.",
    )


def _review_request(caller: Caller, config: HumanLoopConfig | None, min_confidence: float) -> ReviewRequest | None:
    if config is None:
        return None
    caller.require("sagemaker:StartHumanLoop", config["FlowDefinitionArn"])
    return ReviewRequest(
        flow_definition_arn=config["FlowDefinitionArn"],
        human_loop_name=config["HumanLoopName"],
        region=caller.region,
        content_classifiers=tuple(config.get("DataAttributes", {}).get("ContentClassifiers", ())),
        min_confidence=min_confidence,
    )


def _moderate(caller: Caller, data: bytes, review: ReviewRequest | None) -> tuple[Analysis, Activation | None]:
    """Run the picture through the house and wait for it; what goes wrong is told in Rekognition's words."""
    account = caller.key.account
    sender = intake.Sender(account, Submission.Source.AWS, caller.key.user, caller.key)
    try:
        if review:
            handoff.door().check(account, review, hashlib.sha256(data).hexdigest())
        accepted = intake.accept(sender, data, keep=settings.KEEP_SYNCHRONOUS_IMAGES)
        picture = pipeline.AtHand(data, accepted.decoded) if accepted.decoded else None
        activation = pipeline.moderate(accepted.analysis.pk, picture, review)
    except HandoffError as error:
        raise _handoff_error(error) from error
    except intake.IntakeError as error:
        raise _intake_error(error) from error
    except (MediaOutOfMemory, EngineOutOfMemory) as error:
        raise _overloaded() from error
    except MediaError as error:
        raise _media_error(error, data) from error
    accepted.analysis.refresh_from_db()
    if accepted.analysis.status != Analysis.Status.SUCCEEDED:
        # A worker took it meanwhile; it will be done, but not within this request.
        raise _overloaded()
    return accepted.analysis, activation


def _labels(scores: Mapping[str, float], min_confidence: float) -> list[dict[str, object]]:
    """Chains by falling confidence, each from its lowest label up to level 1; no label twice.

    A confidence of exactly 0 means that nothing speaks for the label, so that even MinConfidence 0 does not bring it
    up.
    """
    shown = {name: score for name, score in scores.items() if score >= min_confidence and score > 0}
    order = {name: position for position, name in enumerate(LABELS)}
    inner = {LABELS[name].parent for name in shown}
    ends = sorted(shown.keys() - inner, key=lambda name: (-shown[name], order[name]))
    chains = (name for end in ends for name in (end, *(label.name for label in ancestors(end))))
    return [
        {
            "Name": name,
            "Confidence": shown[name],
            "ParentName": LABELS[name].parent,
            "TaxonomyLevel": LABELS[name].level,
        }
        for name in dict.fromkeys(chains)
    ]


def _content_types(scores: Mapping[str, float], min_confidence: float) -> list[dict[str, object]]:
    found = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    return [{"Name": name, "Confidence": score} for name, score in found if score >= min_confidence and score > 0]


def _activation_output(activation: Activation) -> dict[str, object]:
    return {
        "HumanLoopArn": activation.human_loop_arn,
        "HumanLoopActivationReasons": activation.reasons or None,
        "HumanLoopActivationConditionsEvaluationResults": activation.evaluation_results or None,
    }


def _media_error(error: MediaError, data: bytes) -> AwsError:
    if isinstance(error, SideTooLong):
        info = read_info(data)
        size = f"Input image dimensions {info.width} x {info.height}"
        limit = f"exceed maximum dimension size of {settings.IMAGE_MAX_SIDE} pixels"
        return AwsError("ImageTooLargeException", f"{size} {limit}")
    if isinstance(error, TooManyPixels):
        return AwsError("ImageTooLargeException", f"Image size is too large. {error.message}")
    if isinstance(error, TooSmall):
        return _invalid(error.message)
    detail = error.message
    if data.startswith(_BASE64_BEGINNINGS):
        detail = "Bytes holds base64 text: hand the raw bytes to the client, which encodes them itself."
    return AwsError("InvalidImageFormatException", f"Request has invalid image format. {detail}")


def _intake_error(error: intake.IntakeError) -> AwsError:
    if error.code == "too_large":
        return AwsError("ImageTooLargeException", f"Image size is too large. {error.message}")
    return _invalid(error.message)


def _handoff_error(error: HandoffError) -> AwsError:
    message = str(error)
    match error:
        case handoff.FlowNotFound():
            return AwsError("ResourceNotFoundException", message)
        case handoff.FlowNotReady():
            return AwsError("ResourceNotReadyException", message)
        case handoff.LoopQuotaExceeded():
            return AwsError(
                "HumanLoopQuotaExceededException",
                message,
                ResourceType="HumanLoop",
                QuotaCode="concurrent-human-loops",
                ServiceCode="sagemaker",
            )
    return _invalid(message)


def _invalid(detail: str) -> AwsError:
    return AwsError("InvalidParameterException", f"Request has invalid parameters. {detail}")


def _overloaded() -> AwsError:
    return AwsError("ThrottlingException", "Service Unavailable", status=500)


OPERATIONS: OperationTable = {"DetectModerationLabels": detect_moderation_labels}
