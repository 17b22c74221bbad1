package exhibit

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/models"
)

func around(v, half float64) models.Estimate {
	return models.Estimate{Value: v, Low: v - half, High: v + half}
}

func ptr[T any](v T) *T { return &v }

// comparison is a candidate against a champion, with slices of every verdict.
func comparison() Evidence {
	e := Evidence{
		Model: "flight-delay", Champion: "3", Task: models.TaskBinary,
		Spec: models.EvaluateSpec{
			Limits:      []models.MetricLimit{{Metric: models.LogLoss, Max: ptr(0.65)}},
			Slices:      []models.SliceSpec{{Column: "carrier"}},
			SliceLimits: []models.MetricLimit{{Metric: models.Brier, Max: ptr(0.19)}}, SliceMargin: ptr(0.01),
			Serving: models.ServingLimits{P99: models.Duration(20 * time.Millisecond)},
		},
		Evaluation: models.Evaluation{
			Rows: 38402, Blocks: 14, Gain: ptr(around(0.0312, 0.0092)),
			Candidate: map[models.Metric]models.Estimate{
				models.LogLoss: around(0.4921, 0.0131), models.Brier: around(0.1571, 0.0052), models.AUC: around(0.742, 0.011),
				models.PRAUC: around(0.512, 0.021), models.Accuracy: around(0.781, 0.012), models.F1: around(0.431, 0.019),
				models.CalibrationError: around(0.0123, 0.0031),
			},
			Champion: map[models.Metric]models.Estimate{
				models.LogLoss: around(0.5233, 0.0151), models.Brier: around(0.1683, 0.0061), models.AUC: around(0.701, 0.012),
				models.PRAUC: around(0.462, 0.022), models.Accuracy: around(0.772, 0.013), models.F1: around(0.389, 0.021),
				models.CalibrationError: around(0.0453, 0.0052),
			},
			Gains: map[models.Metric]models.Estimate{
				models.LogLoss: around(0.0312, 0.0092), models.Brier: around(0.0112, 0.0031), models.AUC: around(0.041, 0.006),
				models.PRAUC: around(0.05, 0.012), models.Accuracy: around(0.009, 0.004), models.F1: around(0.042, 0.016),
				models.CalibrationError: around(0.033, 0.004),
			},
			Serving: &models.ServingFigures{Runtime: models.RuntimeONNX, SizeBytes: 3 << 20, Latency: &models.Latency{Requests: 200, P50Millis: 0.412, P99Millis: 1.93}},
			Checks:  []models.CheckResult{{Check: "rows", Passed: true}, {Check: "nulls", Passed: true}},
		},
	}
	start := time.Date(2013, 2, 15, 0, 0, 0, 0, time.UTC)
	for day := range 14 {
		wave := 0.04 * math.Sin(float64(day)/2)
		e.Evaluation.Days = append(e.Evaluation.Days, models.BlockComparison{
			Start: start.AddDate(0, 0, day), Rows: 2743, Candidate: 0.49 + wave, Champion: 0.52 + wave*1.4 - 0.012*float64(day%5),
		})
	}
	for i := range 10 {
		p := 0.05 + 0.1*float64(i)
		rows := int64(9000 / (i*i + 1))
		bin := models.ReliabilityBin{Low: 0.1 * float64(i), High: 0.1 * float64(i+1), Rows: rows, Predicted: p, Observed: p + 0.02*math.Sin(float64(i))}
		e.Curves.Reliability = append(e.Curves.Reliability, bin)
		bin.Observed = p*0.8 + 0.03
		e.Curves.ChampionReliability = append(e.Curves.ChampionReliability, bin)
	}
	e.Curves.Reliability = append(e.Curves.Reliability, models.ReliabilityBin{Low: 1, High: 1})
	for i := range 101 {
		x := float64(i) / 100
		e.Curves.ROC = append(e.Curves.ROC, [2]float64{x, math.Pow(x, 0.35)})
		e.Curves.ChampionROC = append(e.Curves.ChampionROC, [2]float64{x, math.Pow(x, 0.43)})
		e.Curves.PR = append(e.Curves.PR, [2]float64{x, 0.9 - 0.65*math.Pow(x, 0.8)})
		e.Curves.ChampionPR = append(e.Curves.ChampionPR, [2]float64{x, 0.85 - 0.62*math.Pow(x, 0.7)})
	}
	for i, name := range []string{"UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "other", "null"} {
		e.Evaluation.Slices = append(e.Evaluation.Slices, slice(name, int64(6000/(i+1)), 0.06-0.012*float64(i), 0.01+0.004*float64(i)))
	}
	thin := slice("OO", 31, -0.5, 0.1)
	thin.Judged, thin.Blocks = false, 9
	e.Evaluation.Slices = append(e.Evaluation.Slices, thin)
	// The best gain is that of the slice with the worst loss.
	e.Evaluation.Slices[0].Candidate[models.LogLoss] = around(0.7, 0.01)
	bad := &e.Evaluation.Slices[9]
	bad.StrictGain, bad.Gain = ptr(around(-0.05, 0.03)), ptr(around(-0.05, 0.02))
	e.Gate = gate.Decide(e.Spec, e.Task, e.Evaluation)
	return e
}

