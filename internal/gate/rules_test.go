package gate

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func number(v float64) *float64 { return &v }

func around(v, half float64) models.Estimate {
	return models.Estimate{Value: v, Low: v - half, High: v + half}
}

// sound is evidence that passes a gate without limits.
func sound() models.Evaluation {
	gain := around(0.05, 0.01)
	return models.Evaluation{
		Rows: 1000, Blocks: 14, Gain: &gain,
		Candidate: map[models.Metric]models.Estimate{models.LogLoss: around(0.5, 0.02), models.AUC: around(0.8, 0.02)},
		Champion:  map[models.Metric]models.Estimate{models.LogLoss: around(0.55, 0.02), models.AUC: around(0.75, 0.02)},
		Serving:   &models.ServingFigures{SizeBytes: 3 << 20, Latency: &models.Latency{Requests: 200, P50Millis: 1.5, P99Millis: 9}},
		Checks: []models.CheckResult{
			{Check: "rows", Passed: true}, {Check: "rows", Passed: true}, {Check: "nulls", Passed: true},
		},
	}
}

// slice is a judged slice with a log-loss and a gain.
func slice(name string, loss, gain models.Estimate) models.SliceEvidence {
	return models.SliceEvidence{
		Column: "carrier", Slice: name, Rows: 500, Blocks: 14, Judged: true,
		Strict: map[models.Metric]models.Estimate{models.LogLoss: loss}, StrictGain: &gain,
		Champion: map[models.Metric]models.Estimate{models.LogLoss: around(0.6, 0.1)},
	}
}

