package client

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

const testTraining = testLifecycle + "/train"

type logBench struct {
	*testing.T
	store *artifact.Memory
}

func newLogBench(t *testing.T) logBench { return logBench{t, artifact.NewMemory("b")} }

func (b logBench) put(attempt, rank int, offset int64, text string) {
	b.Helper()
	chunk := models.LogChunk{Attempt: attempt, Rank: rank, Offset: offset}
	key := chunk.Key(models.TrainRunKey("default", testTraining, ""))
	if _, err := artifact.PutBytes(b.Context(), b.store, key, []byte(text), artifact.PutOptions{}); err != nil {
		b.Fatal(err)
	}
}

func trainings(ended bool) scene {
	return scene{types: map[string]string{testTraining: "Train"}, ended: ended}
}

func (b logBench) read(options LogOptions) (out, notes string) {
	b.Helper()
	var o, n bytes.Buffer
	options.Notes = &n
	c := newTestClient(b.T, newFakeServer(trainings(true)))
	if err := c.Logs(b.Context(), testLifecycle, b.store, options, &o); err != nil {
		b.Fatal(err)
	}
	return o.String(), n.String()
}

func TestLogsOfTheNewestAttempt(t *testing.T) {
	b := newLogBench(t)
	b.put(1, 0, 0, "old\n")
	b.put(2, 0, 0, "a\nb")
	b.put(2, 0, 3, "b\nc\n")
	b.put(2, 1, 0, "x\r\ny")
	one := 1
	for _, c := range []struct {
		options LogOptions
		want    string
	}{
		{LogOptions{}, "rank-0 | a\nrank-0 | bb\nrank-0 | c\nrank-1 | x\nrank-1 | y\n"},
		{LogOptions{Rank: &one}, "x\ny\n"},
		{LogOptions{Attempt: 1}, "old\n"},
		{LogOptions{Tail: 1}, "rank-0 | c\nrank-1 | y\n"},
		{LogOptions{Follow: true, Rank: &one, Tail: 1}, "y\n"},
	} {
		if got, _ := b.read(c.options); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.options, got, c.want)
		}
	}
	if out, notes := b.read(LogOptions{Attempt: 9}); out != "" || !strings.Contains(notes, "leave --rank and --attempt out") {
		t.Errorf("got %q, %q", out, notes)
	}
}

// growing is a store in which something happens at each look.
type growing struct {
	*artifact.Memory
	looks []func()
}

func (g *growing) List(ctx context.Context, prefix string) ([]artifact.Info, error) {
	if len(g.looks) > 0 {
		g.looks[0]()
		g.looks = g.looks[1:]
	}
	return g.Memory.List(ctx, prefix)
}

func TestLogsFollowAPieceThatGrowsAndTheNextAttempt(t *testing.T) {
	b := newLogBench(t)
	server := newFakeServer(trainings(false), trainings(true))
	c := newTestClient(t, server)
	store := &growing{b.store, []func(){
		func() {},
		func() { b.put(1, 0, 0, "one\ntw") },
		func() { b.put(1, 0, 0, "one\ntwo\nhal") },
		func() { b.put(2, 0, 0, "again\n") },
		func() { b.put(2, 0, 6, "end"); server.scene(true); server.scene(true) },
	}}
	var out, notes bytes.Buffer
	if err := c.Logs(t.Context(), testTraining, store, LogOptions{Follow: true, Notes: &notes}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "one\ntwo\nhal\n--- attempt 2 ---\nagain\nend\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if !strings.Contains(notes.String(), "nothing yet") {
		t.Errorf("notes: %q", notes.String())
	}
}

func TestLogsRefuseWhatHasNone(t *testing.T) {
	b := newLogBench(t)
	for want, s := range map[string]scene{
		"there is no workflow":         {missing: true},
		"is a GPUPool and has no logs": {typed: "GPUPool"},
	} {
		c := newTestClient(t, newFakeServer(s))
		err := c.Logs(t.Context(), "x", b.store, LogOptions{}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
