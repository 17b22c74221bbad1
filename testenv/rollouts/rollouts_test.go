package rollouts

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/traffic"
)

// rolledBack is an outcome as it should be: a canary of one step that was
// rolled back by its errors.
func rolledBack() (Scenario, Outcome) {
	s := Scenario{Name: "fails", Rate: 100, Want: models.VerdictFail, Metric: models.CanaryErrors}
	s.Candidate.ErrorRate = 0.02
	o := Outcome{
		Verdict: models.VerdictFail, Reason: "harm", champion: "1", candidate: "2",
		Aliases: map[string]string{models.AliasChampion: "champion"},
		route:   models.Route{Arms: []models.Arm{{Version: "1", Role: models.RoleChampion, Weight: 1}}},
		last:    map[string]int{"champion": 100},
		result: models.RolloutResult{Steps: []models.CanaryStep{{Weight: 0.2, Generation: 2, Verdict: models.CanaryVerdict{
			Metrics: []models.MetricVerdict{{Metric: models.CanaryErrors, Verdict: models.VerdictFail}}}}}},
		logged: Logged{ByID: map[string]int{}},
	}
	for i := range 400 {
		id, version := fmt.Sprint("r", i), "1"
		if i%5 == 0 {
			version = "2"
		}
		o.report.Requests = append(o.report.Requests, traffic.Request{ID: id, Status: http.StatusOK, Version: version})
		o.logged.ByID[id] = 1
		o.logged.Rows = append(o.logged.Rows, models.InferenceRow{ID: id, Version: version, Generation: 2, Status: http.StatusOK, Outputs: `{"probability":[0.5]}`})
	}
	o.Traffic = o.report.Counts()
	o.Shares = []Share{o.logged.share(o.result.Steps[0], "2")}
	return s, o
}

func TestCheckComplains(t *testing.T) {
	s, good := rolledBack()
	if err := good.Check(s); err != nil {
		t.Fatalf("a good outcome is refused: %v", err)
	}
	for says, spoil := range map[string]func(*Outcome){
		"the verdict is pass":              func(o *Outcome) { o.Verdict = models.VerdictPass },
		"promoted: true":                   func(o *Outcome) { o.Promoted = true },
		"errors did not decide":            func(o *Outcome) { o.result.Steps[0].Verdict.Metrics[0].Metric = models.CanaryLatency },
		"the alias champion names":         func(o *Outcome) { o.Aliases[models.AliasChampion] = "candidate" },
		"the alias challenger still names": func(o *Outcome) { o.Aliases[models.AliasChallenger] = "candidate" },
		"the route is not all":             func(o *Outcome) { o.route.Arms[0].Weight = 0.8 },
		"requests are missing":             func(o *Outcome) { o.Traffic.Lost = 1 },
		"after the end":                    func(o *Outcome) { o.last["candidate"] = 1 },
		"more than":                        func(o *Outcome) { o.Shares[0].Share = 0.31 },
		"there was no step":                func(o *Outcome) { o.Shares = nil },
		"is not there":                     func(o *Outcome) { o.logged.Rows = o.logged.Rows[1:] },
		"is there 2 times":                 func(o *Outcome) { o.logged.ByID["r7"] = 2 },
		"the caller saw":                   func(o *Outcome) { o.logged.Rows[3].Version = "2" },
		"has the outputs":                  func(o *Outcome) { o.logged.Rows[3].Outputs = "{}" },
	} {
		_, bad := rolledBack()
		spoil(&bad)
		if err := bad.Check(s); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("no complaint with %q: %v", says, err)
		}
	}
	s.Candidate.ErrorRate = 0
	good.Traffic.Failed = 1
	if err := good.Check(s); err == nil || !strings.Contains(err.Error(), "nobody was told to fail") {
		t.Error("failures of a sound candidate are taken:", err)
	}
}

func TestKillsExplainOnlyWhatTheyDid(t *testing.T) {
	at := time.Now()
	kill := Kill{Process: "gateway", Gateway: 0, Before: at, After: at.Add(time.Millisecond)}
	request := func(id string, gateway int, sent, ended time.Duration, status int) traffic.Request {
		return traffic.Request{ID: id, Gateway: gateway, Sent: at.Add(sent), Ended: at.Add(ended), Status: status, Version: "1"}
	}
	make1 := func(r traffic.Request) Killed {
		s, o := rolledBack()
		o.report.Requests, o.Traffic = append(o.report.Requests, r), traffic.Counts{}
		k := Killed{Outcome: o, Kills: []Kill{kill}, scenario: s}
		k.result.Steps[0].StartedAt, k.Seconds = at, 60
		k.blame()
		return k
	}
	for name, test := range map[string]struct {
		request  traffic.Request
		lost     int
		unlogged int
		says     string
	}{
		"in flight":            {request("x", 0, -time.Millisecond, 2*time.Millisecond, 0), 1, 0, ""},
		"on another gateway":   {request("x", 1, -time.Millisecond, 2*time.Millisecond, 0), 0, 0, "was lost"},
		"before the kill":      {request("x", 0, -time.Second, -time.Millisecond, 0), 0, 0, "was lost"},
		"after the kill":       {request("x", 0, time.Second, 2*time.Second, 0), 0, 0, "was lost"},
		"answered just before": {request("x", 0, -time.Second, -500*time.Millisecond, 200), 0, 1, ""},
		"answered long before": {request("x", 0, -5*time.Second, -4*time.Second, 200), 0, 0, "is not in the log"},
		"answered by another":  {request("x", 1, -time.Second, -500*time.Millisecond, 200), 0, 0, "is not in the log"},
	} {
		t.Run(name, func(t *testing.T) {
			k := make1(test.request)
			if k.Kills[0].Lost != test.lost || k.Kills[0].Unlogged != test.unlogged {
				t.Errorf("%+v", k.Kills[0])
			}
			err := k.Check()
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("complains %v, wanted %q", err, test.says)
			}
		})
	}
	k := make1(request("x", 0, 0, 0, 200))
	k.Seconds = 0
	k.Kills[0].After = at.Add(time.Second)
	if err := k.Check(); err == nil || !strings.Contains(err.Error(), "was over before") {
		t.Error("a kill after the rollout counts:", err)
	}
}
