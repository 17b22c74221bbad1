package activities

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/alarmpage"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// ExplainAlarm implements models.DriftExplanation. The page and the JSON have
// the alarm's name, so that explaining it again, say when the gate has spoken,
// replaces them.
func (d *Drift) ExplainAlarm(ctx context.Context, request models.ExplainRequest) (models.Explanation, error) {
	defer pulse(ctx, busy("explaining an alarm"))()
	account := alarmpage.Account{
		Endpoint: request.Compare.Endpoint, Version: request.Compare.Version, Task: taskOf(request.Compare.Data),
		Alarm: request.Alarm, Blocks: request.Shown, Gate: request.Gate,
		Explanation: models.Explanation{LossBefore: request.Alarm.Reference, Loss: request.Alarm.Loss},
	}
	account.Alarm.Explanation = nil // an earlier one
	told := shift.Told{Since: request.Alarm.Change, Judged: request.Alarm.Loss, Level: request.Alarm.Reference}
	if request.Compare.Reference.URI != "" {
		if err := d.explain(ctx, request, &account, &told); err != nil {
			return models.Explanation{}, err
		}
	}
	told.Explanation = account.Explanation
	account.Explanation.Words = shift.Words(told)
	return d.publish(ctx, account)
}

// explain holds the blocks since the change against the reference.
func (d *Drift) explain(ctx context.Context, request models.ExplainRequest, account *alarmpage.Account, told *shift.Told) error {
	c, err := d.compare(ctx, request.Compare)
	if err != nil {
		return err
	}
	area, note, err := d.distinguish(ctx, request.Compare, c)
	if err != nil {
		return err
	}
	if note != "" {
		c.notes = append(c.notes, note)
	}
	account.Inputs, account.Notes = c.report(), c.notes
	losses := c.reference.Losses()
	for _, b := range losses {
		account.ReferenceLosses = append(account.ReferenceLosses, b.Loss)
	}
	told.Renewed = math.Abs(told.Level-models.MeanLoss(losses)) > 1e-6*told.Level
	now, e := c.result.Now, &account.Explanation
	e.Classifier = area
	e.Features, e.Slices = first(account.Inputs.Features, maxExplained), first(account.Inputs.Slices, maxExplained)
	told.Compared, told.Blocks, told.Labelled = c.recent > 0, c.recent, now.Labelled
	told.Name(account.Inputs.Features, account.Inputs.Slices)
	if now.Labelled > 0 {
		e.LossBefore, e.Loss = c.reference.All.MeanLoss(), now.MeanLoss()
		account.Splits = c.reference.Splits(now)
		if i := shift.MostMixed(account.Splits); i >= 0 {
			e.Column, e.Mix, e.Concept = account.Splits[i].Column, account.Splits[i].Mix, account.Splits[i].Concept
		}
	}
	for _, f := range drawn(account.Inputs.Features) {
		if h, ok := c.reference.Histogram(f.Feature, now); ok {
			account.Histograms = append(account.Histograms, h)
		}
	}
	return nil
}

// maxDrawn bounds the histograms of a page.
const maxDrawn = 8

// drawn are the features whose distributions are shown: those that moved or, if
// none did, the two that are farthest.
func drawn(features []models.FeatureShift) []models.FeatureShift {
	var moved []models.FeatureShift
	for _, f := range features {
		if f.Moved {
			moved = append(moved, f)
		}
	}
	if len(moved) > 0 {
		return first(moved, maxDrawn)
	}
	farthest := slices.SortedStableFunc(slices.Values(features), func(a, b models.FeatureShift) int { return cmp.Compare(b.JS, a.JS) })
	return first(farthest, 2)
}

// publish writes the JSON first: who finds the page finds it too.
func (d *Drift) publish(ctx context.Context, account alarmpage.Account) (models.Explanation, error) {
	data, err := account.JSON()
	if err != nil {
		return models.Explanation{}, unwritten(account, err)
	}
	page, err := account.HTML()
	if err != nil {
		return models.Explanation{}, unwritten(account, err)
	}
	e := account.Explanation
	name := fmt.Sprintf("%s%s-%s", models.MonitorReportPrefix(account.Endpoint), account.Version, account.Alarm.Block.UTC().Format("20060102T150405"))
	for _, file := range []struct {
		ref     **models.Ref
		suffix  string
		content []byte
		kind    string
	}{{&e.Data, ".json", data, "application/json"}, {&e.Report, ".html", page, "text/html; charset=utf-8"}} {
		key := name + file.suffix
		ref := models.Ref{URI: artifact.URI(d.Store, key), SHA256: artifact.Digest(file.content), Size: int64(len(file.content))}
		if _, err := artifact.PutBytes(ctx, d.Store, key, file.content, artifact.PutOptions{ContentType: file.kind}); err != nil {
			return models.Explanation{}, unavailable(ref.URI, "the alarm's report can't be written", err)
		}
		*file.ref = &ref
	}
	return e, nil
}

func unwritten(account alarmpage.Account, err error) error {
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: "alarm " + account.Alarm.RequestID, Message: "its report can't be written", Cause: err,
		Hint: "report this as a defect, with the alarm's status",
	}
}
