"""Makes the rides in data/: four weeks of a made-up bicycle hire, one CSV file each,
as a hire system might export them. Where a ride began and ended is all that is known
of its way. The same seed gives the same files.
"""

import csv
import datetime
import math
import pathlib
import random

WEEKS, RIDES = 4, 450
MONDAY = datetime.datetime(2025, 3, 3, tzinfo=datetime.timezone.utc)


def ride(draw, number, began):
    start = (52.52 + draw.gauss(0, 0.02), 13.40 + draw.gauss(0, 0.03))
    end = (52.52 + draw.gauss(0, 0.02), 13.40 + draw.gauss(0, 0.03))
    north, east = (end[0] - start[0]) * 111.2, (end[1] - start[1]) * 111.2 * math.cos(math.radians(52.52))
    busy = 1.3 if began.weekday() < 5 and began.hour in (7, 8, 16, 17) else 1.0
    minutes = (3 + 5 * math.hypot(north, east) * busy) * draw.lognormvariate(0, 0.12)
    return {
        "ride": f"r{number:05d}", "began": f"{began:%Y-%m-%dT%H:%M:%SZ}",
        "ended": f"{began + datetime.timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}",
        "from_lat": f"{start[0]:.5f}", "from_lon": f"{start[1]:.5f}",
        "to_lat": f"{end[0]:.5f}", "to_lon": f"{end[1]:.5f}",
    }


def main():
    draw = random.Random(8)
    data = pathlib.Path(__file__).parent / "data"
    data.mkdir(exist_ok=True)
    for week in range(WEEKS):
        monday = MONDAY + datetime.timedelta(weeks=week)
        moments = sorted(draw.randrange(6 * 3600, 7 * 86400) for _ in range(RIDES))
        rides = [ride(draw, week * RIDES + i, monday + datetime.timedelta(seconds=s)) for i, s in enumerate(moments)]
        with open(data / f"{monday:%Y-%m-%d}.csv", "w", newline="") as file:
            table = csv.DictWriter(file, rides[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rides)


if __name__ == "__main__":
    main()
