package survey_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/dataset/survey"
	"github.com/mainspring-ml/mainspring/models"
)

// source has groups of rows with random words; broken, if not negative, is one
// that can't be read.
type source struct {
	groups []int
	broken int
	read   *atomic.Int64
}

func (s source) Chunks(ctx context.Context, groups []int, names []string, each func(dataset.Chunk) error) error {
	for _, g := range groups {
		if g == s.broken {
			return errors.New("group is broken")
		}
		first := int64(1)
		for _, n := range s.groups[:g] {
			first += int64(n)
		}
		words := dataset.Series{Name: "word", Type: dataset.TypeString}
		for i := range s.groups[g] {
			row := uint64(first) + uint64(i)
			words.Strings = append(words.Strings, fmt.Sprint(row*row%30_011))
		}
		s.read.Add(int64(len(words.Strings)))
		if err := each(dataset.Chunk{First: first, Table: dataset.Table{Series: []dataset.Series{words}}}); err != nil {
			return err
		}
	}
	return nil
}

func over(s source, workers int) survey.Survey {
	out := survey.Survey{
		Plan:   profile.Plan{Columns: []models.Column{{Name: "word", Type: dataset.TypeString, Role: "feature"}}, File: "f"},
		Source: s, Workers: workers,
	}
	for _, n := range s.groups {
		out.Groups = append(out.Groups, int64(n))
	}
	return out
}

// The words are too many to be counted exactly, so that an order of merging would
// be seen.
func TestTheNumberOfWorkersChangesNothing(t *testing.T) {
	s := source{groups: []int{100_000, 200_000, 1000, 0, 150_000, 120_000, 90_000}, broken: -1, read: &atomic.Int64{}}
	var want profile.Result
	for i, workers := range []int{1, 2, 7} {
		got, err := over(s, workers).Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if got.Profile.Train.Rows != 661_000 {
			t.Fatalf("%d rows", got.Profile.Train.Rows)
		}
		if i == 0 {
			want = got
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%d workers find something else than one", workers)
		}
	}
}

func TestGroupsAreLeftOut(t *testing.T) {
	s := source{groups: []int{10, 20, 30}, broken: 1, read: &atomic.Int64{}}
	run := over(s, 2)
	run.Groups[1] = -1
	run.Sides = func(t dataset.Table) []profile.Side {
		sides := make([]profile.Side, t.Rows())
		sides[0] = profile.Test
		return sides
	}
	got, err := run.Run(context.Background())
	if err != nil || got.Profile.Test.Rows != 2 || got.Profile.Train.Rows != 0 || s.read.Load() != 40 {
		t.Errorf("%v: %d rows read, %+v", err, s.read.Load(), got.Profile.Test.Rows)
	}
}

func TestTheFirstErrorEndsIt(t *testing.T) {
	s := source{groups: make([]int, 40), broken: 1, read: &atomic.Int64{}}
	for i := range s.groups {
		s.groups[i] = 260_000
	}
	if _, err := over(s, 2).Run(context.Background()); err == nil || err.Error() != "group is broken" {
		t.Errorf("error %v", err)
	}
	if n := s.read.Load(); n > 4*260_000 {
		t.Errorf("%d rows were read after the error", n)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := over(s, 2).Run(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := (survey.Survey{Plan: profile.Plan{Columns: []models.Column{{Type: "none"}}}}).Run(context.Background()); err == nil {
		t.Error("a plan that can't be carried out was")
	}
}

func TestExampleFile(t *testing.T) {
	path := filepath.Join("..", "..", "..", "examples", "flights", "data", "2013-02.parquet")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquetio.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	run := survey.Survey{Source: file, Groups: []int64{file.Rows()}, Workers: 2, Plan: profile.Plan{Spec: models.DataSpec{
		Time: "sched_dep", Key: "id", Label: "late", Features: []string{"carrier", "distance"},
	}.WithDefaults()}}
	for _, field := range file.Fields() {
		role := map[string]string{"sched_dep": "time", "id": "key", "late": "label"}[field.Name]
		if role == "" {
			role = dataset.RoleFeature
		}
		run.Plan.Columns = append(run.Plan.Columns, models.Column{Name: field.Name, Type: field.Type, Role: role})
	}
	got, err := run.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	side := got.Profile.Train
	if c := side.Column("carrier").Values; c.Distinct != 15 || !c.Exact() || side.Rows != 23_611 {
		t.Errorf("%d carriers, %d rows", c.Distinct, side.Rows)
	}
	if d := side.Column("distance").Numbers; d.Min != 80 || d.Max != 4983 || d.Quantile(0.5) < 700 || d.Quantile(0.5) > 1000 {
		t.Errorf("distances %v to %v, median %v", d.Min, d.Max, d.Quantile(0.5))
	}
	for _, run := range got.Runs {
		if n, _ := profile.Repeats([]profile.Run{run}); n != 0 {
			t.Errorf("column %q: %d repeats", run.Column, n)
		}
	}
}
