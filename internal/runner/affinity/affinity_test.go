package affinity

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListsAreReadAndWritten(t *testing.T) {
	for list, want := range map[string][]int{"": nil, "0": {0}, "0-3,8\n": {0, 1, 2, 3, 8}, "8,0-1,1": {0, 1, 8}, "4-4": {4}} {
		got, err := Parse(list)
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%q: got %v, %v", list, got, err)
		}
	}
	for _, bad := range []string{"x", "3-1", "-1", "0-99999999", "1-"} {
		if got, err := Parse(bad); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
	for _, list := range []string{"", "0", "0-3,8", "1,3,5-6"} {
		if cores, _ := Parse(list); Format(cores) != list {
			t.Errorf("%q became %q", list, Format(cores))
		}
	}
}

// twoSockets has 4 physical cores on each of 2 nodes; 0 and 8 are siblings.
func twoSockets() Host {
	var host Host
	for id := range 16 {
		host = append(host, Core{ID: id, Sibling: id % 8, Node: id % 8 / 4})
	}
	return host
}

func TestPick(t *testing.T) {
	list := func(text string) []int {
		cores, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return cores
	}
	west, east := "0-3,8-11", "4-7,12-15"
	for name, c := range map[string]struct {
		count int
		near  []string // one per process
		used  string
		want  []string
		short int
	}{
		"none leased":                     {0, []string{west}, "", []string{""}, 0},
		"next to the device":              {2, []string{east}, "", []string{"4,12"}, 0},
		"each next to its own device":     {4, []string{east, west}, "", []string{"4,12", "0,8"}, 0},
		"the remainder goes to the first": {3, []string{west, west}, "", []string{"0,8", "1"}, 0},
		"fewer than processes are shared": {1, []string{west, west}, "", []string{"0", "0"}, 0},
		"not what another job has":        {2, []string{west}, "0,8", []string{"1,9"}, 0},
		"far rather than taken":           {2, []string{west}, west, []string{"4,12"}, 0},
		"taken rather than none":          {2, []string{west}, "0-15", []string{"0,8"}, 2},
		"more than there are":             {99, []string{west}, "", []string{"0-15"}, 0},
		"nowhere in particular":           {2, []string{""}, "0", []string{"4,12"}, 0}, // the east is emptier
	} {
		t.Run(name, func(t *testing.T) {
			var near [][]int
			for _, n := range c.near {
				near = append(near, list(n))
			}
			picked, short := twoSockets().Pick(c.count, near, list(c.used))
			var got []string
			for _, cores := range picked {
				got = append(got, Format(cores))
			}
			if !cmp.Equal(c.want, got) || short != c.short {
				t.Errorf("got %q, %d short; want %q, %d", got, short, c.want, c.short)
			}
		})
	}
}

func TestHostIsRead(t *testing.T) {
	sys := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(sys, "devices/system", path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	bare, err := ReadHost(sys)
	if err != nil || len(bare) == 0 || bare[0].Sibling != bare[0].ID || bare[0].Node != 0 {
		t.Fatalf("got %+v, %v", bare, err)
	}
	first := Format([]int{bare[0].ID})
	write("node/node3/cpulist", first+"\n")
	write("cpu/cpu"+first+"/topology/thread_siblings_list", first+",4000\n")
	host, err := ReadHost(sys)
	if err != nil || host[0].Node != 3 || host[0].Sibling != bare[0].ID || !cmp.Equal(host.OnNode(3), []int{bare[0].ID}) {
		t.Errorf("got %+v, %v", host, err)
	}
	if got := host.Allowed([]int{bare[0].ID, 8000}); !cmp.Equal(got, []int{bare[0].ID}) {
		t.Errorf("got %v", got)
	}
}

func TestBindIsSeenByTheKernelAndUndone(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	allowed := func() string {
		text, err := os.ReadFile("/proc/thread-self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:")
		line, _, _ := strings.Cut(rest, "\n")
		return strings.TrimSpace(line)
	}
	before := allowed()
	host, err := ReadHost("/sys")
	if err != nil {
		t.Fatal(err)
	}
	last := []int{host[len(host)-1].ID}
	restore, err := Bind(last)
	if err != nil {
		t.Fatal(err)
	}
	if got := allowed(); got != Format(last) {
		t.Errorf("bound to %s, want %s", got, Format(last))
	}
	if err := restore(); err != nil || allowed() != before {
		t.Errorf("restored to %s, want %s: %v", allowed(), before, err)
	}
	if _, err := Bind(nil); err == nil {
		t.Error("a thread was bound to nothing")
	}
}
