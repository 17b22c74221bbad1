package checks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

func TestRange(t *testing.T) {
	limits := func(e *Evidence, r models.Range, count int64, rows ...models.OffendingRow) {
		e.Spec.Checks.Range = map[string]models.Range{"distance": r}
		e.find("range", "distance", 120, count, rows...)
	}
	judgeAll(t, checkRange, []judged{
		{"not asked", func(*Evidence) {}, "skipped : data.checks.range names no column"},
		{"inside", func(e *Evidence) { limits(e, models.Range{Min: at(3), Max: at(900)}, 0) },
			`ok distance 0 of 0: column "distance": 0 of 120 values are outside of 3 to 900; they go from 3 to 900`},
		{"outside", func(e *Evidence) { limits(e, models.Range{Max: at(899.5)}, 2, row(5, "900"), row(7, "900")) },
			`error distance 2 of 0: column "distance": 2 of 120 values are outside of 899.5 and less; they go from 3 to 900 | a.csv line 5: 900 | a.csv line 7: 900`},
		{"below", func(e *Evidence) { limits(e, models.Range{Min: at(4)}, 1, row(5, "3")) },
			`error distance 1 of 0: column "distance": 1 of 120 values are outside of 4 and more; they go from 3 to 900 | a.csv line 5: 3`},
		{"of times", func(e *Evidence) {
			e.Spec.Checks.Range = map[string]models.Range{"at": {Min: at(float64(day(2).Unix()))}}
			e.find("range", "at", 120, 1)
		}, `error at 1 of 0: column "at": 1 of 120 values are outside of 2013-01-02 and more; they go from 2013-01-01 to 2013-01-10`},
		{"nobody looked", func(e *Evidence) { e.Spec.Checks.Range = map[string]models.Range{"distance": {Min: at(4)}} },
			"skipped distance: no row was held against it"},
	})
}

func TestAllowed(t *testing.T) {
	list := func(e *Evidence, count int64, values ...string) {
		e.Spec.Checks.Allowed = map[string][]string{"carrier": values}
		e.find("allowed", "carrier", 120, count, row(5, "ZZ"))
	}
	judgeAll(t, checkAllowed, []judged{
		{"not asked", func(*Evidence) {}, "skipped : data.checks.allowed names no column"},
		{"all", func(e *Evidence) { list(e, 0, "AA", "UA"); e.Rows.Find("allowed", "carrier").Rows = nil },
			`ok carrier 0 of 0: column "carrier": 0 of 120 values are not among the 2 allowed ones (AA, UA)`},
		{"one is not", func(e *Evidence) { list(e, 1, "A", "B", "C", "D", "E", "F", "G") },
			`error carrier 1 of 0: column "carrier": 1 of 120 values are not among the 7 allowed ones (A, B, C, D, E, F, …) | a.csv line 5: ZZ`},
	})
}

func TestUnseen(t *testing.T) {
	base := func(e *Evidence, count int64) {
		e.Baseline, e.Version = &e.Profile, "7"
		e.find("unseen", "carrier", 200, count, row(5, "ZZ"))
	}
	judgeAll(t, checkUnseen, []judged{
		{"no champion", func(*Evidence) {}, "skipped : there is no baseline"},
		{"no list of what there was", func(e *Evidence) { e.Baseline, e.Version = &e.Profile, "7" },
			`skipped : version 7's profile does not list all values of "carrier"`},
		{"no categories", func(e *Evidence) {
			e.Baseline, e.Profile.Train.Columns = &e.Profile, slices.DeleteFunc(e.Profile.Train.Columns, func(c profile.Column) bool { return c.Name == "carrier" })
		}, "skipped : no column has categories"},
		{"none", func(e *Evidence) { base(e, 0) }, "ok  0 of 0: no column has categories that version 7 was not trained on"},
		{"at the limit", func(e *Evidence) { base(e, 2); e.Rows.Find("unseen", "carrier").Rows = nil },
			`ok carrier 0.01 of 0.01: column "carrier": 2 of 200 values (a share of 0.01) are categories that version 7 was not trained on, at most 0.01 allowed`},
		{"above it", func(e *Evidence) { base(e, 3) },
			`warn carrier 0.015 of 0.01: column "carrier": 3 of 200 values (a share of 0.015) are categories that version 7 was not trained on, at most 0.01 allowed | a.csv line 5: ZZ`},
	})
}

