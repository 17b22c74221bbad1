package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// stewardAliases are those that a steward keeps, in the order in which people
// name them.
func stewardAliases() []string {
	return []string{models.AliasChampion, models.AliasChallenger, models.AliasPrevious}
}

// point moves aliases and the record of them, as one step: nobody looks in
// between. An alias that somebody else moved stays where they put it, and its
// difference from the record is noted. Where that is the champion's, nothing
// moves and the error is KindAliasMoved.
func (s *steward) point(ctx workflow.Context, wanted map[string]string) error {
	if err := s.aliases.Lock(ctx); err != nil {
		return err
	}
	defer s.aliases.Unlock()
	if err := s.ownLocked(ctx); err != nil {
		return err
	}
	s.moving = wanted
	defer func() { s.moving = nil }()
	request := models.MoveAliasesRequest{Model: s.state.Model, Aliases: map[string]string{}, Expected: map[string]string{}}
	for _, alias := range stewardAliases() {
		if version, ok := wanted[alias]; ok {
			request.Aliases[alias], request.Expected[alias] = version, s.recorded()[alias]
		}
	}
	const attempts = 10
	for attempt := range attempts {
		// A look in between may have found that somebody else holds the model.
		if err := s.ownLocked(ctx); err != nil {
			return err
		}
		request.Owner = s.state.Owner
		err := do(quick(ctx, "Aliases: "+inWords(request.Aliases)), models.Registry.MoveAliases, request)
		if err == nil {
			s.note(wanted)
			return s.afterMove(ctx, request, wanted)
		}
		if err := s.makeWay(ctx, &request, wanted, err); err != nil {
			s.takeBack(ctx, request)
			return err
		}
		if err := workflow.Sleep(ctx, time.Duration(attempt)*time.Second); err != nil {
			return err
		}
	}
	return failure(&models.Error{Kind: models.KindAliasMoved, Subject: "aliases of " + s.state.Model,
		Message: "somebody else keeps moving them", Hint: "find out who writes to the registry beside the steward"})
}

// makeWay looks at why a move was refused, and changes the request so that it
// may be tried again, or returns why it may not.
func (s *steward) makeWay(ctx workflow.Context, request *models.MoveAliasesRequest, wanted map[string]string, refused error) error {
	switch kindOf(refused) {
	case models.KindNotOwner:
		s.state.Owner = ""
		return nil // claimed again before the next try
	case models.KindAliasMoved:
	case models.KindNotFound:
		if err := s.compareNow(ctx); err != nil {
			return err
		}
		// The version of `previous` may go without harm, the one that is wanted may not.
		previous := wanted[models.AliasPrevious]
		if previous == "" || !s.deleted(previous) {
			return refused
		}
		wanted[models.AliasPrevious] = s.successorOf(previous)
		request.Aliases[models.AliasPrevious] = wanted[models.AliasPrevious]
		return nil
	default:
		return refused
	}
	if err := s.compareNow(ctx); err != nil {
		return err
	}
	for _, d := range s.state.Differences {
		if _, moves := request.Aliases[d.Alias]; !moves || d.Found == wanted[d.Alias] {
			continue
		}
		switch {
		case vanished(d):
			request.Expected[d.Alias] = d.Found
		case d.Alias == models.AliasChampion:
			return refused
		default:
			delete(request.Aliases, d.Alias)
			delete(request.Expected, d.Alias)
		}
	}
	return nil
}

// takeBack undoes the half of a refused move that was done: an alias that is
// where it was to go, or went with the version that it was given. One who does
// not hold the model any more leaves that to who does.
func (s *steward) takeBack(ctx workflow.Context, refused models.MoveAliasesRequest) {
	if s.state.Owner == "" {
		return
	}
	back := models.MoveAliasesRequest{Model: s.state.Model, Owner: s.state.Owner, Aliases: map[string]string{}, Expected: map[string]string{}}
	found, err := call(quick(ctx, "Read the aliases"), models.Registry.ReadAliases, s.question())
	for _, alias := range stewardAliases() {
		to, moves := refused.Aliases[alias]
		recorded, is := s.recorded()[alias], found.Aliases[alias]
		half := is == to || is == "" && to != "" && s.deleted(to)
		if err == nil && moves && half && is != recorded && !s.deleted(recorded) {
			back.Aliases[alias], back.Expected[alias] = recorded, is
		}
	}
	if err == nil && len(back.Aliases) > 0 {
		err = do(quick(ctx, "Take back: "+inWords(back.Aliases)), models.Registry.MoveAliases, back)
	}
	s.must(ctx, err)
}

// note makes the record say what is wanted.
func (s *steward) note(wanted map[string]string) {
	for _, field := range []struct {
		alias string
		at    *string
	}{{models.AliasChampion, &s.state.Champion}, {models.AliasChallenger, &s.state.Challenger}, {models.AliasPrevious, &s.state.Previous}} {
		if version, ok := wanted[field.alias]; ok {
			*field.at = version
		}
	}
}

// afterMove forgets the differences that the move settled, and looks again at
// aliases that it left alone.
func (s *steward) afterMove(ctx workflow.Context, request models.MoveAliasesRequest, wanted map[string]string) error {
	s.state.Differences = slices.DeleteFunc(slices.Clone(s.state.Differences), func(d models.AliasDifference) bool {
		_, moved := request.Aliases[d.Alias]
		return moved
	})
	if len(request.Aliases) == len(wanted) {
		return nil
	}
	return s.compareNow(ctx)
}

