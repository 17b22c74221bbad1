"""Makes flights_daily.csv: the log-loss of each day of 2013 under a model of January and February.

The model, its features and its folds are those of examples/flights with the
parameters of its lifecycle.yaml. January and February get out-of-fold
predictions, by a model that has not seen the row's day; all later days get the
predictions of the one model trained on January and February. Columns:

  day      2013-01-01 …
  rows     flights of that day
  all      mean log-loss over all of them
  s1 … s5  mean log-loss over 200 of them drawn at random, with seeds 1 … 5

Run it in the environment of examples/flights/requirements.txt:

  python internal/drift/testdata/flights_daily.py > internal/drift/testdata/flights_daily.csv
"""

import os
import pathlib
import sys

EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "examples" / "flights"
sys.path.insert(0, str(EXAMPLE))
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xgboost as xgb

import contract
import features
import train

PARAMS = {**train.DEFAULTS, "rounds": 60, "max_depth": 5}
SAMPLE, SEEDS = 200, (1, 2, 3, 4, 5)


def read(months):
    columns = [features.ID, features.EVENT_TIME, features.LABEL, *features.FEATURES]
    return pa.concat_tables(
        [pq.read_table(EXAMPLE / "data" / f"2013-{m:02d}.parquet", columns=columns) for m in months])


class Gang:
    rank, size, local_rank = 0, 1, 0


def log_losses(y, probability):
    probability = np.clip(probability.astype(np.float64), 1e-15, 1 - 1e-15)
    return -np.where(y > 0.5, np.log(probability), np.log1p(-probability))


def predict(seen, x):
    settings = train.booster_parameters(PARAMS, Gang)
    booster = xgb.train(settings, xgb.DMatrix(seen.x, seen.y, nthread=1), PARAMS["rounds"])
    return booster.predict(xgb.DMatrix(x, nthread=1))


class Seen:
    def __init__(self, table):
        self.train = table
        self.codes = features.learn_codes(table)
        self.x = features.matrix(table, self.codes)
        self.y = features.labels(table)


def main():
    seen, live = Seen(read((1, 2))), read(range(3, 13))
    settings = train.booster_parameters(PARAMS, Gang)
    held_out = train.predict_own_folds(seen, settings, PARAMS, Gang)
    served = predict(seen, features.matrix(live, seen.codes))
    day = np.concatenate([features.days(seen.train), features.days(live)])
    loss = np.concatenate([log_losses(seen.y, held_out), log_losses(features.labels(live), served)])
    draws = {seed: np.random.default_rng(seed) for seed in SEEDS}
    print("day,rows,all," + ",".join(f"s{seed}" for seed in SEEDS))
    for d in np.unique(day):
        losses = loss[day == d]
        means = [losses.mean()]
        for draw in draws.values():
            means.append(losses[draw.permutation(len(losses))[:SAMPLE]].mean())
        print(f"{np.datetime64(int(d), 'D')},{len(losses)}," + ",".join(f"{m:.6f}" for m in means))


if __name__ == "__main__":
    main()
