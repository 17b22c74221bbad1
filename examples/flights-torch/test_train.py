"""Tests of the example, on real flights: python3 -m unittest test_train

Needs PyTorch and the packages of requirements.txt; takes about a minute.
"""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np
import onnxruntime
import pyarrow.compute as pc
import pyarrow.parquet as pq

import features
import model

HERE = pathlib.Path(__file__).parent
FLIGHTS = HERE.parent / "flights"
PARAMS = {"epochs": 3}
SLOW = {"step_delay_ms": 500}


def write_snapshot(root):
    """The first ten days of January as training set, the next three held out."""
    january = pq.read_table(FLIGHTS / "data/2013-01.parquet")
    day = pc.day(january["sched_dep"])
    parts = {"train": january.filter(pc.less(day, 11)),
             "test": january.filter(pc.and_(pc.greater(day, 10), pc.less(day, 14)))}
    for name, part in parts.items():
        (root / name).mkdir(parents=True)
        pq.write_table(part, root / name / "part-0.parquet")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Attempt:
    """One start of the program on some ranks, all in a folder of its own."""

    def __init__(self, case, data, size=2, resume=None, **params):
        self.root = pathlib.Path(tempfile.mkdtemp(dir=case.folder.name))
        self.ranks = []
        case.addCleanup(self.kill)
        port = free_port()
        for rank in range(size):
            env = {k: v for k, v in os.environ.items()
                   if not k.startswith(("MAINSPRING_", "CUDA_"))}
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size),
                    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
                    "OMP_NUM_THREADS": "1", "MAINSPRING_DATA_DIR": str(data),
                    "MAINSPRING_PARAMS": json.dumps({**PARAMS, **params}),
                    "MAINSPRING_CHECKPOINT_DIR": str(self.root / "checkpoints"),
                    "MAINSPRING_PROGRESS": str(self.root / "progress.jsonl"),
                    "MAINSPRING_MODEL_DIR": str(self.root / "model")}
            if resume:
                env["MAINSPRING_RESUME_DIR"] = str(resume)
            self.ranks.append(subprocess.Popen(
                [sys.executable, str(HERE / "train.py")], env=env, text=True,
                start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))

    def wait(self, timeout=90):
        """The ranks' exit statuses and all they wrote."""
        outputs = [rank.communicate(timeout=timeout) for rank in self.ranks]
        return [rank.returncode for rank in self.ranks], "".join(o + e for o, e in outputs)

    def kill(self):
        for rank in self.ranks:
            if rank.poll() is None:
                os.killpg(rank.pid, signal.SIGKILL)
                rank.communicate()

    def progress(self):
        path = self.root / "progress.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for_checkpoint(self, name, timeout=90):
        deadline = time.monotonic() + timeout
        path = self.root / "checkpoints" / name
        while not path.exists():
            if time.monotonic() > deadline or any(r.poll() is not None for r in self.ranks):
                self.kill()
                raise AssertionError(f"{name} was not written")
            time.sleep(0.02)
        return path

    def model(self):
        return {p.name: p.read_bytes() for p in (self.root / "model").iterdir()}


class TrainingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.data = pathlib.Path(cls.folder.name, "data")
        write_snapshot(cls.data)
        cls.reference = None

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_to_end(self, **options):
        attempt = Attempt(self, self.data, **options)
        codes, output = attempt.wait()
        self.assertEqual(set(codes), {0}, output)
        weights = re.findall(r"holds weights (\w+)", output)
        self.assertEqual((len(weights), len(set(weights))), (len(attempt.ranks), 1), output)
        return attempt

    def uninterrupted(self):
        """An undisturbed training, done once for all tests."""
        if TrainingTest.reference is None:
            TrainingTest.reference = self.run_to_end()
        return TrainingTest.reference

    def test_ranks_agree_and_leave_a_model(self):
        attempt = self.uninterrupted()
        self.assertEqual(set(attempt.model()),
                         {"MLmodel", "model.onnx", "requirements.txt", "python_env.yaml"})
        lines = attempt.progress()
        self.assertEqual([(line["step"], line["of"]) for line in lines], [(1, 3), (2, 3), (3, 3)])
        self.assertLess(lines[-1]["loss"], lines[0]["loss"])
        self.assertTrue(all(0.2 < line["eval_loss"] < 0.8 for line in lines))

    def test_killed_and_resumed_gives_the_same_model(self):
        killed = Attempt(self, self.data, **SLOW)
        checkpoint = killed.wait_for_checkpoint("step-1")
        killed.kill()
        resumed = self.run_to_end(resume=checkpoint)
        self.assertEqual([line["step"] for line in resumed.progress()], [2, 3])
        self.assertEqual(resumed.model(), self.uninterrupted().model())

    def test_sigterm_leaves_a_checkpoint(self):
        stopped = Attempt(self, self.data, checkpoint_every=2, epochs=50, **SLOW)
        stopped.wait_for_checkpoint("step-2")
        # One rank hears it first; both must leave after the same epoch.
        os.kill(stopped.ranks[1].pid, signal.SIGTERM)
        codes, output = stopped.wait()
        self.assertEqual(codes, [143, 143], output)
        step = stopped.progress()[-1]["step"]
        self.assertTrue((stopped.root / f"checkpoints/step-{step}/state.pt").exists())
        self.assertEqual(output.count(f"stopped at step {step}\n"), 2, output)

    def test_a_lost_rank_ends_the_other(self):
        attempt = Attempt(self, self.data, epochs=50, **SLOW)
        attempt.wait_for_checkpoint("step-1")
        attempt.ranks[1].kill()
        codes, output = attempt.wait(timeout=30)
        self.assertEqual(codes[0], 1, output)
        self.assertIn("another rank is probably gone", output)

    def test_missing_column_is_named(self):
        data = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))
        write_snapshot(data)
        path = data / "test/part-0.parquet"
        pq.write_table(pq.read_table(path).drop_columns(["dest"]), path)
        codes, output = Attempt(self, data, size=1).wait()
        self.assertEqual(codes, [2])
        self.assertIn(f"{path}: there is no column 'dest'", output)

    def test_inputs_are_the_columns(self):
        path = self.uninterrupted().root / "model/model.onnx"
        session = onnxruntime.InferenceSession(str(path))
        self.assertEqual(
            [(i.name, i.type, len(i.shape), i.shape[1]) for i in session.get_inputs()],
            [(name, "tensor(string)", 2, 1) for name in features.TEXT]
            + [(name, "tensor(int64)", 2, 1) for name in features.NUMERIC])
        rows = pq.read_table(self.data / "test").slice(0, 50)
        label, probability = session.run(["label", "probability"], model.feed(rows))
        self.assertEqual((label.shape, probability.shape), ((50,), (50, 1)))
        expected = probability[:, 0].copy()
        model.check_parity(path, rows, expected)
        expected[7] = np.nan
        with self.assertRaises(SystemExit) as refused:
            model.check_parity(path, rows, expected)
        self.assertEqual(refused.exception.code, 3)

    def test_copies_are_equal(self):
        for name in ("contract.py", "features.py"):
            self.assertEqual((HERE / name).read_text(), (FLIGHTS / name).read_text(),
                             f"copy {name} from ../flights")


if __name__ == "__main__":
    unittest.main()
