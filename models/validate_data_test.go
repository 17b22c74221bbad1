package models

import (
	"reflect"
	"testing"
)

func TestValidateDataSection(t *testing.T) {
	hashed := func(s *LifecycleSpec) { s.Data.Holdout, s.Data.Split = 0, SplitSpec{By: SplitByHash} }
	for name, test := range map[string]struct {
		change func(*LifecycleSpec)
		want   string
	}{
		"split by hash": {hashed, ""},
		"split by hash keeps no holdout": {func(s *LifecycleSpec) { s.Data.Split.By = SplitByHash },
			"data.holdout: is given, but rows are split by hash (drop it, or split.by)"},
		"share of a hash": {func(s *LifecycleSpec) { hashed(s); s.Data.Split.Fraction = 1 },
			"data.split.fraction: is 1; it must be above 0 and below 1"},
		"split by time takes no salt": {func(s *LifecycleSpec) { s.Data.Split.Salt = "2" },
			"data.split.salt: is given, but rows are split by time (set split.by to hash, or drop it)"},
		"no such split": {func(s *LifecycleSpec) { s.Data.Split.By = "order" },
			"data.split.by: is \"order\"; it must be time or hash"},
		"format": {func(s *LifecycleSpec) { s.Data.Format = "xlsx" },
			"data.format: is \"xlsx\"; it must be parquet, csv or jsonl"},
		"delimiters": {func(s *LifecycleSpec) { s.Data.CSV.Delimiter = "\t" }, ""},
		"delimiter of two": {func(s *LifecycleSpec) { s.Data.CSV.Delimiter = "||" },
			"data.csv.delimiter: is \"||\"; it must be one character, and no quote or line break (such as ';')"},
		"delimiter that quotes": {func(s *LifecycleSpec) { s.Data.CSV.Delimiter = `"` },
			"data.csv.delimiter: is \"\\\"\"; it must be one character, and no quote or line break (such as ';')"},
		"retention": {func(s *LifecycleSpec) { s.Data.Retention = -Day }, "data.retention: is -1d; it must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := validSpec()
			test.change(&spec)
			checkProblems(t, spec.Validate(), test.want)
		})
	}
}

func TestValidateColumns(t *testing.T) {
	of := func(name string, c ColumnSpec) func(*LifecycleSpec) {
		return func(s *LifecycleSpec) { s.Data.Columns = map[string]ColumnSpec{name: c} }
	}
	for name, test := range map[string]struct {
		change func(*LifecycleSpec)
		want   string
	}{
		"all that is known": {of("carrier", ColumnSpec{Type: "string", KnownAt: "sched", Sensitive: SensitiveKeep}), ""},
		"carried along":     {of("remark", ColumnSpec{Type: "string"}), ""},
		"type":              {of("hour", ColumnSpec{Type: "int32"}), "data.columns.hour.type: is \"int32\"; it must be string, int64, float64, bool or timestamp"},
		"time format": {of("sched", ColumnSpec{TimeFormat: "us"}),
			"data.columns.sched.time_format: is \"us\"; it must be iso, unix, unix_ms or unix_us"},
		"known at is for features": {of("late", ColumnSpec{KnownAt: "sched"}),
			"data.columns.late.known_at: is given for \"late\", which is no feature"},
		"known at itself": {of("hour", ColumnSpec{KnownAt: "hour"}), "data.columns.hour.known_at: is the column itself"},
		"a sensitivity":   {of("hour", ColumnSpec{Sensitive: "hide"}), "data.columns.hour.sensitive: is \"hide\"; it must be keep, drop or pseudonymise"},
		"a needed column can't be dropped": {of("hour", ColumnSpec{Sensitive: SensitiveDrop}),
			"data.columns.hour.sensitive: \"hour\" is the feature; it can't be dropped (drop only what nothing else needs)"},
		"another one can": {of("remark", ColumnSpec{Sensitive: SensitiveDrop}), ""},
		"pseudonyms want a key": {of("id", ColumnSpec{Sensitive: SensitivePseudonymise}),
			"data.pseudonym_key: is missing; a column has sensitive: pseudonymise, or is dropped and among checks.unique, which keeps its hashes (write env:NAME or file:PATH)"},
		"so do hashes of what is dropped": {func(s *LifecycleSpec) {
			of("remark", ColumnSpec{Sensitive: SensitiveDrop})(s)
			s.Data.Checks.Unique = []string{"remark"}
		}, "data.pseudonym_key: is missing; a column has sensitive: pseudonymise, or is dropped and among checks.unique, which keeps its hashes (write env:NAME or file:PATH)"},
		"and no feature": {func(s *LifecycleSpec) {
			of("carrier", ColumnSpec{Sensitive: SensitivePseudonymise})(s)
			s.Data.PseudonymKey = "env:KEY"
		}, "data.columns.carrier.sensitive: \"carrier\" is the feature; whoever asks the model would send the value itself, not its pseudonym " +
			"(leave it out of features, or keep it)"},
		"the key itself in the spec": {func(s *LifecycleSpec) { s.Data.PseudonymKey = "hunter2hunter2hunter2" },
			"data.pseudonym_key: must be a reference: the spec is kept in histories and logs (write env:NAME or file:PATH)"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := validSpec()
			test.change(&spec)
			checkProblems(t, spec.Validate(), test.want)
		})
	}
}

