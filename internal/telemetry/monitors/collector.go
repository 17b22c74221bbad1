package monitors

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector shows the monitors' figures. It never keeps a scrape waiting for
// more than two seconds.
type Collector struct{ looker *looker }

var _ prometheus.Collector = (*Collector)(nil)

// New asks through source.
func New(source Source) *Collector {
	return &Collector{&looker{source: source, clock: time.Now, wait: patience}}
}

// gauge is one metric, described.
type gauge struct{ desc *prometheus.Desc }

const prefix = "mainspring_monitor_"

func described(name, help string, labels ...string) gauge {
	return gauge{prometheus.NewDesc(prefix+name, help, labels, nil)}
}

// watchedLabels are those of everything that is about the present champion.
var watchedLabels = []string{"endpoint", "model", "version"}

func watched(name, help string, labels ...string) gauge {
	return described(name, help, append(watchedLabels[:len(watchedLabels):len(watchedLabels)], labels...)...)
}

// The gauges. Times of blocks and of the watermark are event time.
var (
	scrapeSuccess   = described("scrape_success", "1 when the monitors could be asked for their figures; without it there are none.")
	scrapeTimestamp = described("scrape_timestamp_seconds", "When they were asked.")
	up              = described("up", "1 when the endpoint's monitor answered.", "endpoint")

	loss          = watched("loss", "Mean loss of the newest block with enough labels.")
	referenceLoss = watched("reference_loss", "Mean loss of the blocks that live ones are held against.")
	estimatedLoss = watched("estimated_loss", "Mean loss of the newest block by the model's own calibrated probabilities, before labels come.")
	martingale    = watched("martingale", "Evidence that the loss has risen; the detector alarms at its threshold.", "detector")
	threshold     = watched("threshold", "Where the detector alarms: the reciprocal of its part of the budget of false alarms.", "detector")

	blocks             = watched("blocks", "Judged blocks that the monitor remembers, at most 400.")
	inconclusiveBlocks = watched("inconclusive_blocks", "Those of them with too few labels.")
	inconclusiveRatio  = watched("recent_inconclusive_ratio", "Share of the newest 14 blocks with requests that had too few labels; without requests in them, there is none.")
	blockSeconds       = watched("block_seconds", "Length of a block; where so many rows make one, that of the newest ten on average.")
	maturitySeconds    = watched("maturity_seconds", "How long after its end a block waits for labels.")
	watermark          = watched("watermark_timestamp_seconds", "Event time up to which the inference log is complete.")
	lastBlock          = watched("last_block_timestamp_seconds", "End of the newest judged block.")

	alarms      = watched("alarms", "Alarms that the monitor remembers, at most 20, by what came of them.", "state")
	alarmOpen   = watched("alarm_open", "1 while an alarm is in this state and not settled.", "state")
	lastAlarm   = watched("last_alarm_timestamp_seconds", "Start of the block that raised the newest alarm.")
	lastAction  = watched("last_action_timestamp_seconds", "Wall clock of the newest action of a kind: alarm, retraining, promoted, not_helping, failed, refused, person.", "kind")
	lastFailure = watched("last_failure_timestamp_seconds", "Wall clock of the newest action that failed, such as a notice that reached nobody.")
	paused      = watched("paused", "1 while a person has said that alarms start nothing.")

	scoringFails = watched("scoring_failing", "1 while blocks can't be scored; the monitor's status says why.")

	movedFeatures = watched("moved_features", "Inputs whose distribution is not that of the reference; they explain and start nothing.")
	movedSlices   = watched("moved_slices", "Slices whose loss rose.")
)

// gauges are all of them.
func gauges() []gauge {
	return []gauge{
		scrapeSuccess, scrapeTimestamp, up, loss, referenceLoss, estimatedLoss, martingale, threshold,
		blocks, inconclusiveBlocks, inconclusiveRatio, blockSeconds, maturitySeconds, watermark, lastBlock,
		alarms, alarmOpen, lastAlarm, lastAction, lastFailure, paused, scoringFails, movedFeatures, movedSlices,
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, g := range gauges() {
		descs <- g.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	s := scrape{metrics}
	found, ok := c.looker.current()
	if !ok || found.err != nil {
		s.set(scrapeSuccess, 0)
		return
	}
	s.set(scrapeSuccess, 1)
	s.time(scrapeTimestamp, found.at)
	for _, a := range found.monitors {
		if a.status == nil {
			s.set(up, 0, a.endpoint)
			continue
		}
		s.set(up, 1, a.endpoint)
		s.monitor(*a.status)
	}
}

// scrape is one collection.
type scrape struct{ metrics chan<- prometheus.Metric }

// set writes one figure. Names come from specs: what is not UTF-8 in them would
// fail the whole scrape.
func (s scrape) set(g gauge, value float64, labels ...string) {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "�")
	}
	s.metrics <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value, labels...)
}

// time writes a moment, unless there is none.
func (s scrape) time(g gauge, at time.Time, labels ...string) {
	if !at.IsZero() {
		s.set(g, float64(at.UnixMilli())/1e3, labels...)
	}
}
