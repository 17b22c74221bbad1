"""Learns from the prepared rows how long a ride takes, by least squares, and leaves
the model as an MLflow pyfunc. What it reads is what prepare.py has written, checked,
split and stored as Parquet.
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

LABEL = "minutes"


def read(directory):
    files = sorted(pathlib.Path(directory).glob("*.parquet"))
    return pd.concat([pq.read_table(f, columns=[*FEATURES, LABEL]).to_pandas() for f in files], ignore_index=True)


def save(coefficients, directory):
    signature = ModelSignature(inputs=Schema([ColSpec(DataType.double, name) for name in FEATURES]),
                               outputs=Schema([ColSpec(DataType.double, LABEL)]))
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch, "coefficients.json")
        file.write_text(json.dumps(coefficients.tolist()))
        mlflow.pyfunc.save_model(directory, python_model="model.py", artifacts={"coefficients": str(file)},
                                 signature=signature, pip_requirements="requirements.txt")


def main():
    rows = read(os.path.join(os.environ["MAINSPRING_DATA_DIR"], "train"))
    x, y = design(rows[FEATURES].to_numpy(float)), rows[LABEL].to_numpy(float)
    coefficients = np.linalg.lstsq(x, y, rcond=None)[0]
    loss = float(np.sqrt(np.mean((x @ coefficients - y) ** 2)))
    with open(os.environ["MAINSPRING_PROGRESS"], "a") as progress:
        progress.write(json.dumps({"step": 1, "of": 1, "loss": loss}) + "\n")
    save(coefficients, os.environ["MAINSPRING_MODEL_DIR"])


if __name__ == "__main__":
    main()
