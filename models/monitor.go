package models

import "time"

// WatchRequest tells a monitor which champion to watch from now on.
type WatchRequest struct {
	RequestID string      `json:"request_id"`
	Model     string      `json:"model"`
	Version   string      `json:"version"`
	Data      DataSpec    `json:"data"`
	Spec      MonitorSpec `json:"spec"`
	// Prediction is the model output that holds the prediction.
	Prediction string `json:"prediction"`
	// Since is the first moment of event time to judge; zero: the first block
	// seen in the log. Blocks before the champion answered have too few of its
	// predictions and are inconclusive.
	Since time.Time `json:"since,omitzero"`
	// Snapshot is the manifest of what the champion was trained on, OutOfFold and
	// HeldOut are its predictions of those rows: live blocks are held against them.
	Snapshot  Ref  `json:"snapshot,omitzero"`
	OutOfFold *Ref `json:"out_of_fold,omitempty"`
	HeldOut   Ref  `json:"held_out,omitzero"`
	// Profile is the snapshot's: its bins are those that inputs are watched in.
	Profile Ref `json:"profile,omitzero"`
	// Promised is the loss that evaluation found, with its interval.
	Promised Estimate `json:"promised,omitzero"`
	// Reference are block losses from evaluation, used when the above are not
	// stored (any more).
	Reference []float64 `json:"reference"`
	// Decided is the wall clock when the steward decided it: a request that is
	// older than the one watched is out of date. Zero: not known.
	Decided time.Time `json:"decided,omitzero"`
	// Trained is the wall clock when the version's training began, with its data
	// prepared: what is found later is not in it. Zero: not known.
	Trained time.Time `json:"trained,omitzero"`
	// Unwatched says that the spec of this champion has no monitor section: nobody
	// is to be watched any more.
	Unwatched bool `json:"unwatched,omitempty"`
}

