"""The network, and its export in MLflow's model format.

The exported graph takes the columns themselves, one input each of shape [rows, 1]:
text as strings, the rest as INT64. Nodes in front of the network turn text into the
codes of features.py. The outputs are `probability` (FP32, [rows, 1]) and `label`
(INT64, [rows]: 1 if the probability is at least one half).
"""

import hashlib
import inspect
import io
import json
import platform

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from contract import BAD_EXPORT, refuse
from features import FEATURES, LABEL, NUMERIC, TEXT

OPSET, IR_VERSION = 16, 8
TOLERANCE = 1e-5
EMBEDDING = 8


class Network(torch.nn.Module):
    """Rows as features.matrix gives them in, one logit per row out."""

    def __init__(self, codes, mean, scale, width):
        super().__init__()
        # The code after the last means "never seen": a zero vector, which is not trained.
        self.embeddings = torch.nn.ModuleList(
            torch.nn.Embedding(len(codes[name]) + 1, EMBEDDING, padding_idx=len(codes[name]))
            for name in TEXT)
        self.register_buffer("mean", torch.as_tensor(mean))
        self.register_buffer("scale", torch.as_tensor(scale))
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(EMBEDDING * len(TEXT) + len(NUMERIC), width), torch.nn.ReLU(),
            torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, 1))

    def forward(self, rows):
        text = [e(rows[:, i].long()) for i, e in enumerate(self.embeddings)]
        numbers = (rows[:, len(TEXT):] - self.mean) / self.scale
        return self.layers(torch.cat([*text, numbers], dim=1))


def columns_to_rows(codes):
    """Graph inputs, and the nodes that make one float matrix of them."""
    inputs, nodes, parts = [], [], []
    for name in TEXT:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, [None, 1]))
        nodes.append(helper.make_node(
            "LabelEncoder", [name], [name + "_code"], domain="ai.onnx.ml",
            keys_strings=codes[name], values_floats=[float(i) for i in range(len(codes[name]))],
            default_float=float(len(codes[name]))))
        parts.append(name + "_code")
    for name in NUMERIC:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, [None, 1]))
        nodes.append(helper.make_node("Cast", [name], [name + "_float"], to=TensorProto.FLOAT))
        parts.append(name + "_float")
    nodes.append(helper.make_node("Concat", parts, ["rows"], axis=1))
    return inputs, nodes


def build_graph(network, codes):
    """The network as torch exports it, with the columns in front and the answer behind."""
    buffer = io.BytesIO()
    options = {"input_names": ["rows"], "output_names": ["logit"], "opset_version": OPSET,
               "dynamic_axes": {"rows": {0: "n"}, "logit": {0: "n"}}}
    # Newer versions have another exporter as default, which needs more packages.
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        options["dynamo"] = False
    torch.onnx.export(network, torch.zeros(2, len(FEATURES)), buffer, **options)
    core = onnx.load_from_string(buffer.getvalue()).graph
    inputs, front = columns_to_rows(codes)
    behind = [
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
        helper.make_node("GreaterOrEqual", ["probability", "half"], ["is_late"]),
        helper.make_node("Squeeze", ["is_late", "second_axis"], ["is_late_flat"]),
        helper.make_node("Cast", ["is_late_flat"], ["label"], to=TensorProto.INT64),
    ]
    constants = [helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5]),
                 helper.make_tensor("second_axis", TensorProto.INT64, [1], [1])]
    outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
               helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])]
    model = helper.make_model(
        helper.make_graph([*front, *core.node, *behind], "flights", inputs, outputs,
                          [*core.initializer, *constants]),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=IR_VERSION, producer_name="flights-torch")
    onnx.checker.check_model(model)
    return model


def feed(table):
    """Rows of a table as the graph's inputs."""
    columns = {name: np.array(table[name].to_pylist(), dtype=object).reshape(-1, 1) for name in TEXT}
    for name in NUMERIC:
        columns[name] = table[name].to_numpy().astype(np.int64).reshape(-1, 1)
    return columns


def check_parity(path, table, expected):
    """Refuse the exported model unless ONNX Runtime predicts what torch predicts."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    label, probability = session.run(["label", "probability"], feed(table))
    difference = np.abs(probability[:, 0] - expected)
    # Negated, so that a NaN counts as a difference.
    wrong = int((~(difference <= TOLERANCE)).sum())
    if wrong or not np.array_equal(label, (probability[:, 0] >= 0.5).astype(np.int64)):
        refuse(f"the exported model is not the trained one: {wrong} of {len(expected)} rows "
               f"differ, by up to {difference.max():.6f}", BAD_EXPORT)
    return float(difference.max())


def mlmodel(digest):
    """The MLmodel file. JSON is YAML too, so no YAML library is needed."""
    def tensor(name, dtype, shape):
        return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}

    inputs = [tensor(name, "str", [-1, 1]) for name in TEXT]
    inputs += [tensor(name, "int64", [-1, 1]) for name in NUMERIC]
    outputs = [tensor("label", "int64", [-1]), tensor("probability", "float32", [-1, 1])]
    return json.dumps({
        "artifact_path": "model",
        "flavors": {
            "onnx": {"data": "model.onnx", "onnx_version": onnx.__version__,
                     "providers": ["CPUExecutionProvider"]},
            "python_function": {"data": "model.onnx", "loader_module": "mlflow.onnx",
                                "python_version": platform.python_version(),
                                "env": {"virtualenv": "python_env.yaml"}},
        },
        "model_uuid": digest[:32],
        "metadata": {"features": list(FEATURES), "label": LABEL, "onnx_sha256": digest},
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)},
    }, indent=2) + "\n"


def save_model(folder, network, codes, sample, expected):
    """Write the model to a folder; return its digest and the largest difference seen."""
    folder.mkdir(parents=True, exist_ok=True)
    content = build_graph(network, codes).SerializeToString(deterministic=True)
    path = folder / "model.onnx"
    path.write_bytes(content)
    worst = check_parity(path, sample, expected)
    (folder / "requirements.txt").write_text(
        f"mlflow\nonnx=={onnx.__version__}\nonnxruntime=={onnxruntime.__version__}\n")
    (folder / "python_env.yaml").write_text(json.dumps(
        {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}) + "\n")
    digest = hashlib.sha256(content).hexdigest()
    # Last, since this file is what makes the folder a model.
    (folder / "MLmodel").write_text(mlmodel(digest))
    return digest, worst
