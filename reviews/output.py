"""The output file of a human loop, as Augmented AI writes it: what people were asked, and what they answered."""

import json
from collections.abc import Sequence

from django.conf import settings

from moderation import storage, taxonomy
from reviews.events import iso_milliseconds
from reviews.models import Decision, HumanLoop, Worker


def write(loop: HumanLoop, decisions: Sequence[Decision]) -> str:
    """Put the file where the flow definition wants it; returns its address, or nothing where none is wanted.

    The same answers make the same bytes under the same key: writing twice is writing once.  Raises StorageError.
    """
    if not loop.flow.output_path:
        return ""
    where = storage.locate(loop.flow.output_path).below(key(loop))
    data = json.dumps(document(loop, decisions), ensure_ascii=False, separators=(",", ":")).encode()
    return storage.write(loop.account, str(where), data)


def key(loop: HumanLoop) -> str:
    """Where the file lies below the flow's output path: by the time the loop was made, in UTC."""
    return f"{loop.flow.name}/{loop.created_at:%Y/%m/%d/%H/%M/%S}/{loop.name}/output.json"


def document(loop: HumanLoop, decisions: Sequence[Decision]) -> dict[str, object]:
    """The file's content: lowerCamelCase throughout, the activation conditions' own keys apart."""
    workers = {decision.reviewer_id: _worker(decision) for decision in decisions}
    content: dict[str, object] = {
        "flowDefinitionArn": loop.flow.arn,
        "humanAnswers": [_answer(loop, decision, workers[decision.reviewer_id]) for decision in decisions],
        "humanLoopName": loop.name,
        "inputContent": loop.input_content,
    }
    if loop.flow.is_custom:
        return content
    return {"awsManagedHumanLoopRequestSource": loop.flow.request_source, **content}


def _worker(decision: Decision) -> Worker:
    return Worker.objects.get_or_create(user_id=decision.reviewer_id)[0]


def _answer(loop: HumanLoop, decision: Decision, worker: Worker) -> dict[str, object]:
    return {
        "acceptanceTime": iso_milliseconds(decision.accepted_at),
        "answerContent": decision.answer if loop.flow.is_custom else _labels(loop, decision),
        "submissionTime": iso_milliseconds(decision.submitted_at),
        "timeSpentInSeconds": round(decision.seconds_spent, 3),
        "workerId": worker.worker_id,
        "workerMetadata": {
            "identityData": {
                "identityProviderType": "Oidc",
                "issuer": settings.PUBLIC_URL,
                "sub": str(worker.subject),
            }
        },
    }


def _labels(loop: HumanLoop, decision: Decision) -> dict[str, object]:
    chosen = [taxonomy.label(name) for name in decision.labels]
    return {
        loop.flow.request_source: {
            "moderationLabels": [{"name": label.name, "parentName": label.parent} for label in chosen]
        }
    }
