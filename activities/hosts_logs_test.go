package activities

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
)

// logBench is one rank whose log grows under a shipper.
type logBench struct {
	*testing.T
	store *artifact.Memory
	path  string
	ships *logShipper
}

func newLogBench(t *testing.T, secrets ...string) *logBench {
	b := &logBench{T: t, store: artifact.NewMemory("b"), path: filepath.Join(t.TempDir(), "rank-3.log")}
	b.restart(secrets...)
	return b
}

// restart is the next agent, which knows nothing but the files.
func (b *logBench) restart(secrets ...string) {
	var mask masker
	for _, secret := range secrets {
		mask.add(secret)
	}
	b.ships = &logShipper{store: b.store, runKey: "k", attempt: 2, mask: mask, head: headKept, tail: tailKept, logs: []*shippedLog{{rank: 3, path: b.path}}}
}

func (b *logBench) write(text string) {
	b.Helper()
	file, err := os.OpenFile(b.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(text)
		file.Close()
	}
	if err != nil {
		b.Fatal(err)
	}
}

func (b *logBench) ship(final bool) {
	b.Helper()
	if err := b.ships.ship(b.Context(), final); err != nil {
		b.Fatal(err)
	}
}

// stored returns the pieces in order, and fails when they overlap.
func (b *logBench) stored() (pieces []string) {
	b.Helper()
	listed, err := b.store.List(b.Context(), models.LogPrefix("k"))
	if err != nil {
		b.Fatal(err)
	}
	end := int64(0)
	for _, info := range listed {
		chunk, ok := models.ParseLogChunk("k", info.Key)
		if !ok || chunk.Attempt != 2 || chunk.Rank != 3 || chunk.Offset < end {
			b.Errorf("piece %s after offset %d", info.Key, end)
		}
		end = chunk.Offset + info.Size
		data, _, err := artifact.GetBytes(b.Context(), b.store, info.Key, 8<<20)
		if err != nil {
			b.Fatal(err)
		}
		pieces = append(pieces, string(data))
	}
	return pieces
}

func TestLogsAreStoredWhileTheyGrow(t *testing.T) {
	b := newLogBench(t)
	b.ship(false) // there is no file yet
	var want strings.Builder
	for i := range 8 {
		line := strings.Repeat(string(rune('a'+i)), 100<<10) + "\n"
		want.WriteString(line)
		b.write(line)
		b.ship(false)
		if got := strings.Join(b.stored(), ""); got != want.String() {
			t.Fatalf("after line %d: %d bytes, want %d", i, len(got), want.Len())
		}
		if i == 3 || i == 4 {
			b.restart() // with a piece that is full, and with one that is not
		}
	}
	if n := len(b.stored()); n != 3 {
		t.Errorf("%d pieces, want 3: small ones are put again until they are full", n)
	}
}

func TestSecretsAreMaskedHoweverTheyArrive(t *testing.T) {
	const secret, other = "hunter2-hunter2", "hunter2-other"
	text := "key=" + secret + " again " + secret + secret[7:] + "\n" + other + " hunter2-h and hunter2-hunter2-other\n"
	want := "key=*************** again **********************\n************* hunter2-h and *********************\n"
	want = strings.Replace(want, "again **********************", "again "+strings.Repeat("*", len(secret)+8), 1)
	for step := 1; step <= len(text); step++ {
		b := newLogBench(t, secret, other, "short")
		for at := 0; at < len(text); at += step {
			b.write(text[at:min(at+step, len(text))])
			b.ship(false)
			if at == 4*step {
				b.restart(secret, other)
			}
			if got := strings.Join(b.stored(), ""); !strings.HasPrefix(want, got) {
				t.Fatalf("in steps of %d: %q is not a beginning of %q", step, got, want)
			}
		}
		b.ship(true)
		if got := strings.Join(b.stored(), ""); got != want {
			t.Fatalf("in steps of %d: got %q, want %q", step, got, want)
		}
	}
}

