"""Learns which flights will arrive late, with PyTorch on any number of processes.

The same task and the same contract as ../flights, as a network trained by
DistributedDataParallel: gloo between CPUs, nccl between GPUs. A step is one pass
over the training rows. It needs a PyTorch that the host already has (1.13 or
later). contract.py and features.py are copies of those in ../flights, since each
example's folder travels alone; a test holds them equal.
"""

import contextlib
import datetime
import hashlib
import json
import os
import sys
import time
import traceback

import numpy as np
import pyarrow as pa
import torch
import torch.distributed as dist
from torch.nn.functional import binary_cross_entropy_with_logits

import contract
import features
import model

DEFAULTS = {
    "epochs": 6,
    "batch_size": 512,        # rows per step of the optimiser, all ranks together
    "learning_rate": 0.002,
    "weight_decay": 0.0001,
    "width": 64,
    "seed": 1,
    "checkpoint_every": 1,    # epochs
    "step_delay_ms": 0,       # slows training down so that one can watch or kill it
    "peer_timeout_s": 120,    # how long to wait for the other ranks
}
SHAPING = ("epochs", "batch_size", "learning_rate", "weight_decay", "width", "seed")
PARITY_ROWS = 20_000


def pick_device(gang):
    """The lease's GPU if torch sees one, else the CPU."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") and torch.cuda.is_available():
        return torch.device("cuda", gang.local_rank % torch.cuda.device_count())
    return torch.device("cpu")


def meet(gang, device, timeout_s):
    os.environ.setdefault("MASTER_ADDR", gang.master_addr)
    os.environ.setdefault("MASTER_PORT", str(gang.master_port))
    # The agent of torchrun would hold the store; here rank 0 does.
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
    if gang.size == 1:
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo", rank=gang.rank, world_size=gang.size,
        timeout=datetime.timedelta(seconds=timeout_s))


class Trainer:
    """The epochs, and what a checkpoint must hold to continue them."""

    def __init__(self, params, gang, device, root):
        self.params, self.gang, self.device = params, gang, device
        self.train, self.test = (features.read_rows(root / part) for part in ("train", "test"))
        self.codes = features.learn_codes(self.train)
        self.x, self.y = self.tensors(self.train)
        self.test_x, self.test_y = self.tensors(self.test)
        torch.manual_seed(params["seed"])
        numbers = self.x[:, len(features.TEXT):].cpu().numpy().astype(np.float64)
        scale = np.maximum(numbers.std(0), 1e-6).astype(np.float32)
        self.network = model.Network(self.codes, numbers.mean(0).astype(np.float32),
                                     scale, params["width"]).to(device)
        self.ddp = self.network
        if gang.size > 1:
            self.ddp = torch.nn.parallel.DistributedDataParallel(self.network)
        self.optimiser = torch.optim.AdamW(self.ddp.parameters(), lr=params["learning_rate"],
                                           weight_decay=params["weight_decay"])
        self.progress = contract.Progress() if gang.rank == 0 else None
        digest = hashlib.sha256(json.dumps(self.codes, sort_keys=True).encode())
        for part in (self.x, self.y):
            digest.update(part.cpu().numpy().tobytes())
        self.origin = {"params": {k: params[k] for k in SHAPING}, "data": digest.hexdigest()}
        self.epoch = 0

    def tensors(self, table):
        x = torch.from_numpy(features.matrix(table, self.codes))
        y = torch.from_numpy(features.labels(table)).reshape(-1, 1)
        return x.to(self.device), y.to(self.device)

    def resume(self, folder):
        state = torch.load(folder / "state.pt", map_location=self.device)
        for part in self.origin:
            if state["origin"][part] != self.origin[part]:
                contract.refuse(f"{folder} belongs to a training with other {part}; "
                                "unset MAINSPRING_RESUME_DIR to start afresh")
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch = state["epoch"]

    def checkpoint(self):
        def write(folder):
            torch.save({"epoch": self.epoch, "origin": self.origin,
                        "network": self.network.state_dict(),
                        "optimiser": self.optimiser.state_dict()}, folder / "state.pt")

        if self.gang.rank == 0:
            contract.save_checkpoint(self.epoch, write)

    def agree(self, values, operation=dist.ReduceOp.SUM):
        values = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.gang.size > 1:
            dist.all_reduce(values, operation)
        return values.tolist()

    def run_epoch(self):
        """One pass over this rank's share; return the ranks' mean loss."""
        self.network.train()
        # Seeded by the epoch, so that a resumed run sees the rows in the same order.
        order = np.random.default_rng([self.params["seed"], self.epoch]).permutation(len(self.x))
        # Every rank needs the same number of batches, or the others wait forever.
        share = torch.from_numpy(order[: len(order) // self.gang.size * self.gang.size])
        share = share[self.gang.rank :: self.gang.size].to(self.device)
        total = 0.0
        for rows in share.split(max(1, self.params["batch_size"] // self.gang.size)):
            loss = binary_cross_entropy_with_logits(self.ddp(self.x[rows]), self.y[rows])
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            total += loss.item() * len(rows)
        total, count = self.agree([total, len(share)])
        return total / count

    @torch.no_grad()
    def eval_loss(self):
        self.network.eval()
        mine = slice(self.gang.rank, None, self.gang.size)
        y = self.test_y[mine]
        loss = binary_cross_entropy_with_logits(self.network(self.test_x[mine]), y, reduction="sum")
        total, count = self.agree([loss.item(), len(y)])
        return total / count

    def run(self):
        """Train the remaining epochs; return whether all of them were done."""
        stop = contract.StopRequest()
        while self.epoch < self.params["epochs"]:
            loss = self.run_epoch()
            self.epoch += 1
            time.sleep(self.params["step_delay_ms"] / 1000)
            eval_loss = self.eval_loss()
            if self.progress:
                self.progress.report(self.epoch, self.params["epochs"], loss=loss,
                                     eval_loss=eval_loss)
            # All ranks must leave after the same epoch, whoever heard the signal first.
            stopping = self.agree([float(stop.pending)], dist.ReduceOp.MAX)[0]
            if stopping or self.epoch % self.params["checkpoint_every"] == 0:
                self.checkpoint()
            if stopping:
                return False
        return True

    def weights_digest(self):
        digest = hashlib.sha256()
        for _, tensor in sorted(self.network.state_dict().items()):
            digest.update(tensor.cpu().numpy().tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def finish(self):
        """Rank 0 leaves the model."""
        network = self.network.cpu().eval()
        sample = pa.concat_tables([self.test, self.train]).slice(0, PARITY_ROWS)
        rows = torch.from_numpy(features.matrix(sample, self.codes))
        expected = torch.sigmoid(network(rows)).numpy()[:, 0]
        digest, worst = model.save_model(contract.required_folder("MAINSPRING_MODEL_DIR"),
                                         network, self.codes, sample, expected)
        print(f"model.onnx has SHA-256 {digest}; on {len(sample)} rows it differs from the "
              f"network by at most {worst:.1e}", flush=True)


@contextlib.contextmanager
def peers_needed(gang):
    """Turn the loss of another rank into one line and exit status 1."""
    try:
        yield
    except RuntimeError as error:
        if gang.size == 1:
            raise
        print(f"train.py: rank {gang.rank} gives up, another rank is probably gone: {error}",
              file=sys.stderr, flush=True)
        # No clean-up: it would wait for the rank that is gone.
        os._exit(1)


def main():
    params = contract.parameters(DEFAULTS)
    for name in ("epochs", "batch_size", "width", "checkpoint_every"):
        if not params[name]:
            contract.refuse(f"train.params.{name} is 0; it must be at least 1")
    gang = contract.Gang()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    device = pick_device(gang)
    root = contract.required_folder("MAINSPRING_DATA_DIR")
    resume_dir = contract.folder("MAINSPRING_RESUME_DIR")
    with peers_needed(gang):
        meet(gang, device, params["peer_timeout_s"])
        trainer = Trainer(params, gang, device, root)
        if resume_dir:
            trainer.resume(resume_dir)
        complete = trainer.run()
        print(f"rank {gang.rank} holds weights {trainer.weights_digest()}", flush=True)
    if complete and gang.rank == 0:
        trainer.finish()
    if not complete:
        print(f"rank {gang.rank} stopped at step {trainer.epoch}", flush=True)
    return 0 if complete else contract.STOPPED


def leave(run):
    """Call run and end the process with its status, whatever happens.

    Without the interpreter's clean-up: gloo's can wait forever for a rank that has
    already left.
    """
    try:
        status = run()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    leave(main)
