"""Time one other tool on a Parquet file of flights.

Usage: rivals.py NAME FILE REPEAT. Reading the file is timed, importing the tool
is not. Prints one line of JSON with the fastest of the repeated runs, of which
none begins after a minute.
"""

import importlib.metadata
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")
LIMIT_SECONDS = 60
COLUMNS = ["date", "delay", "distance", "origin", "destination"]


def duckdb_expectations():
    import duckdb

    nulls = ", ".join(f"count(*) - count({c})" for c in COLUMNS)
    query = f"""SELECT count(*), {nulls}, min(distance) >= 0, max(distance) <= 6000,
        min(delay) >= -2000, max(delay) <= 2000, bool_and(length(origin) = 3), bool_and(length(destination) = 3)
        FROM read_parquet(?)"""
    return "duckdb", "twelve expectations in one query", lambda path: duckdb.connect().execute(query, [path]).fetchall()


def duckdb_repeats():
    import duckdb

    query = f"""SELECT count(*) - count(DISTINCT date), count(*) - count(DISTINCT ({", ".join(COLUMNS)})) FROM read_parquet(?)"""
    return "duckdb", "exact repeats of one column and of whole rows alone", lambda path: duckdb.connect().execute(query, [path]).fetchall()


def duckdb_summarize():
    import duckdb

    return "duckdb", "SUMMARIZE", lambda path: duckdb.connect().execute("SUMMARIZE SELECT * FROM read_parquet(?)", [path]).fetchall()


def pyarrow():
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    def statistics(path):
        for column in pq.read_table(path).columns:
            pc.count(column, mode="only_null"), pc.min_max(column)
            if str(column.type) == "int64":
                pc.mean(column), pc.stddev(column)

    return "pyarrow", "nulls, extremes, means and deviations", statistics


def pandera():
    import pandas as pd
    import pandera.pandas as pa

    text = pa.Column(str, pa.Check.str_length(3, 3))
    schema = pa.DataFrameSchema({
        "date": pa.Column("datetime64[us]"), "delay": pa.Column("int64", pa.Check.in_range(-2000, 2000)),
        "distance": pa.Column("int64", pa.Check.in_range(0, 6000)), "origin": text, "destination": text,
    })
    return "pandera", "types, nulls, ranges and lengths", lambda path: schema.validate(pd.read_parquet(path), lazy=True)


def great_expectations():
    import great_expectations as gx
    import pandas as pd

    def validate(path):
        context = gx.get_context(mode="ephemeral")
        batch = (context.data_sources.add_pandas("pandas").add_dataframe_asset("flights")
                 .add_batch_definition_whole_dataframe("all").get_batch({"dataframe": pd.read_parquet(path)}))
        e = gx.expectations
        suite = gx.ExpectationSuite(name="flights", expectations=[
            e.ExpectTableRowCountToBeBetween(min_value=1), *[e.ExpectColumnValuesToNotBeNull(column=c) for c in COLUMNS],
            e.ExpectColumnValuesToBeBetween(column="distance", min_value=0, max_value=6000),
            e.ExpectColumnValuesToBeBetween(column="delay", min_value=-2000, max_value=2000),
            e.ExpectColumnValueLengthsToEqual(column="origin", value=3), e.ExpectColumnValueLengthsToEqual(column="destination", value=3),
            e.ExpectColumnMaxToBeBetween(column="distance", max_value=6000), e.ExpectColumnMinToBeBetween(column="delay", min_value=-2000),
        ])
        assert batch.validate(suite).success

    return "great-expectations", "twelve expectations", validate


def ydata():
    import pandas as pd
    from ydata_profiling import ProfileReport

    return "ydata-profiling", "minimal report, not rendered", lambda path: ProfileReport(
        pd.read_parquet(path), minimal=True, progress_bar=False).get_description()


def evidently():
    import pandas as pd
    from evidently import Dataset, Report
    from evidently.presets import DataSummaryPreset

    return "evidently", "data summary", lambda path: Report([DataSummaryPreset()]).run(Dataset.from_pandas(pd.read_parquet(path)), None).dict()


def whylogs():
    import pandas as pd
    import whylogs as why

    return "whylogs", "profile", lambda path: why.log(pandas=pd.read_parquet(path)).view()


def main():
    name, path, repeat = sys.argv[1], sys.argv[2], int(sys.argv[3])
    package, does, run = globals()[name]()
    begun, best = time.perf_counter(), None
    for _ in range(repeat):
        started, cpu = time.perf_counter(), time.process_time()
        run(path)
        took = time.perf_counter() - started, time.process_time() - cpu
        best = took if best is None or took < best else best
        if time.perf_counter() - begun > LIMIT_SECONDS:
            break
    print(json.dumps({"package": package, "does": does, "version": importlib.metadata.version(package), "seconds": best[0], "cpu_seconds": best[1]}))


main()