func TestALogThatIsTooLongKeepsItsHeadAndTail(t *testing.T) {
	const secret = "correct-horse"
	b := newLogBench(t, secret)
	b.ships.head, b.ships.tail = 1000, 500
	b.write(strings.Repeat("h", 990) + "\n")
	b.ship(false)
	b.write(strings.Repeat("m", 100_000) + "\n")
	b.ship(false)
	b.restart(secret)
	b.ships.head, b.ships.tail = 1000, 500
	b.write(secret + strings.Repeat("t", 495) + "\n")
	b.ship(true)
	pieces := b.stored()
	if len(pieces) != 3 || !strings.HasPrefix(pieces[0], strings.Repeat("h", 990)) || !strings.Contains(pieces[1], "output is left out") ||
		pieces[2] != "****"+strings.Repeat("t", 495)+"\n" {
		t.Errorf("got %q", pieces)
	}
	if err := b.ships.storeWhole(b.Context(), b.ships.logs[0], "s3://bucket/whole", b.path+".masked"); err != nil {
		t.Fatal(err)
	}
	whole, _, err := artifact.GetBytes(b.Context(), b.store.InBucket("bucket"), "whole", 1<<20)
	if err != nil || string(whole) != strings.Join(pieces, "") {
		t.Errorf("got %d bytes, %v; want the three pieces", len(whole), err)
	}
}

func TestRanksSecretsReachNeitherStoreNorError(t *testing.T) {
	b := newHostBench(t)
	req := b.request("exit=3")
	req.Train.Env["TOKEN"] = "env:API_TOKEN"
	req.Train.Command = append([]string{"/bin/sh", "-c", `"$@"; code=$?; echo "token is $TOKEN"; exit $code`, "sh"}, req.Train.Command...)
	_, err := b.RunRanks(context.Background(), req)
	wantKind(t, err, models.KindTrainingFailed, "token is *********")
	if strings.Contains(err.Error(), "hush-hush") {
		t.Errorf("the error tells the secret: %v", err)
	}
	live := models.LogChunk{Attempt: 1, Rank: 1}.Key("abc123")
	for _, key := range []string{live, "mlflow/1/run1/artifacts/logs/rank-1.log"} {
		if log := b.stored(key); strings.Contains(log, "hush-hush") || !strings.Contains(log, "token is *********") {
			t.Errorf("%s: %q", key, log)
		}
	}
}

func TestLogsAreWithheldWhenASecretIsNotKnown(t *testing.T) {
	b := newHostBench(t)
	mask := b.maskerOf(map[string]string{"TOKEN": "env:NOT_HERE"})
	if !mask.blind {
		t.Fatal("the mask does not know that it misses a secret")
	}
	l := newLogBench(t)
	l.write("anything\n")
	l.ships.mask = mask
	l.ship(true)
	if got := l.stored(); got != nil {
		t.Errorf("stored %q", got)
	}
	failed := &models.Error{Message: `"x" ended with exit status 1; its last lines:` + "\nanything"}
	l.ships.maskError(failed)
	if failed.Message != `"x" ended with exit status 1` {
		t.Errorf("got %q", failed.Message)
	}
}

func TestASecretIsNotShownInPartsBecauseAnotherMayBegin(t *testing.T) {
	var m masker
	m.add("aaaa-bbbb")
	m.add("bbbb-cccc")
	text := []byte("x aaaa-bbbb y")
	first := m.mask(text[:11], false)
	if got := string(first) + string(m.mask(text[len(first):], true)); got != "x ********* y" {
		t.Errorf("got %q", got)
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("a hunter22 b"), 3, "hunter22")
	f.Add([]byte("x abababababab y"), 10, "abababab") // a secret that overlaps itself
	f.Fuzz(func(t *testing.T, text []byte, cut int, secret string) {
		if cut < 0 || cut > len(text) || len(secret) < minSecret {
			t.Skip()
		}
		var m masker
		m.add(secret)
		first := m.mask(text[:cut], false)
		whole := append(bytes.Clone(first), m.mask(text[len(first):], true)...)
		if want := m.mask(text, true); !bytes.Equal(whole, want) {
			t.Errorf("cut at %d: %q, want %q", cut, whole, want)
		}
		if bytes.Contains(whole, []byte(secret)) && strings.Trim(secret, "*") != "" {
			t.Errorf("%q shows the secret", whole)
		}
	})
}
