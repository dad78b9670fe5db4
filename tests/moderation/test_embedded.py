"""The embedded servers: shared while used, gone afterwards, however their users end."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import psutil
import psycopg
import pytest
import redis
from botocore.exceptions import ClientError

from moderation import embedded
from moderation.embedded.alone import alone, note_stopping
from moderation.embedded.errors import EmbeddedError
from moderation.embedded.home import Home
from moderation.embedded.processes import Identity, free_ports, listens, wait_until
from moderation.embedded.stack import Lease
from moderation.embedded.supervisor import MAX_DEATHS, Program, Supervisor
from tests.servers import plain_environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A data folder whose name would not fit a Unix socket, with a space and quotes in it."""
    home = Home(tmp_path / ("a long 'folder' name " * 6).strip())
    yield home
    for name in ("postgres", "valkey", "s3"):
        assert gone(home, name), f"{name} was left behind"


@pytest.fixture
def said() -> list[str]:
    """What was reported on the way."""
    return []


def processes(home: Home, name: str) -> list[Identity]:
    """The keeper and the server, as far as they run."""
    found = [Identity.read(home.record(name).get(part)) for part in ("keeper", "process")]
    return [identity for identity in found if identity and identity.alive()]


def gone(home: Home, name: str) -> bool:
    """Whether neither runs, or will within 20 s."""
    return wait_until(lambda: not processes(home, name), 20)


def held(home: Home, name: str, said: list[str]) -> Lease:
    lease = Lease(home, name)
    lease.acquire(said.append)
    return lease


def test_postgres_keeps_its_data_and_its_port_from_one_user_to_the_next(home: Home, said: list[str]) -> None:
    first = held(home, "postgres", said)
    url = first.environment["DATABASE_URL"]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('Größe')")
    first.release()
    assert not processes(home, "postgres")
    second = held(home, "postgres", said)
    assert second.environment["DATABASE_URL"] == url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT upper(word) FROM kept").fetchone() == ("GRÖßE",)
    second.release()
    assert said == ["PostgreSQL: creating the database (first start)"]