func TestLabel(t *testing.T) {
	const known = `ok late 0 of 0: column "late": 0 labels are neither 0 nor 1`
	train := func(e *Evidence) *profile.Column { return e.Profile.Train.Column("late") }
	judgeAll(t, checkLabel, []judged{
		{"both", func(*Evidence) {}, known + "\n" + `ok late 2 of 2: column "late": the training rows have both labels`},
		{"foreign", func(e *Evidence) { e.find("label", "late", 120, 2, row(9, "2")) },
			`error late 2 of 0: column "late": 2 labels are neither 0 nor 1 | a.csv line 9: 2`},
		{"one", func(e *Evidence) {
			train(e).Values = &profile.Values{Distinct: 1, Top: []profile.Count{{Value: "1", Rows: 100}}}
		}, known + "\n" + `error late 1 of 2: column "late": every training row has the label 1, both 0 and 1 are needed`},
		{"one class", func(e *Evidence) {
			e.Spec.Task, e.Spec.Classes = models.TaskMulticlass, []string{"on time", "late"}
			train(e).Values, train(e).Numbers = &profile.Values{Distinct: 1, Top: []profile.Count{{Value: "late", Rows: 100}}}, nil
		}, `ok late 0 of 0: column "late": 0 labels are none of the 2 classes` + "\n" +
			`error late 1 of 2: column "late": every one of the 100 training rows has the class "late", at least two classes are needed`},
		{"one number", func(e *Evidence) {
			e.Spec.Task, train(e).Values, train(e).Numbers = models.TaskRegression, nil, &profile.Numbers{Count: 100, Min: 2.5, Max: 2.5}
		}, `ok late 0 of 0: column "late": 0 labels are no finite numbers` + "\n" +
			`error late 1 of 2: column "late": every one of the 100 training rows has the label 2.5, different ones are needed`},
		{"numbers", func(e *Evidence) {
			e.Spec.Task, train(e).Values, train(e).Numbers = models.TaskRegression, nil, &profile.Numbers{Count: 100, Min: 2.5, Max: 4}
		}, `ok late 0 of 0: column "late": 0 labels are no finite numbers` + "\n" +
			`ok late 2 of 2: column "late": the training rows have labels from 2.5 to 4`},
	})
}

func TestLabelsThatNobodyMaySee(t *testing.T) {
	hide := func(e *Evidence, labels ...int64) {
		e.Spec.Columns = map[string]models.ColumnSpec{"late": {Sensitive: models.SensitiveKeep}}
		c := e.Profile.Train.Column("late")
		c.Numbers, c.Values, c.Sensitive = nil, nil, true
		if labels != nil {
			e.Rows.Associations = []profile.Association{{Column: "id", Crowded: true}, {Column: "carrier", Cells: []profile.Cell{{Labels: labels}, {Key: 1, Labels: labels}}}}
		}
	}
	judgeAll(t, checkLabel, []judged{
		{"both", func(e *Evidence) { hide(e, 40, 60, 0) }, `ok late 0 of 0: column "late": 0 labels are neither 0 nor 1` + "\n" +
			`ok late 2 of 2: column "late": the training rows have both labels`},
		{"one", func(e *Evidence) { hide(e, 0, 60, 0) }, `ok late 0 of 0: column "late": 0 labels are neither 0 nor 1` + "\n" +
			`error late 1 of 2: column "late": every training row has the label •••, both 0 and 1 are needed`},
		{"nothing to count with", func(e *Evidence) { hide(e) }, `ok late 0 of 0: column "late": 0 labels are neither 0 nor 1` + "\n" +
			`skipped late: the label is sensitive, and there is no feature to count its values with`},
	})
	gaps := sound()
	hide(&gaps, 20, 30, 0)
	gaps.Rows.Associations = append([]profile.Association{{Column: "cancelled", Cells: []profile.Cell{{Labels: []int64{0, 9, 0}}}}}, gaps.Rows.Associations...)
	if got := written(gaps, checkLabel); !strings.Contains(got, "have both labels") {
		t.Errorf("a feature that has a value only with one label: %s", got)
	}
	gaps.Rows.Associations = gaps.Rows.Associations[:1]
	if got := written(gaps, checkLabel); !strings.Contains(got, "skipped late") {
		t.Errorf("nothing but such a feature: %s", got)
	}
	e := sound()
	e.Spec.Task = models.TaskRegression
	hide(&e, 50) // 100 rows of the label 2
	for i := range e.Rows.Associations[1].Cells {
		e.Rows.Associations[1].Cells[i].Sum = 100
	}
	e.Rows.Associations[1].Squares = 400
	if got := written(e, checkLabel); !strings.Contains(got, "has the label •••, different ones") {
		t.Errorf("one number: %s", got)
	}
	e.Rows.Associations[1].Squares = 401
	if got := written(e, checkLabel); !strings.Contains(got, "have different labels") {
		t.Errorf("several: %s", got)
	}
}

