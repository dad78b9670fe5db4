"""Send a picture with a HumanLoopConfig and say what became of it: plain boto3, only the endpoint is ours.

    AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… python examples/human_review.py photo.jpg

The flow definition `sample-review` is part of the sample world that the first `make run` sets up; its conditions decide
whether people look.  SECOND_LOOK_URL and FLOW_DEFINITION_ARN name others.
"""

import os
import sys
import time
from pathlib import Path

import boto3

URL = os.environ.get("SECOND_LOOK_URL", "http://127.0.0.1:8000")
FLOW = os.environ.get("FLOW_DEFINITION_ARN", "arn:aws:sagemaker:us-east-1:123456789012:flow-definition/sample-review")


def main(path: Path) -> None:
    """Detect, print the labels, and tell whether a human loop began."""
    client = boto3.client("rekognition", endpoint_url=URL, region_name=FLOW.split(":")[3])
    answer = client.detect_moderation_labels(
        Image={"Bytes": path.read_bytes()},
        HumanLoopConfig={"HumanLoopName": f"example-{time.time_ns()}", "FlowDefinitionArn": FLOW},
    )
    for label in answer["ModerationLabels"]:
        print(f"{label['Confidence']:6.1f}  {'  ' * (label['TaxonomyLevel'] - 1)}{label['Name']}")
    loop = answer["HumanLoopActivationOutput"].get("HumanLoopArn")
    print(f"People will look: {loop}" if loop else "No condition of the flow definition holds: nobody needs to look.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