func TestValidateDataChecks(t *testing.T) {
	const columns = "it has sched, id, late, arrived, carrier or hour"
	const names = "; there are " + dataChecks
	for name, test := range map[string]struct {
		checks DataChecks
		want   string
	}{
		"limits at their ends": {DataChecks{MaxNullRise: f(0), MaxUnseen: f(1), MaxLeak: f(1), MinRows: 5, MaxRows: 5}, ""},
		"shares": {DataChecks{MaxNullRise: f(-0.1), MaxUnseen: f(1.1), MaxDuplicates: f(2), MaxSkew: f(-1), MaxShift: f(1.5), MaxLeak: f(9)},
			"data.checks.max_null_rise: is -0.1; it must be between 0 and 1\n" +
				"data.checks.max_unseen: is 1.1; it must be between 0 and 1\n" +
				"data.checks.max_duplicates: is 2; it must be between 0 and 1\n" +
				"data.checks.max_skew: is -1; it must be between 0 and 1\n" +
				"data.checks.max_shift: is 1.5; it must be between 0 and 1\n" +
				"data.checks.max_leak: is 9; it must be between 0 and 1"},
		"rows the wrong way round": {DataChecks{MinRows: 5, MaxRows: 4}, "data.checks.max_rows: is 4, below min_rows (5)"},
		"freshness":                {DataChecks{Freshness: -1}, "data.checks.freshness: is -1ns; it must not be negative"},
		"allowed": {DataChecks{Allowed: map[string][]string{"carrier": nil, "carier": {"AA"}}},
			"data.checks.allowed.carier: \"carier\" is no column of this spec; " + columns + "\n" +
				"data.checks.allowed.carrier: allows nothing (list the values)"},
		"unique":     {DataChecks{Unique: []string{"id", "ident"}}, "data.checks.unique[1]: \"ident\" is no column of this spec; " + columns},
		"severities": {DataChecks{Severity: map[string]Severity{"nulls": "warn", "nulls.hour": "error", "new_column.anything": "error"}}, ""},
		"severities that mean nothing": {DataChecks{Severity: map[string]Severity{"null": "warn", "nulls.huor": "warn", "range": "fatal"}},
			"data.checks.severity.null: \"null\" is no data check" + names + " (did you mean nulls?)\n" +
				"data.checks.severity.nulls.huor: \"huor\" is no column of this spec; " + columns + "\n" +
				"data.checks.severity.range: is \"fatal\"; it must be error or warn"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := validSpec()
			spec.Data.Checks = test.checks
			checkProblems(t, spec.Validate(), test.want)
		})
	}
}

func TestSeverityOfACheck(t *testing.T) {
	none := DataChecks{}
	said := DataChecks{Severity: map[string]Severity{"nulls": SeverityWarn, "nulls.id": SeverityError, "unseen": SeverityError, "leakage": SeverityError}}
	for _, test := range []struct {
		checks        DataChecks
		check, column string
		guessed       bool
		want          Severity
	}{
		{none, "nulls", "hour", false, SeverityError},
		{none, "unseen", "hour", false, SeverityWarn},
		{none, "leakage", "hour", false, SeverityError},
		{none, "leakage", "hour", true, SeverityWarn},
		{said, "nulls", "hour", false, SeverityWarn},
		{said, "nulls", "id", false, SeverityError},
		{said, "unseen", "hour", false, SeverityError},
		{said, "leakage", "hour", true, SeverityError},
	} {
		if got := test.checks.SeverityOf(test.check, test.column, test.guessed); got != test.want {
			t.Errorf("%s of %q, guessed %v: %s, want %s", test.check, test.column, test.guessed, got, test.want)
		}
	}
	for _, name := range DataCheckNames() {
		want := SeverityError
		switch name {
		case "new_column", "null_rise", "unseen", "duplicates", "shift":
			want = SeverityWarn
		}
		if got := none.SeverityOf(name, "", false); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestDefaultsOfAHashSplit(t *testing.T) {
	spec := validSpec().Data
	spec.Split.By = SplitByHash
	want := SplitSpec{By: SplitByHash, Column: "id", Fraction: 0.2}
	if got := spec.WithDefaults().Split; got != want {
		t.Errorf("defaults %+v, want %+v", got, want)
	}
	spec.Split = SplitSpec{By: SplitByHash, Column: "carrier", Fraction: 0.5, Salt: "x"}
	if got := spec.WithDefaults().Split; !reflect.DeepEqual(got, spec.Split) {
		t.Errorf("what is written was changed to %+v", got)
	}
	limit, key := 0.0, []string{"arrived"}
	spec.Checks = DataChecks{MaxLeak: &limit, Unique: key}
	if got := spec.WithDefaults().Checks; *got.MaxLeak != 0 || !reflect.DeepEqual(got.Unique, key) {
		t.Errorf("what is written was changed to %+v", got)
	}
}