func TestTimeOrder(t *testing.T) {
	const labels = "\n" + `ok known 0 of 0: column "known": 0 labels are older than their event`
	judgeAll(t, checkTimeOrder, []judged{
		{"in order", func(*Evidence) {},
			`ok at 8.64e+04 of 0: column "at": the last training row is of 2013-01-08, the first held-out one of 2013-01-09` + labels},
		{"the same moment", func(e *Evidence) { e.Profile.Train.Column("at").Numbers.Max = float64(day(9).Unix()) },
			`error at 0 of 0: column "at": the last training row is of 2013-01-09, the first held-out one of 2013-01-09` + labels},
		{"a microsecond before", func(e *Evidence) { e.Profile.Train.Column("at").Numbers.Max = float64(day(9).Unix()) - 1e-6 },
			`ok at 9.537e-07 of 0: column "at": the last training row is of 2013-01-08T23:59:59Z, the first held-out one of 2013-01-09` + labels},
		{"split by hash", func(e *Evidence) { e.Spec.Split.By, e.Spec.Holdout = models.SplitByHash, 0 },
			"skipped at: a hash splits: rows of all times are on both sides" + labels},
		{"labels from before", func(e *Evidence) { e.find("time_order", "known", 120, 2, row(3, "2013-01-01T00:00:00Z")) },
			`ok at 8.64e+04 of 0: column "at": the last training row is of 2013-01-08, the first held-out one of 2013-01-09` + "\n" +
				`error known 2 of 0: column "known": 2 labels are older than their event | a.csv line 3: 2013-01-01T00:00:00Z`},
		{"no time of its own", func(e *Evidence) { e.Spec.LabelTime = "" },
			`ok at 8.64e+04 of 0: column "at": the last training row is of 2013-01-08, the first held-out one of 2013-01-09`},
	})
}

func TestDeclaredLeakage(t *testing.T) {
	declare := func(e *Evidence, late, tooLate int64) {
		e.Spec.Columns = map[string]models.ColumnSpec{"distance": {KnownAt: "landed"}}
		e.find("leakage", "distance", 120, late, row(3, "900"))
		e.find("too_late", "distance", 120, tooLate)
	}
	judgeAll(t, checkLeakage, []judged{
		{"in time", func(e *Evidence) { declare(e, 0, 0); e.Rows.Find("leakage", "distance").Rows = nil },
			`ok distance 0 of 0: column "distance": 0 of 120 values became known only after their event (landed)`},
		{"late", func(e *Evidence) { declare(e, 3, 0) },
			`error distance 3 of 0: column "distance": 3 of 120 values became known only after their event (landed) | a.csv line 3: 900`},
		{"with the label", func(e *Evidence) { declare(e, 3, 2) },
			`error distance 3 of 0: column "distance": 3 of 120 values became known only after their event (landed), 2 of them not before the label | a.csv line 3: 900`},
		{"nothing to hold against", func(*Evidence) {}, "skipped : no feature can be held against the label"},
	})
}

func TestGuessedLeakage(t *testing.T) {
	cells := func(a, b int64) []profile.Cell {
		return []profile.Cell{{Key: 0, Labels: []int64{a, b, 0}}, {Key: 1, Labels: []int64{b, a, 0}}}
	}
	guess := func(e *Evidence, limit float64) {
		e.Spec.Checks.MaxLeak = &limit
		e.Rows.Associations = []profile.Association{{Column: "carrier", Cells: cells(500, 500)}, {Column: "distance", Cells: cells(900, 100)}}
	}
	exactly, _ := profile.Association{Cells: cells(900, 100)}.Explained(models.TaskBinary)
	if exactly < 0.5 || exactly > 0.6 {
		t.Fatalf("the feature explains %v", exactly)
	}
	figure, words := fmt.Sprintf("%.4g", exactly), fmt.Sprintf("%.3g %%", 100*exactly)
	complaint := figure + ` of 0.5: column "distance" alone explains ` + words +
		` of the label's entropy, at most 50 % allowed: is it the answer itself? (data.columns.distance.known_at settles it)`
	judgeAll(t, checkLeakage, []judged{
		{"at the limit", func(e *Evidence) { guess(e, exactly) }, "ok  " + figure + " of " + figure +
			`: none of 2 features looks like the answer; column "distance" alone explains ` + words + ` of the label's entropy, at most ` + words + ` allowed`},
		{"above it", func(e *Evidence) { guess(e, 0.5) }, "warn distance " + complaint},
		{"made an error", func(e *Evidence) {
			guess(e, 0.5)
			e.Spec.Checks.Severity = map[string]models.Severity{"leakage": models.SeverityError}
		}, "error distance " + complaint},
		{"what is declared is not guessed", func(e *Evidence) {
			guess(e, 0.5)
			e.Spec.Columns = map[string]models.ColumnSpec{"distance": {KnownAt: "at"}}
		}, `ok  0 of 0.5: none of 1 features looks like the answer; column "carrier" alone explains 0 % of the label's entropy, at most 50 % allowed`},
		{"what is declared and in no row is guessed", func(e *Evidence) {
			guess(e, 0.5)
			e.Spec.Columns = map[string]models.ColumnSpec{"distance": {KnownAt: "at"}}
			e.find("leakage", "distance", 0, 0)
		}, `skipped distance: no row has a value of column "distance" and a time in "at"` + "\n" + "warn distance " + complaint},
	})
}

