package main

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// job is one line of the list, and what became of it.
type job struct {
	arrival  time.Time
	duration time.Duration
	gpus     int

	left     time.Duration // work that is not done
	used     int64         // GPU-seconds under earlier leases
	granted  time.Time     // of the present lease; zero: none
	cost     time.Duration // of coming back, at the start of the present lease
	attempts int
	preempts int
	end      time.Time
}

// load reads a job list, in order of arrival.
func load(name string, perNode int) ([]*job, error) {
	if name == "" {
		return nil, fmt.Errorf("-jobs is missing: the list is philly.csv of the Sia artifact (github.com/siasosp23/artifacts, sia-simulator/traces)")
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the job list: %w", err)
	}
	defer file.Close()
	var in io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		unzipped, err := gzip.NewReader(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		in = unzipped
	}
	rows, err := csv.NewReader(in).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	jobs, err := parse(rows, perNode)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return jobs, nil
}

func parse(rows [][]string, perNode int) ([]*job, error) {
	if len(rows) < 2 {
		return nil, fmt.Errorf("no jobs")
	}
	at, length, size := slices.Index(rows[0], "timestamp"), slices.Index(rows[0], "duration"), slices.Index(rows[0], "num_gpus")
	if at < 0 || length < 0 || size < 0 {
		return nil, fmt.Errorf("the columns are %v; timestamp, duration and num_gpus are needed", rows[0])
	}
	jobs := make([]*job, 0, len(rows)-1)
	for i, row := range rows[1:] {
		arrival, err := time.Parse(time.DateTime, row[at])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		seconds, err := strconv.ParseFloat(row[length], 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		gpus, err := strconv.Atoi(row[size])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+2, err)
		}
		if gpus < 1 || gpus > perNode && gpus%perNode != 0 {
			return nil, fmt.Errorf("line %d: %d devices are neither on one node nor whole nodes of %d", i+2, gpus, perNode)
		}
		duration := time.Duration(seconds * float64(time.Second))
		jobs = append(jobs, &job{arrival: arrival, duration: duration, left: duration, gpus: gpus})
	}
	slices.SortStableFunc(jobs, func(a, b *job) int { return a.arrival.Compare(b.arrival) })
	return jobs, nil
}
