"""Ask a server of the Open Inference Protocol as a stranger does: with NVIDIA's
tritonclient, over HTTP (binary tensors, its default, and JSON) and gRPC.

    python client.py HTTP_ADDRESS GRPC_ADDRESS MODEL

The model returns each input in_KIND of shape [n, 2] as out_KIND. GRPC_ADDRESS
may be "-": then gRPC is not asked. Prints the names of what was checked.
"""

import json
import sys
import unittest
import urllib.error
import urllib.request

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

HTTP, GRPC, MODEL = sys.argv[1:4] if len(sys.argv) > 3 else ("", "-", "")

COLUMNS = {
    "bytes": ("BYTES", np.array([["a", "ß"], ["", "x" * 300]], dtype=object)),
    "bool": ("BOOL", np.array([[True, False], [False, False]])),
    "uint8": ("UINT8", np.array([[0, 255], [1, 2]], dtype=np.uint8)),
    "uint16": ("UINT16", np.array([[0, 65535], [1, 2]], dtype=np.uint16)),
    "uint32": ("UINT32", np.array([[0, 2**32 - 1], [1, 2]], dtype=np.uint32)),
    "uint64": ("UINT64", np.array([[0, 2**64 - 1], [2**53 + 1, 2]], dtype=np.uint64)),
    "int8": ("INT8", np.array([[-128, 127], [0, 1]], dtype=np.int8)),
    "int16": ("INT16", np.array([[-(2**15), 2**15 - 1], [0, 1]], dtype=np.int16)),
    "int32": ("INT32", np.array([[-(2**31), 2**31 - 1], [0, 1]], dtype=np.int32)),
    "int64": ("INT64", np.array([[-(2**63), 2**63 - 1], [2**53 + 1, 1]], dtype=np.int64)),
    "fp32": ("FP32", np.array([[0.1, -1e-40], [3.4e38, 7]], dtype=np.float32)),
    "fp64": ("FP64", np.array([[0.1, 5e-324], [1.7e308, 1 / 3]], dtype=np.float64)),
    "fp16": ("FP16", np.array([[0.1, -1], [65504, 0.5]], dtype=np.float16)),
}


def text(values):
    """BYTES come back as bytes."""
    return np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v, otypes=[object])(values)


def inputs_of(module, columns, binary=None):
    made = []
    for kind, (datatype, values) in columns.items():
        tensor = module.InferInput("in_" + kind, list(values.shape), datatype)
        if binary is None:
            tensor.set_data_from_numpy(values)
        else:
            tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return made


class Checks:
    """What both transports have to do; self.client, self.module are theirs."""

    def same(self, result, columns=COLUMNS):
        for kind, (_, values) in columns.items():
            got = result.as_numpy("out_" + kind)
            self.assertIsNotNone(got, kind)
            self.assertEqual(got.shape, values.shape, kind)
            np.testing.assert_array_equal(text(got) if kind == "bytes" else got, values, kind)

    def test_health_and_metadata(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready(MODEL))
        server, model = self.metadata()
        self.assertTrue(server["name"])
        self.assertEqual(model["name"], MODEL)
        self.assertEqual({i["name"]: i["datatype"] for i in model["inputs"]}, {"in_" + k: d for k, (d, _) in COLUMNS.items()})
        self.assertEqual({o["name"] for o in model["outputs"]}, {"out_" + k for k in COLUMNS})

    def test_every_datatype(self):
        result = self.client.infer(MODEL, inputs_of(self.module, COLUMNS), request_id="stranger-1")
        self.same(result)
        self.assertEqual(self.id_of(result), "stranger-1")

    def test_chosen_outputs(self):
        wanted = [self.module.InferRequestedOutput("out_fp32")]
        result = self.client.infer(MODEL, inputs_of(self.module, COLUMNS), outputs=wanted)
        np.testing.assert_array_equal(result.as_numpy("out_fp32"), COLUMNS["fp32"][1])
        self.assertIsNone(result.as_numpy("out_fp64"))

    def test_bytes_that_are_no_text(self):
        columns = dict(COLUMNS, bytes=("BYTES", np.array([[b"\xff\xfe", b""], [b"\xc3(", b"ok"]], dtype=object)))
        result = self.client.infer(MODEL, inputs_of(self.module, columns))
        np.testing.assert_array_equal(result.as_numpy("out_bytes"), columns["bytes"][1])

    def test_floats_that_json_lacks(self):
        columns = dict(COLUMNS, fp32=("FP32", np.array([[np.inf, -np.inf], [np.nan, 0]], dtype=np.float32)))
        result = self.client.infer(MODEL, inputs_of(self.module, columns))
        np.testing.assert_array_equal(result.as_numpy("out_fp32"), columns["fp32"][1])

    def test_unknown_model(self):
        with self.assertRaises(InferenceServerException) as raised:
            self.client.infer("no-such-model", inputs_of(self.module, COLUMNS))
        self.assertIn(str(raised.exception.status()), ("404", "StatusCode.NOT_FOUND"))
        self.assertIn("model", raised.exception.message())

    def test_wrong_shape_names_the_input(self):
        columns = dict(COLUMNS, fp64=("FP64", np.zeros((2, 3))))
        with self.assertRaises(InferenceServerException) as raised:
            self.client.infer(MODEL, inputs_of(self.module, columns))
        self.assertIn(str(raised.exception.status()), ("400", "StatusCode.INVALID_ARGUMENT"))
        self.assertIn("in_fp64", raised.exception.message())

    def test_missing_input_is_named(self):
        columns = {k: c for k, c in COLUMNS.items() if k != "int8"}
        with self.assertRaises(InferenceServerException) as raised:
            self.client.infer(MODEL, inputs_of(self.module, columns))
        self.assertIn("in_int8", raised.exception.message())


