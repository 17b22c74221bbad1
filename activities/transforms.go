package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/snapshots"
	"github.com/mainspring-ml/mainspring/models"
)

// transforms is what preparing programs have left, in the store. A turn is one
// run of a program. Its outputs are objects, and they are listed under a digest
// of the program and the files that it saw: the same program is not run on the
// same files again, whichever preparation asks. A listing is written after
// everything that it names, and is looked through before it is believed, since
// nobody keeps the outputs of old preparations for ever.
type transforms struct {
	store artifact.Store
}

// turn is one run of a preparing program.
type turn struct {
	program models.PrepareSpec
	source  string
	format  models.DataFormat // of the outputs that count
	inputs  []models.Partition
}

// turnsOf divides a task's partitions among runs.
func turnsOf(spec models.DataSpec, partitions []models.Partition) []turn {
	if spec.Prepare == nil || len(partitions) == 0 {
		return nil
	}
	program := spec.Prepare.WithDefaults()
	if program.Per == models.PreparePerSource {
		return []turn{{program, spec.Source, spec.Format, partitions}}
	}
	turns := make([]turn, len(partitions))
	for i := range partitions {
		turns[i] = turn{program, spec.Source, spec.Format, partitions[i : i+1]}
	}
	return turns
}

// key is where a turn's outputs are listed. What decides only where and how long
// the program runs is no part of it; of secrets their references are.
func (t turn) key() (string, error) {
	identity, err := json.Marshal(struct {
		Command      []string           `json:"command"`
		Code         string             `json:"code"`
		Requirements string             `json:"requirements"`
		Python       string             `json:"python"`
		Params       map[string]any     `json:"params"`
		Env          map[string]string  `json:"env"`
		Source       string             `json:"source"`
		Format       models.DataFormat  `json:"format,omitempty"`
		Inputs       []models.Partition `json:"inputs"`
	}{
		t.program.Command, t.program.Code.SHA256, t.program.Environment.Requirements.SHA256, t.program.Environment.Python,
		t.program.Params, t.program.Env, t.source, t.format, t.inputs,
	})
	if err != nil {
		return "", fmt.Errorf("name a run of the preparing program: %w", err)
	}
	return "transforms/" + artifact.Digest(identity) + ".json", nil
}

// taskKey is where the outputs of a preparation's task are listed.
func taskKey(preparation string, task models.PartitionTask) string {
	return snapshots.PreparationPrefix(preparation) + fmt.Sprintf("transformed/%d-%d.json", task.From, task.To)
}

// partitions reads those of a task from the listing of its preparation.
func (s transforms) partitions(ctx context.Context, of models.Preparation, task models.PartitionTask) ([]models.Partition, error) {
	all, err := readListing(ctx, s.store, of.Listing)
	if err != nil {
		return nil, err
	}
	return partitionsIn(all, task)
}

func partitionsIn(all []models.Partition, task models.PartitionTask) ([]models.Partition, error) {
	if task.From < 0 || task.From > task.To || task.To > len(all) {
		return nil, fmt.Errorf("task %d to %d is outside of the listing's %d partitions", task.From, task.To, len(all))
	}
	return all[task.From:task.To], nil
}

// find reads a listing whose outputs are all there and are not being collected.
func (s transforms) find(ctx context.Context, key string) (outputs []models.Partition, found bool, err error) {
	encoded, _, err := artifact.GetBytes(ctx, s.store, key, maxListing)
	if errors.Is(err, artifact.ErrNotFound) {
		return nil, false, nil
	}
	if err == nil {
		err = json.Unmarshal(encoded, &outputs)
	}
	digests := make([]string, len(outputs))
	for i, output := range outputs {
		digests[i] = path.Base(output.URI)
	}
	if err == nil {
		found, err = snapshots.Catalog{Store: s.store}.Holds(ctx, digests)
	}
	if err != nil || !found {
		return nil, false, unavailable(key, "the outputs of the preparing program can't be found", err)
	}
	return outputs, true, nil
}

// keepTask lists what a task's turns have left. False: a collection has taken some
// of it, before it could see the listing.
func (s transforms) keepTask(ctx context.Context, key string, outputs []models.Partition) (listing models.Ref, stays bool, err error) {
	if listing, err = s.keep(ctx, key, outputs); err == nil {
		_, stays, err = s.find(ctx, key)
	}
	return listing, stays, err
}

// keep writes a listing, sorted by name. One that is there is replaced: either
// its outputs are gone, or another agent was faster, and both are whole.
func (s transforms) keep(ctx context.Context, key string, outputs []models.Partition) (models.Ref, error) {
	slices.SortFunc(outputs, func(a, b models.Partition) int { return strings.Compare(a.Name, b.Name) })
	encoded, err := json.Marshal(outputs)
	if err != nil {
		return models.Ref{}, fmt.Errorf("encode a listing: %w", err)
	}
	_, err = artifact.PutBytes(ctx, s.store, key, encoded, artifact.PutOptions{ContentType: "application/json"})
	return models.Ref{URI: artifact.URI(s.store, key), SHA256: artifact.Digest(encoded), Size: int64(len(encoded))},
		unavailable(key, "the listing of what the preparing program has left can't be written", err)
}

// gather lists a task whose turns have all been carried out; whether they have
// is its answer. listing reads that of the preparation, which is asked for only
// where something may be missing.
func (s transforms) gather(ctx context.Context, of models.Preparation, task models.PartitionTask, listing func() ([]models.Partition, error)) (bool, error) {
	if left, found, err := s.find(ctx, taskKey(of.ID, task)); err != nil || found {
		if found { // written again: a collection that has looked already sees that somebody counts on it
			_, found, err = s.keepTask(ctx, taskKey(of.ID, task), left)
		}
		return found, err
	}
	all, err := listing()
	if err != nil {
		return false, err
	}
	partitions, err := partitionsIn(all, task)
	if err != nil {
		return false, err
	}
	var outputs []models.Partition
	for _, t := range turnsOf(of.Data, partitions) {
		key, err := t.key()
		if err != nil {
			return false, err
		}
		left, found, err := s.find(ctx, key)
		if err != nil || !found {
			return false, err
		}
		outputs = append(outputs, left...)
		recordProgress(ctx, key)
	}
	_, stays, err := s.keepTask(ctx, taskKey(of.ID, task), outputs)
	return stays, err
}
