package simulation

import (
	"strings"
	"testing"
)

// Each mechanism is broken on purpose; the oracle has to notice within some
// seeds, and for the right reason. The same seeds are unharmed when nothing is
// broken: see TestSeed.
func TestOracleNotices(t *testing.T) {
	for name, c := range map[string]struct {
		broken Break
		within uint64   // seeds
		says   []string // one of these
	}{
		"the agent ignores fences":             {AgentIgnoresFences, 100, []string{"thousandths:"}},
		"the agent forgets fences":             {AgentForgetsFences, 2000, []string{" had it with token"}},
		"the sweeper is off":                   {SweeperIsOff, 20, []string{"is out"}},
		"the sweep takes an ID for the holder": {SweepForgetsRuns, 1000, []string{"is out"}},
		"continue-as-new drops the inbox":      {ContinueDropsInbox, 200, []string{"is out", "not everything was granted"}},
		"a holder keeps its lease":             {HolderKeepsLease, 200, []string{"is out"}},
		"an unwanted lease is kept":            {HolderKeepsUnwanted, 2000, []string{"is out"}},
		"the pool lends a device twice":        {PoolGrantsTwice, 50, []string{"the last of them with lease"}},
		"a gang is granted in part":            {PoolGrantsInPart, 50, []string{"it has"}},
		"a token is given twice":               {PoolRepeatsToken, 20, []string{"was given before", "and now lease"}},
		"the possible is refused":              {PoolRefusesPossible, 20, []string{"these hosts could hold it"}},
		"the impossible is not refused":        {PoolSilencesRefusals, 50, []string{"not everything was granted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			notices(t, Run, c.broken, c.within, c.says)
		})
	}
}

func notices(t *testing.T, world func(Config) Report, broken Break, within uint64, says []string) {
	t.Helper()
	var other error // what was noticed for another reason
	for seed := range within {
		violation := world(Config{Seed: seed, Break: broken}).Violation
		if violation == nil {
			continue
		}
		other = violation
		for _, words := range says {
			if strings.Contains(violation.Error(), words) {
				t.Logf("seed %d: %v", seed, violation)
				return
			}
		}
	}
	t.Errorf("not noticed within %d seeds; noticed was: %v", within, other)
}

func TestGangsDoNotDeadlock(t *testing.T) {
	keeps(t, Contest, 50)
	notices(t, Contest, HolderCollects, 10, []string{"not everything was granted"})
}

func TestHolderComesBackUnderItsID(t *testing.T) {
	keeps(t, Comeback, 20)
	notices(t, Comeback, SweepForgetsRuns, 5, []string{"is out"})
}

func TestLargeGangHasItsTurn(t *testing.T) {
	keeps(t, Stream, 5)
	notices(t, Stream, PoolForgetsReserved, 3, []string{"the large gang was passed over"})
}

func keeps(t *testing.T, world func(Config) Report, seeds uint64) {
	t.Helper()
	for seed := range seeds {
		if report := world(Config{Seed: seed}); report.Violation != nil {
			t.Fatalf("%v\n\nthe last events of seed %d:\n%s", report.Violation, seed, report.Script)
		}
	}
}
