"""Makes rows to learn from out of exported rides: how far apart the ends are, when in
the week it was, and how long it took. It needs nothing but Python, and runs once for
each file; per: source in lifecycle.yaml would give it all files at once.
"""

import csv
import datetime
import json
import math
import os
import pathlib

KM_PER_DEGREE = 111.2


def distance(raw):
    """Kilometres as the crow flies; within a city the earth is flat."""
    lat, lon, to_lat, to_lon = (float(raw[c]) for c in ("from_lat", "from_lon", "to_lat", "to_lon"))
    return KM_PER_DEGREE * math.hypot(to_lat - lat, (to_lon - lon) * math.cos(math.radians(lat)))


def prepared(raw, rush_hours):
    began, ended = (datetime.datetime.fromisoformat(raw[c]) for c in ("began", "ended"))
    return {
        "ride": raw["ride"], "began": raw["began"], "ended": raw["ended"],
        "km": round(distance(raw), 3), "hour": began.hour, "day_of_week": began.weekday(),
        "rush": int(began.weekday() < 5 and began.hour in rush_hours),
        "minutes": round((ended - began).total_seconds() / 60, 2),
    }


def main():
    rush_hours = json.loads(os.environ["MAINSPRING_PARAMS"]).get("rush_hours", [])
    source, target = pathlib.Path(os.environ["MAINSPRING_DATA_DIR"]), pathlib.Path(os.environ["MAINSPRING_OUTPUT_DIR"])
    files = sorted(source.rglob("*.csv"))
    for number, path in enumerate(files, 1):
        # Named after what it was made of: no two runs may leave the same name.
        with open(path, newline="") as rides, open(target / f"{path.stem}.jsonl", "w") as rows:
            for raw in csv.DictReader(rides):
                rows.write(json.dumps(prepared(raw, rush_hours)) + "\n")
        with open(os.environ["MAINSPRING_PROGRESS"], "a") as progress:
            progress.write(json.dumps({"step": number, "of": len(files)}) + "\n")


if __name__ == "__main__":
    main()
