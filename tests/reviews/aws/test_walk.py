"""The example of the whole walk, run as a user runs it, with a person who answers meanwhile."""

import subprocess
import sys
import time
from typing import Any

import pytest
from django.conf import settings as django_settings

from moderation import storage
from moderation.models import Bucket
from reviews import decisions, queue, settlement
from reviews.models import FlowDefinition, HumanLoop, HumanTaskUi, WorkTeam
from tests import media
from tests.reviews import loop_world
from tests.servers import plain_environment

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("store", ["folder", "s3"])
def test_the_walk(live_server, world, settings, tmp_path, store, request):
    settings.UNDO_GRACE_SECONDS = 0
    environment = plain_environment() | {
        "SECOND_LOOK_URL": live_server.url,
        "AWS_ACCESS_KEY_ID": world.key.key.key_id,
        "AWS_SECRET_ACCESS_KEY": world.key.key.secret,
        "TEAM": "reviewer2 lead",
        "BUCKET": "walk-answers",
        **(bucket_on(request.getfixturevalue("s3"), world) if store == "s3" else folder(world)),
    }
    for name, data in (("doubtful.jpg", media.picture("Weapons", 70)), ("clean.jpg", media.picture())):
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "examples/a2i_walk.py", str(tmp_path / "doubtful.jpg"), str(tmp_path / "clean.jpg")]
    walk = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        answer_when_asked(world.reviewer2)
        said, _ = walk.communicate(timeout=60)
    finally:
        walk.kill()
    assert walk.returncode == 0, said
    assert "doubtful.jpg: Weapons 70" in said
    assert "clean.jpg: no labels; nobody needs to look" in said
    assert f"1 of 2 pictures wait for an answer: {live_server.url}/review/" in said
    assert "-1: Completed" in said
    assert said.rstrip().endswith("s: Weapons")
    assert not any(model.objects.exists() for model in (FlowDefinition, WorkTeam, HumanTaskUi))
    assert HumanLoop.objects.get().deleted_at is not None


def folder(world) -> dict[str, str]:
    """A bucket of plain files."""
    storage.make_bucket(world.acme, "walk-answers")
    return {"DATA_DIR": str(django_settings.DATA_DIR)}


def bucket_on(server: Any, world) -> dict[str, str]:
    """A bucket on an S3 server."""
    Bucket.objects.create(
        account=world.acme,
        name=server.bucket("walk-answers"),
        endpoint_url=server.endpoint,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
    )
    return {
        "S3_ENDPOINT_URL": server.endpoint,
        "S3_ACCESS_KEY_ID": server.access_key,
        "S3_SECRET_ACCESS_KEY": server.secret_key,
    }


def answer_when_asked(person) -> None:
    """Wait for the item, answer it, and let the worker settle the loop."""
    until = time.monotonic() + 60
    while not (seats := queue.claim(person, 1)):
        assert time.monotonic() < until, "nothing came to be answered"
        time.sleep(0.1)
    decisions.submit(seats[0].pk, seats[0].token, person, loop_world.reject("Weapons"))
    assert settlement.run_due() == 1
