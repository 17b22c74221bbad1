"""Learns which flights will arrive late, with xgboost on any number of processes.

Each rank trains on its own share of the rows, and the ranks add up their
histograms each round, so all of them hold the same model. A *fold* is a set of
days left out: with `folds` above 0 the program also predicts every training row
by a model that has not seen the row's day, which shows what loss to expect on
days to come. `mainspring run -f lifecycle.yaml` starts this program; contract.py
describes what it is given.
"""

import hashlib
import json
import os
import sys
import time
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb
from xgboost import collective
from xgboost.tracker import RabitTracker

import contract
import export
import features

DEFAULTS = {
    "rounds": 100,            # trees
    "max_depth": 5,
    "learning_rate": 0.1,
    "min_child_weight": 10.0,
    "folds": 4,               # 0: no out-of-fold predictions
    "checkpoint_every": 20,   # rounds
    "report_every": 5,        # rounds
    "step_delay_ms": 0,       # slows training down so that one can watch or kill it
    "peer_timeout_s": 120,    # how long to wait for the other ranks to appear
}

LEAVE_TIMEOUT_S = 30

# Rows on which the exported model must agree with the trained one.
PARITY_ROWS = 20_000


def device(gang):
    """The device to train on: the lease's GPU if there is one that this xgboost can use."""
    visible = [d for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d.strip()]
    usable = [d for d in visible if d.strip().startswith(("GPU-", "MIG-")) or d.strip().isdigit()]
    if usable and not xgb.build_info().get("USE_CUDA"):
        print("training on the CPU: a GPU is there, but this xgboost was built without CUDA; "
              "put xgboost in the place of xgboost-cpu in requirements.in", flush=True)
        return "cpu"
    if not usable:
        return "cpu"
    return "cuda:0" if len(usable) == 1 else f"cuda:{gang.local_rank % len(usable)}"


def booster_parameters(params, gang):
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "device": device(gang),
        "max_depth": params["max_depth"],
        "learning_rate": params["learning_rate"],
        "min_child_weight": params["min_child_weight"],
        # One thread unless told otherwise: the order of float sums, and with it the
        # last digits of the model, must not depend on the machine.
        "nthread": int(os.environ.get("OMP_NUM_THREADS") or 1),
    }


class Data:
    """The snapshot as arrays. Every rank reads all of it, since it is small and the
    text codes and the folds need the whole; it trains on every size-th row."""

    def __init__(self, root):
        self.train = features.read_rows(root / "train")
        self.test = features.read_rows(root / "test")
        self.codes = features.learn_codes(self.train)
        self.x = features.matrix(self.train, self.codes)
        self.y = features.labels(self.train)
        self.test_x = features.matrix(self.test, self.codes)
        self.test_y = features.labels(self.test)

    def shares(self, gang, nthread):
        """This rank's rows of the training and of the held-out set."""
        mine = slice(gang.rank, None, gang.size)
        return (xgb.DMatrix(self.x[mine], self.y[mine], nthread=nthread),
                xgb.DMatrix(self.test_x[mine], self.test_y[mine], nthread=nthread))

    def fingerprint(self):
        """Changes whenever training on this data could give another model."""
        digest = hashlib.sha256(json.dumps(self.codes, sort_keys=True).encode())
        for array in (self.x, self.y):
            digest.update(array.tobytes())
        return digest.hexdigest()


def predict_own_folds(data, settings, params, gang):
    """Out-of-fold predictions of the folds that fall to this rank, zero elsewhere.

    A fold is every folds-th day. It runs before the ranks meet, because xgboost
    would otherwise make the ranks train each fold together.
    """
    predictions = np.zeros(len(data.y))
    if not params["folds"]:
        return predictions
    _, day = np.unique(features.days(data.train), return_inverse=True)
    if day.max() + 1 < params["folds"]:
        contract.refuse(f"train.params.folds is {params['folds']}, but the training window has "
                        f"only {day.max() + 1} days with flights; widen it, or lower folds")
    fold = day % params["folds"]
    threads = settings["nthread"]
    for number in range(gang.rank, params["folds"], gang.size):
        out = fold == number
        seen = xgb.DMatrix(data.x[~out], data.y[~out], nthread=threads)
        booster = xgb.train(settings, seen, params["rounds"])
        predictions[out] = booster.predict(xgb.DMatrix(data.x[out], nthread=threads))
    return predictions


def meet(gang, timeout_s):
    """Join the ranks; return rank 0's tracker, through which they find each other."""
    if gang.size == 1:
        return None
    tracker = None
    if gang.rank == 0:
        tracker = RabitTracker(gang.size, gang.master_addr, port=gang.master_port,
                               sortby="task", timeout=timeout_s)
        tracker.start()
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                collective.init(
                    dmlc_communicator="rabit", dmlc_tracker_uri=gang.master_addr,
                    dmlc_tracker_port=gang.master_port, dmlc_task_id=f"{gang.rank:06d}",
                    dmlc_retry=1, dmlc_timeout=timeout_s)
            break
        except xgb.core.XGBoostError as error:
            # Rank 0 may start later than this one; xgboost's own retry takes seconds.
            if gang.rank == 0 or time.monotonic() > deadline:
                contract.refuse(f"rank {gang.rank} waited {timeout_s} s for the others at "
                                f"{gang.master_addr}:{gang.master_port}: {error}")
            time.sleep(0.05)
    if collective.get_rank() != gang.rank:
        contract.refuse(f"rank {gang.rank} was given the place {collective.get_rank()}")
    return tracker


