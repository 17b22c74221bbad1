package models

import "time"

// RegisterRequest asks a steward to register a candidate. RequestID is the
// dedupe key; ReplyTo gets SignalRegistered.
type RegisterRequest struct {
	RequestID string        `json:"request_id"`
	ReplyTo   string        `json:"reply_to"`
	Spec      LifecycleSpec `json:"spec"`
	Candidate Candidate     `json:"candidate"`
}

// RegisterReply answers a RegisterRequest.
type RegisterReply struct {
	RequestID string `json:"request_id"`
	Version   string `json:"version"`
	URL       string `json:"url"` // the version's page
	Error     string `json:"error,omitempty"`
	// Kind is the error's; empty: it has none.
	Kind ErrorKind `json:"kind,omitempty"`
}

// ApprovalRequest asks a steward to ask a person about a registered version.
// ReplyTo gets SignalApproved.
type ApprovalRequest struct {
	RequestID string       `json:"request_id"`
	ReplyTo   string       `json:"reply_to"`
	Version   string       `json:"version"`
	Spec      ApprovalSpec `json:"spec"`
}

// ApprovalReply answers an ApprovalRequest.
type ApprovalReply struct {
	RequestID string   `json:"request_id"`
	Approval  Approval `json:"approval"`
}

// Approval is a person's answer, or that none came.
type Approval struct {
	Version string    `json:"version"`
	Verdict Verdict   `json:"verdict"` // pass; fail: rejected; inconclusive: nobody answered
	By      string    `json:"by,omitempty"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"` // wall clock
}

// PendingApproval is a question that stands.
type PendingApproval struct {
	Request ApprovalRequest `json:"request"`
	Asked   time.Time       `json:"asked"`
	Until   time.Time       `json:"until"`
}

// ApprovalDecision is the argument of UpdateDecide. An empty version is the one
// that waits, if only one does.
type ApprovalDecision struct {
	Version string `json:"version,omitempty"`
	Approve bool   `json:"approve"`
	By      string `json:"by"`
	Reason  string `json:"reason"`
}

// RollOutRequest asks a steward to release a registered version. ReplyTo gets
// SignalRolledOut.
type RollOutRequest struct {
	RequestID string `json:"request_id"`
	ReplyTo   string `json:"reply_to"`
	Version   string `json:"version"`
}

// RollOutReply answers a RollOutRequest.
type RollOutReply struct {
	RequestID string  `json:"request_id"`
	Version   string  `json:"version"`
	Verdict   Verdict `json:"verdict"`
	Promoted  bool    `json:"promoted"`
	Reason    string  `json:"reason"`
	RefusedBy Refusal `json:"refused_by,omitempty"` // empty: promoted, or the release broke
}

// RollBackOrder is the argument of UpdateRollBack: make an earlier version the
// champion again.
type RollBackOrder struct {
	RequestID string `json:"request_id"`
	To        string `json:"to,omitempty"` // version; empty: the previous champion
	By        string `json:"by"`
	Reason    string `json:"reason"`
}

// RollBackResult says what an order did.
type RollBackResult struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Record int64  `json:"record"` // sequence number in the audit trail
}

// AliasOrder is the argument of UpdateAliases.
type AliasOrder struct {
	Action AliasAction `json:"action"`
	By     string      `json:"by,omitempty"`
	Reason string      `json:"reason,omitempty"`
}

// AliasAction is what to do about aliases that differ from the record.
type AliasAction string

// The actions.
const (
	// AliasLook compares now and changes nothing.
	AliasLook AliasAction = "look"
	// AliasRestore sets the aliases back to what is recorded.
	AliasRestore AliasAction = "restore"
	// AliasAdopt makes what MLflow has the record: traffic follows the champion.
	AliasAdopt AliasAction = "adopt"
	// AliasTakeOver claims a model that another steward holds.
	AliasTakeOver AliasAction = "take_over"
)

// AliasReport compares the record with MLflow.
type AliasReport struct {
	Recorded    map[string]string `json:"recorded"` // alias → version
	Found       map[string]string `json:"found"`
	Differences []AliasDifference `json:"differences"`
	CheckedAt   time.Time         `json:"checked_at"`
}

// AliasDifference is an alias that somebody else moved.
type AliasDifference struct {
	Alias    string `json:"alias"`
	Recorded string `json:"recorded"` // version; empty: none
	Found    string `json:"found"`    // version; empty: none
	// Deleted says that the recorded version does not exist in MLflow any more.
	Deleted bool      `json:"deleted,omitempty"`
	Seen    time.Time `json:"seen,omitzero"` // first
}

// Withdrawal takes a lifecycle's requests back: a waiting one is dropped, a
// running rollout is rolled back.
type Withdrawal struct {
	LifecycleID string `json:"lifecycle_id"`
	Reason      string `json:"reason"`
}