// TestRules: each rule alone, by the one check that it makes.
func TestRules(t *testing.T) {
	limit := func(metric models.Metric, low, high *float64, at models.LimitAt) models.EvaluateSpec {
		return models.EvaluateSpec{Limits: []models.MetricLimit{{Metric: metric, Min: low, Max: high, At: at}}}
	}
	sliced := models.EvaluateSpec{
		Slices: []models.SliceSpec{{Column: "carrier", MinRows: 200}}, SliceLimits: []models.MetricLimit{{Metric: models.LogLoss, Max: number(0.6)}},
	}
	floor := models.EvaluateSpec{SliceLimits: []models.MetricLimit{{Metric: models.LogLoss, Min: number(0.6)}}}
	both := models.EvaluateSpec{SliceLimits: []models.MetricLimit{{Metric: models.LogLoss, Min: number(0.4), Max: number(0.6)}}}
	margin := models.EvaluateSpec{SliceMargin: number(0.02)}
	serving := func(p50, p99 time.Duration, size models.Bytes) models.EvaluateSpec {
		return models.EvaluateSpec{Serving: models.ServingLimits{P50: models.Duration(p50), P99: models.Duration(p99), MaxSize: size}}
	}
	with := func(s ...models.SliceEvidence) func(*models.Evaluation) {
		return func(e *models.Evaluation) { e.Slices = s }
	}
	gain := func(g models.Estimate) func(*models.Evaluation) {
		return func(e *models.Evaluation) { e.Gain = &g }
	}
	as := func(change func(*models.SliceEvidence)) func(*models.Evaluation) {
		s := slice("AA", around(0.5, 0.01), around(0.05, 0.01))
		change(&s)
		return with(s)
	}
	few := func(e *models.Evaluation) { e.Blocks = MinBlocks - 1 }
	const pass, fail, unsure = models.VerdictPass, models.VerdictFail, models.VerdictInconclusive
	for name, test := range map[string]struct {
		spec    models.EvaluateSpec
		change  func(*models.Evaluation)
		check   string // name and slice
		verdict models.Verdict
		limit   string
	}{
		"value at the limit":           {limit(models.LogLoss, nil, number(0.5), models.AtValue), nil, "log_loss", pass, "≤ 0.5"},
		"value over it":                {limit(models.LogLoss, nil, number(0.499), ""), nil, "log_loss", fail, "≤ 0.499"},
		"value under it":               {limit(models.AUC, number(0.801), nil, ""), nil, "auc", fail, "≥ 0.801"},
		"interval inside":              {limit(models.LogLoss, nil, number(0.521), models.AtInterval), nil, "log_loss", pass, "≤ 0.521 with all of its interval"},
		"interval across":              {limit(models.LogLoss, nil, number(0.51), models.AtInterval), nil, "log_loss", unsure, "≤ 0.51 with all of its interval"},
		"interval across, value out":   {limit(models.LogLoss, nil, number(0.49), models.AtInterval), nil, "log_loss", unsure, "≤ 0.49 with all of its interval"},
		"interval outside":             {limit(models.LogLoss, nil, number(0.479), models.AtInterval), nil, "log_loss", fail, "≤ 0.479 with all of its interval"},
		"interval across a minimum":    {limit(models.AUC, number(0.79), nil, models.AtInterval), nil, "auc", unsure, "≥ 0.79 with all of its interval"},
		"interval below a minimum":     {limit(models.AUC, number(0.83), nil, models.AtInterval), nil, "auc", fail, "≥ 0.83 with all of its interval"},
		"interval of too few blocks":   {limit(models.LogLoss, nil, number(0.9), models.AtInterval), few, "log_loss", unsure, "≤ 0.9 with all of its interval"},
		"value of too few blocks":      {limit(models.LogLoss, nil, number(0.9), ""), few, "log_loss", pass, "≤ 0.9"},
		"limit without bounds":         {limit(models.LogLoss, nil, nil, ""), nil, "log_loss", unsure, "no limit"},
		"metric that is missing":       {limit(models.Brier, nil, number(1), ""), nil, "brier", unsure, "≤ 1; not measured: the held-out rows don't give it"},
		"metric of another task":       {limit(models.RMSE, nil, number(1), ""), nil, "rmse", unsure, "≤ 1; not measured: rmse is no metric of task binary"},
		"metric that is infinite":      {limit(models.LogLoss, nil, number(1), ""), func(e *models.Evaluation) { e.Candidate[models.LogLoss] = models.Estimate{High: math.Inf(1)} }, "log_loss", unsure, "≤ 1; not measured: it is not a number"},
		"gain above the margin":        {models.EvaluateSpec{}, gain(around(0.02, 0.01)), "log_loss gain over the champion", pass, "gain > 0"},
		"gain that touches the margin": {models.EvaluateSpec{}, gain(around(0.01, 0.01)), "log_loss gain over the champion", unsure, "gain > 0"},
		"gain in another metric":       {models.EvaluateSpec{Champion: models.ChampionGate{Metric: models.AUC, Margin: 0.1}}, gain(around(-0.08, 0.01)), "auc gain over the champion", pass, "gain > -0.1"},
		"gain below the margin":        {models.EvaluateSpec{Champion: models.ChampionGate{Metric: models.AUC, Margin: 0.1}}, gain(around(-0.12, 0.01)), "auc gain over the champion", fail, "gain > -0.1"},

		"gain that may be a loss": {models.EvaluateSpec{}, gain(around(-0.005, 0.01)), "log_loss gain over the champion", unsure, "gain > 0"},

		"slice within":                {sliced, with(slice("AA", around(0.6, 0.2), around(0, 1))), "log_loss carrier=AA", pass, "≤ 0.6"},
		"slice over, not wholly":      {sliced, with(slice("AA", around(0.61, 0.011), around(0, 1))), "log_loss carrier=AA", unsure, "≤ 0.6"},
		"slice over with all of it":   {sliced, with(slice("AA", around(0.61, 0.009), around(0, 1))), "log_loss carrier=AA", fail, "≤ 0.6"},
		"slice above a floor":         {floor, with(slice("AA", around(0.6, 0.2), around(0, 1))), "log_loss carrier=AA", pass, "≥ 0.6"},
		"slice below a floor":         {floor, with(slice("AA", around(0.5, 0.09), around(0, 1))), "log_loss carrier=AA", fail, "≥ 0.6"},
		"slice below, not wholly":     {floor, with(slice("AA", around(0.5, 0.11), around(0, 1))), "log_loss carrier=AA", unsure, "≥ 0.6"},
		"slice between":               {both, with(slice("AA", around(0.5, 0.2), around(0, 1))), "log_loss carrier=AA", pass, "≥ 0.4 and ≤ 0.6"},
		"slice over both":             {both, with(slice("AA", around(0.7, 0.01), around(0, 1))), "log_loss carrier=AA", fail, "≥ 0.4 and ≤ 0.6"},
		"slice under both":            {both, with(slice("AA", around(0.3, 0.01), around(0, 1))), "log_loss carrier=AA", fail, "≥ 0.4 and ≤ 0.6"},
		"slice without the metric":    {sliced, as(func(s *models.SliceEvidence) { s.Strict = nil }), "log_loss carrier=AA", unsure, "≤ 0.6; not measured: the held-out rows don't give it"},
		"the plain figure is no help": {sliced, as(func(s *models.SliceEvidence) { s.Candidate, s.Strict = s.Strict, nil }), "log_loss carrier=AA", unsure, "≤ 0.6; not measured: the held-out rows don't give it"},
		"slice at the margin":         {margin, with(slice("AA", around(9, 0), around(-0.02, 0.5))), "log_loss gain over the champion carrier=AA", pass, "gain ≥ -0.02"},
		"slice below, may be chance":  {margin, with(slice("AA", around(9, 0), around(-0.03, 0.02))), "log_loss gain over the champion carrier=AA", unsure, "gain ≥ -0.02"},
		"slice below the margin":      {margin, with(slice("AA", around(9, 0), around(-0.03, 0.009))), "log_loss gain over the champion carrier=AA", fail, "gain ≥ -0.02"},
		"slice without a gain":        {margin, as(func(s *models.SliceEvidence) { s.StrictGain = nil }), "log_loss gain over the champion carrier=AA", unsure, "gain ≥ -0.02; not measured: the held-out rows don't give it"},
		"gain of a slice is infinite": {margin, as(func(s *models.SliceEvidence) { s.StrictGain.Low = math.Inf(-1) }), "log_loss gain over the champion carrier=AA", unsure, "gain ≥ -0.02; not measured: it is not a number"},
		"thin slice":                  {sliced, as(func(s *models.SliceEvidence) { s.Judged, s.Rows = false, 57 }), "slice carrier=AA", "", "shown, not judged: fewer than 200 rows"},
		"slice of few blocks":         {sliced, as(func(s *models.SliceEvidence) { s.Blocks = MinBlocks - 1 }), "slice carrier=AA", "", "shown, not judged: 4 blocks, 5 are needed"},
		"only thin slices":            {sliced, as(func(s *models.SliceEvidence) { s.Judged = false }), "slices with enough rows", unsure, "≥ 1"},
		"no slices at all":            {margin, nil, "slices with enough rows", unsure, "≥ 1"},

		"fast enough":             {serving(1500*time.Microsecond, 0, 0), nil, "latency p50 (ms)", pass, "≤ 1.5"},
		"too slow":                {serving(1499*time.Microsecond, 0, 0), nil, "latency p50 (ms)", fail, "≤ 1.499"},
		"fast enough at the end":  {serving(0, 9*time.Millisecond, 0), nil, "latency p99 (ms)", pass, "≤ 9"},
		"too slow at the end":     {serving(0, 8*time.Millisecond, 0), nil, "latency p99 (ms)", fail, "≤ 8"},
		"nothing timed":           {serving(0, 8*time.Millisecond, 0), func(e *models.Evaluation) { e.Serving.Latency = nil }, "latency p99 (ms)", unsure, "≤ 8; not measured: the runtime did not measure it"},
		"too few rows timed":      {serving(0, 8*time.Millisecond, 0), func(e *models.Evaluation) { e.Serving.Latency.Requests = 99 }, "latency p99 (ms)", unsure, "≤ 8; not measured: only 99 rows were timed, with a median of 1.5 ms; 100 are needed"},
		"few rows, and slow ones": {serving(0, time.Millisecond, 0), func(e *models.Evaluation) { e.Serving.Latency.Requests = 4 }, "latency p99 (ms)", fail, "≤ 1"},
		"a median needs fewer":    {serving(time.Second, 0, 0), func(e *models.Evaluation) { e.Serving.Latency.Requests = 1 }, "latency p50 (ms)", pass, "≤ 1000"},
		"time is not a number":    {serving(time.Second, 0, 0), func(e *models.Evaluation) { e.Serving.Latency.P50Millis = math.NaN() }, "latency p50 (ms)", unsure, "≤ 1000; not measured: it is not a number"},
		"small enough":            {serving(0, 0, 3<<20), nil, "model size (MiB)", pass, "≤ 3"},
		"too large":               {serving(0, 0, 2<<20), nil, "model size (MiB)", fail, "≤ 2"},
		"no size":                 {serving(0, 0, 2<<20), func(e *models.Evaluation) { e.Serving.SizeBytes = 0 }, "model size (MiB)", unsure, "≤ 2; not measured: nobody looked"},
		"size unknown":            {serving(0, 0, 2<<20), func(e *models.Evaluation) { e.Serving = nil }, "model size (MiB)", unsure, "≤ 2; not measured: nobody looked"},

		"data check made":      {models.EvaluateSpec{RequireChecks: []string{"rows"}}, nil, "data check rows", pass, "0 failed (of 2)"},
		"data check not made":  {models.EvaluateSpec{RequireChecks: []string{"range"}}, nil, "data check range", unsure, "made and passed; it was not made"},
		"data check failed":    {models.EvaluateSpec{RequireChecks: []string{"rows"}}, func(e *models.Evaluation) { e.Checks[1] = models.CheckResult{Check: "rows", Message: "0 rows"} }, "data check rows", fail, "0 failed (of 2); 0 rows"},
		"nobody asked, passed": {models.EvaluateSpec{}, nil, "data check nulls", pass, "0 failed (of 1)"},
		"skipped is not made": {models.EvaluateSpec{RequireChecks: []string{"skew"}}, func(e *models.Evaluation) {
			e.Checks = append(e.Checks, models.CheckResult{Check: "skew", Skipped: "nothing was served yet"})
		}, "data check skew", unsure, "made and passed; it was not made: nothing was served yet"},
		"nobody asked, skipped": {models.EvaluateSpec{}, func(e *models.Evaluation) {
			e.Checks = append(e.Checks, models.CheckResult{Check: "skew", Skipped: "nothing was served yet"})
		}, "data check nulls", pass, "0 failed (of 1)"},
		"nobody asked, warned": {models.EvaluateSpec{}, func(e *models.Evaluation) {
			e.Checks[2].Passed, e.Checks[2].Severity = false, models.SeverityWarn
		}, "data check nulls", pass, "0 failed (of 1)"},
		"asked, warned": {models.EvaluateSpec{RequireChecks: []string{"nulls"}}, func(e *models.Evaluation) {
			e.Checks[2].Passed, e.Checks[2].Severity = false, models.SeverityWarn
		}, "data check nulls", fail, "0 failed (of 1); "},
		"nobody asked, failed": {models.EvaluateSpec{}, func(e *models.Evaluation) { e.Checks[2].Passed = false }, "data check nulls", fail, "0 failed (of 1); "},
	} {
		t.Run(name, func(t *testing.T) {
			evidence := sound()
			if test.change != nil {
				test.change(&evidence)
			}
			got := Decide(test.spec, models.TaskBinary, evidence)
			check := find(got.Checks, test.check)
			if check == nil || check.Verdict != test.verdict || check.Limit != test.limit {
				t.Errorf("check %q is %+v, want %s, %s; all: %+v", test.check, check, test.verdict, test.limit, got.Checks)
			}
			if want := overall(test.verdict, evidence.Blocks); got.Verdict != want {
				t.Errorf("verdict %s, want %s: %s", got.Verdict, want, got.Reason)
			}
			if _, err := json.Marshal(got); err != nil {
				t.Error(err)
			}
		})
	}
}

