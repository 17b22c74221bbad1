package mlflow

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// claimPrefix begins the keys of the registered model's tags that are claims.
// Every claimant writes a key of its own, made from its identity, so that no
// claimant's write can hide another's.
const claimPrefix = "mainspring.claim."

const (
	stateClaiming = "claiming"
	stateHeld     = "held"
)

const (
	// claimExpiry is when a claim that was never carried through is taken for a
	// dead claimant's. No clock decides who holds a model, only how long such a
	// leftover is in the way.
	claimExpiry = 5 * time.Minute
	// claimLooks is how often a claimant looks whether others have withdrawn.
	claimLooks = 10
)

// ErrHeld is the class of claims and writes that another owner is in the way of.
var ErrHeld = errors.New("another owner holds the model in MLflow")

// ClaimRequest asks to become a model's one owner.
type ClaimRequest struct {
	Model       string
	Description string // of the model, when the claim creates it
	// Owner is <identity>/<life>. At most one life of an identity is alive, so a
	// new one takes over from an older without asking. Without spaces.
	Owner string
	// TakeOver replaces the owner of another identity.
	TakeOver bool
	Now      time.Time
}

// Claim is what a successful claim found.
type Claim struct {
	Before string // the owner that was replaced; empty: nobody
	Model  RegisteredModel
}

// ClaimModel makes the caller the owner of a model, which is created when there
// is none; claiming again is success. Of several claimants at once at most one
// succeeds, whatever they die of, and the others fail with ErrHeld, or with
// ErrUnavailable while it is not decided.
//
// MLflow has no compare-and-set, so this is mutual exclusion by single tags.
// The order of effects is: (1) the claimant writes that it is claiming; (2) it
// reads all claims, and withdraws when there is another one; (3) it writes that
// it holds the model; (4) it reads again, and holds the model only when its own
// claim is there and no other is. Of two claimants the later writer of (1) sees
// the other's claim in (2), so both can get past (2) only when one of them took
// the other for dead and removed its claim. Then that one's own claim is still
// there when the other comes to (4). A new model is created with the claim on
// it, which is all four steps at once.
func (c *Client) ClaimModel(ctx context.Context, req ClaimRequest) (Claim, error) {
	me, err := claimantOf(c, req)
	if err != nil {
		return Claim{}, err
	}
	seen, err := me.look(ctx)
	if errors.Is(err, ErrNotFound) {
		err = c.createModel(ctx, req.Model, req.Description, map[string]string{me.key: me.held()})
		if err == nil {
			return Claim{Model: RegisteredModel{Name: req.Model, Aliases: map[string]string{}}}, nil
		}
		if errors.Is(err, ErrAlreadyExists) { // somebody was faster
			seen, err = me.look(ctx)
		}
	}
	if err != nil {
		return Claim{}, err
	}
	if seen.mine == me.held() && len(seen.others) == 0 {
		return Claim{Model: seen.model}, nil
	}
	if holder, held := seen.holder(); held && !req.TakeOver {
		if seen.mine == "" {
			return Claim{}, me.refused(holder)
		}
		return Claim{}, me.withdraw(ctx, me.refused(holder)) // left by an earlier try
	}
	if !req.TakeOver && seen.yields(me) {
		return Claim{}, me.undecided()
	}
	before := seen.before(me)
	model, err := me.claim(ctx)
	return Claim{Before: before, Model: model}, err
}

// claimant is one who claims.
type claimant struct {
	c   *Client
	req ClaimRequest
	key string
}

func claimantOf(c *Client, req ClaimRequest) (claimant, error) {
	end := strings.LastIndex(req.Owner, "/")
	if err := CheckModelName(req.Model); err != nil {
		return claimant{}, err
	}
	if end <= 0 || strings.ContainsAny(req.Owner, " \n") {
		return claimant{}, refuse("claim model", req.Model, fmt.Sprintf("%q is no owner", req.Owner), "write <identity>/<life>")
	}
	sum := sha256.Sum256([]byte(req.Owner[:end]))
	return claimant{c: c, req: req, key: claimPrefix + hex.EncodeToString(sum[:8])}, nil
}

func (m claimant) held() string { return stateHeld + " " + m.req.Owner }

func (m claimant) claiming() string {
	return stateClaiming + " " + m.req.Owner + " " + m.req.Now.UTC().Format(time.RFC3339)
}

// claim carries the four steps out on a model that exists.
func (m claimant) claim(ctx context.Context) (RegisteredModel, error) {
	if err := m.c.SetModelTag(ctx, m.req.Model, m.key, m.claiming()); err != nil {
		return RegisteredModel{}, err
	}
	if err := m.clear(ctx); err != nil {
		return RegisteredModel{}, m.withdraw(ctx, err)
	}
	if err := m.c.SetModelTag(ctx, m.req.Model, m.key, m.held()); err != nil {
		// It may have been written, without step 4: whoever comes next must not
		// take it for carried through, and a further try by this owner does not.
		return RegisteredModel{}, err
	}
	for look := range claimLooks {
		seen, err := m.wait(ctx, look)
		if err != nil {
			return RegisteredModel{}, err
		}
		if holder, held := seen.holder(); held || seen.mine != m.held() {
			return RegisteredModel{}, m.withdraw(ctx, m.refused(cmp.Or(holder, seen.mine)))
		}
		if len(seen.others) == 0 {
			return seen.model, nil
		}
	}
	return RegisteredModel{}, m.withdraw(ctx, m.undecided())
}

// clear returns when there is no other claim. The claimant with the lowest key
// waits for the others to withdraw, all others withdraw: without that order they
// could hinder each other for ever.
func (m claimant) clear(ctx context.Context) error {
	for look := range claimLooks {
		seen, err := m.wait(ctx, look)
		if err != nil {
			return err
		}
		waits := true
		for _, other := range seen.others {
			switch {
			case m.req.TakeOver || other.expired(m.req.Now):
				if err := m.c.DeleteModelTag(ctx, m.req.Model, other.key); err != nil {
					return err
				}
			case other.state == stateHeld:
				return m.refused(other.owner)
			default:
				waits = waits && m.key < other.key
			}
		}
		if len(seen.others) == 0 {
			return nil
		}
		if !waits {
			break
		}
	}
	return m.undecided()
}

// wait looks, at once the first time and after a pause from then on.
func (m claimant) wait(ctx context.Context, look int) (claims, error) {
	if look > 0 {
		select {
		case <-ctx.Done():
			return claims{}, ctx.Err()
		case <-time.After(m.c.cfg.RetryPause):
		}
	}
	return m.look(ctx)
}

// withdraw removes the own claim and returns why. A claim that can't be removed
// now expires; this owner's next try writes over it.
func (m claimant) withdraw(ctx context.Context, why error) error {
	return errors.Join(why, m.c.DeleteModelTag(context.WithoutCancel(ctx), m.req.Model, m.key))
}

func (m claimant) refused(holder string) error {
	return &Error{Op: "claim model", Subject: m.req.Model, Class: ErrHeld, Message: "it is held by " + cmp.Or(holder, "somebody else"),
		Hint: "one steward at a time may write; if that one is gone for good, take its model over"}
}

func (m claimant) undecided() error {
	return &Error{Op: "claim model", Subject: m.req.Model, Class: ErrUnavailable, Message: "others claim it at the same moment",
		Hint: "try again in a moment"}
}