class OverHTTP(Checks, unittest.TestCase):
    module = tritonclient.http

    def setUp(self):
        self.client = tritonclient.http.InferenceServerClient(HTTP)
        self.addCleanup(self.client.close)

    def metadata(self):
        return self.client.get_server_metadata(), self.client.get_model_metadata(MODEL)

    def id_of(self, result):
        return result.get_response()["id"]

    def test_json_in_and_out(self):
        columns = {k: c for k, c in COLUMNS.items() if k != "fp16"}  # tritonclient has no JSON for it
        half = tritonclient.http.InferInput("in_fp16", [2, 2], "FP16")
        half.set_data_from_numpy(COLUMNS["fp16"][1], binary_data=True)
        outputs = [tritonclient.http.InferRequestedOutput("out_" + k, binary_data=False) for k in columns]
        result = self.client.infer(MODEL, inputs_of(self.module, columns, binary=False) + [half], outputs=outputs)
        self.same(result, columns)

    def test_json_in_and_binary_out(self):
        columns = {k: c for k, c in COLUMNS.items() if k != "fp16"}
        half = tritonclient.http.InferInput("in_fp16", [2, 2], "FP16")
        half.set_data_from_numpy(COLUMNS["fp16"][1], binary_data=True)
        self.same(self.client.infer(MODEL, inputs_of(self.module, columns, binary=False) + [half]), COLUMNS)

    def test_many_at_once(self):
        client = tritonclient.http.InferenceServerClient(HTTP, concurrency=8)
        self.addCleanup(client.close)
        for answer in [client.async_infer(MODEL, inputs_of(self.module, COLUMNS)) for _ in range(32)]:
            self.same(answer.get_result())


class PlainJSON(unittest.TestCase):
    """The protocol's JSON without a library."""

    def ask(self, path, body=None):
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        request = urllib.request.Request(f"http://{HTTP}{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read())

    def request(self, nested=False, **more):
        def data(datatype, values):
            values = values.astype(float) if datatype == "FP16" else values
            return values.tolist() if nested else values.reshape(-1).tolist()

        tensors = [
            {"name": "in_" + k, "datatype": d, "shape": list(v.shape), "data": data(d, v)} for k, (d, v) in COLUMNS.items()
        ]
        return dict({"inputs": tensors}, **more)

    def test_nested_and_flat_data_mean_the_same(self):
        flat, nested = (self.ask(f"/v2/models/{MODEL}/infer", self.request(nested=n, id="n")) for n in (False, True))
        self.assertEqual(flat[0], 200, flat[1])
        self.assertEqual(flat, nested)
        outputs = {o["name"]: o for o in flat[1]["outputs"]}
        self.assertEqual(outputs["out_bytes"]["data"], COLUMNS["bytes"][1].reshape(-1).tolist())
        self.assertEqual(outputs["out_uint64"]["data"], COLUMNS["uint64"][1].reshape(-1).tolist())
        self.assertEqual(outputs["out_fp64"]["data"], COLUMNS["fp64"][1].reshape(-1).tolist())
        self.assertEqual(outputs["out_fp64"]["shape"], [2, 2])

    def test_no_outputs_named_means_all(self):
        for more in ({}, {"outputs": []}):
            status, answer = self.ask(f"/v2/models/{MODEL}/infer", self.request(**more))
            self.assertEqual(status, 200, answer)
            self.assertEqual({o["name"] for o in answer["outputs"]}, {"out_" + k for k in COLUMNS})

    def test_id_and_names_come_back(self):
        status, answer = self.ask(f"/v2/models/{MODEL}/infer", self.request(id="stranger-2"))
        self.assertEqual(status, 200, answer)
        self.assertEqual((answer["id"], answer["model_name"]), ("stranger-2", MODEL))

    def test_errors_have_a_body(self):
        status, answer = self.ask("/v2/models/no-such-model/infer", self.request())
        self.assertEqual(status, 404, answer)
        self.assertTrue(answer["error"])
        for path in ("/v2/models/no-such-model", "/v2/models/no-such-model/ready"):
            status, _ = self.ask(path)
            self.assertEqual(status, 404, path)
        for body, words in (
            (b"{", ""),
            (b"", ""),
            ({"inputs": []}, "in_"),
            (self.request(outputs=[{"name": "no_such_output"}]), "no_such_output"),
        ):
            status, answer = self.ask(f"/v2/models/{MODEL}/infer", body)
            self.assertEqual(status, 400, (body, answer))
            self.assertTrue(answer["error"])
            self.assertIn(words, answer["error"])


class OverGRPC(Checks, unittest.TestCase):
    module = tritonclient.grpc

    def setUp(self):
        if GRPC == "-":
            self.skipTest("no gRPC address")
        self.client = tritonclient.grpc.InferenceServerClient(GRPC)
        self.addCleanup(self.client.close)

    def metadata(self):
        return self.client.get_server_metadata(as_json=True), self.client.get_model_metadata(MODEL, as_json=True)

    def id_of(self, result):
        return result.get_response().id


if __name__ == "__main__":
    loaded = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    result = unittest.TextTestRunner(verbosity=2).run(loaded)
    print(json.dumps({"run": result.testsRun, "failed": len(result.failures) + len(result.errors), "skipped": len(result.skipped)}))
    sys.exit(0 if result.wasSuccessful() else 1)
