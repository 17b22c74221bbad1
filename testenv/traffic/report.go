package traffic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Report is the account of a run.
type Report struct {
	Requests []Request
	Labels   int // posted
	Open     int // still on their way
}

// Counts sum up a report.
type Counts struct {
	Sent     int `json:"sent"`
	Answered int `json:"answered"`
	Failed   int `json:"failed"` // of the answered
	Refused  int `json:"refused"`
	Lost     int `json:"lost"`
	Unsent   int `json:"unsent"`
	Labels   int `json:"labels"`
	// Why has examples of requests without an answer of a version.
	Why      []string                `json:"why,omitempty"`
	Versions map[string]VersionCount `json:"versions"` // that answered
}

// VersionCount is what one version answered.
type VersionCount struct {
	Answered int     `json:"answered"`
	Failed   int     `json:"failed"`
	Share    float64 `json:"share"` // of all that a version answered
}

// Counts adds the requests up.
func (r Report) Counts() Counts {
	c := Counts{Sent: len(r.Requests), Labels: r.Labels, Versions: map[string]VersionCount{}}
	byVersion := 0
	for _, request := range r.Requests {
		switch {
		case request.Failed():
			c.Answered++
			c.Failed++
		case request.Status >= 400:
			c.Answered++
			c.Refused++
		case request.Answered():
			c.Answered++
		case request.Unsent:
			c.Unsent++
		default:
			c.Lost++
		}
		if request.Version == "" {
			c.explain(request)
			continue
		}
		byVersion++
		v := c.Versions[request.Version]
		v.Answered++
		if request.Failed() {
			v.Failed++
		}
		c.Versions[request.Version] = v
	}
	for version, v := range c.Versions {
		v.Share = float64(v.Answered) / float64(byVersion)
		c.Versions[version] = v
	}
	return c
}

// explain keeps a few examples.
func (c *Counts) explain(r Request) {
	if len(c.Why) < 3 {
		c.Why = append(c.Why, fmt.Sprintf("%s through gateway %d, sent %s, ended %s: status %d, %v",
			r.ID, r.Gateway, r.Sent.Format(clock), r.Ended.Format(clock), r.Status, r.Err))
	}
}

// clock is how moments are written.
const clock = "15:04:05.000"

// Lost are the requests of which nobody knows what became.
func (r Report) Lost() []Request {
	return slices.DeleteFunc(slices.Clone(r.Requests), func(q Request) bool { return !q.Lost() })
}

// String is one line for people.
func (c Counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sent, %d answered, %d failed, %d refused, %d lost, %d unsent", c.Sent, c.Answered, c.Failed, c.Refused, c.Lost, c.Unsent)
	for _, version := range slices.Sorted(maps.Keys(c.Versions)) {
		v := c.Versions[version]
		fmt.Fprintf(&b, "; version %s answered %.1f %% (%d, %d failed)", version, 100*v.Share, v.Answered, v.Failed)
	}
	for _, why := range c.Why {
		fmt.Fprintf(&b, "; %s", why)
	}
	return b.String()
}
