package activities_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

func changeDay() time.Time { return worldStart.AddDate(0, 0, trained+heldOut+quiet) }

func TestCompareInputs(t *testing.T) {
	c := newChampion(t)
	reference := *c.reference().Object
	blocks, _ := c.live(reference)
	got, err := c.drift.CompareInputs(t.Context(), c.compare(reference, blocks))
	if err != nil {
		t.Fatal(err)
	}
	if got.Blocks != changed || got.Rows != changed*perDay || !got.From.Equal(changeDay()) || got.Note != "" {
		t.Errorf("%d blocks with %d rows from %s, note %q", got.Blocks, got.Rows, got.From, got.Note)
	}
	moved := map[string]bool{}
	for _, f := range got.Features {
		moved[f.Feature] = f.Moved
	}
	if !moved["wind"] || !moved["origin"] || moved["hour"] || len(moved) != 3 {
		t.Errorf("moved: %v", moved)
	}
	for _, f := range got.Features {
		if f.Feature == "wind" && (f.Wasserstein < 1 || f.Wasserstein > 2 || f.Nulls < 0.01 || f.Nulls > 0.04) {
			t.Errorf("wind %+v", f)
		}
	}
	for _, s := range got.Slices {
		if s.Slice == "EWR" && (!s.Moved || s.Share < 0.45 || s.ShareBefore > 0.35 || s.Mix <= 0 || s.Concept <= 0) {
			t.Errorf("EWR %+v", s)
		}
	}
	// Nothing changed before the change.
	request := c.compare(reference, blocks[:quiet])
	if got, err = c.drift.CompareInputs(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	for _, f := range got.Features {
		if f.Moved {
			t.Errorf("before the change: %+v", f)
		}
	}
}

// TestScoredBlocksCompare: what scoring writes down is what is compared. The
// evidence of this world's own counting is replaced by that of the log.
func TestScoredBlocksCompare(t *testing.T) {
	c := newChampion(t)
	reference := *c.reference().Object
	blocks, _ := c.live(reference)
	want, err := c.drift.CompareInputs(t.Context(), c.compare(reference, blocks))
	if err != nil {
		t.Fatal(err)
	}
	c.removeAll(models.BlockEvidencePrefix(endpoint, champion, reference.SHA256))
	replay{t: t, store: c.store}.watermark("gw", models.Watermark{EventTime: changeDay().AddDate(0, 0, changed+9), Closed: true})
	scored, err := (&activities.Blocks{Store: c.store}).ScoreBlocks(t.Context(), models.ScoreBlocksRequest{
		Endpoint: endpoint, Version: champion, Data: c.watch.Data, Spec: c.watch.Spec, Prediction: c.watch.Prediction, Reference: &reference, From: blocks[0].Start, Max: len(blocks),
	})
	if err != nil || len(scored.Blocks) != len(blocks) || !scored.Blocks[7].Evidence {
		t.Fatalf("%d blocks were scored: %v", len(scored.Blocks), err)
	}
	got, err := c.drift.CompareInputs(t.Context(), c.compare(reference, blocks))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Features, want.Features) || got.Rows != want.Rows || got.Note != "" {
		t.Errorf("the log says\n%+v, counted was\n%+v; note %q", got.Features, want.Features, got.Note)
	}
	for i, s := range got.Slices {
		if s.Slice != want.Slices[i].Slice || s.Rows != want.Slices[i].Rows || s.Moved != want.Slices[i].Moved {
			t.Errorf("the log says %+v, counted was %+v", s, want.Slices[i])
		}
		near(t, "loss of "+s.Slice, s.Loss, want.Slices[i].Loss)
	}
}

