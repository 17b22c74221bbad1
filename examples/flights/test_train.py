"""Tests of the example, on real flights: python3 -m unittest test_train

Needs the packages of requirements.txt and takes less than a minute.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import export
import features

HERE = pathlib.Path(__file__).parent
PARAMS = {"rounds": 30, "checkpoint_every": 5, "report_every": 5, "max_depth": 4}
SLOW = {"step_delay_ms": 100}


def write_snapshot(root):
    """January as training set, the first week of February held out."""
    february = pq.read_table(HERE / "data/2013-02.parquet")
    parts = {"train": pq.read_table(HERE / "data/2013-01.parquet"),
             "test": february.filter(pc.less(pc.day(february["sched_dep"]), 8))}
    for name, part in parts.items():
        (root / name).mkdir(parents=True)
        pq.write_table(part, root / name / "part-0.parquet")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Attempt:
    """One start of the program on some ranks, all in a folder of its own."""

    def __init__(self, case, data, size=2, resume=None, late_s=0.0, **params):
        self.root = pathlib.Path(tempfile.mkdtemp(dir=case.folder.name))
        self.ranks = []
        case.addCleanup(self.kill)
        port = free_port()
        for rank in range(size):
            # Rank 0, which the others have to find, comes last.
            if rank == size - 1 and late_s:
                time.sleep(late_s)
            self.start(size - 1 - rank, size, port, data, resume, {**PARAMS, **params})

    def start(self, rank, size, port, data, resume, params):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAINSPRING_", "CUDA_"))}
        env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
                "MAINSPRING_DATA_DIR": str(data), "MAINSPRING_PARAMS": json.dumps(params),
                "MAINSPRING_CHECKPOINT_DIR": str(self.root / "checkpoints"),
                "MAINSPRING_PROGRESS": str(self.root / "progress.jsonl"),
                "MAINSPRING_MODEL_DIR": str(self.root / "model"),
                "MAINSPRING_OOF_PATH": str(self.root / "out_of_fold.parquet")}
        if resume:
            env["MAINSPRING_RESUME_DIR"] = str(resume)
        self.ranks.append(subprocess.Popen(
            [sys.executable, str(HERE / "train.py")], env=env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE))

    def wait(self, timeout=50):
        """The ranks' exit statuses and all they wrote, rank 0 last."""
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

    def wait_for_step(self, step, timeout=50):
        deadline = time.monotonic() + timeout
        while not any(line["step"] >= step for line in self.progress()):
            if time.monotonic() > deadline or any(r.poll() is not None for r in self.ranks):
                self.kill()
                raise AssertionError(f"step {step} was not reached")
            time.sleep(0.02)

    def checkpoints(self):
        found = (self.root / "checkpoints").glob("step-*")
        return sorted((p for p in found if p.suffix != ".tmp"), key=lambda p: int(p.name[5:]))

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
        return attempt

    def uninterrupted(self):
        """An undisturbed training, done once for all tests."""
        if TrainingTest.reference is None:
            TrainingTest.reference = self.run_to_end()
        return TrainingTest.reference

    def test_leaves_model_progress_and_checkpoints(self):
        attempt = self.uninterrupted()
        self.assertEqual(set(attempt.model()),
                         {"MLmodel", "model.onnx", "requirements.txt", "python_env.yaml"})
        lines = attempt.progress()
        self.assertEqual([line["step"] for line in lines], [5, 10, 15, 20, 25, 30])
        self.assertEqual({line["of"] for line in lines}, {30})
        self.assertLess(lines[-1]["loss"], lines[0]["loss"])
        self.assertTrue(all(0.3 < line["eval_loss"] < 0.7 for line in lines))
        self.assertEqual([p.name for p in attempt.checkpoints()],
                         [f"step-{n}" for n in (5, 10, 15, 20, 25, 30)])

    def test_out_of_fold_predictions_cover_every_training_row(self):
        attempt = self.uninterrupted()
        found = pq.read_table(attempt.root / "out_of_fold.parquet")
        train = pq.read_table(self.data / "train")
        self.assertEqual(found["id"].to_pylist(), train["id"].to_pylist())
        p, y = found["prediction"].to_numpy(), train["late"].to_numpy()
        loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        # Worse than on rows the model has seen, better than knowing nothing but the rate.
        rate = y.mean()
        self.assertGreater(loss, attempt.progress()[-1]["loss"] + 0.001)
        self.assertLess(loss, -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate)))

    def test_same_bytes_though_rank_0_comes_late(self):
        attempt = self.run_to_end(late_s=1.5)
        self.assertEqual(attempt.model(), self.uninterrupted().model())

    def test_killed_and_resumed_gives_the_same_model(self):
        killed = Attempt(self, self.data, **SLOW)
        killed.wait_for_step(15)
        killed.kill()
        newest = killed.checkpoints()[-1]
        self.assertIn(newest.name, ("step-10", "step-15", "step-20"))
        resumed = self.run_to_end(resume=newest)
        self.assertGreater(resumed.progress()[0]["step"], 10)
        self.assertEqual(resumed.model(), self.uninterrupted().model())
        self.assertEqual(pq.read_table(resumed.root / "out_of_fold.parquet"),
                         pq.read_table(self.uninterrupted().root / "out_of_fold.parquet"))

    def test_sigterm_leaves_a_checkpoint(self):
        stopped = Attempt(self, self.data, **SLOW)
        stopped.wait_for_step(5)
        # One rank hears it first; both must leave at the same step.
        os.kill(stopped.ranks[0].pid, signal.SIGTERM)
        codes, output = stopped.wait()
        self.assertEqual(codes, [143, 143], output)
        newest = stopped.checkpoints()[-1]
        self.assertIn(f"rank 0 stopped at step {newest.name[5:]}\n", output)
        self.assertIn(f"rank 1 stopped at step {newest.name[5:]}\n", output)
        self.assertFalse((stopped.root / "model").exists())
        resumed = self.run_to_end(resume=newest)
        self.assertEqual(resumed.model(), self.uninterrupted().model())

    def test_a_lost_rank_ends_the_other(self):
        for victim in (0, 1):
            attempt = Attempt(self, self.data, **SLOW)
            attempt.wait_for_step(5)
            attempt.ranks[victim].kill()
            codes, output = attempt.wait(timeout=20)
            self.assertEqual(codes[1 - victim], 1, output)
            self.assertIn("another rank is probably gone", output)

    def test_checkpoint_of_another_training_is_refused(self):
        checkpoint = self.uninterrupted().checkpoints()[0]
        codes, output = Attempt(self, self.data, size=1, resume=checkpoint, max_depth=3).wait()
        self.assertEqual(codes, [2])
        self.assertIn("belongs to a training with other params", output)

    def test_missing_column_is_named(self):
        data = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))
        write_snapshot(data)
        path = data / "train/part-0.parquet"
        pq.write_table(pq.read_table(path).drop_columns(["distance"]), path)
        codes, output = Attempt(self, data, size=1).wait()
        self.assertEqual(codes, [2])
        self.assertIn(f"{path}: there is no column 'distance'", output)

    def test_wrong_parameters_are_named(self):
        for params, message in [({"depth": 3}, "unknown parameter 'depth'"),
                                ({"rounds": "many"}, "train.params.rounds is 'many'"),
                                ({"rounds": 0}, "train.params.rounds is 0"),
                                ({"folds": 99}, "train.params.folds is 99")]:
            codes, output = Attempt(self, self.data, size=1, **params).wait()
            self.assertEqual(codes, [2], output)
            self.assertIn(message, output)

    def session(self):
        return onnxruntime.InferenceSession(str(self.uninterrupted().root / "model/model.onnx"))

    def test_inputs_are_the_columns(self):
        session = self.session()
        self.assertEqual(
            [(i.name, i.type, len(i.shape), i.shape[1]) for i in session.get_inputs()],
            [(name, "tensor(string)", 2, 1) for name in features.TEXT]
            + [(name, "tensor(int64)", 2, 1) for name in features.NUMERIC])
        self.assertEqual([(o.name, o.type) for o in session.get_outputs()],
                         [("label", "tensor(int64)"), ("probability", "tensor(float)")])

    def test_unknown_text_is_answered_like_a_rare_value(self):
        rows = pq.read_table(self.data / "test").slice(0, 3)
        rows = rows.set_column(rows.column_names.index("carrier"), "carrier",
                               pa.array(["UA", "??", "never seen"]))
        label, probability = self.session().run(["label", "probability"], export.feed(rows))
        self.assertEqual((label.shape, probability.shape), ((3,), (3, 1)))
        self.assertTrue(np.all((probability > 0) & (probability < 1)))

    def test_a_wrong_export_is_refused(self):
        rows = pq.read_table(self.data / "test").slice(0, 100)
        path = self.uninterrupted().root / "model/model.onnx"
        _, probability = self.session().run(["label", "probability"], export.feed(rows))
        expected = probability[:, 0].copy()
        export.check_parity(path, rows, expected)
        for wrong in (expected[42] + 1e-4, np.nan):
            altered = expected.copy()
            altered[42] = wrong
            with self.assertRaises(SystemExit) as refused:
                export.check_parity(path, rows, altered)
            self.assertEqual(refused.exception.code, 3)


if __name__ == "__main__":
    unittest.main()