func find(checks []models.GateCheck, name string) *models.GateCheck {
	for i, c := range checks {
		if strings.TrimSpace(c.Name+" "+c.Slice) == name {
			return &checks[i]
		}
	}
	return nil
}

// overall: only thin slices are asked for by a rule that then can't be kept.
func overall(check models.Verdict, blocks int) models.Verdict {
	if check == informs || blocks < MinBlocks {
		return models.VerdictInconclusive
	}
	return check
}

// TestThinSlicesDoNotDecide beside one that is judged.
func TestThinSlicesDoNotDecide(t *testing.T) {
	evidence := sound()
	thin := slice("OO", around(5, 0.1), around(-5, 0.1))
	thin.Judged, thin.Rows = false, 3
	evidence.Slices = []models.SliceEvidence{thin, slice("AA", around(0.5, 0.01), around(0.1, 0.01))}
	spec := models.EvaluateSpec{SliceMargin: number(0), SliceLimits: []models.MetricLimit{{Metric: models.LogLoss, Max: number(1)}}}
	got := Decide(spec, models.TaskBinary, evidence)
	if got.Verdict != models.VerdictPass || got.Reason != "passed: log_loss gain over the champion 0.0500 [0.0400, 0.0600] (needed: gain > 0); 1 slice within the limits" {
		t.Errorf("%s, %s", got.Verdict, got.Reason)
	}
	if last := got.Checks[len(got.Checks)-1]; last.Slice != "carrier=OO" || last.Figure.Value != 3 {
		t.Errorf("the thin slice is not shown: %+v", last)
	}
}