func slice(name string, rows int64, gain, half float64) models.SliceEvidence {
	loss, brier := around(0.52-gain, half), around(0.19-gain/3, half/4)
	return models.SliceEvidence{
		Column: "carrier", Slice: name, Rows: rows, Blocks: 14, Judged: true,
		Candidate:  map[models.Metric]models.Estimate{models.LogLoss: loss, models.Brier: brier},
		Champion:   map[models.Metric]models.Estimate{models.LogLoss: around(0.52, half)},
		Gain:       ptr(around(gain, half)),
		Strict:     map[models.Metric]models.Estimate{models.Brier: around(0.19-gain/3, half/2)},
		StrictGain: ptr(around(gain, 1.8*half)),
	}
}

// first is a first version: nothing to compare with.
func first() Evidence {
	e := comparison()
	e.Champion, e.Evaluation.Champion, e.Evaluation.Gains, e.Evaluation.Gain = "", nil, nil, nil
	e.Curves.ChampionROC, e.Curves.ChampionPR, e.Curves.ChampionReliability = nil, nil, nil
	e.Spec.SliceMargin = nil
	for i := range e.Evaluation.Days {
		e.Evaluation.Days[i].Champion = 0
	}
	for i := range e.Evaluation.Slices {
		e.Evaluation.Slices[i].Champion, e.Evaluation.Slices[i].Gain, e.Evaluation.Slices[i].StrictGain = nil, nil, nil
	}
	e.Gate = gate.Decide(e.Spec, e.Task, e.Evaluation)
	return e
}

func named(t *testing.T, files []File, name string) string {
	t.Helper()
	for _, f := range files {
		if f.Name == name {
			return string(f.Content)
		}
	}
	t.Fatalf("no file %s", name)
	return ""
}

func names(files []File) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.Name)
	}
	return out
}

func TestFiles(t *testing.T) {
	nothing := Evidence{Model: "m", Gate: gate.Decide(models.EvaluateSpec{}, "", models.Evaluation{})}
	regression := Evidence{Model: "m", Task: models.TaskRegression, Evaluation: models.Evaluation{Days: comparison().Evaluation.Days}}
	for name, test := range map[string]struct {
		evidence Evidence
		want     []string
	}{
		"comparison": {comparison(), []string{
			"evaluation/gate.md", "evaluation/reliability.svg", "evaluation/roc.svg", "evaluation/precision_recall.svg",
			"evaluation/blocks.svg", "evaluation/slices.svg", "evaluation/slices_brier.svg", "evaluation/evaluation.json",
		}},
		"first version": {first(), []string{
			"evaluation/gate.md", "evaluation/reliability.svg", "evaluation/roc.svg", "evaluation/precision_recall.svg",
			"evaluation/blocks.svg", "evaluation/slices_brier.svg", "evaluation/evaluation.json",
		}},
		"regression": {regression, []string{"evaluation/gate.md", "evaluation/blocks.svg", "evaluation/evaluation.json"}},
		"nothing":    {nothing, []string{"evaluation/gate.md", "evaluation/evaluation.json"}},
	} {
		files := Files(test.evidence)
		if got := names(files); !slices.Equal(got, test.want) {
			t.Errorf("%s: files %q, want %q", name, got, test.want)
		}
		for i, f := range Files(test.evidence) {
			if !bytes.Equal(f.Content, files[i].Content) {
				t.Errorf("%s: %s is different the second time", name, f.Name)
			}
		}
		checkFiles(t, name, files)
	}
}

// checkFiles: every plot is XML without a number that is none, every link leads
// to a file, and the JSON can be read.
func checkFiles(t *testing.T, name string, files []File) {
	t.Helper()
	table := named(t, files, "evaluation/gate.md")
	for _, f := range files {
		switch filepath.Ext(f.Name) {
		case ".svg":
			if err := wellFormed(f.Content); err != nil {
				t.Errorf("%s: %s: %v", name, f.Name, err)
			}
			if text := string(f.Content); strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
				t.Errorf("%s: %s has a number that is none", name, f.Name)
			}
			if !strings.Contains(table, "("+filepath.Base(f.Name)+")") {
				t.Errorf("%s: gate.md does not link %s", name, f.Name)
			}
		case ".json":
			var figures struct{ Format int }
			if err := json.Unmarshal(f.Content, &figures); err != nil || figures.Format != 1 {
				t.Errorf("%s: %s: %v, format %d", name, f.Name, err, figures.Format)
			}
			if strings.Contains(string(f.Content), `"error"`) {
				t.Errorf("%s: %s", name, f.Content)
			}
		}
	}
}