// compareNow waits until MLflow answers. Versions are further ones to ask about.
func (s *steward) compareNow(ctx workflow.Context, versions ...string) error {
	found, err := call(quick(ctx, "Read the aliases"), models.Registry.ReadAliases, s.question(versions...))
	if err == nil {
		s.compare(ctx, found)
	}
	return err
}

// question asks about the versions that something depends on: each costs a
// round trip.
func (s *steward) question(versions ...string) models.ReadAliasesRequest {
	request := models.ReadAliasesRequest{Model: s.state.Model}
	named := s.named()
	for _, v := range s.state.Versions {
		if !v.Deleted && (named[v.Version] || slices.Contains(versions, v.Version)) {
			request.Versions = append(request.Versions, v.Version)
		}
	}
	return request
}

// named are the versions that an alias, a question or a task names.
func (s *steward) named() map[string]bool {
	named := map[string]bool{s.state.Champion: true, s.state.Previous: true, s.state.Challenger: true}
	for _, d := range s.state.Differences {
		named[d.Found] = true
	}
	for _, alias := range stewardAliases() {
		named[s.moving[alias]] = true
	}
	for _, p := range s.state.Approvals {
		named[p.Request.Version] = true
	}
	for _, task := range s.state.Queue {
		named[versionOf(task)] = true
	}
	return named
}

// compare holds the record against what MLflow has. A difference is recorded
// when it is first seen, and forgotten when it is gone.
func (s *steward) compare(ctx workflow.Context, found models.ReadAliasesResult) {
	for i, v := range s.state.Versions {
		if !found.Exists || slices.Contains(found.Deleted, v.Version) {
			s.state.Versions[i].Deleted = true
		}
	}
	recorded := s.recorded()
	differences := []models.AliasDifference{}
	for _, alias := range stewardAliases() {
		d := models.AliasDifference{Alias: alias, Recorded: recorded[alias], Found: found.Aliases[alias], Seen: workflow.Now(ctx)}
		if d.Recorded == d.Found {
			continue
		}
		d.Deleted = d.Recorded != "" && s.deleted(d.Recorded)
		if to, moves := s.moving[d.Alias]; moves && to == d.Found {
			// The steward's own move, of which the rest was refused. Somebody else
			// has deleted the version at most.
			if !d.Deleted {
				continue
			}
			d.Found = ""
		}
		known := slices.IndexFunc(s.state.Differences, func(old models.AliasDifference) bool {
			return old.Alias == d.Alias && old.Found == d.Found
		})
		if known >= 0 {
			d.Seen = s.state.Differences[known].Seen
		} else {
			s.record(ctx, models.Record{Action: models.ActionAliasMoved, Version: d.Found, By: "another hand", Reason: explain(d), Aliases: found.Aliases})
		}
		differences = append(differences, d)
	}
	s.state.Differences = differences
	if found.Owner != s.state.Owner {
		s.state.Owner = "" // claimed again before the next write, which says who holds it
	}
}

func (s *steward) deleted(version string) bool {
	v := s.version(version)
	return v != nil && v.Deleted
}

// vanished: the alias went with its version. There is nothing to overwrite.
func vanished(d models.AliasDifference) bool { return d.Deleted && d.Found == "" }

// championMoved is the difference that keeps promotions waiting; nil: none.
func (s *steward) championMoved() *models.AliasDifference {
	for i, d := range s.state.Differences {
		if d.Alias == models.AliasChampion && !vanished(d) {
			return &s.state.Differences[i]
		}
	}
	return nil
}

func explain(d models.AliasDifference) string {
	switch {
	case vanished(d):
		return fmt.Sprintf("alias %s is gone: version %s was deleted in MLflow", d.Alias, d.Recorded)
	case d.Found == "":
		return fmt.Sprintf("alias %s was deleted in MLflow; the record has it at version %s", d.Alias, d.Recorded)
	default:
		return fmt.Sprintf("alias %s is at version %s in MLflow and at %s in the record", d.Alias, d.Found, orNone(d.Recorded))
	}
}

// inWords writes aliases like "champion 3, previous none".
func inWords(aliases map[string]string) string {
	var parts []string
	for _, alias := range stewardAliases() {
		if version, ok := aliases[alias]; ok {
			parts = append(parts, alias+" "+orNone(version))
		}
	}
	return strings.Join(parts, ", ")
}

// patrol looks at MLflow's aliases and at open retrainings every few minutes, as
// long as there are any. Once a new run is due it rests: what it would find is
// looked at before every move as well.
func (s *steward) patrol(ctx workflow.Context) {
	beat := func() bool {
		return (len(s.state.Versions) > 0 || len(s.openRetrainings()) > 0) && !workflow.GetInfo(ctx).GetContinueAsNewSuggested()
	}
	for workflow.Await(ctx, beat) == nil && workflow.Sleep(ctx, lookEvery) == nil {
		s.busy++
		if len(s.state.Versions) > 0 {
			// An MLflow that does not answer says nothing about its aliases.
			_ = s.look(ctx)
		}
		s.sweep(ctx)
		s.busy--
		s.show(ctx)
	}
}

// look compares now, and gives up after seconds.
func (s *steward) look(ctx workflow.Context) error {
	if err := s.aliases.Lock(ctx); err != nil {
		return err
	}
	defer s.aliases.Unlock()
	found, err := aside(ctx, models.Registry.ReadAliases, s.question())
	if err == nil {
		s.compare(ctx, found)
	}
	return err
}
