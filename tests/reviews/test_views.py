"""The reviewers' pages, without JavaScript."""

import pytest
from django.test import Client

from tests.reviews.desk_world import item, take, team_flow
from tests.world import World, world  # noqa: F401  (a fixture)

pytestmark = pytest.mark.django_db


def test_try(world: World, client: Client) -> None:
    team_flow(world)
    loop = item(world)
    client.force_login(world.reviewer)
    page = client.get("/review/")
    print(page.content.decode()[:3000])
    page = client.get("/review/next", follow=True)
    print(page.status_code, page.content.decode())
    assert 0
