package division

import (
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// sides puts rows on their side. Nothing but the row itself decides: not its
// place, its file, nor the other rows.
type sides struct {
	spec          models.DataSpec
	labels        dataset.Labels
	from, cut, to int64 // microseconds
	draw          *draw // nil: time splits

	unknown          int64
	min, max, newest int64
	any, anyBefore   bool
}

func newSides(spec models.DataSpec) *sides {
	train, test := dataset.Spans(spec)
	s := &sides{
		spec: spec, labels: dataset.NewLabels(spec),
		from: train.From.UnixMicro(), cut: test.From.UnixMicro(), to: test.To.UnixMicro(),
	}
	if spec.Split.By == models.SplitByHash {
		s.draw = newDraw(spec.WithDefaults().Split)
	}
	return s
}

// of is the side of each row. With a label time, a row without one has no
// outcome yet.
func (s *sides) of(table dataset.Table) []profile.Side {
	where := make([]profile.Side, table.Rows())
	times, labels := table.Column(s.spec.Time), table.Column(s.spec.Label)
	var known, drawn *dataset.Series
	if s.spec.LabelTime != s.spec.Time && s.spec.LabelTime != "" {
		known = table.Column(s.spec.LabelTime)
	}
	if s.draw != nil {
		drawn = table.Column(s.spec.WithDefaults().Split.Column)
	}
	for row := range where {
		if times.IsNull(row) {
			where[row] = profile.Unusable
			continue
		}
		at := times.Ints[row]
		s.saw(at)
		if at < s.from || at >= s.to {
			continue
		}
		if known != nil && (known.IsNull(row) || known.Ints[row] > s.to) {
			s.unknown++
			continue
		}
		switch {
		case s.labels.Missing(labels, row):
			where[row] = profile.Unusable
		case drawn != nil && s.draw.tests(drawn.Text(row)), drawn == nil && at >= s.cut:
			where[row] = profile.Test
		default:
			where[row] = profile.Train
		}
	}
	return where
}

func (s *sides) saw(at int64) {
	if !s.any || at < s.min {
		s.min = at
	}
	if !s.any || at > s.max {
		s.max = at
	}
	s.any = true
	if at < s.to && (!s.anyBefore || at > s.newest) {
		s.newest, s.anyBefore = at, true
	}
}

func (s *sides) times() (t Times) {
	if s.any {
		t.Min, t.Max = time.UnixMicro(s.min).UTC(), time.UnixMicro(s.max).UTC()
	}
	if s.anyBefore {
		t.Newest = time.UnixMicro(s.newest).UTC()
	}
	return t
}