def test_postgres_asks_for_the_password_and_its_user_is_no_superuser(home: Home, said: list[str]) -> None:
    lease = held(home, "postgres", said)
    with psycopg.connect(lease.environment["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT rolsuper, inet_server_addr() FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row is not None
    assert (row[0], str(row[1])) == (False, "127.0.0.1")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://second_look:guessed@127.0.0.1:{lease.port}/second_look")
    lease.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="concerns root alone")
def test_postgres_of_root_runs_under_another_account_even_below_a_closed_folder(home: Home, said: list[str]) -> None:
    home.path.parent.chmod(0o700)
    lease = held(home, "postgres", said)
    server = psutil.Process(processes(home, "postgres")[1].pid)
    assert server.uids().real != 0
    assert stat.S_IMODE(home.path.parent.stat().st_mode) == 0o700
    lease.release()


def test_a_server_is_shared_and_stops_with_its_last_user(home: Home, said: list[str]) -> None:
    first, second = held(home, "valkey", said), held(home, "valkey", said)
    assert first.port == second.port
    first.release()
    client = redis.Redis.from_url(second.environment["REDIS_URL"])
    assert client.ping()
    client.close()
    with pytest.raises(redis.AuthenticationError), redis.Redis(port=second.port) as stranger:
        stranger.ping()
    second.release()
    assert not processes(home, "valkey")
    assert not listens(second.port)


def test_users_who_arrive_together_share_one_server(home: Home, said: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        leases = list(pool.map(lambda _: held(home, "valkey", said), range(4)))
    command_lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert sum("keeper server valkey" in line and str(home.path) in line for line in command_lines) == 1
    for lease in leases:
        lease.release()


def test_servers_end_when_their_user_is_killed(home: Home) -> None:
    code = (
        "import sys, time; from pathlib import Path; from moderation.embedded.home import Home;"
        "from moderation.embedded.stack import leased\n"
        "with leased(Home(Path(sys.argv[1])), ['postgres', 'valkey'], print): print('held', flush=True); time.sleep(60)"
    )
    user = subprocess.Popen(
        [sys.executable, "-c", code, str(home.path)],
        cwd=ROOT,
        env=plain_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout is not None
    assert "held\n" in iter(user.stdout.readline, "")
    assert len(processes(home, "postgres")) == len(processes(home, "valkey")) == 2
    user.kill()
    user.wait()
    user.stdout.close()
    assert gone(home, "postgres")
    assert gone(home, "valkey")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's notice of a parent's end is Linux's")
def test_a_server_does_not_outlive_its_keeper_and_the_next_user_gets_a_new_one(home: Home, said: list[str]) -> None:
    lease = held(home, "postgres", said)
    keeper, server = processes(home, "postgres")
    os.kill(keeper.pid, signal.SIGKILL)
    assert wait_until(lambda: not server.alive(), 20)
    again = held(home, "postgres", said)
    assert again.port == lease.port
    with psycopg.connect(again.environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    lease.release()
    again.release()


def test_a_server_left_behind_is_stopped_by_its_record(home: Home, said: list[str]) -> None:
    """As where the kernel gives no notice of a parent's end: the record leads to the old server."""
    left_over = subprocess.Popen(["sleep", "60"], process_group=0)
    identity = Identity.of(left_over.pid)
    home.write_record("valkey", {"keeper": {"pid": 1, "started": 0}, "process": identity.as_record(), "ports": []})
    lease = held(home, "valkey", said)
    assert left_over.wait(10) == -signal.SIGTERM
    lease.release()


def test_a_recycled_pid_is_nobody_we_know(home: Home, said: list[str]) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    earlier = Identity(stranger.pid, Identity.of(stranger.pid).started - 100)
    assert not earlier.alive()
    home.write_record("postgres", {"keeper": earlier.as_record(), "process": earlier.as_record(), "ports": []})
    held(home, "postgres", said).release()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(home: Home, said: list[str]) -> None:
    """As in a container that starts again, where the same few pids are given out each time."""
    held(home, "postgres", said).release()
    folder = home.path / "postgres"
    stranger = subprocess.Popen(["sleep", "60"], user=folder.stat().st_uid)
    (folder / "postmaster.pid").write_text(f"{stranger.pid}\n{folder}\n")
    held(home, "postgres", said).release()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_creation_cut_short_is_begun_again(home: Home, said: list[str]) -> None:
    (home.folder("postgres.new") / "PG_VERSION").write_text("18")
    lease = held(home, "postgres", said)
    with psycopg.connect(lease.environment["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    lease.release()


def test_data_of_another_release_is_refused_untouched(home: Home, said: list[str]) -> None:
    version = home.folder("postgres") / "PG_VERSION"
    version.write_text("16\n")
    with pytest.raises(EmbeddedError, match="belongs to PostgreSQL 16"):
        held(home, "postgres", said)
    assert version.read_text() == "16\n"


def test_s3_serves_who_has_the_credentials_and_test_data_goes_with_it(home: Home, said: list[str]) -> None:
    lease = held(Home(home.path, volatile=True), "s3", said)
    address = lease.environment

    def client(secret: str):
        return boto3.client(
            "s3",
            "us-east-1",
            endpoint_url=address["S3_ENDPOINT_URL"],
            aws_access_key_id=address["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=secret,
        )

    ours = client(address["AWS_SECRET_ACCESS_KEY"])
    ours.create_bucket(Bucket="pictures")
    ours.put_object(Bucket="pictures", Key="a/b.jpg", Body=b"bytes")
    assert ours.get_object(Bucket="pictures", Key="a/b.jpg")["Body"].read() == b"bytes"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client("guessed").list_buckets()
    server = psutil.Process(processes(home, "s3")[1].pid)
    addresses = {entry.laddr.ip for entry in server.net_connections("inet") if entry.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}
    assert (home.path / "s3").exists()
    lease.release()
    assert not (home.path / "s3").exists()


# --- secrets ---


def test_secrets_are_made_once_and_for_their_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.delenv("ENCRYPTION_KEYS")
    home = Home(tmp_path / "var")
    with ThreadPoolExecutor(8) as pool:
        values = set(pool.map(lambda number: home.secret("contested", lambda: str(number)), range(32)))
    embedded.make_secrets(home)
    folder = home.path / "secrets"
    before = {path.name: path.read_text() for path in folder.iterdir()}
    embedded.make_secrets(home)
    assert len(values) == 1
    assert before.keys() == {"contested", "secret_key", "encryption_keys"}
    assert before == {path.name: path.read_text() for path in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


# --- who needs servers ---


@pytest.mark.parametrize(
    ("arguments", "needs"),
    [
        (["manage.py"], False),
        (["manage.py", "help"], False),
        (["manage.py", "migrate", "--help"], False),
        (["manage.py", "up"], False),
        (["manage.py", "collectstatic"], False),
        (["manage.py", "migrate"], True),
    ],
)
def test_only_commands_that_use_servers_start_them(
    arguments: list[str], needs: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    with embedded.servers_for(arguments):
        assert ("DATABASE_URL" in os.environ, "REDIS_URL" in os.environ) == (needs, needs)
        assert (tmp_path / "var").exists() == needs


def test_servers_that_are_named_are_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = tmp_path / "database_url"
    address.write_text("postgresql://db.example/x")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL_FILE", str(address))
    monkeypatch.setenv("REDIS_URL", "redis://broker.example/0")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    with embedded.servers_for(["manage.py", "migrate"]):
        assert "DATABASE_URL" not in os.environ
        assert not (tmp_path / "var").exists()


# --- one run at a time ---


def test_a_second_run_is_refused_with_the_number_of_the_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    refusal = pytest.raises(EmbeddedError, match=rf"process {os.getpid()}, port 8000")
    with alone(home, 8000, lambda: False, print), refusal, alone(home, 8001, lambda: False, print):
        pytest.fail("two runs at once")


def test_a_run_waits_for_one_that_is_ending(tmp_path: Path, said: list[str]) -> None:
    home, order = Home(tmp_path), []

    def next_run() -> None:
        with alone(home, 8000, lambda: False, said.append):
            order.append("second")

    with alone(home, 8000, lambda: False, print):
        note_stopping(home)
        thread = threading.Thread(target=next_run)
        thread.start()
        time.sleep(0.5)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert said == ["Waiting for an earlier run to end."]


# --- supervision ---


def test_a_program_that_dies_is_started_again_and_one_that_keeps_dying_ends_the_run(
    tmp_path: Path, said: list[str]
) -> None:
    supervisor = Supervisor(Home(tmp_path), said.append, first_pause=0.01)
    with alone(Home(tmp_path), 8000, lambda: False, print):
        supervisor.start(Program("web", [sys.executable, "-c", "print('hello'); raise SystemExit(3)"]))
        with pytest.raises(EmbeddedError, match=f"web ended {MAX_DEATHS} times within a minute, last with exit code 3"):
            supervisor.watch(lambda: None)
        supervisor.stop()
    assert wait_until(lambda: said.count("web      | hello") == MAX_DEATHS, 5)


def test_stopping_reaches_what_ignores_the_request(tmp_path: Path, said: list[str]) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    supervisor = Supervisor(Home(tmp_path), said.append)
    with alone(Home(tmp_path), 8000, lambda: False, print):
        supervisor.start(Program("web", [sys.executable, "-c", code], grace=0.5))
        assert wait_until(lambda: "web      | deaf" in said, 10)
        found = Identity.read(Home(tmp_path).record("web").get("process"))
        begun = time.monotonic()
        supervisor.stop()
    assert time.monotonic() - begun < 20
    assert found is not None
    assert not found.alive()


def test_a_step_that_fails_says_why(tmp_path: Path, said: list[str]) -> None:
    supervisor = Supervisor(Home(tmp_path), said.append)
    program = Program("migrate", [sys.executable, "-c", "print('step 1'); raise SystemExit('no such table')"])
    failure = pytest.raises(EmbeddedError, match=r"(?s)no such table.*migrate failed \(exit code 1\)")
    with alone(Home(tmp_path), 8000, lambda: False, print), failure:
        supervisor.run_once(program, lambda line: line if "step" in line else None)
    assert said == ["step 1"]


def test_wanted_ports_are_kept_when_they_are_free() -> None:
    wanted = free_ports(2, [])
    assert free_ports(2, wanted) == wanted
    assert free_ports(1, [1]) != [1] or os.geteuid() == 0
