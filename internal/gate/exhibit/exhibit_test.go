package exhibit

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/gate"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
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

// TestMeasured draws what is really measured, for every task; where LOOK says,
// it leaves the files for eyes.
func TestMeasured(t *testing.T) {
	look := os.Getenv("LOOK")
	for name, e := range map[string]Evidence{
		"comparison": comparison(), "first": first(), "binary": measured(models.TaskBinary, 1),
		"multiclass": measured(models.TaskMulticlass, 3), "regression": measured(models.TaskRegression, 1),
	} {
		files := Files(e)
		checkFiles(t, name, files)
		if len(files) < 4 {
			t.Errorf("%s: only %q", name, names(files))
		}
		if look == "" {
			continue
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(look, name+"_"+filepath.Base(f.Name)), f.Content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// measured is a champion with more noise than the candidate, on 14 days.
func measured(task models.Task, classes int) Evidence {
	const rows, days = 14 * 300, 14
	random := rand.New(rand.NewPCG(7, uint64(classes)))
	s := metric.Sample{
		Task: task, Candidate: metric.Answers{Classes: classes}, Champion: &metric.Answers{Classes: classes},
		Slicings: []metric.Slicing{{Column: "origin", Names: []string{"EWR", "JFK", "LGA", "other"}, MinRows: 200}},
	}
	for i := range rows {
		s.Blocks = append(s.Blocks, int32(i*days/rows))
		s.Slicings[0].Groups = append(s.Slicings[0].Groups, int32(min(i%7, 3)))
		truth := 2 * random.NormFloat64()
		s.Candidate.Values = append(s.Candidate.Values, answer(task, classes, truth+0.3*random.NormFloat64())...)
		s.Champion.Values = append(s.Champion.Values, answer(task, classes, truth+0.8*random.NormFloat64())...)
		s.Labels = append(s.Labels, outcome(task, classes, truth, random))
	}
	spec := models.EvaluateSpec{Slices: []models.SliceSpec{{Column: "origin"}}, SliceMargin: ptr(0.0)}.WithDefaultsFor(task)
	m := metric.Measure(s, metric.Settings{Metric: task.DefaultMetric(), Level: 0.1, Resamples: 200, Seed: 1, Threshold: 0.5, Quantile: 0.5})
	e := Evidence{Model: "m", Champion: "1", Task: task, Spec: spec, Curves: m.Curves, Evaluation: models.Evaluation{
		Rows: rows, Blocks: days, Candidate: m.Candidate, Champion: m.Champion, Gains: m.Gains,
		Gain: ptr(m.Gains[task.DefaultMetric()]), Slices: m.Slices,
	}}
	for i, b := range m.Blocks {
		start := time.Date(2013, 7, 20, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i)
		e.Evaluation.Days = append(e.Evaluation.Days, models.BlockComparison{Start: start, Rows: b.Rows, Candidate: b.Candidate, Champion: b.Champion})
	}
	e.Gate = gate.Decide(spec, task, e.Evaluation)
	return e
}

func answer(task models.Task, classes int, score float64) []float64 {
	switch task {
	case models.TaskRegression:
		return []float64{10 + 3*score}
	case models.TaskMulticlass:
		p := make([]float64, classes)
		total := 0.0
		for k := range p {
			p[k] = math.Exp(-(score - float64(2*k-2)) * (score - float64(2*k-2)) / 4)
			total += p[k]
		}
		for k := range p {
			p[k] /= total
		}
		return p
	default:
		return []float64{1 / (1 + math.Exp(1-score))}
	}
}

func outcome(task models.Task, classes int, truth float64, random *rand.Rand) float64 {
	if task == models.TaskRegression {
		return 10 + 3*truth + random.NormFloat64()
	}
	p, u := answer(task, classes, truth), random.Float64()
	if task == models.TaskBinary {
		if u < p[0] {
			return 1
		}
		return 0
	}
	for k, share := range p {
		if u -= share; u < 0 {
			return float64(k)
		}
	}
	return float64(classes - 1)
}

func candidate() models.Candidate {
	e := comparison()
	c := models.Candidate{
		Lifecycle: "lifecycle-flight-delay-7", LifecycleRun: "5b1f6f0e-8d5b-4a5e-9a3e-0c4b0a2f7f11", RunID: "a1b2",
		Snapshot: strings.Repeat("ab", 32), CodeSHA256: strings.Repeat("cd", 32), SpecSHA256: strings.Repeat("ef", 32), CodeCommit: "3f2a91c+dirty",
		Metrics: e.Evaluation.Candidate, Gate: e.Gate, Devices: []string{"GPU-1"},
		Hosts: []models.HostFacts{{Node: "node-1", OS: "linux/amd64", Driver: "NVIDIA 550.54.15", Devices: []models.DeviceFact{{UUID: "GPU-1", Model: "NVIDIA H100"}}}},
		Summary: Summarize(models.EvaluateInput{
			Spec: e.Spec, Data: models.DataSpec{Task: e.Task}, Champion: &models.ChampionModel{Version: "3"},
			Snapshot: models.Snapshot{Train: models.Span{Rows: 120034}},
		}, e.Evaluation),
		Trained: models.TimeSpan{Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Ended: time.Date(2026, 1, 2, 4, 5, 7, 0, time.UTC)},
	}
	for _, f := range Files(e) {
		c.Evidence = append(c.Evidence, models.EvidenceFile{Name: f.Name})
	}
	return c
}

func TestVersionPage(t *testing.T) {
	c := candidate()
	version := models.ModelVersion{
		Spec:      models.LifecycleSpec{Evaluate: models.EvaluateSpec{Approval: &models.ApprovalSpec{}}, Trigger: &models.Trigger{Kind: models.TriggerAlarm, Reason: "loss rose"}},
		Signature: &models.Signature{KeyID: strings.Repeat("12", 32), SignedAt: time.Date(2026, 1, 2, 5, 0, 0, 0, time.UTC)},
		Approval:  &models.Approval{Verdict: models.VerdictPass, By: "ada", Reason: "looks | fine", At: time.Date(2026, 1, 2, 6, 0, 0, 0, time.UTC)},
	}
	text := VersionPage(c, version)
	for _, want := range []string{
		"**Gate: fail** — refused: ", "| log_loss ↓ | 0.492 [0.479, 0.505] | 0.523 [0.508, 0.538] | +0.0312 [+0.0220, +0.0404] |",
		"| auc ↑ |", "champion (version 3)", "On 38,402 held-out rows in 14 blocks; intervals at error level 0.1",
		"### Slices: the worst 10 of 12", "| carrier=null | 500 |", "data: snapshot `" + c.Snapshot + "`, 120,034 training rows",
		"code: `" + c.CodeSHA256 + "`, commit `3f2a91c+dirty`", "spec: `" + c.SpecSHA256 + "`",
		"trained on node-1 (linux/amd64; NVIDIA 550.54.15): NVIDIA H100 `GPU-1`", "trained from 2 Jan 2026 03:04 UTC for 1h1m2s",
		"lifecycle: `lifecycle-flight-delay-7`, run `5b1f", "asked for by: alarm, loss rose", "key `" + version.Signature.KeyID + "`",
		`approved by ada on 2 Jan 2026 06:00 UTC: looks \| fine`, "`evaluation/gate.md`", "one row takes 0.412 ms in the median",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	if len(text) > MaxPage {
		t.Errorf("%d bytes", len(text))
	}
}

func TestVersionPageWithoutAnything(t *testing.T) {
	text := VersionPage(models.Candidate{}, models.ModelVersion{})
	for _, want := range []string{"**Gate: not judged**", "signature: none", "approval: not asked for"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	for verdict, want := range map[models.Verdict]string{
		models.VerdictFail: "rejected by ada", models.VerdictInconclusive: "nobody answered in time", models.VerdictPass: "approved by ada",
	} {
		if text := VersionPage(models.Candidate{}, models.ModelVersion{Approval: &models.Approval{Verdict: verdict, By: "ada"}}); !strings.Contains(text, want) {
			t.Errorf("%s: %s", verdict, text)
		}
	}
	asked := models.ModelVersion{Spec: models.LifecycleSpec{Evaluate: models.EvaluateSpec{Approval: &models.ApprovalSpec{}}}}
	if text := VersionPage(models.Candidate{}, asked); !strings.Contains(text, "asked for, not answered yet") {
		t.Error(text)
	}
}

// TestVersionPageFits whatever is told: first slices go, then names of files.
func TestVersionPageFits(t *testing.T) {
	c := candidate()
	c.Gate.Reason = strings.Repeat("reason ", 1000)
	for i := range 100 {
		c.Hosts = append(c.Hosts, models.HostFacts{Node: fmt.Sprint("node-with-a-long-name-", i), Devices: slices.Repeat([]models.DeviceFact{{UUID: "GPU-0123456789"}}, 2)})
		c.Evidence = append(c.Evidence, models.EvidenceFile{Name: fmt.Sprint("evaluation/file", i)})
	}
	for i := range c.Summary.Slices {
		c.Summary.Slices[i].Slice = strings.Repeat("ü", 300)
	}
	text := VersionPage(c, models.ModelVersion{})
	if strings.Contains(text, "### Slices") || !strings.Contains(text, "`evaluation/gate.md`") || strings.Contains(text, "file99") || strings.HasSuffix(text, "…") {
		t.Errorf("left out the wrong things:\n%s", text)
	}
	if len(text) > MaxPage || !strings.Contains(text, c.Snapshot) || !strings.Contains(text, "signature: none") || !strings.Contains(text, "and on 93 more hosts") {
		t.Errorf("%d bytes:\n%s", len(text), text)
	}
	for i := range c.Hosts {
		c.Hosts[i].Driver = strings.Repeat("driver ", 200)
	}
	if text := VersionPage(c, models.ModelVersion{}); len(text) > MaxPage || !strings.HasSuffix(text, "…") {
		t.Errorf("%d bytes", len(text))
	}
}

func TestSummarize(t *testing.T) {
	s := candidate().Summary
	if s.AllSlices != 12 || len(s.Slices) != 10 || s.Slices[0].Slice != "carrier=null" || s.Slices[0].Gain == nil || s.Slices[0].Champion == nil {
		t.Errorf("slices %+v", s.Slices)
	}
	if s.Task != models.TaskBinary || s.Level != 0.1 || s.TrainRows != 120034 || s.Rows != 38402 || s.ChampionVersion != "3" || s.Metric != models.LogLoss {
		t.Errorf("summary %+v", s)
	}
	alone := Summarize(models.EvaluateInput{Champion: &models.ChampionModel{Version: "3"}}, first().Evaluation)
	if alone.ChampionVersion != "" || alone.Slices[0].Slice != "carrier=UA" {
		t.Errorf("without a champion: %+v", alone)
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
		{grouped(1234567), "1,234,567"}, {grouped(-1234), "-1,234"}, {grouped(12), "12"},
		{size(3 << 20), "3 MiB"}, {size(1500), "1.46 KiB"}, {size(5 << 30), "5 GiB"},
		{shorten("abcdef", 4), "abc…"}, {shorten("abcd", 4), "abcd"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
}

func TestTicks(t *testing.T) {
	for name, test := range map[string]struct {
		ticks []tick
		want  string
	}{
		"unit":     {axis{from: 0, to: 1}.ticks(6), "0.0 0.2 0.4 0.6 0.8 1.0"},
		"negative": {axis{from: -0.013, to: 0.032}.ticks(5), "-0.01 0.00 0.01 0.02 0.03"},
		"large":    {axis{from: 0, to: 4200}.ticks(5), "0 1,000 2,000 3,000 4,000"},
		"point":    {axis{from: 2, to: 2}.ticks(5), "2"},
	} {
		var labels []string
		for _, tick := range test.ticks {
			labels = append(labels, tick.label)
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
