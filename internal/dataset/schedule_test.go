package dataset_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func schedule(maturity, corrections int, mark time.Time) dataset.Schedule {
	hours := func(days int) time.Duration { return time.Duration(days) * 24 * time.Hour }
	return dataset.Schedule{
		Deadlines: dataset.Deadlines{Maturity: hours(maturity), Corrections: hours(corrections)}, Watermark: mark, Limit: 31,
		Fits: func(models.OpenBlock) bool { return true },
	}
}

func days(from, to int) []models.OpenBlock {
	return dataset.TimeBlocks(day(from), 24*time.Hour, day(to+1), 99)
}

// told writes tasks down: f and l for the first and the last score of a day.
func told(tasks []dataset.Task) (words []string) {
	for _, t := range tasks {
		word := fmt.Sprint(t.Start.Day())
		if t.First {
			word += "f"
		}
		if t.Last {
			word += "l"
		}
		words = append(words, word)
	}
	return words
}

func TestPlan(t *testing.T) {
	for name, c := range map[string]struct {
		s          dataset.Schedule
		open, next []models.OpenBlock
		want       []string
		more       bool
	}{
		"nothing is due":      {schedule(1, 1, day(3).Add(-1)), nil, days(1, 2), nil, false},
		"a first one":         {schedule(1, 1, day(3)), nil, days(1, 2), []string{"1f"}, false},
		"with its last":       {schedule(1, 1, day(4)), nil, days(1, 2), []string{"1fl", "2f"}, false},
		"an open one":         {schedule(1, 1, day(4)), days(1, 1), days(2, 2), []string{"1l", "2f"}, false},
		"not yet":             {schedule(1, 1, day(4).Add(-1)), days(1, 1), days(2, 2), nil, false},
		"without corrections": {schedule(1, 0, day(4)), nil, days(1, 2), []string{"1fl", "2fl"}, false},
		"days of backlog":     {schedule(1, 2, day(9)), days(1, 1), days(2, 8), []string{"1l", "2fl", "3fl", "4fl", "5fl", "6f", "7f"}, false},
	} {
		tasks, more := c.s.Plan(c.open, c.next)
		if got := told(tasks); !slices.Equal(got, c.want) || more != c.more {
			t.Errorf("%s: %v %v, want %v %v", name, got, more, c.want, c.more)
		}
	}
}

// TestPlanCutsNowhereButInTheOrderOfWhatIsDue works a backlog off in pieces of
// every size, as a monitor would: however it is cut, scores come in one order.
func TestPlanCutsNowhereButInTheOrderOfWhatIsDue(t *testing.T) {
	work := func(limit, blocks int) (sequence []string) {
		var open []models.OpenBlock
		next := days(1, 12)
		for more := true; more; {
			s := schedule(2, 3, day(14))
			s.Limit = limit
			left := blocks
			s.Fits = func(models.OpenBlock) bool { left--; return left >= 0 }
			var tasks []dataset.Task
			tasks, more = s.Plan(open, next)
			type event struct {
				due  time.Time
				word string
			}
			var events []event
			for _, task := range tasks {
				if task.First {
					events = append(events, event{s.First(task.End).Add(time.Nanosecond), "first " + task.Start.Format(time.DateOnly)})
					next = next[1:]
					open = append(open, task.OpenBlock)
				}
				if task.Last {
					events = append(events, event{s.Last(task.End), "last " + task.Start.Format(time.DateOnly)})
					open = slices.DeleteFunc(open, func(b models.OpenBlock) bool { return b == task.OpenBlock })
				}
			}
			slices.SortStableFunc(events, func(a, b event) int { return a.due.Compare(b.due) })
			for _, e := range events {
				sequence = append(sequence, e.word)
			}
		}
		return sequence
	}
	want := work(99, 99)
	if len(want) != 11+8 {
		t.Fatalf("%d scores %v", len(want), want)
	}
	for limit := 1; limit < 12; limit++ {
		for blocks := 1; blocks < 12; blocks++ {
			if got := work(limit, blocks); !reflect.DeepEqual(got, want) {
				t.Errorf("%d first scores and %d blocks at once:\n%v\nwant %v", limit, blocks, got, want)
			}
		}
	}
}
