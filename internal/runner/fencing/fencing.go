// Package fencing decides which jobs may be on a device. It is arithmetic: no
// clock, no files, no processes.
//
// # Vocabulary
//
//   - A claim is a job's hold on a device: the token of its lease, its key and
//     its share in thousandths.
//   - A claim is over when its job does not run any more, or has been told to
//     make way. It takes no room, but it is remembered for what it proves.
//   - A claim proves another one void when its token is larger and both do not
//     fit into one device: a pool grants tokens in growing order and never more
//     than the device, so the older lease had ended by then.
package fencing

import (
	"cmp"
	"fmt"
	"slices"
)

// Whole is a whole device.
const Whole = 1000

// Claim is a job's hold on one device.
type Claim struct {
	Token int64  `json:"token"`
	Key   string `json:"key"`             // of the job
	Milli int64  `json:"milli,omitempty"` // share in thousandths; 0: the whole device
	Over  bool   `json:"over,omitempty"`  // takes no room
}

// Share is the share in thousandths.
func (c Claim) Share() int64 {
	if c.Milli <= 0 || c.Milli > Whole {
		return Whole
	}
	return c.Milli
}

// Refusal is why a claim has no place: By are the claims with larger tokens
// that leave too little room, or the one with the same token.
type Refusal struct {
	Claim Claim
	By    []Claim
}

// Error implements error.
func (r *Refusal) Error() string {
	newest := r.By[0]
	return fmt.Sprintf("job %s has token %d, but job %s came with token %d", r.Claim.Key, r.Claim.Token, newest.Key, newest.Token)
}

// Decide says what becomes of a device's claims when next arrives. It keeps
// next and the newest of the others that fit beside it; the rest must be ended
// before next starts. next is refused with a *Refusal when newer claims leave
// no room for it, and when a claim that is over proves it void.
//
// kept is what to remember, the newest first, those that are over included.
// Deciding again about a claim that was kept changes nothing.
func Decide(held []Claim, next Claim) (kept, ended []Claim, err error) {
	next.Over = false
	claims := slices.Clone(held)
	slices.SortFunc(claims, newestFirst)
	if by := refusedBy(claims, next); len(by) > 0 {
		return nil, nil, &Refusal{Claim: next, By: by}
	}
	claims = slices.DeleteFunc(claims, func(c Claim) bool { return c.Key == next.Key })
	claims = append(claims, next)
	slices.SortFunc(claims, newestFirst)

	room := Whole - next.Share()
	for i, c := range claims {
		switch {
		case c.Over || c.Key == next.Key:
		case c.Share() <= room:
			room -= c.Share()
		default:
			ended = append(ended, c)
			claims[i].Over = true
		}
	}
	return prune(claims), ended, nil
}

// Admits reports whether a claim was kept and has not had to make way since.
func Admits(held []Claim, token int64, key string) bool {
	return slices.ContainsFunc(held, func(c Claim) bool { return c.Token == token && c.Key == key && !c.Over })
}

// newestFirst orders claims by token, those that are equal by key.
func newestFirst(a, b Claim) int {
	return cmp.Or(cmp.Compare(b.Token, a.Token), cmp.Compare(a.Key, b.Key))
}

// refusedBy returns the claims that leave no room for next, the newest first.
func refusedBy(claims []Claim, next Claim) []Claim {
	var newer []Claim
	room := Whole - next.Share()
	for _, c := range claims {
		switch {
		case c.Token == next.Token && c.Key != next.Key, // one lease is one job
			c.Token > next.Token && c.Key == next.Key,
			c.Token > next.Token && c.Share()+next.Share() > Whole:
			return []Claim{c}
		case c.Token > next.Token && !c.Over:
			newer = append(newer, c)
			room -= c.Share()
		}
	}
	if room < 0 {
		return newer
	}
	return nil
}

// prune forgets claims that are over and prove nothing that a newer one with at
// least the same share does not.
func prune(newestFirst []Claim) []Claim {
	var kept []Claim
	var largest int64
	for _, c := range newestFirst {
		if c.Over && c.Share() <= largest {
			continue
		}
		largest = max(largest, c.Share())
		kept = append(kept, c)
	}
	return kept
}
