package models

import "time"

// MostOpenBlocks bounds the blocks that wait for corrections: what a monitor
// carries, and judges anew when one of them is corrected.
const MostOpenBlocks = 5000

// MonitorSpec says how live quality is judged and what an alarm starts.
type MonitorSpec struct {
	Block              Duration       `json:"block,omitempty" jsonschema_description:"Length of a block in event time. Default: 1d, unless block_rows is given."`
	BlockRows          int64          `json:"block_rows,omitempty" jsonschema_description:"Instead of block: so many answered requests make a block, in the order of their event times."`
	Maturity           Duration       `json:"maturity,omitempty" jsonschema_description:"How long after its end a block waits for labels. Default: 1d."`
	Corrections        *Duration      `json:"corrections,omitempty" jsonschema_description:"How long after that late and corrected labels still count: then the block is scored once more, for good. 0s: never. Default: the maturity."`
	MinLabels          int            `json:"min_labels,omitempty" jsonschema_description:"A block with fewer labelled predictions is inconclusive. Default: 30."`
	FalseAlarmsPerYear float64        `json:"false_alarms_per_year,omitempty" jsonschema_description:"Budget of false alarms of all detectors together, in expected alarms a year. Default: 0.1."`
	Detectors          []DetectorSpec `json:"detectors,omitempty" jsonschema_description:"What watches the loss. Default: one of kind conformal and one of kind level."`
	ReferenceBlocks    int            `json:"reference_blocks,omitempty" jsonschema_description:"After a retraining that did not help, at most so many blocks since the change become the new reference. Default: 30."`
	Poll               Duration       `json:"poll,omitempty" jsonschema_description:"How often the log is looked at. Default: 5m."`
	Slices             []SliceSpec    `json:"slices,omitempty" jsonschema_description:"Parts of the traffic whose loss and share explain an alarm. Default: those of evaluate.slices."`
	Inputs             InputsSpec     `json:"inputs,omitzero" jsonschema_description:"How the inputs are compared with those of training. They explain; they never start a retraining."`
	Retrain            RetrainSpec    `json:"retrain,omitzero" jsonschema_description:"What an alarm starts, and what else starts a retraining."`
	Notify             []NotifySpec   `json:"notify,omitempty" jsonschema_description:"Who is told of alarms and of what came of them."`
}

// DetectorSpec is one detector and its part of the budget.
type DetectorSpec struct {
	Kind   DetectorKind `json:"kind" jsonschema_description:"conformal: the loss of blocks ranks higher than it should among all before. level: the mean loss is above what was promised. estimated: conformal on the loss that is estimated before labels come; it trusts the model's probabilities."`
	Share  float64      `json:"share,omitempty" jsonschema_description:"Its part of the budget, relative to the other detectors'. Default: 1."`
	Season Season       `json:"season,omitempty" jsonschema_description:"Compare a block only with those of the same hour of the week or day of the week. Not for kind level. Default: day_of_week for blocks of a day, hour_of_week for shorter ones, otherwise none."`
	Level  *float64     `json:"level,omitempty" jsonschema_description:"The promised mean loss. Kind level only. Default: the upper end of the interval that evaluation found."`
	Column string       `json:"column,omitempty" jsonschema_description:"Watch one part of the traffic only: a column of slices. Default: all of it."`
	Slice  string       `json:"slice,omitempty" jsonschema_description:"The part's name among the column's slices, such as EWR or '(12, 40]'."`
}

// DetectorKind is how a detector judges a sequence of losses.
type DetectorKind string

// The kinds of detectors.
const (
	DetectorConformal DetectorKind = "conformal"
	DetectorLevel     DetectorKind = "level"
	DetectorEstimated DetectorKind = "estimated"
)

// Season groups blocks that are comparable.
type Season string

// The seasons.
const (
	SeasonNone       Season = "none"
	SeasonDayOfWeek  Season = "day_of_week"
	SeasonHourOfWeek Season = "hour_of_week"
)

// InputsSpec says which inputs are compared and how.
type InputsSpec struct {
	Off      bool     `json:"off,omitempty" jsonschema_description:"Compare no inputs: an alarm then says only by how much the loss rose."`
	Features []string `json:"features,omitempty" jsonschema_description:"Which. Default: all features of the data."`
	Bins     int      `json:"bins,omitempty" jsonschema_description:"Bins of a numeric feature, of equal size in the reference, 4 to 64. Default: 16."`
	Level    float64  `json:"level,omitempty" jsonschema_description:"Share of wrong names among the features and slices that are said to have moved. Default: 0.1."`
}

