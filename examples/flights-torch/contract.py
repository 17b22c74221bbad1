"""Mainspring's training contract, as a training program sees it.

A *rank* is one of WORLD_SIZE copies of the program; rank 0 alone writes. A *step*
is one round of training. A *checkpoint* is a folder `step-<n>`: it is written
under another name and renamed, so a folder of that name is always complete.
A *resumed* program is given the newest good checkpoint of an earlier attempt.

This file imports nothing but the standard library; copy it into your own project.
"""

import datetime
import json
import os
import pathlib
import shutil
import signal
import sys

# Exit statuses. 143 is what a shell reports for a process ended by SIGTERM.
BAD_INPUT, BAD_EXPORT, STOPPED = 2, 3, 143


def refuse(message, status=BAD_INPUT):
    """End the program with a message that says what to do."""
    print(f"train.py: {message}", file=sys.stderr, flush=True)
    sys.exit(status)


def folder(variable):
    """The folder that an environment variable names, or None if it is unset or empty."""
    return pathlib.Path(os.environ[variable]) if os.environ.get(variable) else None


def required_folder(variable):
    path = folder(variable)
    if path is None:
        refuse(f"{variable} is not set; start this program with `mainspring run`, "
               "or set the variables of the training contract yourself")
    return path


def parameters(defaults):
    """The spec's train.params over the defaults; an unknown name or another type is refused."""
    try:
        given = json.loads(os.environ.get("MAINSPRING_PARAMS") or "{}")
    except json.JSONDecodeError as error:
        refuse(f"MAINSPRING_PARAMS is not JSON: {error}")
    if not isinstance(given, dict):
        refuse("MAINSPRING_PARAMS is not a JSON object")
    for name, value in given.items():
        if name not in defaults:
            refuse(f"unknown parameter {name!r} in train.params; "
                   f"there are: {', '.join(sorted(defaults))}")
        wanted = (int, float) if isinstance(defaults[name], float) else int
        if isinstance(value, bool) or not isinstance(value, wanted) or value < 0:
            kind = "a number" if wanted != int else "a whole number"
            refuse(f"train.params.{name} is {value!r}; it must be {kind}, not below 0")
    return {**defaults, **given}


class Gang:
    """This process's place among the ranks, from torchrun's variables."""

    def __init__(self):
        self.rank = int(os.environ.get("RANK", "0"))
        self.size = int(os.environ.get("WORLD_SIZE", "1"))
        self.local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        self.master_addr = os.environ.get("MASTER_ADDR", "127.0.0.1")
        self.master_port = int(os.environ.get("MASTER_PORT", "0"))
        if self.size > 1 and not self.master_port:
            refuse("WORLD_SIZE is above 1 but MASTER_PORT is not set")


class Progress:
    """Appends one JSON line per report; keys become metrics."""

    def __init__(self):
        path = os.environ.get("MAINSPRING_PROGRESS")
        self.file = open(path, "a", encoding="utf-8") if path else None

    def report(self, step, of, **metrics):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"step": step, "of": of, **metrics, "time": now.replace("+00:00", "Z")})
        print(line, flush=True)
        if self.file:
            # One write per line, so a reader never sees half of one.
            self.file.write(line + "\n")
            self.file.flush()


def save_checkpoint(step, write):
    """Call write(folder) for a new checkpoint, which appears whole or not at all."""
    root = folder("MAINSPRING_CHECKPOINT_DIR")
    if root is None:
        return
    done, partial = root / f"step-{step}", root / f"step-{step}.tmp"
    if done.exists():
        return
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write(partial)
    partial.rename(done)


class StopRequest:
    """Remembers that SIGTERM arrived; the training loop asks once per step.

    Until this object exists SIGTERM ends the program at once, which is right as
    long as there is nothing to save.
    """

    def __init__(self):
        self.pending = False
        signal.signal(signal.SIGTERM, self._remember)

    def _remember(self, _signal, _frame):
        self.pending = True
