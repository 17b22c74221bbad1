package checks

import (
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func TestSchema(t *testing.T) {
	file := func(name, distance string) Schema {
		return SchemaOf(name, []dataset.Field{{Name: "id", Type: "string"}, {Name: "at", Type: "timestamp"}, {Name: "late", Type: "int64"},
			{Name: "known", Type: "timestamp"}, {Name: "carrier", Type: "string"}, {Name: "distance", Type: distance}}, nil)
	}
	judgeAll(t, checkSchema, []judged{
		{"sound", func(*Evidence) {}, "ok  0 of 0: all 6 columns have one usable type"},
		{"types differ", func(e *Evidence) {
			e.Schema = MergeSchemas(MergeSchemas(file("b.parquet", "int64"), file("c.parquet", "float64")), file("a.parquet", "int64"))
		}, `error distance 2 of 1: column "distance" has different types in different partitions: float64 in 1 (such as c.parquet) and int64 in 2 (such as a.parquet)`},
		{"another type than declared", func(e *Evidence) {
			e.Spec.Columns = map[string]models.ColumnSpec{"distance": {Type: "float64"}, "carrier": {Type: "string"}}
		}, `error distance 1 of 0: column "distance" is int64, and data.columns declares it as float64`},
		{"missing in a file", func(e *Evidence) {
			e.Schema = MergeSchemas(e.Schema, SchemaOf("b.csv", []dataset.Field{{Name: "id", Type: "string"}, {Name: "at", Type: "timestamp"},
				{Name: "late", Type: "int64"}, {Name: "known", Type: "timestamp"}, {Name: "carrier", Type: "string"}}, nil))
		}, `error distance 1 of 0: column "distance" is missing in 1 of 2 files`},
		{"values that do not read", func(e *Evidence) {
			b := SchemaOf("b.csv", nil, []dataset.BadValues{{Column: "distance", Type: "int64", Count: 7, Rows: []models.OffendingRow{{Row: 4, Value: "far"}}}})
			a := SchemaOf("a.csv", nil, []dataset.BadValues{{Column: "distance", Type: "int64", Count: 1, Rows: []models.OffendingRow{{Row: 9, Value: "near"}}}})
			e.Schema.Bad = MergeSchemas(a, b).Bad
		}, `error distance 8 of 0: column "distance": 8 values do not read as int64 | a.csv line 9: near | b.csv line 4: far`},
	})
}

func TestSchemasMergeInAnyOrder(t *testing.T) {
	a := SchemaOf("a.csv", []dataset.Field{{Name: "x", Type: "int64"}, {Name: "n", Native: "list"}}, nil)
	b := SchemaOf("b.csv", []dataset.Field{{Name: "x", Type: "string"}}, nil)
	c := SchemaOf("c.csv", []dataset.Field{{Name: "y", Type: "string"}, {Name: "x", Type: "int64"}}, nil)
	whole := MergeSchemas(MergeSchemas(a, b), c)
	for _, other := range []Schema{MergeSchemas(c, MergeSchemas(b, a)), MergeSchemas(b, MergeSchemas(a, c))} {
		if len(other.Columns) != 3 || other.Files != 3 || other.Columns[1].Words() != whole.Columns[1].Words() {
			t.Errorf("schema %+v\nin another order %+v", whole, other)
		}
	}
	if got, want := whole.Columns[1].Words(), "int64 in 2 (such as a.csv) and string in 1 (such as b.csv)"; got != want {
		t.Errorf("types %q, want %q", got, want)
	}
	if a.Files != 1 || a.Columns[1].Types[0].Files != 1 {
		t.Errorf("merging changed %+v", a)
	}
}

func TestNewColumn(t *testing.T) {
	known := map[string]models.ColumnSpec{"distance": {Type: "int64"}, "tail": {Sensitive: models.SensitiveDrop}}
	judgeAll(t, checkNewColumn, []judged{
		{"nothing declared", func(*Evidence) {}, "skipped : data.columns says nothing of the columns there are; mainspring data infer writes it"},
		{"all known", func(e *Evidence) { e.Spec.Columns = known }, "ok  0 of 0: there are no columns beside the 7 known ones"},
		{"a new one", func(e *Evidence) {
			e.Spec.Columns = known
			e.Schema = MergeSchemas(e.Schema, SchemaOf("b.csv", []dataset.Field{{Name: "gate", Type: "string"}, {Name: "tail", Type: "string"}}, nil))
		}, `warn gate 1 of 0: column "gate" (string) is new: 1 of 2 files have it, and data.columns does not know it`},
		{"severity of a column nobody knows", func(e *Evidence) {
			e.Spec.Columns, e.Spec.Checks.Severity = known, map[string]models.Severity{"new_column.gate": "error"}
			e.Schema = MergeSchemas(e.Schema, SchemaOf("b.csv", []dataset.Field{{Name: "gate", Type: "string"}}, nil))
		}, `error gate 1 of 0: column "gate" (string) is new: 1 of 2 files have it, and data.columns does not know it`},
	})
}

func TestRows(t *testing.T) {
	const held = "\nok  20 of 1: 20 held-out rows, at least 1 wanted"
	judgeAll(t, checkRows, []judged{
		{"default", func(*Evidence) {}, "ok  100 of 1: 100 training rows, at least 1 wanted" + held},
		{"at the limits", func(e *Evidence) { e.Spec.Checks.MinRows, e.Spec.Checks.MaxRows = 100, 100 },
			"ok  100 of 100: 100 training rows, at least 100 wanted\nok  100 of 100: 100 training rows, at most 100 wanted" + held},
		{"one too few", func(e *Evidence) { e.Spec.Checks.MinRows = 101 }, "error  100 of 101: 100 training rows, at least 101 wanted" + held},
		{"one too many", func(e *Evidence) { e.Spec.Checks.MaxRows = 99 },
			"ok  100 of 1: 100 training rows, at least 1 wanted\nerror  100 of 99: 100 training rows, at most 99 wanted" + held},
		{"nothing held out", func(e *Evidence) { e.Profile.Test.Rows = 0 },
			"ok  100 of 1: 100 training rows, at least 1 wanted\nerror  0 of 1: 0 held-out rows, at least 1 wanted"},
	})
}

func TestFreshness(t *testing.T) {
	judgeAll(t, checkFreshness, []judged{
		{"not asked", func(*Evidence) {}, "skipped at: data.checks.freshness asks for nothing"},
		{"at the limit", func(e *Evidence) { e.Spec.Checks.Freshness = models.Day },
			`ok at 8.64e+04 of 8.64e+04: column "at": the newest row is of 2013-01-10, 1d before 2013-01-11; at most 1d allowed`},
		{"a second too old", func(e *Evidence) { e.Spec.Checks.Freshness = models.Day - models.Duration(time.Second) },
			`error at 8.64e+04 of 8.64e+04: column "at": the newest row is of 2013-01-10, 1d before 2013-01-11; at most 23h59m59s allowed`},
		{"rows without a label are fresh too", func(e *Evidence) {
			e.Spec.Checks.Freshness, e.Times.Newest = models.Day, day(11).Add(-time.Hour)
		}, `ok at 3600 of 8.64e+04: column "at": the newest row is of 2013-01-10T23:00:00Z, 1h0m0s before 2013-01-11; at most 1d allowed`},
		{"secret times", func(e *Evidence) {
			e.Spec.Checks.Freshness, e.Spec.Columns = models.Day, map[string]models.ColumnSpec{"at": {Sensitive: models.SensitiveKeep}}
		}, "skipped at: the event time is sensitive: its extremes are not shown"},
	})
}

func TestNulls(t *testing.T) {
	const others = "\nok  0 of 0: 4 columns have no nulls"
	judgeAll(t, checkNulls, []judged{
		{"none", func(*Evidence) {}, "ok  0 of 0: 5 columns have no nulls"},
		{"one where none is allowed", func(e *Evidence) { e.find("nulls", "carrier", 120, 1, row(4, "")) },
			`error carrier 0.008333 of 0: column "carrier": 1 of 120 values are null or NaN (a share of 0.008333), at most 0 allowed | a.csv line 4` + others},
		{"at the limit", func(e *Evidence) {
			e.Spec.Checks.MaxNullFraction = map[string]float64{"carrier": 0.25}
			e.find("nulls", "carrier", 120, 30, row(4, ""))
		}, `ok carrier 0.25 of 0.25: column "carrier": 30 of 120 values are null or NaN (a share of 0.25), at most 0.25 allowed` + others},
		{"one above it", func(e *Evidence) {
			e.Spec.Checks.MaxNullFraction = map[string]float64{"carrier": 0.25}
			e.find("nulls", "carrier", 120, 31, row(4, ""))
		}, `error carrier 0.2583 of 0.25: column "carrier": 31 of 120 values are null or NaN (a share of 0.2583), at most 0.25 allowed | a.csv line 4` + others},
		{"a limit is always told of", func(e *Evidence) { e.Spec.Checks.MaxNullFraction = map[string]float64{"carrier": 0.25} },
			`ok carrier 0 of 0.25: column "carrier": 0 of 120 values are null or NaN (a share of 0), at most 0.25 allowed` + others},
	})
}

func TestNullRise(t *testing.T) {
	then := func(e *Evidence, before, now int64) {
		base := sound().Profile
		base.Train.Column("carrier").Nulls = before
		e.Baseline, e.Version = &base, "7"
		e.Profile.Train.Column("carrier").Nulls = now
	}
	judgeAll(t, checkNullRise, []judged{
		{"no champion", func(e *Evidence) { e.NoBaseline = "there is no champion yet" }, "skipped : there is no champion yet"},
		{"nothing rose", func(e *Evidence) { then(e, 10, 10) }, "ok  0 of 0: no column has more nulls than when version 7 was trained"},
		{"fell", func(e *Evidence) { then(e, 10, 0) }, "ok  0 of 0: no column has more nulls than when version 7 was trained"},
		{"at the limit", func(e *Evidence) { then(e, 0, 5) },
			`ok carrier 0.05 of 0.05: column "carrier": a share of 0.05 is null, 0.05 more than when version 7 was trained (0), at most 0.05 more allowed`},
		{"above it", func(e *Evidence) { then(e, 0, 6) },
			`warn carrier 0.06 of 0.05: column "carrier": a share of 0.06 is null, 0.06 more than when version 7 was trained (0), at most 0.05 more allowed`},
		{"a column the champion did not know", func(e *Evidence) {
			then(e, 0, 60)
			e.Baseline.Train.Columns = e.Baseline.Train.Columns[:3]
		}, "ok  0 of 0: no column has more nulls than when version 7 was trained"},
	})
}
