"""Writes what scikit-learn says of fixed rows, one JSON file per task.

    pip install numpy==2.4.6 scikit-learn==1.9.1 && python generate.py

Each case has every metric on all rows, on each slice, and with the rows of each
block weighted as in one resample. null: the figure is not defined, or is one
that scikit-learn makes up with a warning (F1 without a label or prediction 1,
average precision without a label 1, R² of equal labels).
"""

import json
import pathlib
import warnings

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.calibration import calibration_curve

warnings.simplefilter("error")
BLOCKS = 7
WEIGHTS = [2, 0, 1, 3, 1, 0, 2]
BINS = 15


def calibration(p, outcome, weight):
    """By hand for weights; checked against calibration_curve without them."""
    edges = np.linspace(0, 1, BINS + 1)
    where = np.searchsorted(edges[1:-1], p)
    gaps = [abs(np.sum(weight[where == k] * (p - outcome)[where == k])) for k in range(BINS)]
    error = sum(gaps) / np.sum(weight)
    if np.all(weight == 1):
        observed, predicted = calibration_curve(outcome, p, n_bins=BINS)
        rows = np.array([n for n in np.bincount(where, minlength=BINS) if n])
        assert abs(np.sum(rows * abs(observed - predicted)) / len(p) - error) < 1e-12
    return error


def binary(y, p, weight, threshold):
    both = len(set(y[weight > 0])) == 2
    called = p >= threshold
    return {
        "log_loss": metrics.log_loss(y, p, labels=[0, 1], sample_weight=weight),
        "brier": metrics.brier_score_loss(y, p, labels=[0, 1], sample_weight=weight, pos_label=1),
        "auc": metrics.roc_auc_score(y, p, sample_weight=weight) if both else None,
        "pr_auc": metrics.average_precision_score(y, p, sample_weight=weight) if np.any(y[weight > 0]) else None,
        "accuracy": metrics.accuracy_score(y, called, sample_weight=weight),
        "f1": metrics.f1_score(y, called, sample_weight=weight) if np.any((y + called)[weight > 0]) else None,
        "calibration_error": calibration(p, y, weight),
    }


def multiclass(y, p, weight, classes):
    kept = weight > 0
    every = len(set(y[kept])) == classes
    top = np.argmax(p, axis=1)
    hot = np.eye(classes)[y.astype(int)]
    return {
        "log_loss": metrics.log_loss(y, p, labels=range(classes), sample_weight=weight),
        "brier": metrics.brier_score_loss(hot, p, sample_weight=weight),
        "auc": metrics.roc_auc_score(y, p, multi_class="ovr", average="macro", sample_weight=weight) if every else None,
        "accuracy": metrics.accuracy_score(y, top, sample_weight=weight),
        "f1": metrics.f1_score(y[kept], top[kept], average="macro", sample_weight=weight[kept]),
        "calibration_error": calibration(p.max(axis=1), (top == y).astype(float), weight),
    }


def regression(y, p, weight, quantile):
    return {
        "rmse": metrics.root_mean_squared_error(y, p, sample_weight=weight),
        "mae": metrics.mean_absolute_error(y, p, sample_weight=weight),
        "r2": metrics.r2_score(y, p, sample_weight=weight) if len(set(y[weight > 0])) > 1 else None,
        "pinball": metrics.mean_pinball_loss(y, p, alpha=quantile, sample_weight=weight),
    }


def case(name, task, y, p, setting):
    y, p = np.asarray(y, float), np.asarray(p, float)
    blocks = np.arange(len(y)) % BLOCKS
    groups = np.arange(len(y)) // 3 % 4 - 1  # -1: in no slice
    ones = np.ones(len(y))

    def measure(rows, weight):
        return task(y[rows], p[rows], weight[rows], setting)

    return {
        "name": name,
        "task": task.__name__,
        "setting": setting,  # threshold, number of classes, or quantile
        "labels": y.tolist(),
        "answers": p.ravel().tolist(),
        "blocks": blocks.tolist(),
        "groups": groups.tolist(),
        "all": measure(slice(None), ones),
        "slices": [measure(groups == g, ones) if np.any(groups == g) else None for g in range(3)],
        "weights": WEIGHTS,
        "weighted": measure(slice(None), np.array(WEIGHTS, float)[blocks]),
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


rng = np.random.default_rng(20130801)
logits = rng.normal(-1, 1.2, 300)
labels = rng.random(300) < sigmoid(logits)
scores = sigmoid(logits + rng.normal(0, 0.7, 300))
signs = rng.integers(0, 4, 240)
votes = rng.normal(0, 1, (240, 4)) + 1.5 * np.eye(4)[signs]
sizes = rng.normal(1e6, 10, 200)

files = {
    "binary": [
        case("noisy", binary, labels, scores, 0.5),
        case("another threshold", binary, labels, scores, 0.2),
        case("as float32", binary, labels, scores.astype(np.float32), 0.5),
        case("many ties", binary, labels, scores.round(1), 0.3),
        case("edges of bins", binary, labels, (scores * 15).round() * (1.0 / 15), 0.5),
        case("all tied", binary, labels, np.full(300, 0.3), 0.3),
        case("reversed", binary, labels, 1 - scores, 0.5),
        case("rare", binary, rng.random(300) < 0.02, rng.random(300), 0.5),
        case("zeros only", binary, np.zeros(60), rng.random(60) / 2, 0.5),
        case("ones only", binary, np.ones(60), rng.random(60), 0.5),
        case("certain and right", binary, [0, 1] * 20, [0, 1] * 20, 0.5),
        case("certain and wrong", binary, [0, 1] * 20, [1, 0] * 20, 0.5),
        case("next to certain", binary, [0, 1, 1] * 10, [1e-17, 1 - 1e-16, 1e-300] * 10, 0.5),
        case("smallest of numbers", binary, labels, scores * 1e-310, 0.5),
    ],
    "multiclass": [
        case("four classes", multiclass, signs, softmax(votes), 4),
        case("ties", multiclass, signs, np.tile([0.25, 0.375, 0.0, 0.375], (240, 1)), 4),
        case("few distinct", multiclass, signs, softmax(votes.round()), 4),
        case("a class that never occurs", multiclass, signs % 3, softmax(votes), 4),
        case("one class", multiclass, np.full(60, 2), softmax(votes[:60]), 4),
        case("certain", multiclass, signs, np.eye(4)[np.where(rng.random(240) < 0.8, signs, (signs + 1) % 4)], 4),
        case("three classes", multiclass, signs % 3, softmax(votes[:, :3] * 3), 3),
    ],
    "regression": [
        case("noisy", regression, logits, logits + rng.normal(0, 0.5, 300), 0.5),
        case("upper quantile", regression, logits, logits + rng.normal(0.5, 0.5, 300), 0.9),
        case("worse than the mean", regression, logits, -logits, 0.1),
        case("far from zero", regression, sizes, sizes + rng.normal(0, 3, 200), 0.5),
        case("exact", regression, logits, logits, 0.5),
        case("equal labels", regression, np.full(50, 0.1), rng.random(50), 0.5),
    ],
}
here = pathlib.Path(__file__).parent
for name, cases in files.items():
    content = {"versions": {"numpy": np.__version__, "scikit-learn": sklearn.__version__}, "cases": cases}
    (here / f"{name}.json").write_text(json.dumps(content) + "\n")
