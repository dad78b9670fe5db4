"""Lines to copy: how a client is pointed at this server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way in."""

    name: str
    code: str


def for_host(url: str, region: str) -> tuple[Snippet, ...]:
    """The ways in to the server at `url` (which ends in a slash)."""
    endpoint = url.rstrip("/")
    return (
        Snippet(
            "curl",
            f"""\
curl {endpoint}/api/v1/submissions/ \\
  -H "Authorization: Bearer $TOKEN" \\
  -F file=@photo.jpg""",
        ),
        Snippet(
            "boto3",
            f"""\
import boto3

client = boto3.client(
    "rekognition",
    endpoint_url="{endpoint}",
    region_name="{region}",
)
with open("photo.jpg", "rb") as photo:
    answer = client.detect_moderation_labels(Image={{"Bytes": photo.read()}})""",
        ),
        Snippet(
            "AWS CLI",
            f"""\
aws rekognition detect-moderation-labels \\
  --endpoint-url {endpoint} --region {region} \\
  --image-bytes fileb://photo.jpg""",
        ),
    )
