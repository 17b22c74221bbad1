"""Time evidently's data drift and classification presets on two data frames.

Usage: report.py DIRECTORY (with current.parquet and reference.parquet).
Prints one line of JSON.
"""

import json
import pathlib
import sys
import time
import warnings

import pandas as pd
import evidently
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.presets import ClassificationPreset, DataDriftPreset

warnings.filterwarnings("ignore")
directory = pathlib.Path(sys.argv[1])
current = pd.read_parquet(directory / "current.parquet")
reference = pd.read_parquet(directory / "reference.parquet")
features = [name for name in current.columns if name not in ("label", "p")]
numbers = [name for name in features if name.startswith("number")]
categories = [name for name in features if name not in numbers]

started, cpu = time.perf_counter(), time.process_time()
definition = DataDefinition(
    numerical_columns=numbers,
    categorical_columns=categories,
    classification=[BinaryClassification(target="label", prediction_probas="p")],
)
report = Report([DataDriftPreset(columns=features), ClassificationPreset()])
snapshot = report.run(
    Dataset.from_pandas(current, data_definition=definition),
    Dataset.from_pandas(reference, data_definition=definition),
)
metrics = len(snapshot.dict()["metrics"])
seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
print(json.dumps({"version": evidently.__version__, "seconds": seconds, "cpu_seconds": cpu, "metrics": metrics}))
