package workflows_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// town is everybody who wants something from one model's steward at once:
// lifecycles that repeat what is not answered, operators, and a stranger who
// moves aliases and deletes versions in MLflow. It outlives the steward's runs.
type town struct {
	t          *testing.T
	random     *rand.Rand
	h          *house
	lifecycles []*resident
	promoted   map[string]bool // version: some lifecycle was told so
}

// resident is a lifecycle.
type resident struct {
	id      string
	stage   models.Stage
	version string
	careful bool // asks for an approval
}

const townSize = 32

func newTown(t *testing.T, seed uint64) *town {
	w := &town{t: t, random: rand.New(rand.NewPCG(seed, 5)), promoted: map[string]bool{}}
	for i := range townSize {
		w.lifecycles = append(w.lifecycles, &resident{id: fmt.Sprintf("lifecycle/m/%02d", i), stage: models.StageRegister, careful: w.chance(0.3)})
	}
	return w
}

func (w *town) chance(p float64) bool { return w.random.Float64() < p }

func (w *town) within(d time.Duration) time.Duration { return time.Duration(w.random.Int64N(int64(d))) }

// settleIn makes a house's world the town's, for one run of the steward.
func (w *town) settleIn(h *house, lasts time.Duration) {
	if before := w.h; before != nil {
		h.aliases, h.registered, h.route = before.aliases, before.registered, before.route
		h.registry = before.registry
		h.registry.down = false
	}
	w.h = h
	h.pool = w.hear
	h.servers("ready")
	h.OnWorkflow(models.RolloutWorkflow, mock.Anything, mock.Anything).Return(
		func(_ workflow.Context, input models.RolloutInput) (models.RolloutResult, error) {
			verdicts := []models.Verdict{models.VerdictPass, models.VerdictPass, models.VerdictFail, models.VerdictInconclusive}
			return models.RolloutResult{Verdict: verdicts[w.random.IntN(len(verdicts))], Reason: "evidence"}, nil
		})
	for _, l := range w.lifecycles {
		for at := w.within(lasts / 2); at < lasts; at += 5 * time.Minute {
			h.RegisterDelayedCallback(func() { w.ask(l) }, at)
		}
	}
	for range 12 {
		w.disturb(w.within(lasts))
	}
	for range 6 {
		order[models.RollBackResult](h, w.within(lasts), models.UpdateRollBack, models.RollBackOrder{RequestID: fmt.Sprint(w.random.Int()), By: "ada", Reason: "r"})
		order[models.AliasReport](h, w.within(lasts), models.UpdateAliases, aliasOrder([]models.AliasAction{models.AliasRestore, models.AliasAdopt}[w.random.IntN(2)]))
	}
}

// ask repeats what the lifecycle waits for.
func (w *town) ask(l *resident) {
	switch l.stage {
	case models.StageRegister:
		w.h.SignalWorkflow(models.SignalRegister, candidate(l.id))
	case models.StageApprove:
		w.h.SignalWorkflow(models.SignalRequestApproval, models.ApprovalRequest{RequestID: l.id + "/approve", ReplyTo: l.id, Version: l.version,
			Spec: models.ApprovalSpec{Timeout: models.Duration(time.Hour)}})
	case models.StageRollout:
		w.h.SignalWorkflow(models.SignalRollOut, models.RollOutRequest{RequestID: l.id + "/roll-out", ReplyTo: l.id, Version: l.version})
	case models.StagePrepare, models.StageTrain, models.StageEvaluate, models.StageDone:
	}
	if l.stage != models.StageDone && w.chance(0.01) {
		l.stage = models.StageDone
		w.h.SignalWorkflow(models.SignalWithdraw, models.Withdrawal{LifecycleID: l.id, Reason: "cancelled"})
	}
}

// hear is how the town is answered. The house is locked.
func (w *town) hear(signal string, arg any) {
	later := func(d time.Duration, f func()) { w.h.RegisterDelayedCallback(f, time.Second+w.within(d)) }
	switch signal {
	case models.SignalRegistered:
		var reply models.RegisterReply
		decode(arg, &reply)
		l := w.resident(reply.RequestID, "/register")
		if l.stage == models.StageDone {
			return
		}
		require.Empty(w.t, reply.Error)
		if l.version != "" {
			require.Equal(w.t, l.version, reply.Version, "%s has two versions", l.id)
			return
		}
		l.version, l.stage = reply.Version, models.StageRollout
		if l.careful {
			l.stage = models.StageApprove
			w.decideSoon(l)
		}
		later(time.Minute, func() { w.ask(l) })
	case models.SignalApproved:
		var reply models.ApprovalReply
		decode(arg, &reply)
		if l := w.resident(reply.RequestID, "/approve"); l.stage == models.StageApprove {
			l.stage = models.StageDone
			if reply.Approval.Verdict == models.VerdictPass {
				l.stage = models.StageRollout
				later(time.Minute, func() { w.ask(l) })
			}
		}
	case models.SignalRolledOut:
		var reply models.RollOutReply
		decode(arg, &reply)
		w.resident(reply.RequestID, "/roll-out").stage = models.StageDone
		w.promoted[reply.Version] = w.promoted[reply.Version] || reply.Promoted
	}
}

