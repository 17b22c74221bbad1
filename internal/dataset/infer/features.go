package infer

import (
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// chooseFeatures takes every column that a model may learn from, and says why
// the others are left out.
func (g *Guess) chooseFeatures() {
	for i := range g.source.Profile.Columns {
		c := &g.source.Profile.Columns[i]
		if slices.Contains([]string{g.Data.Time, g.Data.Key, g.Data.Label, g.Data.LabelTime}, c.Name) || g.Data.Columns[c.Name].Sensitive != "" {
			continue // said elsewhere
		}
		if reason := g.unfit(c); reason != "" {
			g.why["columns."+c.Name] = "no feature: " + reason
			continue
		}
		g.Data.Features = append(g.Data.Features, c.Name)
	}
}

// unfit says why a column is no feature; empty: it may be one.
func (g *Guess) unfit(c *profile.Column) string {
	switch {
	case c.Type == dataset.TypeTimestamp:
		return "a time; derive numbers from it"
	case c.Nulls == c.Rows:
		return "it has no values"
	case constant(c):
		return "it has one value"
	case slices.Contains(g.keys, c.Name) || c.Type != dataset.TypeFloat64 && c.Values != nil && mayBeUnique(c) && c.Rows > 100:
		return "it differs from row to row"
	case c.Type == dataset.TypeString && c.Values != nil && !c.Values.Exact():
		return fmt.Sprintf("about %d different strings", c.Values.Distinct)
	}
	return ""
}

func constant(c *profile.Column) bool {
	return c.Values != nil && c.Values.Distinct <= 1 && c.Nulls == 0
}

// holdFeatures takes out what explains the label by itself.
func (g *Guess) holdFeatures(evidence profile.Evidence) {
	limit := *models.DataSpec{}.WithDefaults().Checks.MaxLeak
	for _, a := range evidence.Associations {
		explained, ok := a.Explained(g.Data.Task)
		if !ok || explained <= limit || !slices.Contains(g.Data.Features, a.Column) {
			continue
		}
		g.Data.Features = keep(g.Data.Features, func(name string) bool { return name != a.Column })
		g.why["columns."+a.Column] = fmt.Sprintf("no feature: alone it explains %.3g %% of the label, as if it was known only with it", 100*explained)
	}
	if len(g.Data.Features) == 0 {
		g.why["features"] = "no column is left to learn from: name some"
	}
}

// describeColumns writes down every column with its type, so that a new one is
// noticed.
func (g *Guess) describeColumns() {
	columns := make(map[string]models.ColumnSpec, len(g.source.Profile.Columns))
	for _, c := range g.source.Profile.Columns {
		column := g.Data.Columns[c.Name]
		column.Type = c.Type
		columns[c.Name] = column
		g.complain(c.Name)
	}
	g.Data.Columns = columns
}

// complain says beside a column that some of its values are not of its type. The
// check schema stops at them.
func (g *Guess) complain(column string) {
	bad := g.bad(column)
	if bad.Count == 0 {
		return
	}
	why := bad.Words()
	if len(bad.Rows) > 0 {
		why += fmt.Sprintf(", the first in %s line %d", bad.Rows[0].File, bad.Rows[0].Row)
	}
	why += ": the check schema stops there"
	if before := g.why["columns."+column]; before != "" {
		why = before + "; " + why
	}
	g.why["columns."+column] = why
}
