"""Every operation of the control plane and the runtime, called on what Acme has, or would have."""

from typing import Any, NamedTuple

from tests.reviews.aws.clients import arn, flow_request

MANAGES = {"admin", "lead"}
UPLOADS = MANAGES | {"uploader"}
READS = UPLOADS | {"auditor", "legal"}
FLOW, TEAM, UI = arn("flow-definition", "flow"), arn("workteam/private-crowd", "crew"), arn("human-task-ui", "page")
GROUPS = [{"OidcMemberDefinition": {"Groups": ["lead"]}}]


class Case(NamedTuple):
    """An operation on what Acme has, or would have."""

    operation: str
    members: dict[str, Any]
    resource: str
    roles: set[str]


CASES = [
    Case("CreateFlowDefinition", flow_request("new"), arn("flow-definition", "new"), MANAGES),
    Case("DescribeFlowDefinition", {"FlowDefinitionName": "flow"}, FLOW, READS),
    Case("ListFlowDefinitions", {}, "*", READS),
    Case(
        "CreateHumanTaskUi",
        {"HumanTaskUiName": "new", "UiTemplate": {"Content": "x"}},
        arn("human-task-ui", "new"),
        MANAGES,
    ),
    Case("DescribeHumanTaskUi", {"HumanTaskUiName": "page"}, UI, READS),
    Case("ListHumanTaskUis", {}, "*", READS),
    Case(
        "CreateWorkteam",
        {"WorkteamName": "new", "MemberDefinitions": GROUPS, "Description": "x"},
        arn("workteam/private-crowd", "new"),
        MANAGES,
    ),
    Case("DescribeWorkteam", {"WorkteamName": "crew"}, TEAM, READS),
    Case("ListWorkteams", {}, "*", READS),
    Case("UpdateWorkteam", {"WorkteamName": "crew", "Description": "taken over"}, TEAM, MANAGES),
    Case("DescribeWorkforce", {"WorkforceName": "default"}, arn("workforce", "default"), READS),
    Case("ListWorkforces", {}, "*", READS),
    Case("UpdateWorkforce", {"WorkforceName": "default"}, arn("workforce", "default"), MANAGES),
    Case("AddTags", {"ResourceArn": FLOW, "Tags": [{"Key": "a", "Value": "taken over"}]}, FLOW, MANAGES),
    Case("ListTags", {"ResourceArn": FLOW}, FLOW, READS),
    Case("DeleteTags", {"ResourceArn": FLOW, "TagKeys": ["secret"]}, FLOW, MANAGES),
    Case(
        "StartHumanLoop",
        {"HumanLoopName": "new", "FlowDefinitionArn": FLOW, "HumanLoopInput": {"InputContent": "{}"}},
        FLOW,
        UPLOADS,
    ),
    Case("DescribeHumanLoop", {"HumanLoopName": "loop"}, arn("human-loop", "loop"), READS),
    Case("ListHumanLoops", {"FlowDefinitionArn": FLOW}, FLOW, READS),
    Case("StopHumanLoop", {"HumanLoopName": "loop"}, arn("human-loop", "loop"), MANAGES),
    Case("DeleteHumanLoop", {"HumanLoopName": "loop"}, arn("human-loop", "loop"), MANAGES),
    Case("DeleteFlowDefinition", {"FlowDefinitionName": "flow"}, FLOW, MANAGES),
    Case("DeleteWorkteam", {"WorkteamName": "crew"}, TEAM, MANAGES),
    Case("DeleteHumanTaskUi", {"HumanTaskUiName": "page"}, UI, MANAGES),
]