// TestFirstVersionHasNoMargin: slices can't be compared with nothing.
func TestFirstVersionHasNoMargin(t *testing.T) {
	evidence := sound()
	evidence.Champion, evidence.Gain = nil, nil
	evidence.Slices = []models.SliceEvidence{slice("AA", around(0.5, 0.01), around(0, 0))}
	evidence.Slices[0].StrictGain = nil
	if got := Decide(models.EvaluateSpec{SliceMargin: number(0)}, models.TaskBinary, evidence); got.Verdict != models.VerdictPass {
		t.Errorf("%s, %s", got.Verdict, got.Reason)
	}
}

// TestReasonIsShort names the worst three slices, whatever their order.
func TestReasonIsShort(t *testing.T) {
	evidence := sound()
	for i, loss := range []float64{0.7, 0.95, 0.5, 0.8, 0.9, 0.75, 0.61} {
		evidence.Slices = append(evidence.Slices, slice(fmt.Sprint("S", i), around(loss, 0.05), around(0, 1)))
	}
	spec := models.EvaluateSpec{SliceLimits: []models.MetricLimit{{Metric: models.LogLoss, Max: number(0.6)}}}
	got := Decide(spec, models.TaskBinary, evidence)
	want := "refused: log_loss in carrier=S1 0.9500 [0.9000, 1.0000] (needed: ≤ 0.6); " +
		"log_loss in carrier=S4 0.9000 [0.8500, 0.9500] (needed: ≤ 0.6); " +
		"log_loss in carrier=S3 0.8000 [0.7500, 0.8500] (needed: ≤ 0.6); and 2 more checks of slices"
	if got.Verdict != models.VerdictFail || got.Reason != want {
		t.Errorf("got  %s\nwant %s", got.Reason, want)
	}
	var order []string
	for _, c := range got.Checks {
		if c.Slice != "" {
			order = append(order, c.Slice+" "+string(c.Verdict))
		}
	}
	if text := strings.Join(order, ", "); text != "carrier=S1 fail, carrier=S4 fail, carrier=S3 fail, carrier=S5 fail, carrier=S0 fail, carrier=S6 inconclusive, carrier=S2 pass" {
		t.Errorf("order %s", text)
	}
}

