package fencing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func claim(token, milli int64) Claim {
	return Claim{Token: token, Key: fmt.Sprintf("job-%d", token), Milli: milli}
}

func over(c Claim) Claim {
	c.Over = true
	return c
}

func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		held        []Claim
		next        Claim
		kept, ended []Claim
		refusedBy   []Claim
	}{
		"an empty device": {next: claim(1, 0), kept: []Claim{claim(1, 0)}},
		"a newer whole claim ends the older": {
			held: []Claim{claim(7, 0)}, next: claim(8, 0), kept: []Claim{claim(8, 0)}, ended: []Claim{claim(7, 0)},
		},
		"an older whole claim is refused": {held: []Claim{claim(8, 0)}, next: claim(7, 0), refusedBy: []Claim{claim(8, 0)}},
		"even after the newer is over":    {held: []Claim{over(claim(8, 0))}, next: claim(7, 0), refusedBy: []Claim{over(claim(8, 0))}},
		"the same claim again":            {held: []Claim{claim(8, 0)}, next: claim(8, 0), kept: []Claim{claim(8, 0)}},
		"another job with the same token": {
			held: []Claim{claim(8, 100)}, next: Claim{Token: 8, Key: "twin", Milli: 100}, refusedBy: []Claim{claim(8, 100)},
		},
		"shares that fit stay together": {
			held: []Claim{claim(7, 300), claim(8, 200)}, next: claim(9, 500), kept: []Claim{claim(9, 500), claim(8, 200), claim(7, 300)},
		},
		"a late one fits beside newer ones": {
			held: []Claim{claim(8, 200), claim(9, 500)}, next: claim(7, 300), kept: []Claim{claim(9, 500), claim(8, 200), claim(7, 300)},
		},
		"newer shares leave no room": {
			held: []Claim{claim(8, 400), claim(9, 400)}, next: claim(7, 300), refusedBy: []Claim{claim(9, 400), claim(8, 400)},
		},
		"the oldest makes way": {
			held: []Claim{claim(6, 300), claim(7, 300), claim(8, 300)}, next: claim(9, 300),
			kept: []Claim{claim(9, 300), claim(8, 300), claim(7, 300)}, ended: []Claim{claim(6, 300)},
		},
		"what is proven void does not crowd out a smaller one": {
			held: []Claim{claim(7, 300), claim(8, 700)}, next: claim(9, 500),
			kept: []Claim{claim(9, 500), over(claim(8, 700)), claim(7, 300)}, ended: []Claim{claim(8, 700)},
		},
		"a claim that is over takes no room": {
			held: []Claim{claim(7, 500), over(claim(8, 500))}, next: claim(9, 500), kept: []Claim{claim(9, 500), claim(7, 500)},
		},
		"a claim that is over proves what did not fit beside it": {
			held: []Claim{claim(9, 300), over(claim(8, 700))}, next: claim(7, 500), refusedBy: []Claim{over(claim(8, 700))},
		},
		"a whole claim ends all shares": {
			held: []Claim{claim(7, 500), claim(8, 500)}, next: claim(9, 0),
			kept: []Claim{claim(9, 0)}, ended: []Claim{claim(8, 500), claim(7, 500)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept, ended, err := Decide(c.held, c.next)
			var refusal *Refusal
			if errors.As(err, &refusal) != (c.refusedBy != nil) || err != nil && refusal == nil {
				t.Fatalf("got error %v", err)
			}
			if refusal != nil {
				if diff := cmp.Diff(c.refusedBy, refusal.By); diff != "" {
					t.Error(diff)
				}
				return
			}
			if diff := cmp.Diff(c.kept, kept) + cmp.Diff(c.ended, ended); diff != "" {
				t.Error(diff)
			}
			if again, more, err := Decide(kept, c.next); err != nil || len(more) > 0 || !cmp.Equal(kept, again) {
				t.Errorf("deciding again: %v, %v, %v", again, more, err)
			}
		})
	}
}

