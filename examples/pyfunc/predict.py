"""Makes the gate's predictions as a program of one's own: runtime `command`.
It reads the model and the held-out rows, and writes one prediction per row.
"""

import json
import os
import pathlib
import time

import mlflow.pyfunc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model import FEATURES

KEY = "id"


def main():
    model = mlflow.pyfunc.load_model(os.environ["MAINSPRING_MODEL_DIR"])
    files = sorted(pathlib.Path(os.environ["MAINSPRING_DATA_DIR"], "test").glob("*.parquet"))
    rows = pa.concat_tables([pq.read_table(f, columns=[KEY, *FEATURES]) for f in files])
    frame = rows.select(FEATURES).to_pandas().astype(float)
    minutes = model.predict(frame)["minutes"].to_numpy()
    pq.write_table(pa.table({KEY: rows[KEY], "minutes": minutes}), os.environ["MAINSPRING_PREDICTIONS"])
    if path := os.environ.get("MAINSPRING_LATENCY"):
        took = []
        for i in range(min(100, len(frame))):
            began = time.perf_counter()
            model.predict(frame.iloc[[i]])
            took.append(1000 * (time.perf_counter() - began))
        figures = {"requests": len(took), "p50_ms": float(np.median(took)), "p99_ms": float(np.quantile(took, 0.99))}
        pathlib.Path(path).write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
