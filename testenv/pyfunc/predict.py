"""Load a registered model as any user of MLflow does, and predict.

The arguments name the model (models:/<name>@<alias>); standard input is a JSON
object of columns, standard output one of the model's outputs.
"""

import json
import sys

import mlflow
import numpy as np
import pandas as pd


def main(uri):
    columns = json.load(sys.stdin)
    model = mlflow.pyfunc.load_model(uri)
    answer = model.predict(pd.DataFrame(columns))
    if isinstance(answer, pd.DataFrame):
        answer = {name: answer[name].to_numpy() for name in answer.columns}
    json.dump({name: np.asarray(values).reshape(-1).tolist() for name, values in answer.items()}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
