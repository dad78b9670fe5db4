import os
import threading
import time

import pytest

from moderation.inference import registry
from moderation.inference.fake import FakeEngine
from moderation.inference.types import EngineError, WeightsMissing
from tests.weights import folder


@pytest.fixture
def slow():
    """An engine that takes a while to build, and its count of builds."""
    builds = []

    def build(weights_dir):
        builds.append(weights_dir)
        time.sleep(0.1)
        return FakeEngine()

    registry.ENGINES["slow"] = build
    yield builds
    del registry.ENGINES["slow"]


def test_loads_once_however_many_ask(slow, tmp_path):
    assert not registry.is_loaded("slow", tmp_path)
    got = []
    threads = [threading.Thread(target=lambda: got.append(registry.load("slow", tmp_path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(engine) for engine in got}) == 1
    assert slow == [tmp_path]
    assert registry.is_loaded("slow", tmp_path)


def test_a_forked_child_loads_its_own(slow, tmp_path):
    registry.load("slow", tmp_path)
    child = os.fork()
    if child == 0:
        os._exit(1 if registry.is_loaded("slow", tmp_path) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert registry.is_loaded("slow", tmp_path)


def test_a_failed_load_is_tried_again(tmp_path):
    failures = [WeightsMissing("not yet")]

    def build(weights_dir):
        if failures:
            raise failures.pop()
        return FakeEngine()

    registry.ENGINES["late"] = build
    try:
        with pytest.raises(WeightsMissing, match="not yet"):
            registry.load("late", tmp_path)
        assert registry.load("late", tmp_path).name == "fake"
    finally:
        del registry.ENGINES["late"]


def test_an_unknown_engine_names_those_there_are(tmp_path):
    with pytest.raises(EngineError, match="default, fake") as caught:
        registry.load("no such", tmp_path)
    assert caught.value.code == "unknown_engine"


def test_every_engine_has_its_evidence_table():
    assert registry.EVIDENCE.keys() == registry.ENGINES.keys()


@pytest.mark.weights
@pytest.mark.parametrize("name", ["default", "fake"])
def test_an_engine_says_of_itself_what_the_registry_says(name):
    engine = registry.load(name, folder())
    assert engine.name == name
    assert engine.evidence == registry.EVIDENCE[name]
