import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnxruntime
import pytest
import torch

from moderation import taxonomy
from moderation.decoding.image import decode
from moderation.decoding.types import Limits
from moderation.inference import fusion, preprocessing, weights
from moderation.inference.engine import BATCH, DefaultEngine, out_of_memory_said_plainly
from moderation.inference.types import EngineOutOfMemory, Evidence
from tests import media
from tests.weights import folder

ONNX = ("swiftformer_s", "open_nsfw")
SUPPORTED = [
    "Explicit",
    "Explicit Nudity",
    "Swimwear or Underwear",
    "Violence",
    "Weapons",
    "Graphic Violence",
    "Blood & Gore",
    "Alcohol",
    "Alcoholic Beverages",
]


@pytest.fixture(scope="module")
def engine():
    return DefaultEngine(folder())


@pytest.fixture(scope="module")
def frames():
    """More than one batch, of several shapes: landscapes, noise, and flat colours."""
    sizes = [(320, 240), (240, 320), (100, 700), (640, 480), (50, 50)]
    drawn = [np.asarray(media.landscape(size=size, seed=seed)) for seed, size in enumerate(sizes)]
    flat = [np.full((90, 60, 3), shade, np.uint8) for shade in (0, 255)]
    return [*drawn, *flat, *(media.noise((200, 150), seed) for seed in range(4))]


def confidences(findings):
    return {each.label: each.confidence for each in findings.labels}


@pytest.mark.weights
def test_every_supported_label_is_reported_for_every_picture(engine, frames):
    assert len(frames) > BATCH
    for findings in engine.detect(frames):
        assert [each.label for each in findings.labels] == SUPPORTED
        assert all(0 <= each.confidence <= 100 for each in findings.labels)
        assert findings.content_types == ()


@pytest.mark.weights
def test_drawn_pictures_are_clean(engine, frames):
    for findings in engine.detect(frames[:5]):
        assert max(confidences(findings).values()) < 50


@pytest.mark.weights
def test_alone_or_in_a_batch_the_answer_is_the_same(engine, frames):
    together = engine.detect(frames)
    backwards = engine.detect(frames[::-1])[::-1]
    for frame, one, other in list(zip(frames, together, backwards, strict=True))[::3]:
        (alone,) = engine.detect([frame])
        for label, confidence in confidences(alone).items():
            assert confidences(one)[label] == pytest.approx(confidence, abs=0.5)
            assert confidences(other)[label] == pytest.approx(confidence, abs=0.5)


@pytest.mark.weights
def test_the_same_picture_gets_the_same_answer_twice(engine, frames):
    assert engine.detect(frames[:2]) == engine.detect(frames[:2])


@pytest.mark.weights
def test_a_large_picture_decoded_small_gets_about_the_same_answer(engine):
    data = media.picture(size=(1600, 1400))
    frames = [decode(data, Limits(), scale_to).frame for scale_to in (None, 640)]
    whole, small = (confidences(each) for each in engine.detect(frames))
    assert all(small[label] == pytest.approx(confidence, abs=5) for label, confidence in whole.items())


