"""boto3 clients as users make them, whose every answer and every error is held against botocore's model."""

import pytest
from mypy_boto3_sagemaker import SageMakerClient
from mypy_boto3_sagemaker_a2i_runtime import AugmentedAIRuntimeClient
from pytest_django.live_server_helper import LiveServer

from moderation import storage
from tests.reviews.aws.clients import Clients
from tests.world import World


@pytest.fixture
def clients(live_server: LiveServer) -> Clients:
    """Makes clients of a key."""
    return Clients(live_server.url)


@pytest.fixture
def sagemaker(clients: Clients, world: World) -> SageMakerClient:
    """The control plane, by Acme's own key; Acme has a bucket for answers."""
    storage.make_bucket(world.acme, "answers")
    return clients.sagemaker(world.key)


@pytest.fixture
def a2i(clients: Clients, world: World) -> AugmentedAIRuntimeClient:
    """The runtime, by Acme's own key."""
    return clients.a2i(world.key)
