"""Predicts held-out rows with mlflow.pyfunc and times single rows.

    python predict_pyfunc.py REQUEST.json

The request names everything; see pyfuncRequest in hosts_predict_pyfunc.go. Why
there are no answers goes to the failure file, in words for people.
"""

import json
import math
import os
import sys
import time
import traceback

INVALID, ENVIRONMENT = "ModelRejected", "EnvironmentFailed"


class Refused(Exception):
    """A failure that is explained."""

    def __init__(self, kind, message, hint=""):
        super().__init__(message)
        self.kind, self.message, self.hint = kind, message, hint


def packages():
    try:
        import mlflow.pyfunc
        import numpy
        import pandas
    except ImportError as error:
        raise Refused(
            ENVIRONMENT,
            f"runtime pyfunc needs mlflow and pandas in train.environment: {error}",
            "add them to train.environment.requirements, or choose another evaluate.predict.runtime",
        ) from error
    return mlflow.pyfunc, numpy, pandas


def load(pyfunc, path):
    try:
        return pyfunc.load_model(path)
    except Exception as error:
        traceback.print_exc()
        raise Refused(
            INVALID,
            f"mlflow.pyfunc can't load the model: {type(error).__name__}: {error}",
            "load it with mlflow.pyfunc.load_model in the training's environment; what the model imports must be in train.environment or train.code",
        ) from error


def read_rows(pandas, path, columns):
    """One file of rows, with the types that pandas gives the snapshot's Parquet."""
    with open(path, encoding="utf-8") as file:
        values = json.load(file)
    kinds = {"int64": "int64", "float64": "float64", "bool": "bool"}
    frame = {}
    for column in columns:
        cells, kind = values[column["name"]], kinds.get(column["type"], "object")
        if kind == "int64" and None in cells:
            kind = "float64"
        if kind == "bool" and None in cells:
            kind = "object"
        frame[column["name"]] = pandas.Series(cells, dtype=kind)
    return pandas.DataFrame(frame)


def fit_signature(numpy, frame, model):
    """Casts numbers to the types in the model's signature, where no value changes.
    MLflow itself refuses int64 for a column that was saved as int32 or float32."""
    schema = model.metadata.get_input_schema() if model.metadata else None
    for spec in getattr(schema, "inputs", None) or []:
        name = getattr(spec, "name", None)
        if name not in frame.columns or frame[name].dtype == object:
            continue
        wanted = spec.type if isinstance(spec.type, numpy.dtype) else spec.type.to_numpy()
        column = frame[name]
        if wanted.kind not in "iuf" or column.dtype == wanted:
            continue
        if wanted.kind in "iu" and not numpy.isfinite(column).all():
            continue
        cast = column.astype(wanted)
        rounds = wanted.kind == "f" and column.dtype.kind == "f"
        if rounds or (cast.astype(column.dtype) == column).all():
            frame[name] = cast
    return frame


def pick(numpy, answer, request):
    """The numbers in what the model returned, as an array with the rows first."""
    output, classes = request["output"], request["classes"] or []
    if hasattr(answer, "columns"):
        names = list(answer.columns)
        if output in names:
            return stacked(numpy, answer[output])
        if request["task"] == "multiclass":
            for wanted in (classes, [f"p{i}" for i in range(len(names))]):
                if wanted and all(name in names for name in wanted):
                    return numpy.asarray(answer[wanted], dtype="float64")
        if len(names) == 1 or names == list(range(len(names))):
            return numpy.asarray(answer, dtype="float64")
        raise missing(output, names)
    if isinstance(answer, dict):
        if output in answer:
            return stacked(numpy, answer[output])
        if len(answer) == 1:
            return stacked(numpy, next(iter(answer.values())))
        raise missing(output, list(answer))
    return stacked(numpy, answer)


def stacked(numpy, values):
    array = numpy.asarray(values)
    if array.dtype == object:
        array = numpy.stack([numpy.asarray(v) for v in array])
    if array.ndim == 0:
        array = array.reshape(1)
    return array.astype("float64")


def missing(output, names):
    listed = ", ".join(map(str, names))
    return Refused(
        INVALID,
        f'there is no output "{output}"; the outputs are {listed}',
        "set evaluate.prediction to the output that holds the prediction",
    )


def predict(numpy, model, frame, request):
    try:
        answer = model.predict(frame)
    except Exception as error:
        traceback.print_exc()
        raise Refused(INVALID, f"the prediction failed: {type(error).__name__}: {error}") from error
    try:
        array = pick(numpy, answer, request)
    except (TypeError, ValueError) as error:
        raise Refused(INVALID, f'output "{request["output"]}" holds no numbers: {error}') from error
    if array.shape[0] != len(frame):
        raise Refused(INVALID, f'output "{request["output"]}" has the shape {list(array.shape)} for {len(frame)} rows')
    return array


def time_rows(numpy, model, frames, request):
    """Milliseconds of single rows, spread over one file of rows at a time."""
    frame = frames(0)
    count, wanted = len(frame), request["requests"]
    # MLflow looks for the label 0 in a frame, as a server's requests have it.
    single = [frame.iloc[[i * count // wanted]].reset_index(drop=True) for i in range(wanted)]
    began = time.monotonic()
    for row in single[: request["warm_ups"]]:
        predict(numpy, model, row, request)
        if time.monotonic() - began > 1:
            break
    took, began = [], time.monotonic()
    for row in single:
        start = time.perf_counter()
        predict(numpy, model, row, request)
        took.append(1000 * (time.perf_counter() - start))
        if time.monotonic() - began > request["seconds"]:
            break
    took.sort()
    rank = lambda share: took[max(0, math.ceil(share * len(took)) - 1)]
    return {"requests": len(took), "p50_ms": rank(0.5), "p99_ms": rank(0.99)}


def run(request):
    sys.path.insert(0, os.getcwd())  # train.code, for the classes of pickled models
    pyfunc, numpy, pandas = packages()
    model = load(pyfunc, request["model"])

    def frames(i):
        return fit_signature(numpy, read_rows(pandas, request["rows"][i], request["columns"]), model)

    rows, seconds, width, batch = 0, 0.0, None, 4096
    with open(request["answers"], "wb") as out:
        for i in range(len(request["rows"])):
            frame = frames(i)
            for at in range(0, len(frame), batch):
                part = frame.iloc[at : at + batch].reset_index(drop=True)
                began = time.monotonic()
                array = predict(numpy, model, part, request)
                seconds += time.monotonic() - began
                if width not in (None, array.shape[1:]):
                    raise Refused(INVALID, f'output "{request["output"]}" changes its shape from batch to batch')
                width = array.shape[1:]
                out.write(array.astype("<f8").tobytes())
                rows += len(part)
    with open(request["latency"], "w", encoding="utf-8") as file:
        json.dump(time_rows(numpy, model, frames, request), file)
    with open(request["shape"], "w", encoding="utf-8") as file:
        json.dump({"shape": [rows, *width], "seconds": seconds}, file)


def main(path):
    with open(path, encoding="utf-8") as file:
        request = json.load(file)
    try:
        run(request)
    except Refused as refused:
        with open(request["failure"], "w", encoding="utf-8") as file:
            json.dump({"kind": refused.kind, "message": refused.message, "hint": refused.hint}, file)
        sys.exit(f"{refused.message} ({refused.hint})")


if __name__ == "__main__":
    main(sys.argv[1])
