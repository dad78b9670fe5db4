"""docs/aws.md speaks of every operation that is served, and of every member."""

from typing import Any

import pytest
from botocore.model import StructureShape
from django.conf import settings

from moderation.aws.protocol import load_model
from reviews.aws import a2i, sagemaker

TEXT = (settings.BASE_DIR / "docs" / "aws.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in TEXT.splitlines() if line.startswith("| ")]
SERVED = [
    (service, name)
    for service, table in (("sagemaker", sagemaker), ("sagemaker-a2i-runtime", a2i))
    for name in table.OPERATIONS
]


@pytest.mark.parametrize(("service", "operation"), SERVED)
def test_every_operation_and_member(service, operation):
    assert any(row[0] == service and operation in row[1].split(", ") and row[2].startswith("works") for row in ROWS)
    model = load_model(service).operation_model(operation)
    for side, shape in (("request", model.input_shape), ("response", model.output_shape)):
        told = [row[2] for row in ROWS if operation in row[0].split(", ") and row[1] == side]
        for path in paths(shape):
            assert any(f"{path}.".startswith(f"{member}.") for member in told), (side, path)


@pytest.mark.parametrize("row", [row for row in ROWS if row[1:2] in (["request"], ["response"])], ids=str)
def test_no_row_speaks_of_what_is_not_there(row):
    for operation in row[0].split(", "):
        service = next(service for service, name in SERVED if name == operation)
        model = load_model(service).operation_model(operation)
        found = paths(model.input_shape if row[1] == "request" else model.output_shape)
        assert any(f"{path}.".startswith(f"{row[2]}.") for path in found)


def paths(shape: Any) -> list[str]:
    """`OutputConfig.S3OutputPath`, …: every member; lists are not looked into."""
    if not isinstance(shape, StructureShape):
        return [""]
    return [f"{name}.{rest}".strip(".") for name, member in shape.members.items() for rest in paths(member)]