func wellFormed(text []byte) error {
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// TestHostileEvidence: names from data can't break out of a file, and numbers
// that are none leave no trace.
func TestHostileEvidence(t *testing.T) {
	e := comparison()
	nan := models.Estimate{Value: math.NaN(), Low: math.Inf(-1), High: math.Inf(1)}
	e.Evaluation.Slices[0].Slice = "<script>alert(1)</script>|\n# x \x00\xff"
	e.Evaluation.Slices[1].Slice = strings.Repeat("long ", 50)
	e.Evaluation.Slices[2].Gain, e.Evaluation.Slices[3].StrictGain = &nan, &nan
	e.Evaluation.Slices[4].Candidate = map[models.Metric]models.Estimate{models.LogLoss: nan, models.Brier: nan}
	e.Evaluation.Candidate[models.AUC], e.Evaluation.Gains[models.LogLoss] = nan, nan
	e.Evaluation.Days[3].Candidate = math.Inf(1)
	e.Curves.ROC[5][1] = math.NaN()
	e.Curves.Reliability[2].Observed = math.NaN()
	e.Gate = gate.Decide(e.Spec, e.Task, e.Evaluation)
	files := Files(e)
	checkFiles(t, "hostile", files)
	for _, f := range files {
		if strings.Contains(string(f.Content), "<script") {
			t.Errorf("%s has a script", f.Name)
		}
	}
	for line := range strings.SplitSeq(named(t, files, "evaluation/gate.md"), "\n") {
		if strings.HasPrefix(line, "# x") {
			t.Error("a slice's name became a heading")
		}
	}
	if _, err := json.Marshal(VersionPage(models.Candidate{Summary: Summarize(models.EvaluateInput{}, e.Evaluation)}, models.ModelVersion{})); err != nil {
		t.Error(err)
	}
}

// TestPlotsSay what they show: n, units, both models, verdicts.
func TestPlotsSay(t *testing.T) {
	files := Files(comparison())
	for name, want := range map[string][]string{
		"reliability":      {"n = 38,402 held-out rows in 14 blocks of 1d, 15 Feb 2013 to 28 Feb 2013", "candidate, error 0.0123 [0.0092, 0.0154]", "champion (version 3), error", `class="rule"`, "rows"},
		"roc":              {"candidate, AUC 0.742 [0.731, 0.753]", "false positive rate", "n = 38,402"},
		"precision_recall": {"the dashed line is guessing (label 1 has a share of 0.", "candidate, PR-AUC", "n = 38,402"},
		"blocks":           {"mean log-loss (nats)", "The candidate&#39;s loss is lower in 10 of 14 blocks.", "start of the block (UTC)", "15 Feb"},
		"slices":           {"gain in log-loss (nats)", "carrier=null", "margin", "no gain", "interval fail", "interval unsure", "interval pass", "strict fail"},
		"slices_brier":     {"Brier score of the candidate", "limit", "Lower is better."},
	} {
		text := named(t, files, "evaluation/"+name+".svg")
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("%s.svg does not say %q", name, part)
			}
		}
	}
	if strings.Contains(named(t, files, "evaluation/reliability.svg"), ">0 rows") {
		t.Error("reliability.svg marks a bin without rows")
	}
	if text := named(t, files, "evaluation/slices.svg"); strings.Contains(text, "carrier=OO") ||
		strings.Index(text, ">carrier=null<") > strings.Index(text, ">carrier=UA<") {
		t.Error("slices.svg shows a slice that was not judged, or the best first")
	}
}

func TestNumbers(t *testing.T) {
	for _, test := range []struct {
		got, want string
	}{
		{interval(around(0.5, 0.02)), "0.500 [0.480, 0.520]"},
		{interval(around(0.5, 0.00021)), "0.50000 [0.49979, 0.50021]"},
		{interval(around(1234.5, 20)), "1234.5 [1214.5, 1254.5]"},
		{interval(around(-0.00001, 0.01)), "0.000 [-0.010, 0.010]"},
		{signed(around(0.05, 0.01)), "+0.050 [+0.040, +0.060]"},
		{size(3 << 20), "3 MiB"}, {size(1500), "1.46 KiB"}, {size(5 << 30), "5 GiB"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}
