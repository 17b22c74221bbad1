package activities

import (
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// cutSlices cuts the rows as the spec says. The slices of rows that have none of
// their own are left out when there are no such rows.
func cutSlices(specs []models.SliceSpec, table dataset.Table) ([]metric.Slicing, error) {
	cuts, err := dataset.Cuts(specs, table)
	if err != nil {
		return nil, err
	}
	slicings := make([]metric.Slicing, len(cuts))
	for i := range cuts {
		cut := &cuts[i]
		slicing := metric.Slicing{Column: cut.Column, MinRows: cut.MinRows, Groups: cut.Groups(table.Column(cut.Column))}
		slicing.Names, slicing.Groups = used(cut, slicing.Groups)
		slicings[i] = slicing
	}
	return slicings, nil
}

// used drops the shared slices that are empty.
func used(cut *dataset.Cut, groups []int32) (names []string, numbers []int32) {
	rows := make([]int, len(cut.Names))
	for _, group := range groups {
		rows[group]++
	}
	number := make([]int32, len(cut.Names))
	for i, name := range cut.Names {
		number[i] = int32(len(names))
		if rows[i] > 0 || i < cut.Own() {
			names = append(names, name)
		}
	}
	for row, group := range groups {
		groups[row] = number[group]
	}
	return names, groups
}
