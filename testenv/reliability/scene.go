package reliability

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/laptop"
)

type matrix struct {
	laptop *laptop.Laptop
	config Config
	specs  int
}

// scene is one training that is about to be broken.
type scene struct {
	m      *matrix
	id     string // of the lifecycle
	runID  string // of MLflow, by which its processes are known
	pids   []int  // of the ranks before the strike
	notice time.Duration
	hosts  []*spareHost
}

// spec is the same training for every case; only the names differ.
func (m *matrix) spec(name string) (models.LifecycleSpec, error) {
	s, err := laptop.Flights(m.config.Root)
	if err != nil {
		return s, err
	}
	s.Model.Name = "reliability-" + name
	s.Deploy = nil
	s.Train.Params = map[string]any{
		"rounds": rounds, "max_depth": 3, "folds": 0, "report_every": 1,
		"checkpoint_every": CheckpointEvery, "step_delay_ms": int(stepDelay.Milliseconds()), "peer_timeout_s": 30,
	}
	s.Train.Grace = models.Duration(10 * time.Second)
	return s, nil
}

func (m *matrix) submit(ctx context.Context, s models.LifecycleSpec) (id string, err error) {
	m.specs++
	dir := filepath.Join(m.config.Dir, "spec-"+strconv.Itoa(m.specs))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	id = models.LifecycleID(s.Model.Name, strconv.Itoa(m.specs))
	return id, m.laptop.Submit(ctx, dir, id, s)
}

// undisturbed trains the reference.
func (m *matrix) undisturbed(ctx context.Context) (digest string, err error) {
	s, err := m.spec("reference")
	if err != nil {
		return "", err
	}
	s.Train.Params["step_delay_ms"] = 0
	id, err := m.submit(ctx, s)
	if err != nil {
		return "", err
	}
	digest, _, err = m.outcome(ctx, id)
	return digest, err
}

// outcome waits for the end of a lifecycle, and looks at what it leaves.
func (m *matrix) outcome(ctx context.Context, id string) (digest string, training models.TrainStatus, err error) {
	if err := m.laptop.Temporal.GetWorkflow(ctx, id, "").Get(ctx, nil); err != nil {
		return "", training, err
	}
	var status models.LifecycleStatus
	if err := m.laptop.Query(ctx, id, &status); err != nil {
		return "", training, err
	}
	if err := m.laptop.Query(ctx, models.StageID(id, models.StageTrain), &training); err != nil {
		return "", training, err
	}
	if status.Training == nil || status.Training.Steps != rounds {
		return "", training, fmt.Errorf("the training of %s did not end after %d steps: %+v", id, rounds, status.Training)
	}
	digest, err = m.digest(ctx, status.Training.Artifact.Manifest)
	return digest, training, err
}

// rankProcess is a rank as the kernel sees it.
type rankProcess struct {
	pid, rank   int
	key         string // of the training, in paths
	progress    string // file
	environment []byte
}

// ranks are the running ranks of the training, by rank.
func (s *scene) ranks() (found []rankProcess) {
	for _, pid := range processesWith("MLFLOW_RUN_ID=" + s.runID + "\x00") {
		block, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		if err != nil {
			continue
		}
		rank, err := strconv.Atoi(variable(block, "RANK"))
		if err != nil {
			continue // no rank, but something around it
		}
		found = append(found, rankProcess{pid: pid, rank: rank, key: variable(block, "TORCHELASTIC_RUN_ID"), progress: variable(block, "MAINSPRING_PROGRESS"), environment: block})
	}
	slices.SortFunc(found, func(a, b rankProcess) int { return (a.rank-b.rank)<<32 + a.pid - b.pid })
	// A rank's own children come after it and carry the same mark.
	return slices.CompactFunc(found, func(a, b rankProcess) bool { return a.rank == b.rank })
}

func variable(environment []byte, name string) string {
	for pair := range bytes.SplitSeq(environment, []byte{0}) {
		if value, ok := bytes.CutPrefix(pair, []byte(name+"=")); ok {
			return string(value)
		}
	}
	return ""
}

// step is the last that rank 0 has reported; 0: none, or no rank runs.
func (s *scene) step() (last int64) {
	ranks := s.ranks()
	if len(ranks) == 0 || ranks[0].rank != 0 {
		return 0
	}
	text, err := os.ReadFile(ranks[0].progress)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		var progress struct {
			Step int64 `json:"step"`
		}
		if json.Unmarshal(line, &progress) == nil {
			last = max(last, progress.Step)
		}
	}
	return last
}

// awaitMiddle waits until the training is in the middle between two checkpoints
// and the first of them is stored.
func (s *scene) awaitMiddle(ctx context.Context) error {
	var training models.TrainStatus
	err := laptop.Eventually(2*laptop.Patience, func() (bool, any) {
		err := s.m.laptop.Query(ctx, models.StageID(s.id, models.StageTrain), &training)
		return err == nil && training.RunID != "", []any{training, err}
	})
	if err != nil {
		return err
	}
	s.runID = training.RunID
	err = laptop.Eventually(2*laptop.Patience, func() (bool, any) {
		if ctx.Err() != nil {
			return true, nil
		}
		step := s.step()
		return step >= strikeAt, step
	})
	if err = errors.Join(err, ctx.Err()); err != nil {
		return err
	}
	for _, r := range s.ranks() {
		s.pids = append(s.pids, r.pid)
	}
	if len(s.pids) != 2 {
		return fmt.Errorf("there are %d ranks, not 2", len(s.pids))
	}
	return nil
}

// awaitEndOf waits until none of the processes is left, or the new ranks are
// others; that is when the engine has noticed.
func (s *scene) awaitEndOf(ctx context.Context, pids []int, notice *time.Duration, began time.Time) error {
	err := laptop.Eventually(laptop.Patience, func() (bool, any) {
		left := slices.ContainsFunc(s.ranks(), func(r rankProcess) bool { return slices.Contains(pids, r.pid) })
		return !left || ctx.Err() != nil, pids
	})
	*notice = time.Since(began)
	return errors.Join(err, ctx.Err())
}
