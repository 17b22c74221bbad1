package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// mayOrderAliases refuses orders that nobody signs.
func (s *steward) mayOrderAliases(order models.AliasOrder) error {
	switch order.Action {
	case models.AliasLook:
		return nil
	case models.AliasRestore, models.AliasAdopt, models.AliasTakeOver:
		return accountable(order.By, order.Reason)
	default:
		return failure(&models.Error{Kind: models.KindInvalidSpec, Subject: fmt.Sprintf("action %q", order.Action),
			Message: "is not known", Hint: "use look, restore, adopt or take_over"})
	}
}

// The longest that a person may write, in bytes: it stays in the steward's state.
const (
	longestName   = 200
	longestReason = 2000
)

// accountable: who does something to production says so, and why.
func accountable(by, why string) error {
	refuse := func(message, hint string) error {
		return failure(&models.Error{Kind: models.KindInvalidSpec, Message: message, Hint: hint})
	}
	switch {
	case strings.TrimSpace(by) == "" || strings.TrimSpace(why) == "":
		return refuse("who asks for it and the reason are missing", "give --by and --reason")
	case len(by) > longestName:
		return refuse(fmt.Sprintf("the name has %d bytes", len(by)), fmt.Sprintf("use at most %d", longestName))
	case len(why) > longestReason:
		return refuse(fmt.Sprintf("the reason has %d bytes", len(why)), fmt.Sprintf("use at most %d, and a link to the rest", longestReason))
	default:
		return nil
	}
}

// orderAliases looks, and then does what an operator decided about differences.
func (s *steward) orderAliases(ctx workflow.Context, order models.AliasOrder) (models.AliasReport, error) {
	if order.Action == models.AliasTakeOver {
		if err := s.takeOver(ctx, order); err != nil {
			return models.AliasReport{}, err
		}
	}
	if err := s.look(ctx); err != nil {
		return models.AliasReport{}, failure(&models.Error{Kind: models.KindUnavailable, Subject: "MLflow",
			Message: "the aliases can't be read: " + reason(err), Hint: "try again once it answers"})
	}
	var err error
	switch order.Action {
	case models.AliasRestore:
		err = s.restore(ctx, order)
	case models.AliasAdopt:
		err = s.adopt(ctx, order)
	case models.AliasLook, models.AliasTakeOver:
	}
	s.show(ctx)
	found := s.recorded()
	for _, d := range s.state.Differences {
		if found[d.Alias] = d.Found; d.Found == "" {
			delete(found, d.Alias)
		}
	}
	return models.AliasReport{Recorded: s.recorded(), Found: found, Differences: s.state.Differences, CheckedAt: workflow.Now(ctx)}, err
}

func (s *steward) takeOver(ctx workflow.Context, order models.AliasOrder) error {
	if err := s.aliases.Lock(ctx); err != nil {
		return err
	}
	defer s.aliases.Unlock()
	return s.claimLocked(ctx, order)
}

// restore sets the aliases back to what is recorded. It needs no turn: a running
// rollout does not touch them.
func (s *steward) restore(ctx workflow.Context, order models.AliasOrder) error {
	if err := s.aliases.Lock(ctx); err != nil {
		return err
	}
	defer s.aliases.Unlock()
	if err := s.ownLocked(ctx); err != nil {
		return err
	}
	request := models.MoveAliasesRequest{Model: s.state.Model, Owner: s.state.Owner, Aliases: map[string]string{}, Expected: map[string]string{}}
	for _, d := range s.state.Differences {
		if d.Deleted && d.Alias == models.AliasChampion {
			continue // only another champion can mend that
		}
		request.Aliases[d.Alias], request.Expected[d.Alias] = d.Recorded, d.Found
		if d.Deleted {
			request.Aliases[d.Alias] = "" // an alias can't point at what does not exist
		}
	}
	if len(request.Aliases) == 0 {
		return s.nothingTo("restore")
	}
	if err := do(quick(ctx, "Restore: "+inWords(request.Aliases)), models.Registry.MoveAliases, request); err != nil {
		return err
	}
	s.note(request.Aliases)
	s.record(ctx, models.Record{Action: models.ActionAliasesRestored, By: order.By,
		Reason: order.Reason + " (" + inWords(request.Aliases) + ")", Aliases: s.recorded()})
	return s.compareNow(ctx)
}

func (s *steward) nothingTo(what string) error {
	if len(s.state.Differences) == 0 {
		return nil // as it should be
	}
	return failure(&models.Error{Kind: models.KindNotFound, Subject: "aliases of " + s.state.Model,
		Message: fmt.Sprintf("there is nothing to %s: %s", what, explain(s.state.Differences[0])),
		Hint:    "promote or roll back to a version that exists; `mainspring rollback` makes an earlier one the champion"})
}

// adopt makes what MLflow has the record. A new champion gets the traffic, in
// its turn.
func (s *steward) adopt(ctx workflow.Context, order models.AliasOrder) error {
	wanted := map[string]string{}
	for _, d := range s.state.Differences {
		if err := s.adoptable(d); err != nil {
			return err
		}
		if !vanished(d) || d.Alias != models.AliasChampion {
			wanted[d.Alias] = d.Found
		}
	}
	if len(wanted) == 0 {
		return s.nothingTo("adopt")
	}
	champion, moved := wanted[models.AliasChampion]
	if !moved {
		if err := s.point(ctx, wanted); err != nil {
			return err
		}
		s.record(ctx, models.Record{Action: models.ActionAliasesAdopted, By: order.By,
			Reason: order.Reason + " (" + inWords(wanted) + ")", Aliases: s.recorded()})
		return nil
	}
	return s.inTurn(ctx, "an operator adopts version "+champion+" as champion", func(ctx workflow.Context) error {
		_, err := s.crown(ctx, coronation{to: champion, aliases: wanted, action: models.ActionAliasesAdopted, by: order.By, why: order.Reason})
		return err
	})
}

// adoptable: the steward can only serve, roll back to or retrain what it
// registered.
func (s *steward) adoptable(d models.AliasDifference) error {
	refuse := func(message string) error {
		return failure(&models.Error{Kind: models.KindNotFound, Subject: "alias " + d.Alias, Message: message,
			Hint: "`mainspring aliases --restore` sets it back; or point it at a version that the steward registered"})
	}
	v := s.version(d.Found)
	switch {
	case d.Found == "" && d.Alias == models.AliasChampion && !vanished(d):
		return refuse("was deleted, and an endpoint needs a champion")
	case d.Found == "":
		return nil
	case v == nil:
		return refuse("version " + d.Found + " was not registered by this steward, so it can't be served or rolled back to")
	case d.Alias == models.AliasChampion && unapproved(*v):
		return refuse("version " + d.Found + " can't take over: its spec asks for a person's approval, and there is none")
	case d.Alias == models.AliasChampion && s.withoutEndpoint(*v) != "":
		return refuse("version " + d.Found + " can't take over: " + s.withoutEndpoint(*v))
	default:
		return nil
	}
}
