package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/dataset/survey"
	"github.com/mainspring-ml/mainspring/models"
)

func main() {
	if os.Getenv("PROF") != "" {
		f, _ := os.Create(os.Getenv("PROF"))
		_ = pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	var base *profile.Profile
	for range 3 {
		t := time.Now()
		r := run(os.Args[1], base)
		base = &r.Profile
		var u syscall.Rusage
		_ = syscall.Getrusage(0, &u)
		fmt.Println(time.Since(t), u.Maxrss>>10, u.Utime)
		if base != nil {
			t = time.Now()
			d, _ := r.Profile.Encode()
			fmt.Println("encode", time.Since(t), len(d))
			for _, f := range r.Evidence.Findings {
				fmt.Println(f)
			}
			for _, f := range r.Runs {
				t = time.Now()
				n, rows := profile.Repeats([]profile.Run{f})
				fmt.Println(f.Column, n, rows, time.Since(t))
			}
			for _, a := range r.Evidence.Associations {
				x, ok := a.Explained(models.TaskRegression)
				fmt.Println(a.Column, x, ok)
			}
			if os.Getenv("SHOW") != "" {
				os.Stdout.Write(d)
			}
		}
	}
}

func run(path string, base *profile.Profile) profile.Result {
	f, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	st, _ := f.Stat()
	file, err := parquetio.Open(f, st.Size())
	if err != nil {
		panic(err)
	}
	lo, hi := 0.0, 5000.0
	spec := models.DataSpec{
		Time: "date", Label: "delay", Task: models.TaskRegression, Features: []string{"distance", "origin", "destination"},
		Checks: models.DataChecks{Unique: []string{"date"}, Range: map[string]models.Range{"distance": {Min: &lo, Max: &hi}}},
	}.WithDefaults()
	roles := map[string]string{"date": "time", "delay": "label"}
	plan := profile.Plan{Spec: spec, File: path, Baseline: base}
	for _, fd := range file.Fields() {
		role := roles[fd.Name]
		if role == "" {
			role = "feature"
		}
		plan.Columns = append(plan.Columns, models.Column{Name: fd.Name, Type: fd.Type, Role: role})
	}
	s := survey.Survey{Plan: plan, Source: file, Workers: runtime.GOMAXPROCS(0)}
	for _, g := range file.Groups("date") {
		s.Groups = append(s.Groups, g.Rows)
	}
	cut := time.Date(2001, 6, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	s.Sides = func(t dataset.Table) []profile.Side {
		out := make([]profile.Side, t.Rows())
		for i, v := range t.Column("date").Ints {
			if v < cut {
				out[i] = profile.Train
			} else {
				out[i] = profile.Test
			}
		}
		return out
	}
	r, err := s.Run(context.Background())
	if err != nil {
		panic(err)
	}
	return r
}
