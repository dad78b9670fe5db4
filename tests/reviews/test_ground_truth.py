"""Ground truth: what is recorded, under which versions and chance, and how it is exported."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from moderation import storage
from moderation.models import Policy, Submission, User
from reviews import decisions, ground_truth, queue, settlement
from reviews.decisions import Answer
from reviews.models import FlowDefinition, GroundTruth, HumanLoop
from tests.reviews import loop_world as made
from tests.reviews.conditions_world import both, check, sampling
from tests.world import World

pytestmark = pytest.mark.django_db
LEVEL_1 = 10


@pytest.fixture
def flow(world: World) -> FlowDefinition:
    return made.flow(world.acme, (world.reviewer, world.reviewer2, world.lead))


def settled(of: FlowDefinition, *answers: tuple[User, Answer], **more: Any) -> GroundTruth:
    """The truth of a new loop, answered so."""
    of.task_count = len(answers)
    of.save()
    loop = made.loop(of, **more)
    return settle(loop, *answers)


def settle(loop: HumanLoop, *answers: tuple[User, Answer]) -> GroundTruth:
    for who, answer in answers:
        [seat] = queue.claim(who)
        decisions.submit(seat.pk, seat.token, who, answer)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        settlement.run_due()
    return loop.ground_truth.get()


def lines(world: World, fmt: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ground_truth.export(world.acme, fmt)]


# --- what is recorded ---


def test_present_and_absent_by_whom_and_under_which_versions(world: World, flow: FlowDefinition):
    truth = settled(flow, (world.reviewer, made.reject("Weapons")), scores={"Weapons": 85, "Gambling": 70})
    assert (truth.outcome, truth.present, truth.undecided) == ("reject", ["Violence", "Weapons"], [])
    assert "Gambling" in truth.absent and len(truth.absent) == LEVEL_1 - 1
    assert [each.reviewer for each in truth.decisions.all()] == [world.reviewer]
    assert truth.versions == {
        "engine": "test-1",
        "heads": "h1",
        "calibration": "c1",
        "moderation_model": "7.0",
        "taxonomy": "7.0",
        "flow": "house",
        "flow_version": 1,
        "policy": "for house",
        "policy_version": 1,
    }
    assert truth.inclusion_probability == 1.0


def test_labels_people_were_split_on_are_undecided(world: World, flow: FlowDefinition):
    split = (world.reviewer, made.reject("Weapons")), (world.reviewer2, made.reject("Gambling"))
    truth = settled(flow, *split)
    assert (truth.present, truth.undecided) == ([], ["Violence", "Weapons", "Gambling"])


def test_the_chance_of_an_audit_is_its_sampling_share(world: World):
    policy = Policy.objects.default_for(world.acme)
    flow = made.flow(world.acme, (world.reviewer,), policies=[policy], conditions=[sampling(60)])
    made.flow(world.acme, name="more", policies=[policy], conditions=[sampling(50)])
    for _ in range(100):
        made.considered(world.acme, {"Weapons": 85})
        if loop := HumanLoop.objects.filter(flow=flow).first():
            break
    assert loop, "60 % are sampled"
    truth = settle(loop, (world.reviewer, made.approve()))
    assert truth.inclusion_probability == pytest.approx(1 - 0.4 * 0.5), "either flow would have had it looked at"


def test_the_newest_truth_of_a_submission_counts_and_names_the_one_before(world: World, flow: FlowDefinition):
    first = settled(flow, (world.reviewer, made.approve()))
    other = made.flow(world.acme, (world.reviewer,), name="again", line="again")
    second = settled(other, (world.reviewer, made.reject("Weapons")))
    HumanLoop.objects.filter(pk=second.loop_id).update(submission=first.submission, settled_at=None)
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        settlement.settle(second.loop_id)
    newest = GroundTruth.objects.filter(submission=first.submission).latest("pk")
    assert newest.supersedes == first
    assert newest in ground_truth.newest(world.acme) and first not in ground_truth.newest(world.acme)


# --- export ---


def test_the_manifest_is_that_of_adapter_training(world: World, flow: FlowDefinition):
    settled(flow, (world.reviewer, made.reject("Weapons", "Gambling")))
    settled(flow, (world.reviewer, made.approve()))
    unsafe, safe = lines(world, "manifest")
    assert set(unsafe) == {"source-ref", "content-moderation-groundtruth"}
    assert unsafe["content-moderation-groundtruth"] == {
        "ModerationLabels": [{"Name": "Violence"}, {"Name": "Weapons"}, {"Name": "Gambling"}]
    }
    assert safe["content-moderation-groundtruth"] == {"ModerationLabels": []}


def test_a_source_ref_can_be_read_by_its_account_alone(world: World, flow: FlowDefinition):
    settled(flow, (world.reviewer, made.approve()))
    [line] = lines(world, "manifest")
    where = storage.locate(line["source-ref"])
    assert storage.read(world.acme, where.bucket, where.key).startswith(b"\xff\xd8")
    with pytest.raises(storage.ObjectNotFound):
        storage.read(world.globex, where.bucket, where.key)


def test_the_manifest_leaves_out_what_a_list_of_labels_cannot_tell(world: World, flow: FlowDefinition):
    settled(flow, (world.reviewer, made.reject(comment="a scam")))
    settled(flow, (world.reviewer, made.reject("Weapons")), (world.reviewer2, made.reject("Gambling")))
    gone = settled(flow, (world.reviewer, made.approve()))
    gone.submission.forget_picture()
    assert lines(world, "manifest") == []
    assert len(lines(world, "jsonl")) == 3


def test_the_manifest_names_a_picture_once_with_the_last_word(world: World, flow: FlowDefinition):
    first = settled(flow, (world.reviewer, made.reject("Weapons")))
    second = settled(flow, (world.reviewer, made.approve()))
    Submission.objects.filter(pk=second.submission_id).update(
        media_digest=first.submission.media_digest, blob=first.submission.blob
    )
    [line] = lines(world, "manifest")
    assert line["content-moderation-groundtruth"] == {"ModerationLabels": []}
    assert len(lines(world, "jsonl")) == 2


def test_json_lines_tell_everything(world: World):
    policy = Policy.objects.default_for(world.acme)
    flow = made.flow(
        world.acme,
        (world.reviewer,),
        policies=[policy],
        conditions=[both(sampling(100), check("Weapons", LessThan=90))],
    )
    made.considered(world.acme, {"Weapons": 85})
    loop = HumanLoop.objects.get()
    truth = settle(loop, (world.reviewer, made.reject("Weapons", comment="a rifle", seconds=0)))
    [line] = lines(world, "jsonl")
    submission = truth.submission
    [decision] = truth.decisions.all()
    assert line == {
        "submission": str(submission.pk),
        "external_id": "",
        "source-ref": f"s3://second-look/{submission.blob.name}",  # type: ignore[union-attr]
        "sha256": submission.media_digest,
        "width": 320,
        "height": 240,
        "outcome": "reject",
        "present": ["Violence", "Weapons"],
        "absent": truth.absent,
        "undecided": [],
        "by_lead": False,
        "decisions": [
            {
                "reviewer": "reviewer",
                "outcome": "reject",
                "labels": ["Weapons"],
                "judged": decision.judged,
                "comment": "a rifle",
                "seconds": 0.0,
                "submitted_at": decision.submitted_at.isoformat().replace("+00:00", "Z"),
            }
        ],
        "human_loop_arn": loop.arn,
        "flow_definition_arn": flow.arn,
        "reasons": ["ConditionsEvaluation"],
        "is_audit": True,
        "inclusion_probability": 1.0,
        "versions": truth.versions,
        "scores": loop.analysis.scores,  # type: ignore[union-attr]
        "settled_at": truth.created_at.isoformat().replace("+00:00", "Z"),
    }


def test_an_export_is_one_accounts_own(world: World, flow: FlowDefinition):
    settled(flow, (world.reviewer, made.approve()))
    assert list(ground_truth.export(world.globex, "jsonl")) == []


def test_an_export_streams_through_a_cursor_of_the_database(world: World, flow: FlowDefinition):
    for _ in range(3):
        settled(flow, (world.reviewer, made.approve()))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        stream = ground_truth.export(world.acme, "jsonl")
        assert not queries.captured_queries, "nothing is asked before the first line is wanted"
        assert len(list(stream)) == 3
    assert len(queries.captured_queries) <= 4, "as many queries for three lines as for a thousand"


def test_an_unknown_format_is_refused(world: World):
    with pytest.raises(ValueError, match="manifest, jsonl"):
        list(ground_truth.export(world.acme, "csv"))


# --- the command ---


def test_the_command_writes_to_standard_output_a_file_and_a_bucket(world: World, flow: FlowDefinition, tmp_path: Path):
    settled(flow, (world.reviewer, made.reject("Weapons")))
    expected = "".join(ground_truth.export(world.acme, "manifest"))
    path, bucket = tmp_path / "truth.jsonl", storage.make_bucket(world.acme, "exports")
    out = io.StringIO()
    call_command("export_ground_truth", account=world.acme.pk, stdout=out)
    call_command("export_ground_truth", account=world.acme.pk, output=str(path))
    call_command("export_ground_truth", account=world.acme.pk, output="s3://exports/a/truth.manifest")
    assert out.getvalue() == path.read_text() == expected
    assert storage.read(world.acme, bucket.name, "a/truth.manifest").decode() == expected
    assert [each.name for each in tmp_path.iterdir()] == ["truth.jsonl"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"account": "333333333333"}, "no account 333333333333"),
        ({"output": "s3://nowhere/x"}, "nowhere"),
        ({"output": "/no/such/folder/x"}, "No such file or directory: /no/such/folder/x$"),
    ],
)
def test_the_command_names_what_is_wrong(world: World, options: dict[str, str], words: str):
    with pytest.raises(CommandError, match=words):
        call_command("export_ground_truth", **{"account": world.acme.pk, **options})
