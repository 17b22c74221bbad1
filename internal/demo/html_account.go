package demo

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/plot"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// accountPage is where a training's GPU-seconds went.
type accountPage struct {
	Words    string
	Bar      template.HTML
	Parts    []accountPart
	Attempts []attemptRow
	Skipped  []string
}

// accountPart is one part of what was leased.
type accountPart struct {
	Name, Class, Meaning string
	Seconds              float64
	Share                float64 // of all that was leased
}

// attemptRow is one attempt for the table.
type attemptRow struct {
	models.AttemptSummary
	Hosts, Took, Why string
}

// accountOf is nil for a training that leased nothing or did not end.
func accountOf(l LifecycleStory) *accountPage {
	training := l.Status.Training
	if training == nil || training.Account.Leased() <= 0 {
		return nil
	}
	account := training.Account
	page := &accountPage{Words: account.String(), Skipped: training.Skipped}
	for _, part := range []accountPart{
		{Name: "computing", Class: "good", Meaning: "progress that counts", Seconds: account.Computing},
		{Name: "starting", Class: "c0", Meaning: "from the lease to the first progress", Seconds: account.Starting},
		{Name: "checkpointing", Class: "c3", Meaning: "writing checkpoints, storing the model", Seconds: account.Checkpointing},
		{Name: "lost", Class: "bad", Meaning: "computed and done again, or held without progress", Seconds: account.Lost},
	} {
		part.Share = part.Seconds / account.Leased()
		page.Parts = append(page.Parts, part)
	}
	page.Bar = accountBar(page.Parts)
	for _, a := range training.Attempts {
		row := attemptRow{AttemptSummary: a, Hosts: strings.Join(a.Nodes, ", "), Took: a.Ended.Sub(a.Began).Round(100 * time.Millisecond).String(), Why: string(a.Reason)}
		if a.Detail != "" {
			row.Why += ": " + a.Detail
		}
		page.Attempts = append(page.Attempts, row)
	}
	return page
}

// accountBar draws the parts one behind the other, as wide as their shares.
func accountBar(parts []accountPart) template.HTML {
	const width, height = 960.0, 26.0
	drawing := plot.NewDrawing(width, height, "Leased GPU-seconds by what they were used for")
	x := 0.0
	for _, part := range parts {
		w := part.Share * width
		if w <= 0 {
			continue
		}
		drawing.Rect(x, 2, max(w-1, 0.5), height-4, "band "+part.Class, fmt.Sprintf("%s: %s GPU-seconds, %s", part.Name, terminal.Figure(part.Seconds), percent(part.Share)))
		if w > 90 {
			drawing.Text(x+w/2, height/2+4, "onband middle", part.Name)
		}
		x += w
	}
	return drawing.Done()
}
