"""Fit and judge the constants of `moderation/inference/fusion.py` on a folder of labelled pictures.

    python -m benchmarks.fit_fusion --data DIR [--weights DIR] [--outputs FILE]

DIR holds `manifest.tsv` with the columns path, label (empty: none of them), group, source. Pictures of one group never
stand on both sides of a split. The networks' outputs are kept in FILE, so that other constants can be tried without
looking at the pictures again. Printed are the Platt constants of the measured labels, fitted on everything, and how
constants fitted on four fifths of the groups do on the remaining fifth, over all five; then what the labels without
positive pictures make of benign ones.
"""

import argparse
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from moderation.decoding.image import decode
from moderation.decoding.types import Limits
from moderation.inference import fusion
from moderation.inference.engine import BATCH, DefaultEngine
from moderation.inference.fusion import Calibration

MEASURED = ("Weapons", "Alcoholic Beverages")
FOLDS = 5
# How many pictures in all are taken to show the thing. The folder holds far more of them than the world does.
SHARE = 0.1

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Pictures:
    """Columns of equal length: what each picture is, and each label's score before calibration."""

    labels: list[str]
    groups: list[str]
    sources: list[str]
    scores: dict[str, Scores]

    @classmethod
    def of(cls, rows: list[dict[str, str]], raws: list[dict[str, float]]) -> "Pictures":
        scores = [fusion.scores(raw) for raw in raws]
        return cls(
            labels=[row["label"] for row in rows],
            groups=[row["group"] for row in rows],
            sources=[row["source"] for row in rows],
            scores={label: np.array([each[label] for each in scores]) for label in scores[0]},
        )

    def showing(self, label: str) -> Flags:
        return np.array([each == label for each in self.labels])

    def folds(self) -> NDArray[np.int64]:
        """A number below FOLDS for each picture, the same for all of a group."""
        return np.array([hashlib.sha256(group.encode()).digest()[0] % FOLDS for group in self.groups])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=Path("var/weights"))
    parser.add_argument("--outputs", type=Path)
    options = parser.parse_args()
    with (options.data / "manifest.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    if options.outputs and options.outputs.exists():
        raws = json.loads(options.outputs.read_text())
    else:
        raws = look([options.data / row["path"] for row in rows], DefaultEngine(options.weights))
        if options.outputs:
            options.outputs.write_text(json.dumps(raws))
    pictures = Pictures.of(rows, raws)
    for label in MEASURED:
        report(pictures, label)
    report_benign(pictures)


def look(paths: list[Path], engine: DefaultEngine) -> list[dict[str, float]]:
    """What the networks say of every picture."""
    raws: list[dict[str, float]] = []
    for start in range(0, len(paths), BATCH):
        batch = paths[start : start + BATCH]
        frames = [decode(path.read_bytes(), Limits(min_side=1), 640).frame for path in batch]
        raws += [dict(each.raw) for each in engine.detect(frames)]
        print(f"\r{len(raws)} of {len(paths)}", end="", flush=True)
    print()
    return raws


def fit(scores: Scores, shown: Flags) -> Calibration:
    """Platt scaling by Newton's method with short steps, weighted to SHARE."""
    x, y = log_odds(scores), shown.astype(float)
    weights = np.where(shown, SHARE / y.mean(), (1 - SHARE) / (1 - y.mean()))
    inputs = np.stack([x, np.ones_like(x)], axis=1)
    theta = np.array([0.5, 0.0])
    for _ in range(100):
        p = 1 / (1 + np.exp(-inputs @ theta))
        gradient = inputs.T @ (weights * (p - y))
        step = np.linalg.solve((inputs.T * (weights * p * (1 - p))) @ inputs, gradient)
        theta -= step / max(1.0, float(np.abs(step).max()))
    slope, intercept = (float(value) for value in theta)
    return Calibration(slope, 1 / (1 + float(np.exp(intercept / slope))))


def log_odds(scores: Scores) -> Scores:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def held_back(pictures: Pictures, label: str) -> Scores:
    """Each picture's confidence by constants fitted without its group."""
    confidences = np.zeros(len(pictures.labels))
    folds, shown, scores = pictures.folds(), pictures.showing(label), pictures.scores[label]
    for fold in range(FOLDS):
        calibration = fit(scores[folds != fold], shown[folds != fold])
        confidences[folds == fold] = [calibration.confidence(score) for score in scores[folds == fold]]
    return confidences


def average_precision(scores: Scores, shown: Flags) -> float:
    right = shown[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(right) / np.arange(1, len(right) + 1))[right].mean())


def report(pictures: Pictures, label: str) -> None:
    shown, scores = pictures.showing(label), pictures.scores[label]
    calibration = fit(scores, shown)
    confidences = held_back(pictures, label)
    print(f"\n{label}: {shown.sum()} of {len(shown)} pictures show it")
    print(f"  constants: slope {calibration.slope:.2f}, neutral {calibration.neutral:.4f}")
    print(f"  average precision of the score: {average_precision(scores, shown):.3f}")
    for threshold in (50, 80):
        named = confidences >= threshold
        precision = shown[named].mean() if named.any() else float("nan")
        recall, alarms = named[shown].mean(), named[~shown].mean()
        print(f"  at {threshold}: precision {precision:.3f}, recall {recall:.3f}, false alarms {alarms:.4f}")
    for source, which in by_source(pictures, shown):
        print(f"    recall at 50, {source} ({which.sum()}): {(confidences[which] >= 50).mean():.3f}")
    for source, which in by_source(pictures, ~shown):
        print(f"    false alarms at 50, {source} ({which.sum()}): {(confidences[which] >= 50).mean():.4f}")


def report_benign(pictures: Pictures) -> None:
    """How often labels without positive pictures, by the constants in use, name a picture of something else."""
    for label in [label for label in pictures.scores if label not in MEASURED]:
        confidences = np.array([fusion.CALIBRATIONS[label].confidence(score) for score in pictures.scores[label]])
        alarms = ", ".join(f"{(confidences >= threshold).mean():.4f} at {threshold}" for threshold in (50, 80))
        print(f"\n{label}: no picture shows it; false alarms {alarms}")
        for source, which in by_source(pictures, np.ones(len(confidences), bool)):
            print(f"    at 50, {source} ({which.sum()}): {(confidences[which] >= 50).mean():.4f}")


def by_source(pictures: Pictures, among: Flags) -> Iterator[tuple[str, Flags]]:
    """Each source and what it shows, with its pictures among those given."""
    names = [
        f"{source[:40]}: {label or 'none'}" for source, label in zip(pictures.sources, pictures.labels, strict=True)
    ]
    for name in sorted(Counter(names)):
        which = among & np.array([each == name for each in names])
        if which.any():
            yield name, which


if __name__ == "__main__":
    main()