// RetrainSpec is the action on an alarm, and what else starts a retraining.
type RetrainSpec struct {
	Window      Duration       `json:"window,omitempty" jsonschema_description:"Window of the retraining. Default: the spec's own."`
	From        RetrainFrom    `json:"from,omitempty" jsonschema_description:"window: all of it. change: only since the loss is estimated to have changed, never shorter than min_window nor longer than window. Default: window."`
	MinWindow   Duration       `json:"min_window,omitempty" jsonschema_description:"The shortest window with from: change. Default: three times the holdout."`
	Holdout     Duration       `json:"holdout,omitempty" jsonschema_description:"Held-out part of it. Default: the spec's own."`
	Cooldown    Duration       `json:"cooldown,omitempty" jsonschema_description:"Least event time between two retrainings. Default: 14d."`
	MaxFailures int            `json:"max_failures,omitempty" jsonschema_description:"After this many retrainings in a row that promoted nothing, ask a person; 1 to 100. Default: 3."`
	Budget      *RetrainBudget `json:"budget,omitempty" jsonschema_description:"What retrainings may cost. Default: no limit."`
	Schedule    *ScheduleSpec  `json:"schedule,omitempty" jsonschema_description:"Retrain at fixed times as well. Default: never."`
	Arrival     *ArrivalSpec   `json:"arrival,omitempty" jsonschema_description:"Retrain when new partitions appear at data.source as well. Default: never."`
	Off         bool           `json:"off,omitempty" jsonschema_description:"Alarms start nothing: they are recorded, explained and told, and a person decides."`
}

// RetrainFrom is where the window of a retraining begins.
type RetrainFrom string

// The beginnings.
const (
	RetrainFromWindow RetrainFrom = "window"
	RetrainFromChange RetrainFrom = "change"
)

// RetrainBudget bounds what the retrainings of one model cost within any span
// of event time.
type RetrainBudget struct {
	Per      Duration `json:"per,omitempty" jsonschema_description:"Length of the span. Default: 30d."`
	Runs     int      `json:"runs,omitempty" jsonschema_description:"Most retrainings in it, up to 200. 0: no limit."`
	GPUHours float64  `json:"gpu_hours,omitempty" jsonschema_description:"Most GPU-hours that they may have leased before another one starts. 0: no limit."`
}

// ScheduleSpec starts retrainings at fixed times through a Temporal Schedule;
// exactly one of Cron and Every is set.
type ScheduleSpec struct {
	Cron    string   `json:"cron,omitempty" jsonschema_description:"Five fields, in UTC: '0 4 * * 1' is Mondays at four."`
	Every   Duration `json:"every,omitempty" jsonschema_description:"Or an interval, such as 7d."`
	CatchUp Duration `json:"catch_up,omitempty" jsonschema_description:"Times missed while nothing ran are made up for when they are not older than this. Default: 1h."`
}

// ArrivalSpec starts a retraining when data arrives.
type ArrivalSpec struct {
	Poll       Duration `json:"poll,omitempty" jsonschema_description:"How often data.source is listed. Default: 10m."`
	Partitions int      `json:"partitions,omitempty" jsonschema_description:"How many new partitions make a retraining worth while. Default: 1."`
	Quiet      Duration `json:"quiet,omitempty" jsonschema_description:"How long no further one may have appeared, so that a batch of files counts once. Default: the poll."`
}

// NotifySpec is somebody to tell.
type NotifySpec struct {
	URL    string       `json:"url" jsonschema_description:"Where to post: https://…, or a reference to a secret on the worker: env:NAME, file:PATH."`
	Format NotifyFormat `json:"format,omitempty" jsonschema_description:"slack: a message for Slack and what understands its webhooks. json: the notice as an object. Default: json."`
	On     []NoticeKind `json:"on,omitempty" jsonschema_description:"Of what: alarm, retraining, promoted, not_helping, failed, refused, person. Default: all."`
}

// NotifyFormat is the form of a notice.
type NotifyFormat string

// The formats.
const (
	NotifyJSON  NotifyFormat = "json"
	NotifySlack NotifyFormat = "slack"
)

// Trigger records why a lifecycle runs.
type Trigger struct {
	Kind   TriggerKind `json:"kind"`
	Reason string      `json:"reason,omitempty"`
	At     time.Time   `json:"at,omitzero"` // event time
	// Change is when the loss is estimated to have changed; zero: not known.
	Change time.Time `json:"change,omitzero"`
	By     string    `json:"by,omitempty"` // the person, for kind manual
}

// TriggerKind is who asked for a lifecycle.
type TriggerKind string

// The kinds of triggers.
const (
	TriggerManual   TriggerKind = "manual"
	TriggerAlarm    TriggerKind = "alarm"
	TriggerSchedule TriggerKind = "schedule"
	TriggerArrival  TriggerKind = "arrival"
)