// What fits into a whole device is checked against the rule that came first: a
// fence is the highest token seen.
func TestWholeDevicesFollowTheHighestToken(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var held []Claim
		var highest int64
		for range 20 {
			next := claim(1+random.Int64N(10), 0)
			kept, _, err := Decide(held, next)
			if (err != nil) != (next.Token < highest) {
				t.Fatalf("token %d after %d: %v", next.Token, highest, err)
			}
			if err == nil {
				highest, held = next.Token, kept
			}
			if random.IntN(3) == 0 && len(held) > 0 {
				held[0].Over = true
			}
		}
	}
}

// world is a device, a pool that lends it, and an agent that hears of leases
// late and in any order.
type world struct {
	random *rand.Rand
	token  int64
	valid  []Claim // what the pool has lent
	void   []Claim // what it has taken back, whoever knows
	held   []Claim // what the agent remembers
}

func (w *world) lend() {
	w.token++
	c := claim(w.token, []int64{0, 100, 250, 300, 500, 700}[w.random.IntN(6)])
	if sum(w.valid)+c.Share() <= Whole {
		w.valid = append(w.valid, c)
	}
}

func sum(claims []Claim) (total int64) {
	for _, c := range claims {
		if !c.Over {
			total += c.Share()
		}
	}
	return total
}

// release ends a lease in good order: its job has ended before.
func (w *world) release(lost bool) {
	if len(w.valid) == 0 {
		return
	}
	i := w.random.IntN(len(w.valid))
	c := w.valid[i]
	w.valid = append(w.valid[:i:i], w.valid[i+1:]...)
	w.void = append(w.void, c)
	for j := range w.held {
		if !lost && w.held[j].Key == c.Key {
			w.held[j].Over = true
		}
	}
}

// start lets the agent hear of one of the claims.
func (w *world) start(t *testing.T, claims []Claim) (ended []Claim, err error) {
	t.Helper()
	if len(claims) == 0 {
		return nil, nil
	}
	next := claims[w.random.IntN(len(claims))]
	if Admits(w.held, next.Token, next.Key) {
		return nil, nil
	}
	kept, ended, err := Decide(w.held, next)
	if err != nil {
		return nil, err
	}
	w.held = kept
	if total := sum(kept); total > Whole {
		t.Fatalf("%d thousandths of a device in use: %v", total, kept)
	}
	if !Admits(kept, next.Token, next.Key) {
		t.Fatalf("%v was accepted and not kept: %v", next, kept)
	}
	return ended, nil
}

func TestJobsOfValidLeasesAreLeftAlone(t *testing.T) {
	for seed := range uint64(300) {
		w := &world{random: rand.New(rand.NewPCG(seed, 3))}
		for range 100 {
			switch w.random.IntN(4) {
			case 0:
				w.lend()
			case 1:
				w.release(false)
			default:
				if ended, err := w.start(t, w.valid); err != nil || len(ended) > 0 {
					t.Fatalf("seed %d: ended %v, %v; the pool has lent %v", seed, ended, err, w.valid)
				}
			}
		}
	}
}

func TestNeverMoreThanOneDeviceWhateverComesLate(t *testing.T) {
	refused, made := 0, 0
	for seed := range uint64(300) {
		w := &world{random: rand.New(rand.NewPCG(seed, 4))}
		for range 100 {
			switch w.random.IntN(6) {
			case 0:
				w.lend()
			case 1:
				w.release(false)
			case 2:
				w.release(true) // the job goes on: its agent was not reached
			case 3:
				if _, err := w.start(t, w.void); err != nil {
					refused++
				}
			default:
				ended, _ := w.start(t, w.valid) // may be refused: the agent can't know which of the newer ones are void
				made += len(ended)
			}
		}
	}
	if refused == 0 || made == 0 {
		t.Errorf("%d refused, %d ended: the test is too tame", refused, made)
	}
}
