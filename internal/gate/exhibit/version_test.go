package exhibit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

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
