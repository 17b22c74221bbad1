"""What the model is given: the columns, and how a table of flights becomes numbers.

Every feature is known when the schedule is published. A text column is replaced
by its values' *codes*: 0 for the most frequent value in the training rows, 1 for
the next, and so on; a value never seen gets the code after the last, and thus
joins the rare ones. The codes do not look at the label, and they travel inside
the exported model, which is given the text itself.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from contract import refuse

TEXT = ("carrier", "origin", "dest")
NUMERIC = ("distance", "dep_minute", "sched_minutes", "hour_departures", "day_of_week")
FEATURES = TEXT + NUMERIC
ID, EVENT_TIME, LABEL = "id", "sched_dep", "late"


def check_columns(schema, path):
    """Refuse a file in which a column is missing or has a type that cannot work."""
    for name in (ID, EVENT_TIME, LABEL, *FEATURES):
        if name not in schema.names:
            refuse(f"{path}: there is no column {name!r}, which this model needs; "
                   f"the file has: {', '.join(schema.names)}. "
                   "Add it to the data, or take it out of FEATURES in features.py")
        kind = schema.field(name).type
        fits = {
            EVENT_TIME: pa.types.is_timestamp,
            ID: is_text,
            **dict.fromkeys(TEXT, is_text),
        }.get(name, pa.types.is_integer)
        if not fits(kind):
            refuse(f"{path}: column {name!r} has the type {kind}, which this model cannot use")


def is_text(kind):
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def read_rows(folder):
    """All rows below a folder, in the order of the files' names."""
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        refuse(f"{folder}: there is no Parquet file; is MAINSPRING_DATA_DIR a prepared snapshot?")
    parts = []
    for path in paths:
        check_columns(pq.read_schema(path), path)
        part = pq.read_table(path, columns=[ID, EVENT_TIME, LABEL, *FEATURES])
        for name in part.column_names:
            if part[name].null_count:
                refuse(f"{path}: column {name!r} has {part[name].null_count} missing values")
        parts.append(part)
    return pa.concat_tables(parts)


def learn_codes(table):
    """For each text column its values, the most frequent first, ties by name."""
    codes = {}
    for name in TEXT:
        counts = {c["values"]: c["counts"] for c in table[name].value_counts().to_pylist()}
        codes[name] = sorted(counts, key=lambda value: (-counts[value], value))
    return codes


def matrix(table, codes):
    """The features as float32, one column each, in the order of FEATURES."""
    columns = []
    for name in TEXT:
        index = pa.compute.index_in(table[name], value_set=pa.array(codes[name], pa.string()))
        columns.append(index.fill_null(len(codes[name])).to_numpy())
    columns += [table[name].to_numpy() for name in NUMERIC]
    return np.column_stack([column.astype(np.float32) for column in columns])


def labels(table):
    return table[LABEL].to_numpy().astype(np.float32)


def days(table):
    """The calendar day of each row, counted from 1970."""
    return table[EVENT_TIME].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy() // 86_400_000_000