// TestBlocksWithoutEvidenceAreSkipped, and said, as are features that are never
// logged.
func TestBlocksWithoutEvidenceAreSkipped(t *testing.T) {
	c := newChampion(t)
	reference := *c.reference().Object
	blocks, _ := c.live(reference)
	for _, i := range []int{3, quiet + 2} {
		c.removeAll(models.BlockEvidenceKey(endpoint, champion, reference.SHA256, blocks[i].Start))
	}
	putObject(t, c.store, artifact.URI(c.store, models.BlockEvidenceKey(endpoint, champion, reference.SHA256, blocks[quiet+5].Start)), []byte(`{"format":1,"features":[]}`))
	got, err := c.drift.CompareInputs(t.Context(), c.compare(reference, blocks))
	if err != nil {
		t.Fatal(err)
	}
	if got.Blocks != changed-2 || !strings.Contains(got.Note, "3 of 45 blocks are left out") || !strings.Contains(got.Note, blocks[3].Start.Format(time.DateOnly)) {
		t.Errorf("%d blocks, note %q", got.Blocks, got.Note)
	}
	if got, err = c.drift.CompareInputs(t.Context(), c.compare(reference, nil)); err != nil || got.Blocks != 0 || got.Rows != 0 {
		t.Errorf("no blocks: %+v, %v", got, err)
	}
	c.removeAll("objects/" + reference.SHA256)
	_, err = c.drift.CompareInputs(t.Context(), c.compare(reference, blocks))
	wantFailure(t, err, models.KindInvalidSpec, "the reference of live blocks can't be read")
}

// TestOldBlocksAreNotNow: where the newest blocks have no evidence, none of an
// earlier time stands for them.
func TestOldBlocksAreNotNow(t *testing.T) {
	c := newChampion(t)
	reference := *c.reference().Object
	blocks, shown := c.live(reference)
	for _, b := range blocks[quiet:] {
		c.removeAll(models.BlockEvidenceKey(endpoint, champion, reference.SHA256, b.Start))
	}
	got, err := c.drift.CompareInputs(t.Context(), c.compare(reference, blocks))
	if err != nil || got.Blocks != 0 || got.Rows != 0 || !got.From.IsZero() || !strings.Contains(got.Note, "25 of 45 blocks are left out") {
		t.Errorf("%d blocks, %d rows from %s, note %q, %v", got.Blocks, got.Rows, got.From, got.Note, err)
	}
	alarm := c.alarm(shown)
	explained, err := c.drift.ExplainAlarm(t.Context(), models.ExplainRequest{Compare: c.compare(reference, blocks), Alarm: alarm, Shown: shown})
	if err != nil || explained.Loss != alarm.Loss || !strings.Contains(explained.Words, "Why can't be said") {
		t.Errorf("loss %v, %v: %s", explained.Loss, err, explained.Words)
	}
}

// TestWhatIsNeverLoggedIsNotCompared: a sensitive column is null in the log, and
// must not tell now from before.
func TestWhatIsNeverLoggedIsNotCompared(t *testing.T) {
	c := newChampion(t)
	c.masked = true
	reference := *c.reference().Object
	blocks, shown := c.live(reference)
	got, err := c.drift.CompareInputs(t.Context(), c.compare(reference, blocks[:quiet]))
	if err != nil || len(got.Features) != 2 || !strings.Contains(got.Note, "no value of it: wind") {
		t.Errorf("%d features, note %q, %v", len(got.Features), got.Note, err)
	}
	request := c.compare(reference, blocks[:quiet])
	request.Recent = quiet
	explained, err := c.drift.ExplainAlarm(t.Context(), models.ExplainRequest{Compare: request, Alarm: c.alarm(shown), Shown: shown})
	if err != nil || explained.Classifier == nil || explained.Classifier.Low > 0.53 {
		t.Errorf("before the change, rows are told apart by what is not logged: %+v, %v", explained.Classifier, err)
	}
}

func (c *championWorld) alarm(shown []models.Block) models.Alarm {
	last := shown[len(shown)-1]
	return models.Alarm{
		RequestID: "delay/3/alarm-1", Block: last.Start, Version: champion, Detector: "conformal", Martingale: last.Martingale, Threshold: 100,
		Loss: 0.7, Reference: 0.5, Change: changeDay(), State: models.AlarmAsked, Action: "a retraining was asked for",
	}
}

