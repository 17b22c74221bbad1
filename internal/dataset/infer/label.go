package infer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// mostClasses is how many values a label of task multiclass may have for a
// guess.
const mostClasses = 50

// outcomeWords are in the names of labels.
var outcomeWords = []string{"label", "target", "outcome", "y", "class", "churn", "churned", "fraud", "default", "defaulted", "converted", "clicked", "late", "returned", "cancelled", "response"}

// chooseLabel takes a column whose name says that it is the outcome, or the last
// one that is 0 or 1.
func (g *Guess) chooseLabel(settled Settled) error {
	if settled.Label != "" {
		g.Data.Label = settled.Label
		return g.chooseTask()
	}
	free := func(c *profile.Column) bool {
		return c.Name != g.Data.Time && c.Name != g.Data.Key && c.Type != dataset.TypeTimestamp && g.Data.Columns[c.Name].Sensitive == ""
	}
	named := g.names(func(c *profile.Column) bool { return free(c) && hasWord(c.Name, outcomeWords) && g.taskOf(c) != "" })
	binary := g.names(func(c *profile.Column) bool { return free(c) && isBinary(c) })
	both := keep(named, func(name string) bool { return slices.Contains(binary, name) })
	switch {
	case len(both) > 0:
		g.Data.Label = both[0]
	case len(named) > 0:
		g.Data.Label = named[0]
	case len(binary) > 0:
		g.Data.Label = binary[len(binary)-1]
	default:
		return g.fail("data.label", "no column looks like an outcome", "name it with --label; the source has "+strings.Join(g.names(free), ", "))
	}
	g.why["label"] = "a guess: say --label if it is another"
	if others := keep(slices.Concat(named, binary), func(name string) bool { return name != g.Data.Label }); len(others) > 0 {
		slices.Sort(others)
		g.why["label"] += ", such as " + strings.Join(slices.Compact(others), ", ")
	}
	return g.chooseTask()
}

func (g *Guess) chooseTask() error {
	c := g.column(g.Data.Label)
	g.Data.Task = g.taskOf(c)
	switch g.Data.Task {
	case models.TaskMulticlass:
		if c.Type == dataset.TypeString {
			for _, v := range c.Values.Top {
				g.Data.Classes = append(g.Data.Classes, v.Value)
			}
			slices.Sort(g.Data.Classes)
			g.why["classes"] = "in the order of the model's outputs"
		}
	case models.TaskBinary, models.TaskRegression:
	default:
		return g.fail("data.label", fmt.Sprintf("column %q (%s) is no outcome: it is neither 0 or 1, nor one of at most %d classes, nor a number", c.Name, c.Type, mostClasses),
			"name another column with --label")
	}
	return nil
}

// taskOf is what a column would be the label of; empty: nothing.
func (g *Guess) taskOf(c *profile.Column) models.Task {
	switch {
	case isBinary(c):
		return models.TaskBinary
	case c.Type == dataset.TypeString:
		if v := c.Values; v != nil && v.Exact() && v.Distinct >= 2 && v.Distinct <= mostClasses {
			return models.TaskMulticlass
		}
	case c.Type == dataset.TypeInt64:
		if isClassNumbers(c) {
			return models.TaskMulticlass
		}
		return models.TaskRegression
	case c.Type == dataset.TypeFloat64:
		return models.TaskRegression
	}
	return ""
}

// isBinary reports whether a column is 0 or 1, and both of them.
func isBinary(c *profile.Column) bool {
	if c.Type == dataset.TypeString || c.Type == dataset.TypeTimestamp || c.Numbers == nil || c.Values == nil {
		return false
	}
	return c.Numbers.Min == 0 && c.Numbers.Max == 1 && c.Values.Distinct == 2 && c.Numbers.Infinite == 0
}

// isClassNumbers reports whether a column is every whole number from 0 to a
// small one.
func isClassNumbers(c *profile.Column) bool {
	if c.Values == nil || !c.Values.Exact() || c.Values.Distinct < 3 || c.Values.Distinct > 20 {
		return false
	}
	for _, v := range c.Values.Top {
		if n, err := strconv.ParseInt(v.Value, 10, 64); err != nil || n < 0 || n >= c.Values.Distinct {
			return false
		}
	}
	return true
}

// chooseLabelTime takes a further column of times by its name, or the only one.
// Rows without such a time are left out: what most of them lack is another thing,
// such as when an order was cancelled.
func (g *Guess) chooseLabelTime() {
	times := g.names(func(c *profile.Column) bool {
		return c.Type == dataset.TypeTimestamp && c.Name != g.Data.Time && 2*c.Nulls <= c.Rows && g.Data.Columns[c.Name].Sensitive == ""
	})
	named := keep(times, func(name string) bool {
		return hasWord(name, []string{"label", "outcome", "known", "resolved", "settled", "closed", "observed", "arrival", "arrived"})
	})
	switch {
	case len(named) > 0:
		g.Data.LabelTime = named[0]
	case len(times) == 1:
		g.Data.LabelTime = times[0]
	default:
		return
	}
	g.why["label_time"] = "a guess: no row's lies before its event; drop it if the outcome is known at once"
}

func (g *Guess) holdLabelTime(evidence profile.Evidence) {
	if g.Data.LabelTime == "" {
		return
	}
	if early := evidence.Find(profile.RuleTimeOrder, g.Data.LabelTime); early != nil && early.Count > 0 {
		delete(g.why, "label_time")
		g.why["columns."+g.Data.LabelTime] = fmt.Sprintf("no label_time: %d rows have it before their event", early.Count)
		g.Data.LabelTime = ""
	}
}

func hasWord(name string, words []string) bool {
	return slices.ContainsFunc(wordsOf(name), func(w string) bool { return slices.Contains(words, w) })
}