func TestRepeats(t *testing.T) {
	judgeAll(t, checkUnique, []judged{
		{"none", func(*Evidence) {}, `ok id 0 of 0: column "id": 0 of 120 rows repeat the value of an earlier row`},
		{"one", func(e *Evidence) { e.Keys[0].Count, e.Keys[0].Rows = 1, []models.OffendingRow{row(8, "")} },
			`error id 1 of 0: column "id": 1 of 120 rows repeat the value of an earlier row | a.csv line 8`},
		{"nobody looked", func(e *Evidence) { e.Keys = nil }, "skipped : no column was looked at"},
	})
	judgeAll(t, checkDuplicates, []judged{
		{"at the limit", func(e *Evidence) {
			*e.Duplicates = Repeats{Seen: 200, Count: 2, Rows: []models.OffendingRow{row(8, "")}}
		},
			"ok  0.01 of 0.01: 2 of 200 rows (a share of 0.01) repeat another one in every column but the key, at most 0.01 allowed"},
		{"above it", func(e *Evidence) {
			*e.Duplicates = Repeats{Seen: 200, Count: 3, Rows: []models.OffendingRow{row(8, "")}}
		},
			"warn  0.015 of 0.01: 3 of 200 rows (a share of 0.015) repeat another one in every column but the key, at most 0.01 allowed | a.csv line 8"},
		{"nobody looked", func(e *Evidence) { e.Duplicates = nil }, "skipped : rows were not compared"},
	})
}

func TestSkewAndShift(t *testing.T) {
	served := func(e *Evidence, f ...ServedFeature) {
		e.Traffic = &Traffic{Endpoint: "flights", Requests: 400, Features: f}
	}
	judgeAll(t, checkSkew, []judged{
		{"no traffic", func(e *Evidence) { e.NoTraffic = "endpoint flights does not answer yet" }, "skipped : endpoint flights does not answer yet"},
		{"no key in common", func(e *Evidence) { served(e, ServedFeature{Column: "distance"}) },
			"skipped : none of the keys is among the 400 requests that endpoint flights has logged"},
		{"the same", func(e *Evidence) { served(e, ServedFeature{Column: "distance", Joined: 100}) },
			"ok  0 of 0: the features of 100 rows are what endpoint flights was asked with"},
		{"at the limit", func(e *Evidence) { served(e, ServedFeature{Column: "distance", Joined: 100, Differ: 1}) },
			`ok distance 0.01 of 0.01: column "distance": 1 of 100 rows (a share of 0.01) differ from what endpoint flights was asked with, at most 0.01 allowed`},
		{"above it", func(e *Evidence) {
			served(e, ServedFeature{Column: "distance", Joined: 100, Differ: 2, Rows: []models.OffendingRow{row(1, "5, served 6")}})
		}, `error distance 0.02 of 0.01: column "distance": 2 of 100 rows (a share of 0.02) differ from what endpoint flights was asked with, at most 0.01 allowed | a.csv line 1: 5, served 6`},
	})
	judgeAll(t, checkShift, []judged{
		{"at the limit", func(e *Evidence) { served(e, ServedFeature{Column: "distance", Shift: at(0.3)}) },
			`ok distance 0.3 of 0.3: column "distance": the training rows lie 0.3 (Jensen-Shannon) from the 400 requests to endpoint flights, at most 0.3 allowed`},
		{"above it", func(e *Evidence) { served(e, ServedFeature{Column: "distance", Shift: at(0.31)}) },
			`warn distance 0.31 of 0.3: column "distance": the training rows lie 0.31 (Jensen-Shannon) from the 400 requests to endpoint flights, at most 0.3 allowed`},
		{"unknown", func(e *Evidence) { served(e, ServedFeature{Column: "distance", NoShift: "fewer than 30 requests"}) },
			"skipped : fewer than 30 requests"},
	})
}
