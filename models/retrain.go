package models

import (
	"context"
	"time"
)

// RetrainInput is the input of the Retrain workflow, by which schedules ask a
// steward for a retraining; it ends when the retraining has.
type RetrainInput struct {
	Model    string      `json:"model"`
	Endpoint string      `json:"endpoint,omitempty"`
	Kind     TriggerKind `json:"kind"`
	Reason   string      `json:"reason,omitempty"`
	// Schedule is what the schedule that starts it was made from.
	Schedule *ScheduleSpec `json:"schedule,omitempty"`
}

// RetrainResult is how a Retrain workflow ended.
type RetrainResult struct {
	Outcome   RetrainOutcome `json:"outcome"`
	Lifecycle string         `json:"lifecycle,omitempty"`
	Reason    string         `json:"reason"`
	// RetryAt is the event time from which another request may succeed.
	RetryAt time.Time `json:"retry_at,omitzero"`
}

// RetrainStatus answers StatusQuery on a Retrain workflow.
type RetrainStatus struct {
	Request RetrainRequest `json:"request"`
	Settled RetrainSettled `json:"settled,omitzero"` // the steward's last word
	Until   time.Time      `json:"until"`            // wall clock; then it waits no longer
}

// ScheduleRequest makes a model's retraining schedule what the spec says.
type ScheduleRequest struct {
	Model    string        `json:"model"`
	Endpoint string        `json:"endpoint,omitempty"`
	Schedule *ScheduleSpec `json:"schedule,omitempty"` // nil: there shall be none
}

// ArrivalRequest asks what is new at a source.
type ArrivalRequest struct {
	Data  DataSpec      `json:"data"`
	State *ArrivalState `json:"state,omitempty"` // nil: everything is known already
}

// ArrivalState is what a source held when it was last listed. A partition is
// new when its URI or its content (ETag) was not there when a retraining was
// last asked for; one that is replaced is new once, one that is gone is not
// counted any more. Whoever asks for a retraining sets New to 0: from then on
// everything in the listing is known.
type ArrivalState struct {
	Listing Ref       `json:"listing"` // the partitions, as an object
	Count   int       `json:"count"`
	New     int       `json:"new"`               // that no retraining has been asked for yet
	Newest  time.Time `json:"newest,omitzero"`   // latest moment at which a label of the new ones is known
	Changed time.Time `json:"changed,omitzero"`  // wall clock of the listing that last found a new one
	Example string    `json:"example,omitempty"` // one of the new
	// Unreadable is a partition that can't be read (yet), and why; it counts once
	// it can.
	Unreadable string `json:"unreadable,omitempty"`
}

// Retrainings reach schedules, sources and people. Every method is idempotent.
type Retrainings interface {
	// KeepSchedule creates, changes or deletes the schedule.
	KeepSchedule(context.Context, ScheduleRequest) error
	// FindArrivals lists the source and compares.
	FindArrivals(context.Context, ArrivalRequest) (ArrivalState, error)
	// SendNotice posts a notice. A receiver that refuses it for good is an error
	// that is not retried.
	SendNotice(context.Context, NotifyRequest) error
}
