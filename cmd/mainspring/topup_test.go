package main

import (
	"strings"
	"testing"
)

func TestTopUpWantsAWholeNumber(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, given := range []string{"0", "1.5", "many"} {
		got := mainspring(t, "top-up", "lifecycle/x/1", given)
		want := `mainspring: "` + given + `" is no number of GPU-seconds; write a whole number above 0, such as 3600` + "\n"
		if got.code != exitUsage || got.stderr != want {
			t.Errorf("%s: exit %d, stderr:\n%s\nwant:\n%s", given, got.code, got.stderr, want)
		}
	}
	if got := mainspring(t, "top-up", "lifecycle/x/1", "60"); got.code != exitFailed || !strings.Contains(got.stderr, "no Temporal server answers") {
		t.Errorf("without a server: exit %d, stderr:\n%s", got.code, got.stderr)
	}
}
