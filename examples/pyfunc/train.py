"""Learns how long a flight is scheduled to take, by least squares, and leaves the
model as an MLflow pyfunc: any Python class will do. It shows a regression, and a
model that only Python can load, so the gate lets mlflow.pyfunc make the
predictions in this very environment (evaluate.predict in lifecycle.yaml).
"""

import json
import os
import pathlib
import tempfile

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from model import FEATURES, design

LABEL = "sched_minutes"


def read(directory):
    files = sorted(pathlib.Path(directory).glob("*.parquet"))
    return pd.concat([pq.read_table(f, columns=[*FEATURES, LABEL]).to_pandas() for f in files], ignore_index=True)


def save(coefficients, directory):
    # The inputs are named as the data's columns: that is how they are fed.
    signature = ModelSignature(inputs=Schema([ColSpec(DataType.double, name) for name in FEATURES]),
                               outputs=Schema([ColSpec(DataType.double, "minutes")]))
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch, "coefficients.json")
        file.write_text(json.dumps(coefficients.tolist()))
        mlflow.pyfunc.save_model(directory, python_model="model.py", artifacts={"coefficients": str(file)},
                                 signature=signature, pip_requirements="requirements.txt")


def main():
    params = json.loads(os.environ.get("MAINSPRING_PARAMS") or "{}")
    rows = read(os.path.join(os.environ["MAINSPRING_DATA_DIR"], "train"))
    x, y = design(rows[FEATURES].to_numpy(float)), rows[LABEL].to_numpy(float)
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    coefficients[0] += params.get("minutes_off", 0)  # to see the gate refuse a model
    loss = float(np.sqrt(np.mean((x @ coefficients - y) ** 2)))
    with open(os.environ["MAINSPRING_PROGRESS"], "a") as progress:
        progress.write(json.dumps({"step": 1, "of": 1, "loss": loss}) + "\n")
    save(coefficients, os.environ["MAINSPRING_MODEL_DIR"])


if __name__ == "__main__":
    main()
