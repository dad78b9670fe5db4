"""Tags of Rekognition resources, of which there are none: what each ARN and each caller is told."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_rekognition import RekognitionClient

from moderation.aws.errors import COMMON_CODES
from tests.moderation.aws.conftest import ClientFor
from tests.moderation.aws.rekognition_world import errors_of
from tests.world import ACME, GLOBEX, World, issue

PROJECT = f"arn:aws:rekognition:us-east-1:{ACME}:project/adapter/1700000000000"
VERSION = f"arn:aws:rekognition:us-east-1:{ACME}:project/adapter/version/v1/1700000000000"

Call = Callable[[RekognitionClient, str], Any]

CALLS: dict[str, Call] = {
    "TagResource": lambda client, arn: client.tag_resource(ResourceArn=arn, Tags={"team": "safety"}),
    "UntagResource": lambda client, arn: client.untag_resource(ResourceArn=arn, TagKeys=["team"]),
    "ListTagsForResource": lambda client, arn: client.list_tags_for_resource(ResourceArn=arn),
}

pytestmark = pytest.mark.django_db(transaction=True)


def refusal(operation: str, client: RekognitionClient, arn: str) -> tuple[str, str]:
    """Code and message; the model lets the operation answer with that code."""
    with pytest.raises(ClientError) as caught:
        CALLS[operation](client, arn)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Code"] in COMMON_CODES | errors_of(operation)
    return error["Code"], error["Message"]


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(
    "arn", [PROJECT, VERSION, PROJECT.replace(ACME, GLOBEX), PROJECT.replace("us-east-1", "eu-west-1")]
)
def test_no_project_exists(acme: RekognitionClient, operation: str, arn: str) -> None:
    assert refusal(operation, acme, arn) == ("ResourceNotFoundException", f"The resource {arn} does not exist.")


@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:rekognition:us-east-1:{ACME}:collection/faces",
        f"arn:aws:sagemaker:us-east-1:{ACME}:flow-definition/house",
        f"arn:aws-cn:rekognition:us-east-1:{ACME}:project/adapter/1700000000000",
        "a text of twenty letters",
    ],
)
def test_what_is_no_projects_arn(acme: RekognitionClient, operation: str, arn: str) -> None:
    code, message = refusal(operation, acme, arn)
    assert code == "InvalidParameterException"
    assert message.startswith("Request has invalid parameters")


def test_constraints_of_the_model(client_for: ClientFor, world: World) -> None:
    careless = client_for(world.key, parameter_validation=False)
    for call in (
        lambda: careless.list_tags_for_resource(ResourceArn="short"),
        lambda: careless.tag_resource(ResourceArn=PROJECT, Tags={"aws:mine": "x"}),
        lambda: careless.tag_resource(ResourceArn=PROJECT, Tags={f"key{n}": "" for n in range(201)}),
        lambda: careless.untag_resource(ResourceArn=PROJECT, TagKeys=["x" * 129]),
        lambda: careless.untag_resource(ResourceArn=PROJECT),  # type: ignore[call-arg]
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize("operation", CALLS)
def test_who_may(client_for: ClientFor, world: World, operation: str) -> None:
    """Leads and admins change tags, auditors too may read them; a key's policy says which resources."""
    statement = {"Effect": "Allow", "Action": f"rekognition:{operation}", "Resource": PROJECT}
    narrow = client_for(issue(world.acme, policy={"Statement": [statement]}))
    assert refusal(operation, narrow, PROJECT)[0] == "ResourceNotFoundException"
    code, message = refusal(operation, narrow, VERSION)
    assert code == "AccessDeniedException"
    assert message.endswith(f"is not authorized to perform: rekognition:{operation} on resource: {VERSION}")
    told = {
        key: refusal(operation, client_for(getattr(world, f"{key}_key")), PROJECT)[0]
        for key in ("admin", "auditor", "reviewer")
    }
    auditor = "ResourceNotFoundException" if operation == "ListTagsForResource" else "AccessDeniedException"
    assert told == {"admin": "ResourceNotFoundException", "auditor": auditor, "reviewer": "AccessDeniedException"}
