package demo

import (
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// Story is what a demo run saw; report.json is its JSON form.
type Story struct {
	StartedAt       time.Time      `json:"started_at"`
	WallSeconds     float64        `json:"wall_seconds"`  // after set-up
	SetupSeconds    float64        `json:"setup_seconds"` // before
	Namespace       string         `json:"namespace"`     // of Temporal
	Model           string         `json:"model"`
	Endpoint        string         `json:"endpoint"`
	ModelVersions   []Version      `json:"model_versions"`
	Retrains        []Retrain      `json:"retrains"`
	Alarms          []models.Alarm `json:"alarms"`
	Requests        int64          `json:"requests"`
	RequestErrors   int64          `json:"request_errors"`
	RequestsRetried int64          `json:"requests_retried"` // sent again after a refused connection
	Latency         Latency        `json:"latency"`
	// Restarts counts, by process, how often the supervisor had to start it
	// again: somebody killed it, and the story went on.
	Restarts    map[string]int    `json:"restarts,omitempty"`
	UI          map[string]string `json:"ui"`
	WorkflowIDs []string          `json:"workflow_ids"`
	Blocks      []models.Block    `json:"blocks"`
	// Ahead are the blocks whose labels had not matured at the end, Detectors
	// where the detectors stood.
	Ahead      []models.Block       `json:"ahead,omitempty"`
	Detectors  []models.Detector    `json:"detectors,omitempty"`
	Lifecycles []LifecycleStory     `json:"lifecycles"`
	Records    []models.Record      `json:"records"`
	Spec       models.LifecycleSpec `json:"spec"`
	Events     []Event              `json:"events"`
}

// Latency of the requests, as the client saw it.
type Latency struct {
	P50Millis float64 `json:"p50_ms"`
	P99Millis float64 `json:"p99_ms"`
}

// Version is one registered version.
type Version struct {
	Version        string             `json:"version"`
	RunID          string             `json:"run_id"`
	SnapshotSHA256 string             `json:"snapshot_sha256"`
	Metrics        map[string]float64 `json:"metrics"`
	Alias          string             `json:"alias"` // champion, previous, challenger or empty
	URL            string             `json:"url"`
	Lifecycle      string             `json:"lifecycle"`
	Since          time.Time          `json:"since,omitzero"`        // event time of its first block as champion
	SigningKey     string             `json:"signing_key,omitempty"` // ID of the key; empty: not signed
}

// Retrain is one retraining and how it ended.
type Retrain struct {
	Trigger   string    `json:"trigger"`
	AsOf      time.Time `json:"as_of"`
	Promoted  bool      `json:"promoted"`
	Reason    string    `json:"reason"`
	Lifecycle string    `json:"lifecycle"`
	Version   string    `json:"version,omitempty"`
}

// LifecycleStory is one lifecycle with its evidence.
type LifecycleStory struct {
	ID      string                 `json:"id"`
	Status  models.LifecycleStatus `json:"status"`
	Rollout *models.RolloutStatus  `json:"rollout,omitempty"`
	Curve   [][2]float64           `json:"curve,omitempty"` // training loss by step
	Failure string                 `json:"failure,omitempty"`
}

// Event is one line of the timeline.
type Event struct {
	Wall      float64   `json:"wall"` // seconds since the traffic's stack was up
	EventTime time.Time `json:"event_time,omitzero"`
	Kind      EventKind `json:"kind"`
	Text      string    `json:"text"`
}

// EventKind groups events for views.
type EventKind string

// The kinds of events.
const (
	EventStage    EventKind = "stage"
	EventAlarm    EventKind = "alarm"
	EventPromoted EventKind = "promoted"
	EventRefused  EventKind = "refused"
	EventReplay   EventKind = "replay"
	EventFailure  EventKind = "failure"
)

// Scene is the state of the moment, for live views.
type Scene struct {
	Elapsed   time.Duration
	EventTime time.Time // of the replay; zero before traffic flows
	HoldsFor  string    // why the replay's clock is held; empty when it runs
	From, To  time.Time // the replayed span
	Requests  int64
	Errors    int64
	PerSecond float64
	// Current is the newest lifecycle, Training its progress while it trains.
	Current  *LifecycleStory
	Training *models.RankProgress
	Waiting  []string // why things wait: pending activities with their last failure
	Steward  models.StewardStatus
	Monitor  models.MonitorStatus
	UI       map[string]string
	Events   []Event
}

// View shows a demo while it runs. Calls come from one goroutine.
type View interface {
	// Show draws the scene of the moment, a few times a second.
	Show(Scene)
	// Close leaves the terminal as it was.
	Close()
}
