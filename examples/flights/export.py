"""Writes the trained trees as ONNX in MLflow's model format.

The graph has one input per feature, named as the column, each of shape [rows, 1]:
text as strings, the rest as INT64. Its outputs are `probability` (FP32, [rows, 1]:
the probability that the flight is late) and `label` (INT64, [rows]: 1 if that is
at least one half). The trees are copied node by node from the booster's own JSON,
so that every threshold keeps its exact float32 value.
"""

import hashlib
import json
import math
import platform

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from contract import BAD_EXPORT, refuse
from features import FEATURES, LABEL, NUMERIC, TEXT

# Old enough for every runtime of the last years, new enough for these operators.
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
IR_VERSION = 8

# What float32 sums in another order may differ by.
TOLERANCE = 1e-5


def tree_attributes(booster):
    """The booster's trees as attributes of ONNX's TreeEnsembleRegressor."""
    learner = json.loads(booster.save_raw("json"))["learner"]
    # A number, or since xgboost 3.1 a list with one number per target.
    base = np.float64(json.loads(learner["learner_model_param"]["base_score"].strip("[]")))
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "modes", "values",
                                 "truenodeids", "falsenodeids", "missing_value_tracks_true")}
    leaves = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        if any(tree["split_type"]):
            refuse("the export knows numeric splits only", BAD_EXPORT)
        for node, left in enumerate(tree["left_children"]):
            leaf = left == -1
            value = tree["split_conditions"][node]
            # xgboost goes left if the feature is strictly below the threshold.
            row = (number, node, tree["split_indices"][node], "LEAF" if leaf else "BRANCH_LT",
                   0.0 if leaf else value, 0 if leaf else left,
                   0 if leaf else tree["right_children"][node], tree["default_left"][node])
            for key, item in zip(nodes, row):
                nodes[key].append(item)
            if leaf:
                for key, item in zip(leaves, (number, node, 0, value)):
                    leaves[key].append(item)
    attributes = {"nodes_" + key: value for key, value in nodes.items()}
    attributes.update({"target_" + key: value for key, value in leaves.items()})
    return attributes, math.log(base / (1 - base))


def build_graph(booster, codes):
    """The whole model, from columns to probability."""
    inputs, nodes, columns = [], [], []
    for name in TEXT:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.STRING, [None, 1]))
        nodes.append(helper.make_node(
            "LabelEncoder", [name], [name + "_code"], domain="ai.onnx.ml",
            keys_strings=codes[name], values_floats=[float(i) for i in range(len(codes[name]))],
            default_float=float(len(codes[name]))))
        columns.append(name + "_code")
    for name in NUMERIC:
        inputs.append(helper.make_tensor_value_info(name, TensorProto.INT64, [None, 1]))
        nodes.append(helper.make_node("Cast", [name], [name + "_float"], to=TensorProto.FLOAT))
        columns.append(name + "_float")
    attributes, base = tree_attributes(booster)
    nodes += [
        helper.make_node("Concat", columns, ["row"], axis=1),
        helper.make_node("TreeEnsembleRegressor", ["row"], ["margin"], domain="ai.onnx.ml",
                         n_targets=1, aggregate_function="SUM", post_transform="NONE",
                         base_values=[base], **attributes),
        helper.make_node("Sigmoid", ["margin"], ["probability"]),
        helper.make_node("GreaterOrEqual", ["probability", "half"], ["is_late"]),
        helper.make_node("Squeeze", ["is_late", "second_axis"], ["is_late_flat"]),
        helper.make_node("Cast", ["is_late_flat"], ["label"], to=TensorProto.INT64),
    ]
    constants = [helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5]),
                 helper.make_tensor("second_axis", TensorProto.INT64, [1], [1])]
    outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
               helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])]
    model = helper.make_model(
        helper.make_graph(nodes, "flights", inputs, outputs, constants),
        opset_imports=OPSETS, ir_version=IR_VERSION, producer_name="flights")
    onnx.checker.check_model(model)
    return model


def feed(table):
    """Rows of a table as the graph's inputs."""
    columns = {name: np.array(table[name].to_pylist(), dtype=object).reshape(-1, 1) for name in TEXT}
    for name in NUMERIC:
        columns[name] = table[name].to_numpy().astype(np.int64).reshape(-1, 1)
    return columns


def check_parity(path, table, expected):
    """Refuse the exported model unless ONNX Runtime predicts what the booster predicts."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    label, probability = session.run(["label", "probability"], feed(table))
    if probability.shape != (len(expected), 1) or label.shape != (len(expected),):
        refuse(f"ONNX Runtime answers with the shapes {probability.shape} and {label.shape} "
               f"for {len(expected)} rows", BAD_EXPORT)
    difference = np.abs(probability[:, 0] - expected)
    worst = int(difference.argmax())
    # Negated, so that a NaN counts as a difference.
    wrong = int((~(difference <= TOLERANCE)).sum())
    if wrong:
        refuse(f"the exported model is not the trained one: row {table['id'][worst].as_py()} "
               f"has {probability[worst, 0]:.6f} in ONNX Runtime and {expected[worst]:.6f} in "
               f"training; {wrong} of {len(expected)} rows differ",
               BAD_EXPORT)
    if not np.array_equal(label, (probability[:, 0] >= 0.5).astype(np.int64)):
        refuse("the exported model's label does not follow from its probability", BAD_EXPORT)
    return float(difference[worst])


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
        # Derived from the content, so that the same training leaves the same files.
        "model_uuid": digest[:32],
        "metadata": {"features": list(FEATURES), "label": LABEL, "onnx_sha256": digest},
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs)},
    }, indent=2) + "\n"


def save_model(folder, booster, codes, sample, expected):
    """Write the model to a folder; return its digest and the largest difference seen."""
    folder.mkdir(parents=True, exist_ok=True)
    content = build_graph(booster, codes).SerializeToString(deterministic=True)
    path = folder / "model.onnx"
    path.write_bytes(content)
    worst = check_parity(path, sample, expected)
    requirements = [f"onnx=={onnx.__version__}", f"onnxruntime=={onnxruntime.__version__}",
                    f"numpy=={np.__version__}"]
    (folder / "requirements.txt").write_text("mlflow\n" + "\n".join(requirements) + "\n")
    (folder / "python_env.yaml").write_text(json.dumps(
        {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}) + "\n")
    digest = hashlib.sha256(content).hexdigest()
    # Last, since this file is what makes the folder a model.
    (folder / "MLmodel").write_text(mlmodel(digest))
    return digest, worst