func TestManyLimitsAreCounted(t *testing.T) {
	evidence, spec := sound(), models.EvaluateSpec{}
	for _, metric := range models.TaskBinary.Metrics() {
		evidence.Candidate[metric] = around(0.5, 0.1)
		spec.Limits = append(spec.Limits, models.MetricLimit{Metric: metric, Max: number(1)})
	}
	got := Decide(spec, models.TaskBinary, evidence)
	if !strings.HasSuffix(got.Reason, "; and 3 more checks") || strings.Count(got.Reason, "needed") != 5 {
		t.Error(got.Reason)
	}
}

// TestTwins: a candidate that is the champion again has a gain of exactly 0,
// which is a figure.
func TestTwins(t *testing.T) {
	evidence := sound()
	evidence.Gain = &models.Estimate{}
	got := Decide(models.EvaluateSpec{}, "", evidence)
	if got.Verdict != models.VerdictInconclusive || got.Reason != "not enough evidence: log_loss gain over the champion 0 (needed: gain > 0)" {
		t.Errorf("%s, %s", got.Verdict, got.Reason)
	}
}

func TestRegressionIsComparedInItsMetric(t *testing.T) {
	gain := around(0.5, 0.1)
	figures := map[models.Metric]models.Estimate{models.RMSE: around(3, 0.1)}
	evidence := models.Evaluation{Rows: 10, Blocks: 9, Gain: &gain, Candidate: figures, Champion: figures}
	spec := models.EvaluateSpec{Limits: []models.MetricLimit{{Metric: models.LogLoss, Max: number(1)}}}
	got := Decide(spec, models.TaskRegression, evidence)
	if c := find(got.Checks, "rmse gain over the champion"); c == nil || c.Verdict != models.VerdictPass || *c.Champion != figures[models.RMSE] {
		t.Errorf("check %+v", c)
	}
	if c := find(got.Checks, "log_loss"); !strings.HasSuffix(c.Limit, "log_loss is no metric of task regression") {
		t.Errorf("check %+v", c)
	}
}

