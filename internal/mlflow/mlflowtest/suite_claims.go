package mlflowtest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
)

// owner is the n-th life of an identity.
func owner(identity string, life int) string { return fmt.Sprintf("%s/model/m/run-%d", identity, life) }

func (s suite) claim(model, who string) (mlflow.Claim, error) {
	return s.c.ClaimModel(s.ctx, mlflow.ClaimRequest{Model: model, Description: "claimed", Owner: who, Now: startTime()})
}

func (s suite) ownerOf(t *testing.T, model string) string {
	t.Helper()
	return must2(s.c.GetRegisteredModel(s.ctx, model))(t).Owner()
}

func testClaim(t *testing.T, s suite) {
	for _, model := range []string{unique("new"), s.model(t)} {
		first := must2(s.claim(model, owner("a", 1)))(t)
		equal(t, "owner before", first.Before, "")
		equal(t, "owner", s.ownerOf(t, model), owner("a", 1))
		again := must2(s.claim(model, owner("a", 1)))(t)
		equal(t, "owner before the same", again.Before, "")
		_, err := s.claim(model, owner("b", 1))
		wantClass(t, err, mlflow.ErrHeld)
		equal(t, "the holder is named", strings.Contains(err.Error(), owner("a", 1)), true)
		equal(t, "owner after a refusal", s.ownerOf(t, model), owner("a", 1))
	}
	for _, bad := range []string{"", "nobody", "/x", "a b/c"} {
		_, err := s.claim(unique("m"), bad)
		wantClass(t, err, mlflow.ErrInvalid)
	}
	_, err := s.claim("a/b", owner("a", 1))
	wantClass(t, err, mlflow.ErrInvalid)
}

// testClaimByASuccessor: of one identity at most one life is alive.
func testClaimByASuccessor(t *testing.T, s suite) {
	model := s.model(t)
	_ = must2(s.claim(model, owner("a", 1)))(t)
	next := must2(s.claim(model, owner("a", 2)))(t)
	equal(t, "owner before", next.Before, owner("a", 1))
	equal(t, "owner", s.ownerOf(t, model), owner("a", 2))
	equal(t, "description", next.Model.Description, "made by the suite")
}

// testClaimRace lets many claim at once until each has an answer. One of them is
// told that it holds the model, and no claim of another is left.
func testClaimRace(t *testing.T, s suite) {
	for round := range 3 {
		model := unique("contested")
		if round > 0 {
			model = s.model(t)
		}
		var lock sync.Mutex
		var holders []string
		var running sync.WaitGroup
		for i := range racers {
			running.Go(func() {
				who := owner(fmt.Sprint("ns-", i), 1)
				for range 200 {
					_, err := s.claim(model, who)
					if errors.Is(err, mlflow.ErrUnavailable) && !errors.Is(err, mlflow.ErrHeld) {
						time.Sleep(20 * time.Millisecond) // as whoever repeats activities does
						continue
					}
					lock.Lock()
					if err == nil {
						holders = append(holders, who)
					} else if !errors.Is(err, mlflow.ErrHeld) {
						t.Errorf("claim: %v", err)
					}
					lock.Unlock()
					return
				}
				t.Errorf("%s was never answered", who)
			})
		}
		running.Wait()
		if len(holders) != 1 {
			t.Fatalf("round %d: holders %v; want one", round, holders)
		}
		equal(t, "owner", s.ownerOf(t, model), holders[0])
		tags := must2(s.c.GetRegisteredModel(s.ctx, model))(t).Tags
		delete(tags, "kind")
		equal(t, "claims left", len(tags), 1)
	}
}

// testClaimLeftByTheDead: a claim that was not carried through blocks others
// until it expires, but not the one who made it. One that can't be read is a
// person's business.
func testClaimLeftByTheDead(t *testing.T, s suite) {
	model := s.model(t)
	dead := func(key string, at time.Time) {
		t.Helper()
		ok(t, s.c.SetModelTag(s.ctx, model, "mainspring.claim."+key, "claiming "+owner("dead", 1)+" "+at.Format(time.RFC3339)))
	}
	for _, key := range []string{"0000000000000000", "ffffffffffffffff"} {
		dead(key, startTime().Add(-time.Minute))
		_, err := s.claim(model, owner("a", 1))
		wantClass(t, err, mlflow.ErrUnavailable)
		equal(t, "owner while it is not decided", s.ownerOf(t, model), "")
		dead(key, startTime().Add(-time.Hour))
	}
	_ = must2(s.claim(model, owner("a", 1)))(t)
	equal(t, "owner", s.ownerOf(t, model), owner("a", 1))
	equal(t, "tags", len(must2(s.c.GetRegisteredModel(s.ctx, model))(t).Tags), 2)

	model = s.model(t)
	ok(t, s.c.SetModelTag(s.ctx, model, "mainspring.claim.x", "who knows"))
	_, err := s.claim(model, owner("a", 1))
	wantClass(t, err, mlflow.ErrHeld)
}

// testClaimTakenOver is what an operator does when a namespace is gone for good.
func testClaimTakenOver(t *testing.T, s suite) {
	model := s.model(t)
	_ = must2(s.claim(model, owner("gone", 1)))(t)
	taken := must2(s.c.ClaimModel(s.ctx, mlflow.ClaimRequest{Model: model, Owner: owner("here", 1), TakeOver: true, Now: startTime()}))(t)
	equal(t, "owner before", taken.Before, owner("gone", 1))
	equal(t, "owner", s.ownerOf(t, model), owner("here", 1))
	_, err := s.claim(model, owner("gone", 1))
	wantClass(t, err, mlflow.ErrHeld)
}
