package shift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

// stream makes rows whose days differ, as real ones do: each day moves every
// feature a little for all of its rows.
type stream struct {
	random  *rand.Rand
	numbers int     // features x0, x1, …; label depends on x0 and on origin
	cluster float64 // standard deviation of a day's own move
	rows    int     // a day

	shift  float64 // of x1, in standard deviations
	ewr    float64 // added share of the hard origin
	harder float64 // added to the log-odds of the label, unknown to the model
}

var firstDay = time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *stream) data() models.DataSpec {
	d := models.DataSpec{Key: "id", Time: "at", Label: "late", Features: []string{"origin"}}
	for k := range s.numbers {
		d.Features = append(d.Features, fmt.Sprintf("x%d", k))
	}
	return d
}

func (s *stream) plan() Plan {
	spec := models.MonitorSpec{Slices: []models.SliceSpec{{Column: "origin"}, {Column: "x0", Quantiles: 4}}}.WithDefaults()
	return Plan{Data: s.data(), Monitor: spec, Width: 1, Features: s.data().Features}
}

// days are rows of some days from one on, with the model's answers.
func (s *stream) days(from, n int) Rows {
	total := n * s.rows
	rows := Rows{Labels: make([]float64, total), Predictions: make([]float64, total), Losses: make([]float64, total)}
	at := dataset.Series{Name: "at", Type: dataset.TypeTimestamp, Ints: make([]int64, total)}
	late := dataset.Series{Name: "late", Type: dataset.TypeInt64, Ints: make([]int64, total)}
	origin := dataset.Series{Name: "origin", Type: dataset.TypeString, Strings: make([]string, total)}
	xs := make([]dataset.Series, s.numbers)
	for k := range xs {
		xs[k] = dataset.Series{Name: fmt.Sprintf("x%d", k), Type: dataset.TypeFloat64, Floats: make([]float64, total)}
	}
	for day := range n {
		moves := make([]float64, s.numbers)
		for k := range moves {
			moves[k] = s.cluster * s.random.NormFloat64()
		}
		hard := 0.3 + s.ewr + 0.1*s.cluster*s.random.NormFloat64()
		for i := range s.rows {
			row := day*s.rows + i
			at.Ints[row] = firstDay.AddDate(0, 0, from+day).Add(time.Duration(i) * 24 * time.Hour / time.Duration(s.rows)).UnixMicro()
			odds := -1.0
			origin.Strings[row] = []string{"JFK", "LGA"}[i%2]
			if s.random.Float64() < hard {
				origin.Strings[row], odds = "EWR", 0
			}
			for k := range xs {
				xs[k].Floats[row] = moves[k] + s.random.NormFloat64()
			}
			if s.numbers > 1 {
				xs[1].Floats[row] += s.shift
			}
			odds += 0.5 * xs[0].Floats[row]
			p := 1 / (1 + math.Exp(-odds))
			if s.random.Float64() < 1/(1+math.Exp(-odds-s.harder)) {
				late.Ints[row], rows.Labels[row] = 1, 1
			}
			rows.Predictions[row] = p
			rows.Losses[row] = -math.Log(1 - p)
			if rows.Labels[row] == 1 {
				rows.Losses[row] = -math.Log(p)
			}
		}
	}
	rows.Table = dataset.Table{Series: append([]dataset.Series{at, late, origin}, xs...)}
	return rows
}

// live scores days against a reference, as the monitor does.
func (s *stream) live(r *Reference, from, n int) []*Block {
	c := newCounting(r, s.days(from, n), s.plan())
	return c.cut(s.plan().Monitor)
}

func newStream(seed uint64) *stream {
	return &stream{random: rand.New(rand.NewPCG(seed, 7)), numbers: 4, cluster: 0.3, rows: 200}
}
