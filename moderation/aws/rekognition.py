"""DetectModerationLabels: from a request to the house and back in Rekognition's words."""

import hashlib
from typing import NotRequired, TypedDict

from django.conf import settings

from moderation import handoff, intake, pipeline
from moderation.aws import limits, retries, s3_objects, tags, taxonomy_view
from moderation.aws.errors import AwsError
from moderation.aws.protocol import Caller, OperationTable
from moderation.aws.s3_objects import S3Object
from moderation.decoding.image import read_info
from moderation.decoding.types import MediaError, MediaOutOfMemory, SideTooLong, TooManyPixels, TooSmall
from moderation.handoff import Activation, HandoffError, ReviewRequest
from moderation.inference.types import EngineOutOfMemory
from moderation.models import Analysis, Submission
from moderation.permissions import UPLOADS

DEFAULT_MIN_CONFIDENCE = 50.0

_BASE64_BEGINNINGS = (b"data:", b"/9j/", b"iVBORw0KGgo")


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
    limits.check_detections(caller.account_id)
    if ("Bytes" in request["Image"]) == ("S3Object" in request["Image"]):
        raise _invalid("Image must hold one of Bytes and S3Object, and not both.")
    if adapter:
        raise AwsError("ResourceNotFoundException", f"The project version {adapter} does not exist.")
    review = _review_request(caller, request)
    earlier = retries.begun_before(caller)
    analysis, activation = _told_again(earlier, review) if earlier else _moderate(caller, request["Image"], review)
    min_confidence = request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE)
    return {
        **taxonomy_view.answer(analysis, min_confidence, caller.key.account.taxonomy),
        "HumanLoopActivationOutput": activation and _activation_output(activation),
    }


def _review_request(caller: Caller, request: DetectModerationLabelsRequest) -> ReviewRequest | None:
    config = request.get("HumanLoopConfig")
    if config is None:
        return None
    caller.require("sagemaker:StartHumanLoop", config["FlowDefinitionArn"])
    where = request["Image"].get("S3Object", S3Object())
    return ReviewRequest(
        flow_definition_arn=config["FlowDefinitionArn"],
        human_loop_name=config["HumanLoopName"],
        region=caller.region,
        content_classifiers=tuple(config.get("DataAttributes", {}).get("ContentClassifiers", ())),
        min_confidence=request.get("MinConfidence", DEFAULT_MIN_CONFIDENCE),
        bucket=where.get("Bucket", ""),
        key=where.get("Name", ""),
        version=where.get("Version", ""),
    )


def _moderate(caller: Caller, image: Image, review: ReviewRequest | None) -> tuple[Analysis, Activation | None]:
    """Run the picture through the house and wait for it; what goes wrong is told in Rekognition's words."""
    data = image["Bytes"] if "Bytes" in image else s3_objects.read(caller, image["S3Object"])
    try:
        return _analyse(caller, image, data, review)
    except HandoffError as error:
        raise _handoff_error(error) from error
    except intake.IdempotencyMismatch as error:
        # Two of one request ran side by side, and the object changed between them: the next try gets the first's.
        raise retries.overloaded() from error
    except intake.IntakeError as error:
        raise _intake_error(error) from error
    except (MediaOutOfMemory, EngineOutOfMemory) as error:
        raise retries.overloaded() from error
    except MediaError as error:
        raise _media_error(error, data) from error


def _analyse(
    caller: Caller, image: Image, data: bytes, review: ReviewRequest | None
) -> tuple[Analysis, Activation | None]:
    account = caller.key.account
    if review:
        handoff.door().check(account, review, hashlib.sha256(data).hexdigest())
    sender = intake.Sender(account, Submission.Source.AWS, caller.key.user, caller.key)
    wishes = intake.Wishes(
        filename=image.get("S3Object", {}).get("Name", ""),
        idempotency_key=caller.retry_key,
        key_lifetime=retries.LIFETIME,
    )
    accepted = intake.accept(sender, data, wishes, keep=settings.KEEP_SYNCHRONOUS_IMAGES, at_once=True)
    if accepted.decoded is None:  # the same request ran beside this one, and was first
        return _told_again(retries.finished(accepted.analysis), review)
    picture = pipeline.AtHand(data, accepted.decoded)
    activation = pipeline.moderate_started(accepted.analysis, picture, review)
    if accepted.analysis.status != Analysis.Status.SUCCEEDED:
        # The lease was over before, and a worker took it; it will be done, but not within this request.
        raise retries.overloaded()
    return accepted.analysis, activation


def _told_again(analysis: Analysis, review: ReviewRequest | None) -> tuple[Analysis, Activation | None]:
    return analysis, handoff.door().recall(analysis, review) if review else None


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


OPERATIONS: OperationTable = {"DetectModerationLabels": detect_moderation_labels, **tags.OPERATIONS}
