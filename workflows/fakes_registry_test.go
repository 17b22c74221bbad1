package workflows_test

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/mainspring-ml/mainspring/models"
)

// fakeRegistry is MLflow's registry beside house.aliases and house.registered,
// with what is signed and archived. Its fields are guarded by the house.
type fakeRegistry struct {
	owner    string // who holds the model; empty: nobody
	takes    bool   // the owner is a dead predecessor, so a claim replaces it
	claims   []models.ClaimModelRequest
	deleted  []string // versions
	missing  bool     // the registered model itself
	down     bool     // nothing answers
	createAs func() (models.RegisteredVersion, error)
	tags     map[string]map[string]string // by version
	moves    []models.MoveAliasesRequest
	reads    int
	after    func(alias, version string) // each alias that a move sets; nil: nothing
	refuse   error                       // what remains of a move
	signing  func() (models.SignModelResult, error)
	archived []models.ArchiveRecordsRequest
}

// holding makes the registry what a steward with that state left.
func (h *house) holding(state models.StewardState) models.StewardState {
	for alias, version := range map[string]string{
		models.AliasChampion: state.Champion, models.AliasChallenger: state.Challenger, models.AliasPrevious: state.Previous,
	} {
		if version != "" {
			h.aliases[alias] = version
		}
	}
	return state
}

// byHand moves an alias without the steward, or deletes it.
func (h *house) byHand(alias, version string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.aliases[alias] = version; version == "" {
		delete(h.aliases, alias)
	}
}

// deleteVersion deletes a version without the steward, and its aliases.
func (h *house) deleteVersion(version string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.registry.deleted = append(h.registry.deleted, version)
	for alias, at := range h.aliases {
		if at == version {
			delete(h.aliases, alias)
		}
	}
}

func (h *house) registerRegistry() {
	locked := func(answer func() error) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.registry.down {
			return fail(models.KindUnavailable, "MLflow does not answer")
		}
		return answer()
	}
	register(h, "ClaimModel", func(_ context.Context, r models.ClaimModelRequest) (result models.ClaimModelResult, err error) {
		return result, locked(func() error { result, err = h.claim(r); return err })
	})
	register(h, "CreateModelVersion", func(_ context.Context, r models.CreateModelVersionRequest) (result models.RegisteredVersion, err error) {
		return result, locked(func() error { result, err = h.createVersion(r); return err })
	})
	register(h, "MoveAliases", func(_ context.Context, r models.MoveAliasesRequest) error {
		return locked(func() error { return h.moveAliases(r) })
	})
	register(h, "ReadAliases", func(_ context.Context, r models.ReadAliasesRequest) (result models.ReadAliasesResult, err error) {
		return result, locked(func() error { result = h.readAliases(r); return nil })
	})
	register(h, "TagModelVersion", func(_ context.Context, r models.TagModelVersionRequest) error {
		return locked(func() error { return h.tagVersion(r) })
	})
	register(h, "SignModel", func(context.Context, models.SignModelRequest) (models.SignModelResult, error) {
		if h.registry.signing == nil {
			return models.SignModelResult{Unsigned: "no key is configured"}, nil
		}
		return h.registry.signing()
	})
	register(h, "ArchiveRecords", func(_ context.Context, r models.ArchiveRecordsRequest) (models.AuditSegment, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.registry.archived = append(h.registry.archived, r)
		last := r.Records[len(r.Records)-1]
		return models.AuditSegment{First: r.Records[0].Sequence, Last: last.Sequence, Head: last.Hash}, nil
	})
}

func (h *house) claim(r models.ClaimModelRequest) (models.ClaimModelResult, error) {
	h.registry.claims = append(h.registry.claims, r)
	before := h.registry.owner
	if before != "" && before != r.Steward && !r.TakeOver && !h.registry.takes {
		return models.ClaimModelResult{}, fail(models.KindNotOwner, "the model is held by "+before+" (take it over with --take-over)")
	}
	h.registry.owner = r.Steward
	return models.ClaimModelResult{Owner: r.Steward, Before: before, Aliases: h.readAliases(models.ReadAliasesRequest{}).Aliases}, nil
}

func (h *house) createVersion(r models.CreateModelVersionRequest) (models.RegisteredVersion, error) {
	if h.registry.createAs != nil {
		return h.registry.createAs()
	}
	if r.Owner != h.registry.owner {
		return models.RegisteredVersion{}, fail(models.KindNotOwner, "the model is held by "+h.registry.owner)
	}
	known := slices.IndexFunc(h.registered, func(before models.CreateModelVersionRequest) bool { return before.Key == r.Key })
	if known < 0 {
		known = len(h.registered)
		h.registered = append(h.registered, r)
	}
	return models.RegisteredVersion{Version: fmt.Sprint(known + 1), URL: "http://mlflow/version"}, nil
}

func (h *house) moveAliases(r models.MoveAliasesRequest) error {
	h.registry.moves = append(h.registry.moves, r)
	if r.Owner == "" || r.Owner != h.registry.owner {
		return fail(models.KindNotOwner, "the model is held by "+h.registry.owner)
	}
	for alias, expected := range r.Expected {
		found := h.aliases[alias]
		vanished := found == "" && slices.Contains(h.registry.deleted, expected)
		if found != expected && found != r.Aliases[alias] && !vanished {
			return fail(models.KindAliasMoved, alias+" is at "+found)
		}
	}
	// One call for each alias, so that what precedes a refusal has been done.
	for _, alias := range slices.Sorted(maps.Keys(r.Aliases)) {
		version := r.Aliases[alias]
		if slices.Contains(h.registry.deleted, version) {
			return fail(models.KindNotFound, "version "+version+" does not exist")
		}
		if h.aliases[alias] = version; version == "" {
			delete(h.aliases, alias)
		}
		if h.registry.after != nil {
			h.registry.after(alias, version)
		}
		if refused := h.registry.refuse; refused != nil {
			h.registry.refuse = nil
			return refused
		}
	}
	return nil
}

func (h *house) readAliases(r models.ReadAliasesRequest) models.ReadAliasesResult {
	h.registry.reads++
	result := models.ReadAliasesResult{Exists: !h.registry.missing, Aliases: map[string]string{}, Owner: h.registry.owner}
	for alias, version := range h.aliases {
		result.Aliases[alias] = version
	}
	for _, version := range r.Versions {
		if slices.Contains(h.registry.deleted, version) {
			result.Deleted = append(result.Deleted, version)
		}
	}
	return result
}

func (h *house) tagVersion(r models.TagModelVersionRequest) error {
	if slices.Contains(h.registry.deleted, r.Version) {
		return fail(models.KindNotFound, "version "+r.Version+" does not exist")
	}
	if h.registry.tags == nil {
		h.registry.tags = map[string]map[string]string{}
	}
	if h.registry.tags[r.Version] == nil {
		h.registry.tags[r.Version] = map[string]string{}
	}
	for key, value := range r.Tags {
		h.registry.tags[r.Version][key] = value
	}
	return nil
}
