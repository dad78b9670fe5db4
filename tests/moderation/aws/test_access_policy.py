"""Access policies: what they permit, and which ones are refused with the node named."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.aws.access_policy import PolicyError, parse, permits

FLOW = "arn:aws:sagemaker:us-east-1:123456789012:flow-definition/uncertain"


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*"):
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def deny(action, resource="*"):
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def test_no_policy_is_full_rights():
    assert permits(None, "sagemaker:DeleteFlowDefinition", FLOW)


@pytest.mark.parametrize(
    ("statement", "action", "resource", "expected"),
    [
        (allow("*"), "rekognition:DetectModerationLabels", "*", True),
        (allow("rekognition:*"), "rekognition:DetectModerationLabels", "*", True),
        (allow("rekognition:*"), "sagemaker:StartHumanLoop", FLOW, False),
        (allow("rekognition:Detect*"), "rekognition:DetectModerationLabels", "*", True),
        (allow("rekognition:Detect*"), "rekognition:StartContentModeration", "*", False),
        (allow("REKOGNITION:detectmoderationlabels"), "rekognition:DetectModerationLabels", "*", True),
        (allow("sagemaker:?eleteFlowDefinition"), "sagemaker:DeleteFlowDefinition", FLOW, True),
        (allow(["x:Y", "sagemaker:StartHumanLoop"]), "sagemaker:StartHumanLoop", FLOW, True),
        (allow("sagemaker:*", FLOW), "sagemaker:StartHumanLoop", FLOW, True),
        (allow("sagemaker:*", FLOW), "sagemaker:StartHumanLoop", FLOW + "2", False),
        (allow("sagemaker:*", FLOW), "sagemaker:StartHumanLoop", "*", False),
        (allow("sagemaker:*", FLOW.upper()), "sagemaker:StartHumanLoop", FLOW, False),
        (allow("sagemaker:*", "arn:*:flow-definition/*"), "sagemaker:StartHumanLoop", FLOW, True),
        (allow("sagemaker:*", [FLOW + "x", FLOW[:-2] + "??"]), "sagemaker:StartHumanLoop", FLOW, True),
        (allow("sagemaker:*", "arn:[a-z]*"), "sagemaker:StartHumanLoop", FLOW, False),
        (allow("sagemaker:*", "*"), "sagemaker:StartHumanLoop", "line\nbreak", True),
    ],
)
def test_one_statement(statement, action, resource, expected):
    assert permits(policy(statement), action, resource) is expected
    assert permits({"Statement": statement}, action, resource) is expected


def test_a_deny_wins_wherever_it_stands():
    first, second = allow("*"), deny("sagemaker:Delete*", FLOW)
    for order in ((first, second), (second, first)):
        assert not permits(policy(*order), "sagemaker:DeleteFlowDefinition", FLOW)
        assert permits(policy(*order), "sagemaker:DeleteFlowDefinition", FLOW + "2")
        assert permits(policy(*order), "sagemaker:DescribeFlowDefinition", FLOW)


def test_what_nothing_allows_is_refused():
    assert not permits(policy(deny("x:Y")), "a:B", "*")


@pytest.mark.parametrize(
    ("bad", "node"),
    [
        ([], ""),
        ("*", ""),
        ({}, "Statement"),
        ({"Statement": []}, "Statement"),
        ({"Statement": "*"}, "Statement"),
        ({"Statement": [allow("*")] * 101}, "Statement"),
        ({"Statement": [allow("*")], "Version": "2013-01-01"}, "Version"),
        ({"Statement": [allow("*")], "Version": ["2012-10-17"]}, "Version"),
        ({"Statement": [allow("*")], "Rules": []}, "Rules"),
        (policy(allow("*"), 1), "Statement[1]"),
        (policy({**allow("*"), "Condition": {}}), "Statement[0].Condition"),
        (policy({**allow("*"), "NotAction": "*"}), "Statement[0].NotAction"),
        (policy({**allow("*"), "Principal": "*"}), "Statement[0].Principal"),
        (policy({**allow("*"), "Sid": 1}), "Statement[0].Sid"),
        (policy({**allow("*"), "Effect": "allow"}), "Statement[0].Effect"),
        (policy({"Action": "*", "Resource": "*"}), "Statement[0].Effect"),
        (policy({"Effect": "Allow", "Resource": "*"}), "Statement[0].Action"),
        (policy({"Effect": "Allow", "Action": "*"}), "Statement[0].Resource"),
        (policy(allow("DetectModerationLabels")), "Statement[0].Action"),
        (policy(allow("rekognition:")), "Statement[0].Action"),
        (policy(allow("*:*:*")), "Statement[0].Action"),
        (policy(allow([])), "Statement[0].Action"),
        (policy(allow(["a:B", None])), "Statement[0].Action"),
        (policy(allow("a:B", "")), "Statement[0].Resource"),
        (policy(allow("a:B", "x" * 2049)), "Statement[0].Resource"),
        (policy(allow("a:B", {"a": 1})), "Statement[0].Resource"),
    ],
)
def test_a_policy_that_cannot_be_obeyed_is_refused_and_permits_nothing(bad, node):
    with pytest.raises(PolicyError) as caught:
        parse(bad)
    assert caught.value.node == node
    assert str(caught.value).startswith(node)
    assert not permits(bad, "rekognition:DetectModerationLabels", "*")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["Statement", "Effect", "Action", "Resource", "Sid", "Version"]), inner, max_size=6
        )
    ),
    max_leaves=20,
)


@given(json_values.filter(lambda value: value is not None))
def test_no_policy_does_harm(value):
    assert permits(value, "rekognition:DetectModerationLabels", "*") in (True, False)


def test_a_pattern_full_of_stars_takes_no_time():
    hostile = policy(allow("*", "*a" * 1000 + "b"))
    start = time.perf_counter()
    assert not permits(hostile, "a:B", "a" * 2000)
    assert time.perf_counter() - start < 1
