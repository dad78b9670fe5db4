"""ARNs: there and back, and everything else refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.aws import arns
from moderation.aws.arns import ArnError, Kind, ProjectArn, ProjectVersionArn, ResourceArn

ACCOUNT = "123456789012"


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
    ],
)
def test_the_region_decides_the_partition(region, partition):
    assert arns.partition_of(region) == partition
    arn = ResourceArn(Kind.FLOW_DEFINITION, region, ACCOUNT, "uncertain")
    assert str(arn) == f"arn:{partition}:sagemaker:{region}:{ACCOUNT}:flow-definition/uncertain"
    assert ResourceArn.parse(Kind.FLOW_DEFINITION, str(arn)) == arn


@pytest.mark.parametrize(
    ("arn", "text"),
    [
        (ResourceArn(Kind.HUMAN_LOOP, "us-east-1", ACCOUNT, "a-1"), "sagemaker:us-east-1:123456789012:human-loop/a-1"),
        (
            ResourceArn(Kind.HUMAN_TASK_UI, "us-east-1", ACCOUNT, "ui"),
            "sagemaker:us-east-1:123456789012:human-task-ui/ui",
        ),
        (
            ResourceArn(Kind.WORKTEAM, "us-east-1", ACCOUNT, "Team"),
            "sagemaker:us-east-1:123456789012:workteam/private-crowd/Team",
        ),
        (
            ProjectArn("eu-west-1", ACCOUNT, "my_project.1", 1700000000123),
            "rekognition:eu-west-1:123456789012:project/my_project.1/1700000000123",
        ),
        (
            ProjectVersionArn("eu-west-1", ACCOUNT, "p", "v", 1700000000123),
            "rekognition:eu-west-1:123456789012:project/p/version/v/1700000000123",
        ),
    ],
)
def test_how_each_kind_is_written(arn, text):
    assert str(arn) == f"arn:aws:{text}"
    again = ResourceArn.parse(arn.kind, str(arn)) if isinstance(arn, ResourceArn) else type(arn).parse(str(arn))
    assert again == arn


GOOD = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:flow-definition/uncertain"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "uncertain",
        GOOD.replace("flow-definition", "human-loop"),
        GOOD.replace("sagemaker", "rekognition"),
        GOOD.replace("arn:aws:", "arn:aws-cn:"),
        GOOD.replace("us-east-1", "cn-north-1"),
        GOOD.replace(ACCOUNT, "12345678901"),
        GOOD.replace(ACCOUNT, "\u0661" * 12),
        GOOD + "\n",
        GOOD + "/x",
        GOOD + "\0",
        GOOD.replace("uncertain", ""),
        GOOD.replace("uncertain", "a" * 64),
        GOOD.replace("uncertain", "a_b"),
    ],
)
def test_other_texts_are_refused(text):
    with pytest.raises(ArnError, match="is not the ARN of a flow-definition"):
        ResourceArn.parse(Kind.FLOW_DEFINITION, text)


@pytest.mark.parametrize("created", ["", "0", "007", "9" * 19, "-1", "x"])
def test_a_project_arn_needs_a_plain_creation_time(created):
    for parse, kind in ((ProjectArn.parse, "project/p"), (ProjectVersionArn.parse, "project/p/version/v")):
        with pytest.raises(ArnError):
            parse(f"arn:aws:rekognition:us-east-1:{ACCOUNT}:{kind}/{created}")


names = st.from_regex(r"[a-zA-Z0-9-]{1,63}", fullmatch=True)
regions = st.sampled_from(["us-east-1", "cn-northwest-1", "us-gov-east-1", "ap-southeast-2"])


@given(st.sampled_from(Kind), regions, st.from_regex(r"[0-9]{12}", fullmatch=True), names)
def test_there_and_back(kind, region, account_id, name):
    arn = ResourceArn(kind, region, account_id, name)
    assert ResourceArn.parse(kind, str(arn)) == arn
    for other in Kind:
        if other is not kind:
            with pytest.raises(ArnError):
                ResourceArn.parse(other, str(arn))


@given(st.text(max_size=400))
def test_no_text_does_harm(text):
    for kind in Kind:
        with pytest.raises(ArnError):
            ResourceArn.parse(kind, text)
    for parse in (ProjectArn.parse, ProjectVersionArn.parse):
        with pytest.raises(ArnError):
            parse(f"arn:aws:rekognition:{text}")


def test_the_refusal_does_not_repeat_a_long_text():
    with pytest.raises(ArnError) as caught:
        ResourceArn.parse(Kind.HUMAN_LOOP, "x" * 100_000)
    assert len(str(caught.value)) < 200


def test_the_identity_behind_a_key():
    assert arns.user_arn("cn-north-1", ACCOUNT, "ci") == f"arn:aws-cn:iam::{ACCOUNT}:user/ci"