func TestBrief(t *testing.T) {
	evidence := sound()
	for i := range 30 {
		evidence.Slices = append(evidence.Slices, slice(fmt.Sprint("S", i), around(0.5+float64(i)/100, 0.01), around(0, 1)))
	}
	spec := models.EvaluateSpec{SliceLimits: []models.MetricLimit{{Metric: models.LogLoss, Max: number(0.6)}}}
	whole := Decide(spec, models.TaskBinary, evidence)
	brief := Brief(whole)
	if brief.Verdict != whole.Verdict || brief.Reason != whole.Reason || len(whole.Checks) != 34 {
		t.Errorf("%d checks, %s, %s", len(whole.Checks), brief.Verdict, brief.Reason)
	}
	if last := brief.Checks[len(brief.Checks)-1]; len(brief.Checks) != 25 || last.Figure.Value != 10 || last.Verdict != informs {
		t.Errorf("%d checks, the last is %+v", len(brief.Checks), last)
	}
	if find(brief.Checks, "log_loss carrier=S29") == nil || find(brief.Checks, "log_loss carrier=S0") != nil {
		t.Error("the worst were not kept")
	}
	if again := Brief(brief); len(again.Checks) != len(brief.Checks) {
		t.Errorf("%d checks the second time", len(again.Checks))
	}
}
