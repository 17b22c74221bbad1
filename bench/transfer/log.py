"""Logs a directory through MLflow's server as often as it is told to, and prints the seconds that took."""

import sys
import time

import mlflow

mlflow.set_experiment("transfer")
for line in sys.stdin:
    with mlflow.start_run():
        start = time.perf_counter()
        mlflow.log_artifacts(line.strip())
        print(time.perf_counter() - start, flush=True)
