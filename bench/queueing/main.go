// Command queueing replays a list of real jobs through the pool's own core and
// prints how long they waited.
//
//	go run ./bench/queueing -jobs philly.csv.gz -nodes 80 -gpus 8 -json
//
// The rules are those of docs/scheduling.md: a job of up to -gpus devices sits
// on one node, a larger one takes whole nodes; every job is preemptible and the
// core is never told how long it runs; a resumed job spends -restart on coming
// back before it goes on; who is asked to give way does so at the next full
// minute. A job's wait is all the time between arrival and end in which it did
// not advance: end - arrival - duration, restarts included.
//
// The job list is a CSV file, gzipped or not, with the columns timestamp,
// duration (seconds) and num_gpus, as in the Sia artifact's philly.csv.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// options are the flags.
type options struct {
	jobs    string
	nodes   int
	gpus    int
	restart time.Duration
	policy  string
	json    bool
}

func main() {
	var o options
	flag.StringVar(&o.jobs, "jobs", "", "job `file`; a bare name is looked up in $MAINSPRING_TRACES too")
	flag.IntVar(&o.nodes, "nodes", 80, "number of nodes")
	flag.IntVar(&o.gpus, "gpus", 8, "devices on each node")
	flag.DurationVar(&o.restart, "restart", 62*time.Second, "what a resumed job pays")
	flag.StringVar(&o.policy, "policy", "default", "default, or skip: nothing is preemptible")
	flag.BoolVar(&o.json, "json", false, "print JSON")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "queueing:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if o.policy != "default" && o.policy != "skip" {
		return fmt.Errorf("no such policy %q: use default or skip", o.policy)
	}
	jobs, err := load(find(o.jobs), o.gpus)
	if err != nil {
		return err
	}
	started := time.Now()
	report, err := replay(jobs, o)
	if err != nil {
		return err
	}
	report.Seconds = time.Since(started).Seconds()
	if o.json {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	fmt.Printf("%d jobs on %d nodes × %d, policy %s\nmean wait %.0f s, median %.0f s, p99 %.0f s, longest %.0f s\n%.3f preemptions per job, at most %d of one job\n%.0f %% of the devices busy; %.0f s, slowest decision %.1f ms\n",
		report.Jobs, o.nodes, o.gpus, report.Policy, report.MeanWait, report.MedianWait, report.P99Wait, report.MaxWait,
		report.PreemptionsPerJob, report.MostPreemptions, 100*report.Busy, report.Seconds, report.SlowestMillis)
	return nil
}

// find looks a file up in the folder of traces when it is not at hand.
func find(name string) string {
	if _, err := os.Stat(name); err == nil {
		return name
	}
	if traces := os.Getenv("MAINSPRING_TRACES"); traces != "" {
		return filepath.Join(traces, name)
	}
	return name
}
