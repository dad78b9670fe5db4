"""All operations of SageMaker that are served: its part in human review."""

from moderation.aws.protocol import OperationTable
from reviews.aws import flow_definitions, human_task_uis, tags, workforce, workteams

OPERATIONS: OperationTable = {
    **flow_definitions.OPERATIONS,
    **human_task_uis.OPERATIONS,
    **workteams.OPERATIONS,
    **workforce.OPERATIONS,
    **tags.OPERATIONS,
}