// RetrainRequest asks a steward for a new lifecycle.
type RetrainRequest struct {
	RequestID string    `json:"request_id"`
	Trigger   Trigger   `json:"trigger"`
	AsOf      time.Time `json:"as_of"`              // event time
	Endpoint  string    `json:"endpoint,omitempty"` // its monitor is told how it ended
	// Champion is the version that is to be replaced; empty: whichever it is by then.
	Champion string `json:"champion,omitempty"`
	// ReplyTo is another workflow to tell, by SignalRetrainSettled.
	ReplyTo string `json:"reply_to,omitempty"`
	// Force is a person's decision: neither cooldown, budget nor failures refuse.
	Force bool `json:"force,omitempty"`
}

// StewardState is everything a steward knows; it survives continue-as-new.
// Versions hold what a rollback or a retraining needs.
type StewardState struct {
	Model       string         `json:"model"`
	Champion    string         `json:"champion,omitempty"` // version
	Challenger  string         `json:"challenger,omitempty"`
	Previous    string         `json:"previous,omitempty"`
	Versions    []ModelVersion `json:"versions"`    // newest last
	Retrainings []Retraining   `json:"retrainings"` // newest last
	Records     []Record       `json:"records"`     // newest last, what is not archived
	// Archive is the newest archived part of the record; nil: there is none.
	Archive *AuditSegment `json:"archive,omitempty"`
	// RolledOut answers a repeated request without doing it again.
	RolledOut []RollOutReply    `json:"rolled_out,omitempty"`
	Approvals []PendingApproval `json:"approvals,omitempty"` // that stand
	// Owner is the claim on the model in MLflow; empty: not claimed yet.
	Owner string `json:"owner,omitempty"`
	// Differences are aliases that somebody else moved and nobody decided about.
	Differences []AliasDifference `json:"differences,omitempty"`
	// Queue are the requests that wait for their turn, oldest first.
	Queue []StewardTask `json:"queue,omitempty"`
	// RolledBack answers a repeated order without doing it again.
	RolledBack []RolledBack `json:"rolled_back,omitempty"`
	// Refused are the requests of monitors that were refused because another
	// retraining was in flight: they are told when it has ended.
	Refused []RetrainRequest `json:"refused,omitempty"`
}

// StewardTask is a request that waits for its turn; exactly one field is set.
type StewardTask struct {
	Register *RegisterRequest `json:"register,omitempty"`
	RollOut  *RollOutRequest  `json:"roll_out,omitempty"`
	Promote  *Promotion       `json:"promote,omitempty"`
	// Retire is a version that will not be released: it is no challenger any more.
	Retire string `json:"retire,omitempty"`
}

// Promotion is a rollout that is proven and not carried out yet. It waits while
// somebody else's hand is on the champion's alias.
type Promotion struct {
	Request RollOutRequest `json:"request"`
	Verdict Verdict        `json:"verdict"` // fail: it was taken back meanwhile
	Reason  string         `json:"reason"`
	Since   time.Time      `json:"since"`
	// By is the person who decided; empty: the judge did. Judged is what the
	// judge said at that moment.
	By     string  `json:"by,omitempty"`
	Judged Verdict `json:"judged,omitempty"`
	// RefusedBy is who said no; empty: nobody did.
	RefusedBy Refusal `json:"refused_by,omitempty"`
}

// RolledBack is an order that was carried out.
type RolledBack struct {
	RequestID string         `json:"request_id"`
	Result    RollBackResult `json:"result"`
}

// ModelVersion is a registered candidate as the steward keeps it.
type ModelVersion struct {
	Version      string        `json:"version"`
	URL          string        `json:"url"`
	RegisteredAt time.Time     `json:"registered_at"`
	Candidate    Candidate     `json:"candidate"`
	Spec         LifecycleSpec `json:"spec"`
	Signature    *Signature    `json:"signature,omitempty"` // nil: not signed
	Approval     *Approval     `json:"approval,omitempty"`  // nil: nobody was asked
	// Closed says that the lifecycle that made it has ended.
	Closed bool `json:"closed,omitempty"`
	// Deleted says that MLflow does not have it any more.
	Deleted bool `json:"deleted,omitempty"`
}

// Retraining is one retraining and how it ended.
type Retraining struct {
	RequestID   string    `json:"request_id"`
	LifecycleID string    `json:"lifecycle_id"`
	Trigger     Trigger   `json:"trigger"`
	AsOf        time.Time `json:"as_of"`
	Endpoint    string    `json:"endpoint,omitempty"`
	Champion    string    `json:"champion,omitempty"` // version that was to be replaced
	Ended       bool      `json:"ended"`
	Promoted    bool      `json:"promoted"`
	Version     string    `json:"version,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	ReplyTo     string    `json:"reply_to,omitempty"`
	Forced      bool      `json:"forced,omitempty"`
	// Outcome is set when it has ended; GPUSeconds are what its training leased.
	Outcome    RetrainOutcome `json:"outcome,omitempty"`
	GPUSeconds float64        `json:"gpu_seconds,omitempty"`
}

// StewardStatus answers StatusQuery on a ModelSteward.
type StewardStatus struct {
	StewardState
	Doing   string `json:"doing"`   // empty: waiting for requests
	Waiting string `json:"waiting"` // what a person has to decide; empty: nothing
	// Current is the task that is being carried out, which is in the queue no more;
	// nil: none.
	Current *StewardTask `json:"current,omitempty"`
}
