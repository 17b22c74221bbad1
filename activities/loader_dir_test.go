package activities

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestModelsOfKilledWorkersAreSweptAway(t *testing.T) {
	below := t.TempDir()
	left, fresh := filepath.Join(below, unpackedPrefix+"1"), filepath.Join(below, unpackedPrefix+"2")
	other := filepath.Join(below, "something-else")
	for _, dir := range []string{left, fresh, other} {
		if err := os.MkdirAll(filepath.Join(dir, "model"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	used, err := newUnpackDir(below)
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * unlockedFor)
	for _, dir := range []string{left, other, used.path} {
		if err := os.Chtimes(dir, long, long); err != nil {
			t.Fatal(err)
		}
	}
	next, err := newUnpackDir(below)
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{left: false, fresh: true, other: true, used.path: true, next.path: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", dir, err, want)
		}
	}
	for _, dir := range []unpackDir{used, next} {
		if err := dir.remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir.path); err == nil {
			t.Errorf("%s was left", dir.path)
		}
	}
}