@pytest.mark.weights
def test_threads_may_ask_at_once(engine, frames):
    expected = engine.detect(frames[:1])
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(engine.detect(frames[:1]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [expected] * 4


@pytest.mark.weights
def test_torch_keeps_its_threads(engine):
    before = torch.get_num_threads()
    engine.warm_up()
    assert torch.get_num_threads() == before


@pytest.mark.weights
def test_nothing_in_nothing_out(engine):
    assert engine.detect([]) == []


@pytest.mark.weights
@pytest.mark.parametrize(
    "array",
    [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8)],
)
def test_what_is_no_frame_is_an_error(engine, array):
    with pytest.raises(ValueError, match="a frame is"):
        engine.detect([array])


@pytest.mark.weights
def test_says_who_judged(engine):
    assert engine.name == "default"
    assert engine.version.calibration == fusion.CALIBRATION
    assert engine.version.moderation_model == taxonomy.VERSION
    assert all(len(part) <= 60 for part in (engine.version.engine, engine.version.heads, engine.version.calibration))


@pytest.mark.weights
def test_kept_scores_can_be_judged_again_without_the_picture(engine, frames):
    (findings,) = engine.detect(frames[:1])
    kept = json.loads(json.dumps(dict(findings.raw)))
    assert fusion.findings(MappingProxyType(kept)) == findings
    assert len(kept) < 30


@pytest.mark.weights
def test_two_processes_give_the_same_answer(engine, frames):
    """Whatever state a process is in, and however many threads it has, confidences agree."""
    code = (
        "import sys, numpy as np; from pathlib import Path; from moderation.inference.engine import DefaultEngine;"
        "frame = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8);"
        "print([each.confidence for each in DefaultEngine(Path(sys.argv[1])).detect([frame])[0].labels])"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = subprocess.run([sys.executable, "-c", code, str(folder())], capture_output=True, check=True, env=environment)
    (here,) = engine.detect([media.noise((200, 150), 0)])
    assert json.loads(out.stdout) == pytest.approx([each.confidence for each in here.labels], abs=0.5)


def test_a_failed_allocation_is_said_plainly():
    with pytest.raises(EngineOutOfMemory, match="7 pictures") as caught, out_of_memory_said_plainly(7):
        torch.empty(10**15)
    assert caught.value.code == "engine_out_of_memory"
    with pytest.raises(EngineOutOfMemory), out_of_memory_said_plainly(7):
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), out_of_memory_said_plainly(7):
        torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.mark.weights
def test_what_is_kept_is_what_the_networks_said(engine):
    """From the frame on, by the reference runtime."""
    frame = media.noise()
    (findings,) = engine.detect([frame])
    swiftformer, open_nsfw = (onnxruntime.InferenceSession(weights.find(weights.SOURCES[name])) for name in ONNX)
    (safety,) = swiftformer.run(None, {"image": preprocessing.swiftformer(frame)[None]})[0]
    (nsfw,) = open_nsfw.run(None, {"input:0": preprocessing.open_nsfw(frame).transpose(1, 2, 0)[None]})[0]
    kept = [findings.raw[name] for name in ("swiftformer.nsfl", "swiftformer.nsfw", "open_nsfw.nsfw")]
    assert kept == pytest.approx([safety[0], safety[1], nsfw[1]], abs=1e-4)


# --- fusion ---------------------------------------------------------------------------------------------------------


def test_outputs_are_kept_by_name():
    imagenet = (np.arange(1000) / 1000).astype(np.float32)
    kept = fusion.raw(imagenet, np.array([0.1, 0.2, 0.7], np.float32), np.array([0.6, 0.4], np.float32))
    assert (kept["imagenet.413"], kept["imagenet.966"]) == (0.413, 0.966)
    assert (kept["swiftformer.nsfl"], kept["swiftformer.nsfw"], kept["open_nsfw.nsfw"]) == (0.1, 0.2, 0.4)


def outputs(**probabilities: float) -> fusion.Raw:
    """Raw outputs of a harmless picture, but for those given ("imagenet_413")."""
    names = [f"imagenet.{index}" for classes in fusion.IMAGENET_CLASSES.values() for index in classes]
    quiet = dict.fromkeys([*names, "swiftformer.nsfl", "swiftformer.nsfw", "open_nsfw.nsfw"], 0.0005)
    changed = {name.replace("_", ".", 1) if name.startswith("imagenet") else name: 0.0 for name in probabilities}
    assert changed.keys() <= quiet.keys() | {"swiftformer_nsfl", "swiftformer_nsfw", "open_nsfw_nsfw"}
    for name, value in probabilities.items():
        network, _, output = name.rpartition("_")
        quiet[f"{network}.{output}"] = value
    return quiet


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({}, set()),
        ({"imagenet_764": 0.3}, {"Weapons", "Violence"}),
        ({"imagenet_413": 0.2, "imagenet_764": 0.2}, {"Weapons", "Violence"}),
        ({"imagenet_440": 0.4}, {"Alcoholic Beverages", "Alcohol"}),
        ({"imagenet_445": 0.8}, {"Swimwear or Underwear"}),
        ({"swiftformer_nsfl": 0.94}, {"Blood & Gore", "Graphic Violence", "Violence"}),
        ({"swiftformer_nsfw": 0.95, "open_nsfw_nsfw": 0.95}, {"Explicit Nudity", "Explicit"}),
        # One network alone is not believed.
        ({"swiftformer_nsfw": 0.95, "open_nsfw_nsfw": 0.1}, set()),
        ({"swiftformer_nsfw": 0.1, "open_nsfw_nsfw": 0.99}, set()),
        # Dim footage.
        ({"swiftformer_nsfl": 0.6}, set()),
    ],
)
def test_outputs_become_labels(raw, named):
    found = confidences(fusion.findings(outputs(**raw)))
    assert {label for label, confidence in found.items() if confidence >= 80} == named
    assert {label for label, confidence in found.items() if confidence >= 50} == named


def test_an_ancestor_is_as_sure_as_its_surest_child():
    found = confidences(fusion.findings(outputs(imagenet_764=0.1, swiftformer_nsfl=0.8)))
    assert (
        found["Violence"] == max(found["Weapons"], found["Blood & Gore"]) > min(found["Weapons"], found["Blood & Gore"])
    )
    assert found["Graphic Violence"] == found["Blood & Gore"]


@pytest.mark.parametrize("label", fusion.CALIBRATIONS)
def test_confidence_rises_with_the_score(label):
    calibration = fusion.CALIBRATIONS[label]
    steps = [calibration.confidence(score) for score in np.linspace(0, 1, 200)]
    assert steps == sorted(steps)
    assert 0 <= steps[0] < 1
    assert 95 < steps[-1] <= 100
    assert calibration.confidence(calibration.neutral) == pytest.approx(50)


def test_nothing_is_named_without_evidence():
    assert fusion.EVIDENCE.keys() == {*taxonomy.LABELS, *taxonomy.CONTENT_TYPES}
    detected = [name for name, evidence in fusion.EVIDENCE.items() if evidence != Evidence.NOT_DETECTED]
    assert detected == SUPPORTED
    measured = [name for name, evidence in fusion.EVIDENCE.items() if evidence == Evidence.MEASURED]
    assert measured == ["Weapons", "Alcohol", "Alcoholic Beverages"]


def test_the_figures_are_those_of_the_model_card():
    card = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    weapons, bottles = fusion.FIGURES["Weapons"], fusion.FIGURES["Alcoholic Beverages"]
    assert list(fusion.FIGURES) == ["Weapons", "Alcoholic Beverages", "Alcohol"]
    assert fusion.FIGURES["Alcohol"] == bottles  # which rests on bottles alone
    rows = [f"| average precision | {weapons.average_precision:.3f} | {bottles.average_precision:.3f} |"]
    for one, other in zip(weapons.thresholds, bottles.thresholds, strict=True):
        pairs = [f"{each.precision:.3f}, {each.recall:.3f}" for each in (one, other)]
        rows.append(f"| at {one.confidence}: precision, recall | {' | '.join(pairs)} |")
    for row in rows:
        assert row.replace(" 0.", " .") in card
