"""Writes the small ONNX models that the tests load, in MLflow's model format.

    pip install onnx && python build.py

Each directory gets an MLmodel file and a model.onnx of a few hundred bytes.
"""

import pathlib

import onnx
from onnx import TensorProto as T
from onnx import helper as h

HERE = pathlib.Path(__file__).parent

MLMODEL = """\
flavors:
  onnx:
    data: model.onnx
    onnx_version: 1.23.2
    providers:
    - CPUExecutionProvider
  python_function:
    data: model.onnx
    loader_module: mlflow.onnx
"""


def save(name, nodes, inputs, outputs, initializers=()):
    graph = h.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = h.make_model(
        graph,
        opset_imports=[h.make_opsetid("", 17), h.make_opsetid("ai.onnx.ml", 3)],
        producer_name="mainspring-testdata",
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    directory = HERE / name
    directory.mkdir(exist_ok=True)
    (directory / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    (directory / "MLmodel").write_text(MLMODEL)


def value(name, kind, shape):
    return h.make_tensor_value_info(name, kind, shape)


def flights():
    """probability = sigmoid(code(carrier) + distance / 1000 - 1), with
    code(AA) = 0, code(UA) = 1, code(anything else) = -1; label = p > 0.5."""
    nodes = [
        h.make_node("LabelEncoder", ["carrier"], ["code"], domain="ai.onnx.ml",
                    keys_strings=["AA", "UA"], values_floats=[0.0, 1.0], default_float=-1.0),
        h.make_node("Cast", ["distance"], ["miles"], to=T.FLOAT),
        h.make_node("Mul", ["miles", "per_mile"], ["far"]),
        h.make_node("Add", ["code", "far"], ["sum"]),
        h.make_node("Sub", ["sum", "one"], ["logit"]),
        h.make_node("Sigmoid", ["logit"], ["probability"]),
        h.make_node("Greater", ["probability", "half"], ["late"]),
        h.make_node("Cast", ["late"], ["late_int"], to=T.INT64),
        h.make_node("Reshape", ["late_int", "flat"], ["label"]),
    ]
    save(
        "flights", nodes,
        [value("carrier", T.STRING, ["n", 1]), value("distance", T.INT64, ["n", 1])],
        [value("label", T.INT64, ["n"]), value("probability", T.FLOAT, ["n", 1])],
        [
            h.make_tensor("per_mile", T.FLOAT, [1], [0.001]),
            h.make_tensor("one", T.FLOAT, [1], [1.0]),
            h.make_tensor("half", T.FLOAT, [1], [0.5]),
            h.make_tensor("flat", T.INT64, [1], [-1]),
        ],
    )


def echo():
    """Every datatype the runtime feeds, returned as it came."""
    kinds = {"bytes": T.STRING, "bool": T.BOOL,
             "uint8": T.UINT8, "uint16": T.UINT16, "uint32": T.UINT32, "uint64": T.UINT64,
             "int8": T.INT8, "int16": T.INT16, "int32": T.INT32, "int64": T.INT64,
             "fp16": T.FLOAT16, "fp32": T.FLOAT, "fp64": T.DOUBLE}
    save(
        "echo",
        [h.make_node("Identity", [f"in_{n}"], [f"out_{n}"]) for n in kinds],
        [value(f"in_{n}", k, ["n", 2]) for n, k in kinds.items()],
        [value(f"out_{n}", k, ["n", 2]) for n, k in kinds.items()],
    )


def ratio():
    """x / y: gives infinity, which JSON can't hold, for y = 0."""
    save(
        "ratio",
        [h.make_node("Div", ["x", "y"], ["ratio"])],
        [value("x", T.FLOAT, ["n"]), value("y", T.FLOAT, ["n"])],
        [value("ratio", T.FLOAT, ["n"])],
    )


def gather():
    """Row i of a table of three: an index outside -3..2 fails the prediction."""
    save(
        "gather",
        [h.make_node("Gather", ["table", "index"], ["value"])],
        [value("index", T.INT64, ["n"])],
        [value("value", T.FLOAT, ["n"])],
        [h.make_tensor("table", T.FLOAT, [3], [10.0, 20.0, 30.0])],
    )


def total():
    """The sum over the batch: its output has no batch, so joining requests
    would mix them."""
    save(
        "total",
        [h.make_node("ReduceSum", ["x"], ["sum"], keepdims=1)],
        [value("x", T.FLOAT, ["n"])],
        [value("sum", T.FLOAT, ["m"])],
    )


def sequence():
    """An output that is no tensor; loading it must fail."""
    save(
        "sequence",
        [h.make_node("SequenceConstruct", ["x"], ["list"])],
        [value("x", T.FLOAT, ["n"])],
        [h.make_tensor_sequence_value_info("list", T.FLOAT, ["n"])],
    )


if __name__ == "__main__":
    flights()
    echo()
    ratio()
    gather()
    total()
    sequence()
