package models

import (
	"fmt"
	"time"
)

// InferenceRow is one answered request in the inference log, a Parquet file
// under InferencePrefix. Inputs and Outputs are JSON objects of name → flat
// list of values, as in the Open Inference Protocol.
type InferenceRow struct {
	ID         string  `parquet:"id"`
	EventTime  int64   `parquet:"event_time,timestamp(microsecond)"`
	Time       int64   `parquet:"time,timestamp(microsecond)"` // wall clock of the answer
	Endpoint   string  `parquet:"endpoint,dict"`
	Version    string  `parquet:"version,dict"`
	Role       string  `parquet:"role,dict"`
	Generation int64   `parquet:"generation"`
	ArmShare   float64 `parquet:"arm_share"` // probability with which the arm was drawn
	Status     int32   `parquet:"status"`    // HTTP
	LatencyUS  int64   `parquet:"latency_us"`
	// Drawn is the version that the draw chose; another one answered when its
	// servers could not.
	Drawn string `parquet:"drawn,dict"`
	// LogShare is the probability with which a request is logged at all.
	LogShare float64 `parquet:"log_share"`
	Inputs   string  `parquet:"inputs,zstd"`
	Outputs  string  `parquet:"outputs,zstd"`
}

// LabelRow is one outcome that became known, a Parquet file under LabelPrefix.
type LabelRow struct {
	ID        string  `parquet:"id"` // of the request
	Label     float64 `parquet:"label"`
	LabelTime int64   `parquet:"label_time,timestamp(microsecond)"` // event time
	Time      int64   `parquet:"time,timestamp(microsecond)"`       // wall clock of arrival; the last one counts
}

// Watermark is the object at WatermarkKey: every request with an event time
// before EventTime that this gateway answered is in the log. A gateway that
// stops sets Closed, so that it holds nobody back.
type Watermark struct {
	EventTime time.Time `json:"event_time"`
	Written   time.Time `json:"written"` // wall clock
	Closed    bool      `json:"closed,omitempty"`
}

// Keys in the artifact store's bucket, one function per kind of object.

// InferencePrefix holds the log of one event-time day, an hour=HH/ folder for
// each hour of it.
func InferencePrefix(endpoint string, day time.Time) string {
	return fmt.Sprintf("inference/%s/dt=%s/", endpoint, DayKey(day))
}

// InferenceHourPrefix holds the log of one event-time hour.
func InferenceHourPrefix(endpoint string, hour time.Time) string {
	return fmt.Sprintf("%shour=%02d/", InferencePrefix(endpoint, hour), hour.UTC().Hour())
}

// InferenceRoot holds all days of an endpoint's log.
func InferenceRoot(endpoint string) string { return fmt.Sprintf("inference/%s/", endpoint) }

// WatermarkPrefix holds one watermark object per gateway.
func WatermarkPrefix(endpoint string) string { return fmt.Sprintf("watermarks/%s/", endpoint) }

// LabelPrefix holds the labels that became known on one event-time day.
func LabelPrefix(endpoint string, day time.Time) string {
	return fmt.Sprintf("labels/%s/dt=%s/", endpoint, DayKey(day))
}

// LabelFileKey says when a file of labels without times was stored first.
func LabelFileKey(endpoint, digest string) string {
	return fmt.Sprintf("label-files/%s/%s.txt", endpoint, digest)
}

// BlockEvidencePrefix holds what a version's blocks looked like, as scored
// against one reference (its SHA-256).
func BlockEvidencePrefix(endpoint, version, reference string) string {
	return fmt.Sprintf("monitor/%s/%s/%s/", endpoint, version, reference)
}

// BlockEvidenceKey is one block's slices and inputs.
func BlockEvidenceKey(endpoint, version, reference string, start time.Time) string {
	return BlockEvidencePrefix(endpoint, version, reference) + start.UTC().Format("20060102T150405.000000") + ".json"
}

// MonitorReportPrefix holds the pages about an endpoint's alarms.
func MonitorReportPrefix(endpoint string) string { return fmt.Sprintf("monitor-reports/%s/", endpoint) }

// RouteKey is the traffic table of an endpoint.
func RouteKey(endpoint string) string { return fmt.Sprintf("routes/%s.json", endpoint) }

// RoutePrefix holds the traffic tables of all endpoints.
func RoutePrefix() string { return "routes/" }

// ReplicasKey are the addresses of one version's servers.
func ReplicasKey(endpoint, version string) string {
	return fmt.Sprintf("replicas/%s/%s.json", endpoint, version)
}

// ReplicasPrefix holds the addresses of all versions of an endpoint.
func ReplicasPrefix(endpoint string) string { return fmt.Sprintf("replicas/%s/", endpoint) }

// StatsPrefix holds one counters object per gateway boot.
func StatsPrefix(endpoint string) string { return fmt.Sprintf("stats/%s/", endpoint) }

// CheckpointPrefix holds the checkpoints of one training.
func CheckpointPrefix(runKey string) string { return fmt.Sprintf("checkpoints/%s/", runKey) }

// GatewayStats is the object that each gateway boot keeps under StatsPrefix:
// counters since boot.
type GatewayStats struct {
	Gateway string     `json:"gateway"`
	Boot    string     `json:"boot"`
	Written time.Time  `json:"written"`
	Arms    []ArmStats `json:"arms"` // sorted by generation and version
}

// ArmStats counts one version's answers under one route generation. Latency
// has one count per bound of LatencyBounds and one for everything above.
type ArmStats struct {
	Generation int64   `json:"generation"`
	Version    string  `json:"version"`
	Requests   int64   `json:"requests"`
	Errors     int64   `json:"errors"`
	Latency    []int64 `json:"latency"`
	Slow       int64   `json:"slow,omitempty"`
	// Diverted counts requests that another version answered because this one's
	// breaker was open; each is an error as well.
	Diverted int64 `json:"diverted,omitempty"`
	// Skipped counts copies that were not sent to a shadow because too many were
	// on their way.
	Skipped int64 `json:"skipped,omitempty"`
	// Blocks count by the moment of the answer, oldest first; the oldest are
	// forgotten. In a generation with a shadow, the champion's blocks count only
	// those requests whose copy was answered, so that both arms compare.
	Blocks []BlockStats `json:"blocks,omitempty"`
}

// BlockStats are the counts of one block of the route's length. Blocks start
// at multiples of it since 1970.
type BlockStats struct {
	Start    time.Time `json:"start"`
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"`
	Slow     int64     `json:"slow"`
}

// LatencyBounds are the upper bounds of the latency buckets.
func LatencyBounds() []time.Duration {
	bounds := make([]time.Duration, 0, 160)
	for d := 100 * time.Microsecond; d < 60*time.Second; d = d * 11 / 10 {
		bounds = append(bounds, d)
	}
	return bounds
}
