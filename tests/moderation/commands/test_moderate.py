"""`manage.py moderate`, with the fake engine; one run as people start it, without any database."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.media import picture, truncated

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in folders, with other things beside them."""
    (tmp_path / "below" / "deep").mkdir(parents=True)
    (tmp_path / "b.jpg").write_bytes(picture("Weapons", 95))
    (tmp_path / "a.PNG").write_bytes(picture(format="PNG"))
    (tmp_path / "below" / "deep" / "c.jpeg").write_bytes(picture("Alcoholic Beverages", 80, illustrated=True))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def run(*arguments: str | Path, fails: str = "", code: int = 1) -> str:
    out = StringIO()
    if not fails:
        call_command("moderate", *map(str, arguments), stdout=out)
        return out.getvalue()
    with pytest.raises(CommandError, match=fails) as failure:
        call_command("moderate", *map(str, arguments), stdout=out)
    assert failure.value.returncode == code
    return out.getvalue()


def lines(*arguments: str | Path, fails: str = "") -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*arguments, "--json", fails=fails).splitlines()]


def test_json_lines_name_file_and_labels(folder: Path) -> None:
    clean, rifle, glass = lines(folder)
    assert [Path(each["file"]).name for each in (clean, rifle, glass)] == ["a.PNG", "b.jpg", "c.jpeg"]
    assert clean["labels"] == [] and (clean["width"], clean["height"]) == (320, 240)
    assert [(label["name"], label["parent"], label["level"]) for label in rifle["labels"]] == [
        ("Violence", "", 1),
        ("Weapons", "Violence", 2),
    ]
    assert rifle["labels"][1]["confidence"] == pytest.approx(95, abs=1) and rifle["content_types"] == []
    assert glass["content_types"][0]["name"] == "Illustrated"


def test_the_table_shows_the_tree(folder: Path) -> None:
    table = run(folder)
    assert re.search(r"b\.jpg\s*│ Violence\s*│\s*9[45]\.\d", table)
    assert re.search(r"│\s*│   Weapons\s*│\s*9[45]\.\d", table)
    assert re.search(r"a\.PNG\s*│ -\s*│\s*│", table)
    assert "Illustrated" in table and "\x1b" not in table


def test_min_confidence_is_a_bound(folder: Path) -> None:
    assert {label["name"] for each in lines(folder, "--min-confidence", "90") for label in each["labels"]} == {
        "Violence",
        "Weapons",
    }
    supported = lines(folder / "a.PNG", "--min-confidence", "0")[0]["labels"]
    assert len(supported) > 10 and all(label["confidence"] == 0 for label in supported)
    for wrong in ("-1", "101", "nan", "many"):
        with pytest.raises(CommandError, match="must be a number from 0 to 100"):
            run(folder, "--min-confidence", wrong)


def test_what_cannot_be_read_is_named_and_the_rest_done(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(truncated())
    found = lines(folder, folder / "missing.jpg", folder / "notes.txt", "/dev/null", fails="4 of 7 could not be read")
    said = {Path(each["file"]).name: each["error"]["code"] for each in found if "error" in each}
    assert said == {
        "broken.jpg": "corrupt",
        "missing.jpg": "unreadable",
        "notes.txt": "unsupported_format",
        "null": "not_a_file",
    }
    assert sum("labels" in each for each in found) == 3
    table = run(folder, folder / "missing.jpg", fails="2 of 5")
    assert "No such file or directory" in table and "Weapons" in table


def test_more_than_a_batch_keeps_its_order(tmp_path: Path) -> None:
    for number in range(19):
        (tmp_path / f"{number:02}.jpg").write_bytes(picture("Weapons" if number % 3 == 0 else None, 95, seed=number))
    (tmp_path / "09.jpg").write_bytes(b"")
    found = lines(tmp_path, fails="1 of 19")
    assert [Path(each["file"]).stem for each in found] == [f"{number:02}" for number in range(19)]
    assert [number for number, each in enumerate(found) if each.get("labels")] == [0, 3, 6, 12, 15, 18]


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    run(tmp_path, fails="No pictures there")


def test_names_cannot_paint_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "[red]\x1b[31m.jpg").write_bytes(picture())
    table = run(tmp_path)
    assert "\x1b" not in table and "[red]" in table


def test_it_needs_no_database_and_no_server(folder: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"ENGINE": "fake", "DATA_DIR": str(folder / "var"), "DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    command = [sys.executable, "manage.py", "moderate", "--json", str(folder / "b.jpg")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["labels"][1]["name"] == "Weapons"
    assert done.stderr == ""
    missing = subprocess.run(
        [*command, "missing"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert missing.returncode == 1 and len(missing.stdout.splitlines()) == 2