// Block is one judged span of event time.
type Block struct {
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`      // exclusive
	Requests int64     `json:"requests"` // the champion's answered requests
	Labelled int64     `json:"labelled"` // those whose outcome is known
	Loss     float64   `json:"loss"`     // mean loss of the labelled, in the task's loss
	// Rate is the observed mean label, Predicted the mean prediction; of tasks
	// binary and regression.
	Rate      float64 `json:"rate"`
	Predicted float64 `json:"predicted"`
	// Estimated is the mean loss of all answered requests that the model's own
	// calibrated probabilities let expect, whether labelled or not; 0: not
	// estimated. It can't see that the world has changed, only that the inputs have.
	Estimated float64 `json:"estimated,omitempty"`
	// Slices are those that a detector watches.
	Slices []SliceLoss `json:"slices,omitempty"`
	// Evidence says that the block's slices and inputs are at BlockEvidenceKey.
	Evidence bool `json:"evidence,omitempty"`

	// The monitor sets the rest.

	Version    string `json:"version"`
	Conclusive bool   `json:"conclusive"` // enough labels
	// P and Martingale are those of the detector that is nearest to its threshold,
	// Martingale as the reciprocal of the budget that its evidence would cost:
	// it alarms at the reciprocal of the detector's part of the budget.
	P          float64 `json:"p"`
	Martingale float64 `json:"martingale"`
	// Looks are what each detector made of the block, in the order of the state.
	Looks []DetectorLook `json:"looks,omitempty"`
	// Final says that no label can change the block any more. Before is the loss
	// at the first score if the last one differs.
	Final  bool     `json:"final,omitempty"`
	Before *float64 `json:"before,omitempty"`
}

// SliceLoss is the loss of one part of a block.
type SliceLoss struct {
	Column   string  `json:"column"`
	Slice    string  `json:"slice"`
	Labelled int64   `json:"labelled"`
	Loss     float64 `json:"loss"`
}

// Alarm is a detector's cry and what came of it.
type Alarm struct {
	RequestID  string    `json:"request_id"` // of the retraining it asks for
	Block      time.Time `json:"block"`      // start of the block that raised it
	Version    string    `json:"version"`    // the champion that decayed
	Detector   string    `json:"detector"`   // its name, see DetectorName
	Martingale float64   `json:"martingale"`
	Threshold  float64   `json:"threshold"`
	Loss       float64   `json:"loss"`      // mean of the conclusive blocks since Change
	Reference  float64   `json:"reference"` // mean of the reference blocks
	// Change is the estimated start of the first block after the change.
	Change  time.Time  `json:"change,omitzero"`
	State   AlarmState `json:"state"`
	Action  string     `json:"action"` // in words; changes as the retraining goes on
	RetryAt time.Time  `json:"retry_at,omitzero"`
	// AsOf is when its evidence was known, in event time: what the first request
	// asks a retraining on. Asked counts the requests; each after the first has
	// the suffix /2, /3 and so on. Answer is the steward's last one.
	AsOf        time.Time      `json:"as_of,omitzero"`
	Asked       int            `json:"asked,omitempty"`
	Answer      RetrainOutcome `json:"answer,omitempty"`
	Lifecycle   string         `json:"lifecycle,omitempty"` // of the retraining
	Settled     bool           `json:"settled"`
	Promoted    bool           `json:"promoted"`
	Explanation *Explanation   `json:"explanation,omitempty"` // nil: not ready
}

// AlarmState is what came of an alarm.
type AlarmState string

// The states of an alarm.
const (
	AlarmAsked      AlarmState = "asked"       // the steward has the request
	AlarmWaiting    AlarmState = "waiting"     // for the cooldown, the budget or another retraining; asks again
	AlarmPerson     AlarmState = "person"      // a person must decide
	AlarmPromoted   AlarmState = "promoted"    // a new champion took over
	AlarmNotHelping AlarmState = "not_helping" // retraining does not help: gate or canary said no
	AlarmFailed     AlarmState = "failed"      // the retraining broke
	AlarmAccepted   AlarmState = "accepted"    // a person takes the level as it is
	AlarmRecorded   AlarmState = "recorded"    // by the spec, alarms start nothing
	AlarmSuperseded AlarmState = "superseded"  // another champion took over for another reason, such as a rollback
)

// RetrainOutcome is how a request for a retraining ended.
type RetrainOutcome string

// The outcomes. The first three are of a retraining that ran.
const (
	RetrainPromoted   RetrainOutcome = "promoted"
	RetrainNotHelping RetrainOutcome = "not_helping" // gate or canary said no, on evidence
	RetrainFailed     RetrainOutcome = "failed"      // no candidate could be judged
	RetrainStarted    RetrainOutcome = "started"     // not ended yet: news on the way
	RetrainInFlight   RetrainOutcome = "in_flight"   // refused: another one runs
	RetrainCooling    RetrainOutcome = "cooling"     // refused until RetryAt
	RetrainUnpaid     RetrainOutcome = "unpaid"      // refused: the budget is spent until RetryAt
	RetrainAsksPerson RetrainOutcome = "asks_person" // refused: too many in a row did not help
	RetrainImpossible RetrainOutcome = "impossible"  // refused: no champion, no monitor section, it did not start
)

// RetrainSettled tells a monitor what became of the retraining it asked for. A
// promotion arrives as a WatchRequest as well.
type RetrainSettled struct {
	RequestID string         `json:"request_id"`
	Outcome   RetrainOutcome `json:"outcome"`
	Reason    string         `json:"reason"`
	// RetryAt is the event time from which another request may succeed.
	RetryAt   time.Time `json:"retry_at,omitzero"`
	Lifecycle string    `json:"lifecycle,omitempty"` // workflow ID, once it runs
	// Gate is the gate's verdict, the evidence that retraining does (not) help.
	Gate *GateVerdict `json:"gate,omitempty"`
}

// MonitorState is everything a monitor knows; it survives continue-as-new.
type MonitorState struct {
	Endpoint string        `json:"endpoint"`
	Watch    *WatchRequest `json:"watch,omitempty"`
	// Reference is what live blocks are held against; nil: not built yet.
	Reference *MonitorReference `json:"reference,omitempty"`
	Next      time.Time         `json:"next,omitzero"` // where the next block to judge begins
	// Detector is the detectors' state after the newest final block; that of now
	// follows from it and the blocks since, which labels may still change.
	Detector DetectorState `json:"detector"`
	Blocks   []Block       `json:"blocks"` // newest last; the last 400
	Ahead    []Block       `json:"ahead,omitempty"`
	Alarms   []Alarm       `json:"alarms"` // newest last; the last 20
	// Pending is the alarm whose retraining the detectors wait for.
	Pending   string    `json:"pending,omitempty"`
	Watermark time.Time `json:"watermark,omitzero"`
	// Inputs are compared after each look at the log; nil: not yet.
	Inputs *InputReport `json:"inputs,omitempty"`
	// Paused says that alarms start nothing, and who said so.
	Paused string `json:"paused,omitempty"`
	// Arrival is what data.source held when it was last listed.
	Arrival *ArrivalState  `json:"arrival,omitempty"`
	Actions []MonitorEvent `json:"actions,omitempty"` // newest last; the last 40
	Seen    []string       `json:"seen,omitempty"`    // IDs of requests already handled; the last 50
	// Restarts counts the detectors' fresh starts, for their seeds.
	Restarts int `json:"restarts,omitempty"`
	// Watched is where the first block begins that is the champion's.
	Watched time.Time `json:"watched,omitzero"`
	// Judged is where the first block begins that the present detectors judge;
	// blocks before it were known when they started.
	Judged time.Time `json:"judged,omitzero"`
	// Orders counts what people asked the steward for, Arrivals what arrivals did.
	// Like Begun, they count on from the second in which the monitor began.
	Orders   int `json:"orders,omitempty"`
	Arrivals int `json:"arrivals,omitempty"`
	// Request is a retraining that a person or an arrival asked for and that has
	// not ended; nil: there is none. Alarms wait for it.
	Request *MonitorRequest `json:"request,omitempty"`
	// Asking is the newest request for a retraining, Asked the wall clock when the
	// steward was last sent it: as long as it has not ended, it is sent again.
	Asking *StewardSignal `json:"asking,omitempty"`
	Asked  time.Time      `json:"asked,omitzero"`
	// ArrivalRetryAt is the event time before which arrivals ask for nothing,
	// because they were refused.
	ArrivalRetryAt time.Time `json:"arrival_retry_at,omitzero"`
	// Errands are notices, explanations and comparisons under way; Begun counts
	// all there were, for their IDs.
	Begun   int             `json:"begun,omitempty"`
	Errands []MonitorErrand `json:"errands,omitempty"`
	// Evidence are the champion's blocks with evidence, in runs; the newest 400.
	Evidence []BlockRun `json:"evidence,omitempty"`
}

// MonitorRequest is a retraining that a monitor asked for without an alarm.
type MonitorRequest struct {
	RequestID string      `json:"request_id"`
	Kind      TriggerKind `json:"kind"`
	Lifecycle string      `json:"lifecycle,omitempty"` // once it runs
	Arrived   int         `json:"arrived,omitempty"`   // new partitions that it was asked for
}

// MonitorErrand is work that judging does not wait for; exactly one of Notify,
// Explain and Compare is set.
type MonitorErrand struct {
	ID      string         `json:"id"`
	Since   time.Time      `json:"since"` // wall clock; given up an hour later
	Notify  *NotifyRequest `json:"notify,omitempty"`
	Explain *ExplainErrand `json:"explain,omitempty"`
	Compare bool           `json:"compare,omitempty"`
}

// ExplainErrand is an alarm to explain.
type ExplainErrand struct {
	Alarm string       `json:"alarm"` // request ID
	Gate  *GateVerdict `json:"gate,omitempty"`
}

// BlockRun is a row of blocks of equal length without a gap.
type BlockRun struct {
	Start  time.Time `json:"start"`
	Length Duration  `json:"length"` // of each
	Count  int       `json:"count"`
}

// MonitorEvent is one thing that a monitor did or was told.
type MonitorEvent struct {
	At     time.Time  `json:"at"`              // wall clock
	Block  time.Time  `json:"block,omitzero"`  // event time
	Kind   NoticeKind `json:"kind,omitempty"`  // empty: nobody is told of such
	Alarm  string     `json:"alarm,omitempty"` // request ID
	Text   string     `json:"text"`
	By     string     `json:"by,omitempty"` // the person
	Failed string     `json:"failed,omitempty"`
}

// MonitorStatus answers StatusQuery on a Monitor. Detector is the state of now.
type MonitorStatus struct {
	MonitorState
	Waiting string `json:"waiting"`
	// Trouble says why blocks can't be scored; empty: they can.
	Trouble string `json:"trouble,omitempty"`
}

// MonitorOrder is the argument of UpdateMonitor.
type MonitorOrder struct {
	Action MonitorAction `json:"action"`
	By     string        `json:"by"`
	Reason string        `json:"reason"`
}

// MonitorAction is what a person orders of a monitor.
type MonitorAction string

// The orders.
const (
	// MonitorRetrain asks for a retraining now, whatever cooldown, budget and
	// failures say; failures are counted anew.
	MonitorRetrain MonitorAction = "retrain"
	// MonitorAccept takes the present level as the new reference: the open alarm
	// is closed, the detectors start anew.
	MonitorAccept MonitorAction = "accept"
	// MonitorPause keeps judging, but alarms start nothing.
	MonitorPause  MonitorAction = "pause"
	MonitorResume MonitorAction = "resume"
)

// NoticeKind is what a notice is about.
type NoticeKind string

// The kinds of notices.
const (
	NoticeAlarm      NoticeKind = "alarm"
	NoticeRetraining NoticeKind = "retraining"
	NoticePromoted   NoticeKind = "promoted"
	NoticeNotHelping NoticeKind = "not_helping"
	NoticeFailed     NoticeKind = "failed"
	NoticeRefused    NoticeKind = "refused" // cooldown, budget, another in flight
	NoticePerson     NoticeKind = "person"  // a person must decide
)

// NoticeKinds lists them all.
func NoticeKinds() []NoticeKind {
	return []NoticeKind{NoticeAlarm, NoticeRetraining, NoticePromoted, NoticeNotHelping, NoticeFailed, NoticeRefused, NoticePerson}
}

// Notice tells somebody outside. It holds no value of a row.
type Notice struct {
	ID       string     `json:"id"` // the same for all attempts
	Kind     NoticeKind `json:"kind"`
	Endpoint string     `json:"endpoint"`
	Model    string     `json:"model"`
	Version  string     `json:"version"`
	At       time.Time  `json:"at,omitzero"` // event time; none before a block was judged
	Title    string     `json:"title"`
	Text     string     `json:"text"`
	Link     string     `json:"link,omitempty"` // the activity adds the monitor's page
}

// NotifyRequest posts a notice to one receiver.
type NotifyRequest struct {
	To     NotifySpec `json:"to"`
	Notice Notice     `json:"notice"`
}
