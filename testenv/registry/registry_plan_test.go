package registry

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mainspring-ml/mainspring/models"
)

func TestThePlanStrikesEveryBoundaryInEveryWay(t *testing.T) {
	counts := map[Boundary]int{"POST a": 1, "POST b": 7, "GET c": 3}
	plans := plan(counts, 200, 3)
	seen := map[Boundary]map[Fault]int{}
	for seed, strikes := range plans {
		if len(strikes) != 3 {
			t.Fatalf("seed %d has %d strikes", seed, len(strikes))
		}
		for i, s := range strikes {
			if seen[s.Boundary] == nil {
				seen[s.Boundary] = map[Fault]int{}
			}
			seen[s.Boundary][s.Fault]++
			if s.N < 1 || slices.ContainsFunc(strikes[:i], func(o Strike) bool { return o.Boundary == s.Boundary && o.N == s.N }) {
				t.Errorf("seed %d: %v", seed, strikes)
			}
		}
	}
	for boundary := range counts {
		for _, fault := range Faults() {
			if seen[boundary][fault] == 0 {
				t.Errorf("%q never strikes at %s", fault, boundary)
			}
		}
	}
	if diff := cmp.Diff(plans, plan(counts, 200, 3)); diff != "" {
		t.Errorf("the same counts give another plan: %s", diff)
	}
}

func TestBoundariesNameNoObjects(t *testing.T) {
	for path, want := range map[string]Boundary{
		"/api/2.0/mlflow/runs/create?x=1":                                       "POST runs/create",
		"/api/2.0/mlflow/logged-models/m-0123456789abcdef0123456789abcdef/tags": "POST logged-models/{id}/tags",
	} {
		if got := boundaryOf(httptest.NewRequest("POST", path, nil)); got != want {
			t.Errorf("%s is %q, not %q", path, got, want)
		}
	}
}

func TestReplayFindsWhatIsWrongWithARecord(t *testing.T) {
	first := models.Record{Action: models.ActionRegistered, Version: "1", Aliases: map[string]string{"challenger": "1"}}
	second := models.Record{Action: models.ActionPromoted, Version: "1", Aliases: map[string]string{"champion": "1"}}
	if err := replay([]models.Record{first, second}, map[string]string{"champion": "1"}); err != nil {
		t.Error(err)
	}
	for name, records := range map[string][]models.Record{
		"ends elsewhere":   {first},
		"registered twice": {first, second, first, second},
	} {
		if replay(records, map[string]string{"champion": "1"}) == nil {
			t.Errorf("a record that %s was accepted", name)
		}
	}
	if err := linear([]models.Record{first, second}, 1, 1); err != nil {
		t.Error(err)
	}
	skipped := second
	skipped.Version, skipped.Aliases = "2", map[string]string{"champion": "2"} // previous is not the champion before
	if err := linear([]models.Record{first, second, skipped}, 1, 2); err == nil || !strings.Contains(err.Error(), "promotes version 2") {
		t.Errorf("a gap in the history was accepted: %v", err)
	}
}
