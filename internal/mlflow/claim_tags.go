package mlflow

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// Owner is who holds the model; empty: nobody, or more than one.
func (m RegisteredModel) Owner() string {
	owner := ""
	for _, found := range claimsOf(m) {
		if found.state != stateHeld {
			continue
		}
		if owner != "" {
			return ""
		}
		owner = found.owner
	}
	return owner
}

// claims are those on a model, seen by one claimant.
type claims struct {
	model  RegisteredModel
	mine   string // the own tag; empty: none
	others []foundClaim
}

type foundClaim struct {
	key, state, owner string
	at                time.Time // when claiming began
}

func (m claimant) look(ctx context.Context) (claims, error) {
	model, err := m.c.GetRegisteredModel(ctx, m.req.Model)
	if err != nil {
		return claims{}, err
	}
	seen := claims{model: model, mine: model.Tags[m.key]}
	for _, found := range claimsOf(model) {
		if found.key != m.key {
			seen.others = append(seen.others, found)
		}
	}
	return seen, nil
}

// claimsOf reads the tags. A claim that can't be read is one that is held: it
// is in the way until a person decides.
func claimsOf(model RegisteredModel) []foundClaim {
	var all []foundClaim
	for key, value := range model.Tags {
		if !strings.HasPrefix(key, claimPrefix) {
			continue
		}
		found := foundClaim{key: key, state: stateHeld, owner: value}
		fields := strings.Fields(value)
		switch {
		case len(fields) == 2 && fields[0] == stateHeld:
			found.owner = fields[1]
		case len(fields) == 3 && fields[0] == stateClaiming:
			if at, err := time.Parse(time.RFC3339, fields[2]); err == nil {
				found.state, found.owner, found.at = stateClaiming, fields[1], at
			}
		}
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b foundClaim) int { return cmp.Compare(a.key, b.key) })
	return all
}

func (f foundClaim) expired(now time.Time) bool {
	return f.state == stateClaiming && now.Sub(f.at) > claimExpiry
}

// holder is another owner who holds the model.
func (s claims) holder() (owner string, held bool) {
	for _, other := range s.others {
		if other.state == stateHeld {
			return other.owner, true
		}
	}
	return "", false
}

// yields says that somebody is claiming who would be waited for. Not to write
// then keeps those who come back at once from hindering each other.
func (s claims) yields(m claimant) bool {
	return slices.ContainsFunc(s.others, func(other foundClaim) bool {
		return other.state == stateClaiming && !other.expired(m.req.Now) && other.key < m.key
	})
}

// before is who held the model: an earlier life of m, or another owner.
func (s claims) before(m claimant) string {
	if holder, held := s.holder(); held {
		return holder
	}
	state, owner, _ := strings.Cut(s.mine, " ")
	if state == stateHeld && owner != m.req.Owner {
		return owner
	}
	return ""
}
