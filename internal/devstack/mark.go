package devstack

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// The mark. Every process of a stack has the directory and the ID in its
// environment; those that are no servers also have the part.
const (
	dirMark  = "MAINSPRING_STACK_DIR="
	idMark   = "MAINSPRING_STACK_ID="
	partMark = "MAINSPRING_STACK_PART=program"
)

// endMarked ends every process, other than this one and its ancestors, whose
// environment has all the marks: SIGTERM, and SIGKILL after the grace period.
// It returns how many it found. New ones are looked for until none is left.
func endMarked(ctx context.Context, grace time.Duration, marks ...string) (int, error) {
	insist := time.Now().Add(grace)
	asked := map[int]bool{}
	for {
		found, err := findMarked(marks)
		if err != nil || len(found) == 0 {
			return len(asked), err
		}
		for _, p := range found {
			force := time.Now().After(insist)
			if force || !asked[p.pid] {
				p.signal(force)
			}
			asked[p.pid] = true
			p.close()
		}
		select {
		case <-ctx.Done():
			return len(asked), context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// carries is true when an environment block, as the kernel shows it, has all
// the marks.
func carries(block string, marks []string) bool {
	variables := strings.Split(block, "\x00")
	for _, mark := range marks {
		if !slices.Contains(variables, mark) {
			return false
		}
	}
	return len(marks) > 0
}

// RunWatchdog is the whole work of the watchdog process: it reads input, the
// pipe that only the stack's supervisor holds open, to its end, and then ends
// what is left of that stack. It finds the stack in its own environment.
func RunWatchdog(input io.Reader) error {
	id := os.Getenv(strings.TrimSuffix(idMark, "="))
	if id == "" {
		return &Error{Op: "watch a stack", Err: ErrUnsuitable, Hint: "only the stack itself starts its watchdog"}
	}
	_, _ = io.Copy(io.Discard, input)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := endMarked(ctx, strayGrace, idMark+id)
	return err
}

// strayGrace is what processes get that nobody supervises any more.
const strayGrace = 5 * time.Second
