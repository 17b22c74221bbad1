package workflows

import (
	"fmt"
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// What the page shows of long lists.
const blocksOnPage, aheadOnPage, alarmsOnPage, eventsOnPage = 10, 3, 5, 12

// status is the state with the detectors as of the newest block.
func (m *monitor) status() models.MonitorStatus {
	status := models.MonitorStatus{MonitorState: m.state, Waiting: m.waiting, Trouble: m.trouble}
	status.Detector = m.present
	return status
}

// whatNext says what the monitor waits for, and why.
func (m *monitor) whatNext() string {
	switch alarm := m.pending(); {
	case m.state.Watch == nil && len(m.state.Seen) == 0:
		return "the first champion"
	case m.state.Watch == nil:
		return "a champion whose spec has a monitor section"
	case m.state.Reference == nil && m.trouble != "":
		return "the reference of version " + m.state.Watch.Version + " to be built: " + m.trouble
	case m.trouble != "":
		return fmt.Sprintf("the log to be readable; tries again every %s: %s", m.state.Watch.Spec.Poll, m.trouble)
	case m.state.Reference == nil:
		return "the reference of version " + m.state.Watch.Version + " to be built"
	case alarm != nil:
		return m.whatAlarm(*alarm) + "; meanwhile for " + m.whatBlock()
	case m.state.Request != nil:
		return "the retraining " + m.state.Request.RequestID + "; meanwhile for " + m.whatBlock()
	default:
		return m.whatBlock()
	}
}

// whatAlarm says what the open alarm waits for.
func (m *monitor) whatAlarm(a models.Alarm) string {
	name := "the alarm of " + blockKey(a.Block)
	switch a.State {
	case models.AlarmAsked:
		if a.Lifecycle == "" {
			return "the steward's answer to " + name
		}
		return "the retraining " + a.Lifecycle + " because of " + name
	case models.AlarmPromoted:
		return "the new champion to be watched, which " + name + " led to"
	case models.AlarmRecorded, models.AlarmPerson:
		return fmt.Sprintf("a person to decide about %s (%s): `mainspring monitor %s retrain` or `accept`", name, a.Action, m.state.Endpoint)
	case models.AlarmWaiting, models.AlarmFailed:
		if a.RetryAt.IsZero() {
			return name + ", which " + a.Action
		}
		return fmt.Sprintf("%s, event time, to ask again because of %s: %s", moment(a.RetryAt), name, a.Action)
	default:
		return name + ": " + a.Action
	}
}

// whatBlock says when the next block can be judged.
func (m *monitor) whatBlock() string {
	spec := m.state.Watch.Spec
	complete := "the log is empty so far"
	if !m.state.Watermark.IsZero() {
		complete = "the log is complete to " + moment(m.state.Watermark)
	}
	switch {
	case m.state.Next.IsZero():
		return fmt.Sprintf("the first block of the log to mature; %s, looked at every %s", complete, spec.Poll)
	case spec.BlockRows > 0:
		return fmt.Sprintf("%d requests since %s, and their labels for %s; %s, looked at every %s", spec.BlockRows, moment(m.state.Next), spec.Maturity, complete, spec.Poll)
	default:
		due := firstDue(spec, m.state.Next.Add(spec.Block.Std()))
		return fmt.Sprintf("the labels of %s, which mature at %s, event time; %s, looked at every %s", blockKey(m.state.Next), moment(due), complete, spec.Poll)
	}
}

func (m *monitor) nextBlock() string {
	if m.state.Next.IsZero() {
		return "the first block in the log"
	}
	return blockKey(m.state.Next)
}

// show draws the page: what it waits for, how the champion does, and what came
// of it.
func (m *monitor) show(ctx workflow.Context, waiting string) {
	m.waiting = waiting
	var p page
	p.linef("**Monitor of %s**", m.state.Endpoint)
	p.linef("")
	p.linef("Waiting for %s", waiting)
	if m.state.Paused != "" {
		p.linef("- paused: alarms and arrivals start nothing, by order of %s", m.state.Paused)
	}
	if m.unlisted != "" {
		p.linef("- data.source can't be listed: %s", m.unlisted)
	}
	if m.state.Watch != nil {
		m.showDetectors(&p)
	}
	m.showBlocks(&p)
	m.showAlarms(&p)
	m.showInputs(&p)
	if len(m.state.Actions) > 0 {
		p.header("when", "what", "by", "failed")
		for _, e := range lastOf(m.state.Actions, eventsOnPage) {
			p.row(e.At.UTC().Format(time.DateTime), e.Text, e.By, e.Failed)
		}
	}
	p.show(ctx)
}

func (m *monitor) showDetectors(p *page) {
	p.linef("")
	p.linef("Champion: version %s", m.state.Watch.Version)
	if recent := m.recent(recentBlocks); len(recent) > 0 && m.state.Reference != nil {
		p.linef("- loss of the last %d blocks %s, reference %s", len(recent), number(meanLoss(recent)), number(m.state.Reference.Loss))
	}
	if m.state.Reference != nil && m.state.Reference.Note != "" {
		p.linef("- reference: %s", m.state.Reference.Note)
	}
	if len(m.present.Detectors) > 0 {
		p.header("detector", "evidence", "alarms at")
		for _, d := range m.present.Detectors {
			p.row(models.DetectorName(d.Spec), number(d.Value), number(d.Threshold))
		}
	}
}

func (m *monitor) showBlocks(p *page) {
	p.header("block", "labelled", "first loss", "last loss", "p", "evidence")
	for _, b := range lastOf(m.state.Blocks, blocksOnPage) {
		first, last := number(b.Loss), "open"
		if b.Before != nil {
			first = number(*b.Before)
		}
		if b.Final {
			last = number(b.Loss)
		}
		rank, evidence := number(b.P), number(b.Martingale)
		if len(b.Looks) == 0 { // no detector saw it
			rank, evidence = "", ""
		}
		if !b.Conclusive {
			first, last = "", "too few labels"
		}
		p.row(blockKey(b.Start), strconv.FormatInt(b.Labelled, 10), first, last, rank, evidence)
	}
	if len(m.state.Ahead) > 0 {
		p.linef("")
		p.linef("blocks that wait for their labels: %d", len(m.state.Ahead))
	}
	for _, b := range lastOf(m.state.Ahead, aheadOnPage) {
		if b.Estimated > 0 {
			p.linef("- %s: %d requests; by the model's own probabilities, if they hold, the loss will be %s", blockKey(b.Start), b.Requests, number(b.Estimated))
		}
	}
}

func (m *monitor) showAlarms(p *page) {
	for _, a := range lastOf(m.state.Alarms, alarmsOnPage) {
		p.linef("")
		p.linef("**Alarm of %s** on version %s: %s", blockKey(a.Block), a.Version, wordsOf(a))
		p.linef("- %s: %s", a.State, a.Action)
		if a.Explanation != nil {
			p.linef("- %s", a.Explanation.Words)
		}
	}
}

func (m *monitor) showInputs(p *page) {
	if m.state.Inputs == nil {
		return
	}
	p.header("what moved", "before", "now", "evidence")
	moved := 0
	for _, f := range m.state.Inputs.Features {
		if f.Moved {
			moved++
			p.row(f.Feature, "", fmt.Sprintf("PSI %s, nulls %s (%s)", number(f.PSI), number(f.Nulls), number(f.NullsBefore)), number(f.EValue))
		}
	}
	for _, s := range m.state.Inputs.Slices {
		if s.Moved {
			moved++
			p.row(s.Column+"="+s.Slice, "loss "+number(s.LossBefore), "loss "+number(s.Loss), number(s.EValue))
		}
	}
	if moved == 0 {
		p.row("nothing", "", "", "")
	}
}
