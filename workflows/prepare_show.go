package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

func partitionsOf(task models.PartitionTask) string {
	if task.To-task.From == 1 {
		return fmt.Sprintf("partition %d", task.From+1)
	}
	return fmt.Sprintf("partitions %d to %d", task.From+1, task.To)
}

// progress says how far the tasks are.
func (p *preparation) progress(tasks int) string {
	text := fmt.Sprintf("preparing %d partitions: %d of %d tasks done, %d rows", p.status.Partitions, p.status.Done, tasks, p.found.Rows)
	if p.found.Reused > 0 {
		text += fmt.Sprintf(", %d partitions known from before and not read", p.found.Reused)
	}
	return text
}

// snapshotText says what became of a preparation.
func snapshotText(s models.Snapshot) string {
	text := fmt.Sprintf("snapshot `%.12s`: %d rows to train, %d to test", s.SHA256(), s.Train.Rows, s.Test.Rows)
	if how := s.Origin(); how != "" {
		text += "; " + how
	}
	return text
}

// show writes the workflow's page.
func (p *preparation) show(ctx workflow.Context, now string) {
	p.status.State = now
	var out page
	out.linef("**Prepare data** from `%s`", p.input.Data.Source)
	out.linef("")
	out.linef("Now: %s", now)
	if p.status.Partitions > 0 {
		out.linef("")
		out.linef("Preparation `%.12s` of %d partitions in %d tasks.", p.status.ID, p.status.Partitions, p.status.Tasks)
	}
	if known := p.found.Reused; known > 0 && p.status.Snapshot != nil {
		out.linef("")
		out.linef("%d of %d partitions were known from before, and not read.", known, p.status.Partitions)
	}
	if p.found.Unknown > 0 {
		out.linef("")
		out.linef("%d rows left out: their label was not known yet.", p.found.Unknown)
	}
	if s := p.status.Snapshot; s != nil {
		out.checks(*s)
	}
	out.show(ctx)
}

// checks lists the checks that warned, and counts the others.
func (p *page) checks(s models.Snapshot) {
	if warnings := s.Warnings(); len(warnings) > 0 {
		p.header("warning", "column", "what was seen")
		for _, c := range warnings {
			p.row(c.Check, c.Column, c.Message)
		}
	}
	skipped := 0
	for _, c := range s.Checks {
		if c.Skipped != "" {
			skipped++
		}
	}
	p.linef("")
	p.linef("%d checks warned, %d could not be made; all of them: `%s`", len(s.Warnings()), skipped, s.Report.URI)
}
