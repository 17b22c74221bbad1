package main

import (
	"strings"
	"testing"
	"time"
)

func rows(lines ...string) [][]string {
	out := [][]string{{"timestamp", "duration", "num_gpus"}}
	for _, l := range lines {
		out = append(out, strings.Split(l, ","))
	}
	return out
}

// A long job has the whole node, has had 16 GPU-hours when a short one comes,
// and gives way at the next full minute: the short one waits 30 s, the long one
// its 10 minutes and the 62 s of coming back.
func TestShortJobGoesFirst(t *testing.T) {
	jobs, err := parse(rows("2017-09-04 10:00:00,36000,8", "2017-09-04 12:00:30,600.0,8"), 8)
	if err != nil {
		t.Fatal(err)
	}
	r, err := replay(jobs, options{nodes: 1, gpus: 8, restart: 62 * time.Second, policy: "default"})
	if err != nil {
		t.Fatal(err)
	}
	if r.MaxWait != 600+62 || r.MeanWait != (600+62+30)/2 || r.PreemptionsPerJob != 0.5 {
		t.Errorf("%+v", r)
	}
	jobs, _ = parse(rows("2017-09-04 10:00:00,36000,8", "2017-09-04 12:00:30,600.0,8"), 8)
	r, err = replay(jobs, options{nodes: 1, gpus: 8, policy: "skip"})
	if err != nil || r.MaxWait != 36000-7230 || r.PreemptionsPerJob != 0 {
		t.Errorf("without preemption: %+v %v", r, err)
	}
}

func TestBadListsAreRefused(t *testing.T) {
	for want, list := range map[string][][]string{
		"no jobs":          rows(),
		"the columns are":  {{"a"}, {"b"}},
		"line 2: 12 devic": rows("2017-09-04 10:00:00,1,12"),
		"line 2: parsing":  rows("yesterday,1,1"),
		"line 3: strconv":  rows("2017-09-04 10:00:00,1,1", "2017-09-04 10:00:00,x,1"),
	} {
		if _, err := parse(list, 8); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}