func (w *town) resident(request, suffix string) *resident {
	i := slices.IndexFunc(w.lifecycles, func(l *resident) bool { return l.id+suffix == request })
	return w.lifecycles[i]
}

// decideSoon: a person approves, rejects, or forgets about it.
func (w *town) decideSoon(l *resident) {
	if w.chance(0.8) {
		order[models.Approval](w.h, w.within(30*time.Minute), models.UpdateDecide,
			models.ApprovalDecision{Version: l.version, Approve: w.chance(0.7), By: "grace", Reason: "r"})
	}
}

// disturb is the stranger's, or MLflow's own.
func (w *town) disturb(at time.Duration) {
	h, aliases := w.h, []string{"champion", "challenger", "previous"}
	alias, number, dice := aliases[w.random.IntN(3)], 1+w.random.IntN(townSize+2), w.random.Float64()
	version := fmt.Sprint(number)
	h.RegisterDelayedCallback(func() {
		switch exists := number <= len(h.registered) && !slices.Contains(h.registry.deleted, version); {
		case dice < 0.2:
			h.byHand(alias, "")
		case dice < 0.35 && exists:
			h.deleteVersion(version)
		case dice < 0.5:
			h.registry.down = true
			h.RegisterDelayedCallback(func() { h.registry.down = false }, 20*time.Second)
		case exists || number > townSize:
			h.byHand(alias, version)
		}
	}, at)
}

// calmDown lets operators put everything right at the end.
func (w *town) calmDown(h *house, from time.Duration) {
	for i := range 4 {
		order[models.AliasReport](h, from+time.Duration(i)*20*time.Minute, models.UpdateAliases, aliasOrder(models.AliasRestore))
	}
}

func TestWhateverHappensTheRecordStaysTrue(t *testing.T) {
	worlds := uint64(20)
	if testing.Short() {
		worlds = 5
	}
	for seed := range worlds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newTown(t, seed)
			first := newHouse(t)
			w.settleIn(first, 3*time.Hour)
			first.suggestNewRun(2 * time.Hour)
			first.ExecuteWorkflow(models.ModelStewardWorkflow, models.StewardState{Model: "m"})
			var next *workflow.ContinueAsNewError
			require.ErrorAs(t, first.GetWorkflowError(), &next)
			var carried models.StewardState
			decodePayloads(t, next, &carried)

			second := newHouse(t)
			w.settleIn(second, 3*time.Hour)
			w.calmDown(second, 4*time.Hour)
			second.runSteward(carried, 8*time.Hour)
			w.judge(status[models.StewardStatus](t, second))
		})
	}
}

// judge holds the end against what must be true of every history.
func (w *town) judge(s models.StewardStatus) {
	t, h := w.t, w.h
	requireWhole(t, h, s)
	all := []models.Record{}
	for _, segment := range h.registry.archived {
		all = append(all, segment.Records...)
	}
	all = append(all, s.Records...)

	var last map[string]string
	promoted, registered := map[string]bool{}, map[string]int{}
	for _, r := range all {
		if r.Aliases != nil && r.Action != models.ActionAliasMoved {
			last = r.Aliases
		}
		if r.Action == models.ActionRegistered {
			registered[r.Version]++
		}
		promoted[r.Version] = promoted[r.Version] || r.Action == models.ActionPromoted || r.Action == models.ActionAliasesAdopted
	}
	require.Equal(t, recordedOf(s), last, "the record's last word on the aliases is the state's")
	expected := maps.Clone(last)
	for _, d := range s.Differences {
		require.True(t, d.Deleted && d.Alias == models.AliasChampion, "operators restored everything else: %+v", d)
		if expected[d.Alias] = d.Found; d.Found == "" {
			delete(expected, d.Alias)
		}
	}
	require.Equal(t, expected, h.aliases)
	if s.Champion != "" {
		require.Equal(t, []models.Arm{{Version: s.Champion, Role: models.RoleChampion, Weight: 1}}, h.route.Arms, "traffic follows the record")
	}

	for version, times := range registered {
		require.Equal(t, 1, times, "version %s was registered more than once", version)
	}
	made := map[string]int{}
	for _, r := range h.registered {
		made[r.Lifecycle]++
	}
	for _, l := range w.lifecycles {
		require.Equal(t, models.StageDone, l.stage, "%s was never answered", l.id)
		require.LessOrEqual(t, made[l.id], 1, "%s has several versions", l.id)
		if w.promoted[l.version] {
			require.True(t, promoted[l.version], "version %s was promoted without a record", l.version)
		}
	}
	for _, move := range h.registry.moves {
		for alias := range move.Aliases {
			require.Contains(t, move.Expected, alias, "no alias is moved blindly")
		}
	}
}

func recordedOf(s models.StewardStatus) map[string]string {
	all := map[string]string{"champion": s.Champion, "challenger": s.Challenger, "previous": s.Previous}
	maps.DeleteFunc(all, func(_, version string) bool { return version == "" })
	return all
}
