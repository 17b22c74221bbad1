package monitors

import (
	"fmt"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// monitor writes what one monitor knows. One without a champion knows nothing.
func (s scrape) monitor(status models.MonitorStatus) {
	watch := status.Watch
	if watch == nil {
		return
	}
	m := monitorScrape{s, status, []string{status.Endpoint, watch.Model, watch.Version}}
	m.judged()
	m.detectors()
	m.alarmed()
	m.acted()
}

// monitorScrape knows whose figures it writes.
type monitorScrape struct {
	scrape
	status models.MonitorStatus
	whose  []string // values of watchedLabels
}

func (m monitorScrape) set(g gauge, value float64, more ...string) {
	m.scrape.set(g, value, append(m.whose[:len(m.whose):len(m.whose)], more...)...)
}

func (m monitorScrape) time(g gauge, at time.Time, more ...string) {
	m.scrape.time(g, at, append(m.whose[:len(m.whose):len(m.whose)], more...)...)
}

func (m monitorScrape) judged() {
	all, watch := m.status.Blocks, m.status.Watch
	inconclusive := 0
	var conclusive *models.Block
	for i, b := range all {
		switch {
		case !b.Conclusive:
			inconclusive++
		case b.Version == watch.Version:
			conclusive = &all[i]
		}
	}
	m.set(blocks, float64(len(all)))
	m.set(inconclusiveBlocks, float64(inconclusive))
	m.set(maturitySeconds, watch.Spec.Maturity.Std().Seconds())
	m.time(watermark, m.status.Watermark)
	if conclusive != nil {
		m.set(loss, conclusive.Loss)
	}
	if m.status.Reference != nil {
		m.set(referenceLoss, m.status.Reference.Loss)
	}
	if n := len(all); n > 0 {
		m.time(lastBlock, all[n-1].End)
	}
	if ratio, ok := recentlyInconclusive(all); ok {
		m.set(inconclusiveRatio, ratio)
	}
	if length := blockLength(watch.Spec, all); length > 0 {
		m.set(blockSeconds, length.Seconds())
	}
	// Blocks ahead are the newest: their labels have not matured.
	for _, newest := range [][]models.Block{m.status.Ahead, all} {
		if n := len(newest); n > 0 && newest[n-1].Estimated != 0 {
			m.set(estimatedLoss, newest[n-1].Estimated)
			break
		}
	}
}

// recent is how many of the newest blocks tell whether labels come.
const recent = 14

// recentlyInconclusive leaves out blocks that nobody sent a request in; false:
// there are no others.
func recentlyInconclusive(all []models.Block) (ratio float64, ok bool) {
	n, few := 0, 0
	for i := len(all) - 1; i >= 0 && n < recent; i-- {
		if all[i].Requests == 0 {
			continue
		}
		n++
		if !all[i].Conclusive {
			few++
		}
	}
	return float64(few) / float64(max(n, 1)), n > 0
}

func blockLength(spec models.MonitorSpec, all []models.Block) time.Duration {
	newest := all[max(0, len(all)-10):]
	if spec.BlockRows == 0 || len(newest) == 0 {
		return spec.Block.Std()
	}
	return newest[len(newest)-1].End.Sub(newest[0].Start) / time.Duration(len(newest))
}

// detectors of the same name are told apart by a number: the same labels twice
// would fail the whole scrape.
func (m monitorScrape) detectors() {
	seen := map[string]int{}
	for _, d := range m.status.Detector.Detectors {
		name := models.DetectorName(d.Spec)
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s #%d", name, seen[name])
		}
		m.set(martingale, d.Value, name)
		m.set(threshold, d.Threshold, name)
	}
}

// alarmStates are all of them; openStates those that wait for somebody.
var (
	alarmStates = []models.AlarmState{
		models.AlarmAsked, models.AlarmWaiting, models.AlarmPerson, models.AlarmPromoted, models.AlarmNotHelping,
		models.AlarmFailed, models.AlarmAccepted, models.AlarmRecorded, models.AlarmSuperseded,
	}
	openStates = []models.AlarmState{models.AlarmAsked, models.AlarmWaiting, models.AlarmFailed, models.AlarmPerson, models.AlarmRecorded}
)

func (m monitorScrape) alarmed() {
	count, open := map[models.AlarmState]int{}, map[models.AlarmState]float64{}
	for _, a := range m.status.Alarms {
		count[a.State]++
		if !a.Settled {
			open[a.State] = 1
		}
	}
	for _, state := range alarmStates {
		m.set(alarms, float64(count[state]), string(state))
	}
	for _, state := range openStates {
		m.set(alarmOpen, open[state], string(state))
	}
	if n := len(m.status.Alarms); n > 0 {
		m.time(lastAlarm, m.status.Alarms[n-1].Block)
	}
}

func (m monitorScrape) acted() {
	last := map[models.NoticeKind]time.Time{}
	var failed time.Time
	for _, e := range m.status.Actions {
		if e.At.After(last[e.Kind]) {
			last[e.Kind] = e.At
		}
		if e.Failed != "" && e.At.After(failed) {
			failed = e.At
		}
	}
	for _, kind := range models.NoticeKinds() {
		m.time(lastAction, last[kind], string(kind))
	}
	m.time(lastFailure, failed)
	m.set(paused, oneIf(m.status.Paused != ""))
	m.set(scoringFails, oneIf(m.status.Trouble != ""))
	if m.status.Inputs != nil {
		m.moved(*m.status.Inputs)
	}
}

func (m monitorScrape) moved(inputs models.InputReport) {
	features, slices := 0.0, 0.0
	for _, f := range inputs.Features {
		features += oneIf(f.Moved)
	}
	for _, s := range inputs.Slices {
		slices += oneIf(s.Moved)
	}
	m.set(movedFeatures, features)
	m.set(movedSlices, slices)
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
