"""How fast seats are claimed from a long queue: `python -m benchmarks.queue_claims`.

100,000 open seats at 50,000 loops. A newcomer has answered nothing; a veteran has answered the first 20,000 loops, so
that 40,000 seats that are not for them stand at the front. Every claim takes one seat, which is then answered outside
the measured time. "No cursor" forgets before each claim how far the person has come.

Runs in a scratch database on DATABASE_URL, or on a PostgreSQL of its own; takes about a minute.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import django
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from moderation.models import User

CLAIMS, CROWD = 100, 8

_FILL = """
INSERT INTO reviews_humanloop (account_id, region, name, flow_id, status, input_digest, input_content, selected_labels,
    content_classifiers, task_count, available_until, due_at, failure_code, failure_reason, output_uri, created_at)
SELECT %(account)s, 'us-east-1', 'loop-' || n, %(flow)s, 'InProgress', '', '{}', '[]', '[]', 3,
    now() + interval '10 days', now() + n * interval '1 second', '', '', '', now()
FROM generate_series(1, %(loops)s) n;
INSERT INTO reviews_reviewtask (loop_id, queue_id, kind, priority, due_at, state, token, created_at)
SELECT id, %(queue)s, 'reviewer', 0, due_at, 'open', 0, now()
FROM reviews_humanloop, generate_series(1, 2) ORDER BY id;
INSERT INTO reviews_reviewtask (loop_id, queue_id, kind, priority, due_at, state, token, created_at, reviewer_id)
SELECT id, %(queue)s, 'reviewer', 0, due_at, 'answered', 1, now(), %(veteran)s
FROM reviews_humanloop ORDER BY id LIMIT %(answered)s;
"""


@contextmanager
def database() -> Iterator[None]:
    """A scratch database with the product's tables."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moderation.settings")
    os.environ.setdefault("SECRET_KEY", "for a benchmark alone")
    with tempfile.TemporaryDirectory(prefix="second-look-benchmark-") as folder:
        os.environ["DATA_DIR"] = folder
        with server(Path(folder)):
            django.setup()
            from django.db import connection

            kept = connection.settings_dict["NAME"]
            connection.creation.create_test_db(verbosity=0, autoclobber=True)
            try:
                yield
            finally:
                connection.creation.destroy_test_db(kept, verbosity=0)


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """A PostgreSQL of our own, unless DATABASE_URL leads to one."""
    if os.environ.get("DATABASE_URL"):
        yield
        return
    from moderation.embedded.home import Home
    from moderation.embedded.stack import leased

    folder.chmod(0o711)  # as root, PostgreSQL runs under another account, which must pass through
    with leased(Home(folder, volatile=True), ["postgres"], lambda line: None):
        yield


def measure(seats: int, answered: int) -> Table:
    """Fill the queue, claim, and tell."""
    from django.db import connection

    from moderation.models import Account, User
    from reviews import queue
    from reviews.models import ClaimCursor, FlowDefinition, ReviewQueue, ReviewTask, WorkTeam

    account = Account.objects.create(pk="111111111111", name="Benchmark")
    veteran, newcomer, *crowd = (
        User.objects.create(username=f"person{number}", account=account) for number in range(2 + CROWD)
    )
    team = WorkTeam.objects.create(account=account, name="team")
    team.members.set([veteran, newcomer, *crowd])
    line = ReviewQueue.objects.create(account=account, name="line")
    flow = FlowDefinition.objects.create(account=account, name="flow", work_team=team, queue=line, task_count=3)
    values: dict[str, str | int] = {
        "account": account.pk,
        "flow": flow.pk,
        "queue": line.pk,
        "veteran": veteran.pk,
        "loops": seats // 2,
        "answered": answered,
    }
    with connection.cursor() as cursor:
        for statement in _FILL.strip().split(";\n"):
            cursor.execute(statement.rstrip(";"), values)
        cursor.execute("ANALYZE")

    def claim_once(who: User, forget: bool) -> float:
        if forget:
            ClaimCursor.objects.filter(reviewer=who).delete()
        start = time.perf_counter()
        [seat] = queue.claim(who)
        took = time.perf_counter() - start
        ReviewTask.objects.filter(pk=seat.pk).update(state="answered", lease_expires_at=None)
        return took

    def alone(who: User, forget: bool) -> tuple[list[float], float]:
        took = [claim_once(who, forget) for _ in range(CLAIMS)]
        return took, sum(took)

    table = Table("reviewer", "cursor", "claims/s", "p50 ms", "p95 ms", title=f"{seats:,} open seats")
    for name, who in (("newcomer", newcomer), (f"veteran, {answered:,} answered", veteran)):
        for forget in (True, False):
            add_row(table, name, "no" if forget else "yes", *alone(who, forget))
    add_row(table, f"{CROWD} side by side", "yes", *together(crowd, lambda who: claim_once(who, False)))
    return table


def together(people: "list[User]", claim: "Callable[[User], float]") -> tuple[list[float], float]:
    """The times of all claims of people side by side, and how long the whole took."""
    from django.db import connection

    took: list[float] = []

    def work(who: "User") -> None:
        took.extend([claim(who) for _ in range(CLAIMS)])
        connection.close()

    threads = [threading.Thread(target=work, args=[who]) for who in people]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took, time.perf_counter() - start


def add_row(table: Table, name: str, cursor: str, took: list[float], seconds: float) -> None:
    """One line of the table."""
    cuts = statistics.quantiles(took, n=20)
    table.add_row(name, cursor, f"{len(took) / seconds:,.0f}", f"{cuts[9] * 1000:.1f}", f"{cuts[18] * 1000:.1f}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seats", type=int, default=100_000, help="open seats in the queue")
    parser.add_argument("--answered", type=int, default=20_000, help="loops that the veteran has answered")
    options = parser.parse_args()
    with database():
        Console().print(measure(options.seats, options.answered))


if __name__ == "__main__":
    main()