func TestExplainAlarm(t *testing.T) {
	c := newChampion(t)
	built := c.reference()
	reference := *built.Object
	blocks, shown := c.live(reference)
	alarm := c.alarm(shown)
	alarm.Reference = built.Loss
	request := models.ExplainRequest{
		Compare: c.compare(reference, blocks), Alarm: alarm, Shown: shown,
		Gate: &models.GateVerdict{Verdict: models.VerdictFail, Reason: "no better than the <champion>"},
	}
	got, err := c.drift.ExplainAlarm(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(got.Words)
	if n := strings.Count(got.Words, ". "); n != 1 || !strings.HasSuffix(got.Words, ".") || !strings.Contains(got.Words, "since about 22 April 2013, over 25 blocks") ||
		!strings.Contains(got.Words, "wind") {
		t.Errorf("words: %s", got.Words)
	}
	if !strings.Contains(got.Words, "(at the alarm, every block counting the same, 0.700 instead of ") {
		t.Errorf("the alarm's own figures are not told: %s", got.Words)
	}
	near(t, "mix and concept", got.Mix+got.Concept, got.Loss-got.LossBefore)
	if got.Column != "origin" || got.Mix <= 0 || got.Concept <= got.Mix {
		t.Errorf("split by %s: mix %v, concept %v", got.Column, got.Mix, got.Concept)
	}
	if a := got.Classifier; a == nil || a.Low < 0.75 || a.High > 0.95 {
		t.Errorf("classifier %+v", a)
	}
	page := c.read(*got.Report)
	for _, want := range []string{"Loss by block", "martingale", "What the rise is made of, by origin", "wind", "no better than the &lt;champion&gt;", got.Words[:40]} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, not := range []string{"http://", "https://", "<script", "NaN", "Inf", "ZgotmplZ"} {
		if at := bytes.Index(bytes.ReplaceAll(page, []byte("http://www.w3.org/2000/svg"), nil), []byte(not)); at >= 0 {
			t.Errorf("the page has %q", not)
		}
	}
	var account struct {
		Inputs models.InputReport `json:"inputs"`
		Splits []any              `json:"splits"`
	}
	if err := json.Unmarshal(c.read(*got.Data), &account); err != nil || len(account.Inputs.Features) != 3 || len(account.Splits) != 2 {
		t.Errorf("the JSON has %d features and %d splits: %v", len(account.Inputs.Features), len(account.Splits), err)
	}
	if strings.Contains(got.Words, "as given") {
		t.Errorf("a renewed reference: %s", got.Words)
	}
	again, err := c.drift.ExplainAlarm(t.Context(), request)
	if err != nil || *again.Report != *got.Report || *again.Data != *got.Data {
		t.Errorf("not the same twice: %v", err)
	}
	request.Alarm.Reference = 0.65 // after a retraining that did not help
	if got, err = c.drift.ExplainAlarm(t.Context(), request); err != nil || !strings.Contains(got.Words, "the detectors had taken 0.650 as given") {
		t.Errorf("words: %s, %v", got.Words, err)
	}
}

func (c *championWorld) read(ref models.Ref) []byte {
	c.t.Helper()
	data, err := artifact.ReadRef(c.t.Context(), c.store, ref, 8<<20)
	if err != nil {
		c.t.Fatal(err)
	}
	return data
}

// TestExplainWithLittle: an alarm is told of whatever is there to explain it by.
func TestExplainWithLittle(t *testing.T) {
	c := newChampion(t)
	reference := *c.reference().Object
	blocks, shown := c.live(reference)
	alarm := c.alarm(shown)
	got, err := c.drift.ExplainAlarm(t.Context(), models.ExplainRequest{Compare: models.CompareRequest{Endpoint: endpoint, Version: champion}, Alarm: alarm, Shown: shown})
	if err != nil || got.Loss != 0.7 || got.LossBefore != 0.5 || !strings.Contains(got.Words, "Why can't be said") || got.Report == nil {
		t.Errorf("without a reference: %+v, %v", got, err)
	}
	c.removeAll("monitor/")
	c.removeAll(models.InferenceRoot(endpoint))
	got, err = c.drift.ExplainAlarm(t.Context(), models.ExplainRequest{Compare: c.compare(reference, blocks), Alarm: alarm, Shown: shown})
	if err != nil || got.Loss != 0.7 || !strings.Contains(got.Words, "Why can't be said") {
		t.Errorf("without evidence: %+v, %v", got, err)
	}
}