def leave(tracker):
    """End the gang; from here on each rank works alone."""
    if collective.is_distributed():
        collective.finalize()
    if tracker:
        tracker.wait_for(LEAVE_TIMEOUT_S)


def agree(values, operation):
    return collective.allreduce(values, operation) if collective.is_distributed() else values


class Trainer:
    """The rounds, and what a checkpoint must hold to continue them."""

    def __init__(self, params, settings, gang, data):
        self.params, self.settings, self.gang = params, settings, gang
        self.train, self.test = data.shares(gang, settings["nthread"])
        self.progress = contract.Progress() if gang.rank == 0 else None
        shaping = {k: params[k] for k in ("rounds", "max_depth", "learning_rate",
                                          "min_child_weight", "folds")}
        self.origin = {"params": shaping, "data": data.fingerprint()}
        self.booster = xgb.Booster(settings, [self.train, self.test])
        self.step = 0

    def resume(self, folder):
        """Continue from a checkpoint; return its out-of-fold predictions."""
        state = json.loads((folder / "state.json").read_text())
        for part in self.origin:
            if state["origin"][part] != self.origin[part]:
                contract.refuse(f"{folder} belongs to a training with other {part}; "
                                "unset MAINSPRING_RESUME_DIR to start afresh")
        self.booster.load_model(folder / "model.ubj")
        self.booster.set_param(self.settings)
        self.step = state["step"]
        return np.load(folder / "out_of_fold.npy")

    def checkpoint(self, out_of_fold):
        def write(folder):
            self.booster.save_model(folder / "model.ubj")
            np.save(folder / "out_of_fold.npy", out_of_fold)
            state = {"step": self.step, "world_size": self.gang.size, "origin": self.origin}
            (folder / "state.json").write_text(json.dumps(state))

        if self.gang.rank == 0:
            contract.save_checkpoint(self.step, write)

    def report(self):
        """Evaluate on all ranks, since the sums need every rank's share."""
        text = self.booster.eval_set([(self.train, "train"), (self.test, "eval")], self.step)
        loss, eval_loss = (float(part.split(":")[1]) for part in text.split("\t")[1:])
        if self.progress:
            self.progress.report(self.step, self.params["rounds"], loss=loss, eval_loss=eval_loss)

    def run(self, out_of_fold):
        """Train the remaining rounds; return whether all of them were done."""
        stop = contract.StopRequest()
        rounds = self.params["rounds"]
        while self.step < rounds:
            self.booster.update(self.train, self.step)
            self.step += 1
            time.sleep(self.params["step_delay_ms"] / 1000)
            if self.step % self.params["report_every"] == 0 or self.step == rounds:
                self.report()
            # All ranks must leave at the same step, whoever heard the signal first.
            stopping = agree(np.array([int(stop.pending)]), collective.Op.MAX)[0]
            if stopping or self.step % self.params["checkpoint_every"] == 0:
                self.checkpoint(out_of_fold)
            if stopping:
                return False
        return True


def write_out_of_fold(path, data, predictions):
    table = pa.table({"id": data.train[features.ID], "prediction": pa.array(predictions)})
    # Renamed, so that nobody finds half a file.
    pq.write_table(table, path.with_name(path.name + ".tmp"))
    path.with_name(path.name + ".tmp").rename(path)


def finish(trainer, data, out_of_fold):
    """Rank 0 leaves the model and the out-of-fold predictions."""
    path = contract.folder("MAINSPRING_OOF_PATH")
    if path and trainer.params["folds"]:
        write_out_of_fold(path, data, out_of_fold)
    sample = pa.concat_tables([data.test, data.train]).slice(0, PARITY_ROWS)
    x = features.matrix(sample, data.codes)
    trainer.booster.set_param({"device": "cpu"})
    expected = trainer.booster.predict(xgb.DMatrix(x, nthread=trainer.settings["nthread"]))
    folder = contract.required_folder("MAINSPRING_MODEL_DIR")
    digest, worst = export.save_model(folder, trainer.booster, data.codes, sample, expected)
    print(f"model.onnx has SHA-256 {digest}; on {len(sample)} rows it differs from the "
          f"booster by at most {worst:.1e}", flush=True)


def main():
    params = contract.parameters(DEFAULTS)
    for name in ("rounds", "checkpoint_every", "report_every"):
        if not params[name]:
            contract.refuse(f"train.params.{name} is 0; it must be at least 1")
    gang = contract.Gang()
    settings = booster_parameters(params, gang)
    data = Data(contract.required_folder("MAINSPRING_DATA_DIR"))
    resume_dir = contract.folder("MAINSPRING_RESUME_DIR")
    mine = None if resume_dir else predict_own_folds(data, settings, params, gang)
    tracker = meet(gang, params["peer_timeout_s"])
    try:
        trainer = Trainer(params, settings, gang, data)
        if resume_dir:
            out_of_fold = trainer.resume(resume_dir)
        else:
            out_of_fold = agree(mine, collective.Op.SUM)
        complete = trainer.run(out_of_fold)
        leave(tracker)
    except xgb.core.XGBoostError as error:
        print(f"train.py: rank {gang.rank} gives up, another rank is probably gone: {error}",
              file=sys.stderr, flush=True)
        # No clean-up: closing a broken gang can crash inside the library.
        os._exit(1)
    if not complete:
        print(f"rank {gang.rank} stopped at step {trainer.step}", flush=True)
        sys.exit(contract.STOPPED)
    if gang.rank == 0:
        finish(trainer, data, out_of_fold)


if __name__ == "__main__":
    main()
