"""Writes golden.json: what scikit-learn says of fixed rows.

    pip install scikit-learn==1.9.1 && python golden.py > golden.json
"""

import json

import numpy as np
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score


def case(name, labels, scores):
    labels, scores = np.asarray(labels, float), np.asarray(scores, float)
    return {
        "name": name,
        "labels": labels.astype(int).tolist(),
        "scores": scores.tolist(),
        "log_loss": log_loss(labels, scores, labels=[0, 1]),
        "brier": brier_score_loss(labels, scores),
        "auc": roc_auc_score(labels, scores),
    }


rng = np.random.default_rng(20130801)
logits = rng.normal(-1, 1.2, 300)
labels = rng.random(300) < 1 / (1 + np.exp(-logits))
scores = 1 / (1 + np.exp(-(logits + rng.normal(0, 0.7, 300))))
cases = [
    case("noisy", labels, scores),
    case("many ties", labels, scores.round(1)),
    case("all tied", labels, np.full(300, 0.3)),
    case("reversed", labels, 1 - scores),
    case("rare", rng.random(300) < 0.01, rng.random(300)),
    case("certain and right", [0, 1, 0, 1], [0, 1, 0, 1]),
    case("certain and wrong", [0, 1, 0, 1], [0, 0, 1, 1]),
    case("next to certain", [0, 1, 1], [1e-17, 1 - 1e-16, 1e-300]),
]
print(json.dumps(cases))
