package monitors

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// World is what happens to an endpoint.
type World struct {
	Endpoint string
	Seed     uint64
	Start    time.Time // midnight UTC
	// RowsPerDay are the answered requests of an ordinary day.
	RowsPerDay int
	// Maturity and Corrections are the monitor's: labels come in time, late or
	// too late for them.
	Maturity, Corrections time.Duration
	// Phases say how the world is from a day on, oldest first.
	Phases []Phase
}

// Phase is how the world is from one day on.
type Phase struct {
	Day int
	// Version answers the requests.
	Version string
	// Answer is the version's probability that y is 1, Truth the world's, each
	// for an x in [0, 1).
	Answer, Truth func(x float64) float64
}

// Days of every world that are like no other, counted from its start.
const (
	EmptyDay  = 9  // nobody called
	SilentDay = 14 // hardly any label comes before the last score
)

// Rising is nearly certain of one half of the requests and of the contrary of
// the other; Falling is its contrary, and Coin knows nothing.
func Rising(x float64) float64 { return 0.15 + 0.7*math.Round(x) }

// Falling is the contrary of Rising.
func Falling(x float64) float64 { return 1 - Rising(x) }

// Coin knows nothing.
func Coin(float64) float64 { return 0.5 }

// busyHours are the only ones with requests, so that a day has few files; their
// requests are hourlyRows apart.
var busyHours = [...]time.Duration{time.Hour, 7 * time.Hour, 19 * time.Hour}

const hourlyRows = 10 * time.Second

// happening is one row of the log or of the labels, with the moment at which
// the gateway knows of it.
type happening struct {
	at     time.Time
	answer *models.InferenceRow
	label  *models.LabelRow
}

// wallClock of everything in a world: long ago, and a second for each.
func wallClock(at time.Time) int64 { return at.Add(time.Second).UnixMicro() }

// phase is how the world is on a day.
func (w World) phase(day int) Phase {
	p := w.Phases[0]
	for _, next := range w.Phases[1:] {
		if next.Day <= day {
			p = next
		}
	}
	return p
}

// DayOf is the day that a moment falls on.
func (w World) DayOf(at time.Time) int { return int(at.Sub(w.Start) / models.Day.Std()) }

// Moment is the start of a day.
func (w World) Moment(day int) time.Time { return w.Start.AddDate(0, 0, day) }

// request is one that somebody sent.
type request struct {
	id    string
	at    time.Time
	x, y  float64 // y is how it turns out
	again bool    // the client asked twice
}

// requests are those of a day. What becomes of their labels is drawn later.
func (w World) requests(day int) (requests []request, draw *rand.Rand) {
	h := fnv.New64a()
	fmt.Fprint(h, w.Endpoint)
	draw = rand.New(rand.NewPCG(w.Seed^h.Sum64(), uint64(day)))
	truth := w.phase(day).Truth
	for i := range w.RowsPerDay {
		r := request{id: fmt.Sprintf("%s-%d-%d", w.Endpoint, day, i), x: draw.Float64()}
		r.at = w.Moment(day).Add(busyHours[i%len(busyHours)] + time.Duration(i)*hourlyRows)
		if draw.Float64() < truth(r.x) {
			r.y = 1
		}
		r.again = draw.Float64() < 0.02
		requests = append(requests, r)
	}
	return requests, draw
}

// day is everything that comes of one day's requests, in order of time.
func (w World) day(day int) (happenings []happening) {
	if day == EmptyDay {
		return nil
	}
	requests, draw := w.requests(day)
	for _, r := range requests {
		row := w.answer(w.phase(day), r)
		happenings = append(happenings, happening{at: r.at, answer: &row})
		if r.again { // and was answered otherwise
			again := row
			again.Time, again.Outputs = wallClock(r.at.Add(time.Hour)), `{"probability":[0.5]}`
			happenings = append(happenings, happening{at: r.at, answer: &again})
		}
		happenings = append(happenings, w.labels(day, r, draw.Float64())...)
	}
	slices.SortStableFunc(happenings, func(a, b happening) int { return a.at.Compare(b.at) })
	return happenings
}

// Row is one of the data that a model is trained on.
type Row struct {
	ID        string    `parquet:"id"`
	At        time.Time `parquet:"at,timestamp(microsecond)"`
	LabelTime time.Time `parquet:"label_time,timestamp(microsecond)"`
	X         float64   `parquet:"x"`
	Kind      string    `parquet:"kind"`
	Y         int64     `parquet:"y"`
}

// Rows are what a day's requests teach: all of them, and how they turned out, in
// order of time.
func (w World) Rows(day int) (rows []Row) {
	requests, _ := w.requests(day)
	for _, r := range requests {
		rows = append(rows, Row{ID: r.id, At: r.at, LabelTime: w.Moment(day + 1).Add(w.Maturity / 2), X: r.x, Kind: kind(r.x), Y: int64(r.y)})
	}
	slices.SortFunc(rows, func(a, b Row) int { return a.At.Compare(b.At) })
	return rows
}

func (w World) answer(p Phase, r request) models.InferenceRow {
	return models.InferenceRow{
		ID: r.id, EventTime: r.at.UnixMicro(), Time: wallClock(r.at), Endpoint: w.Endpoint, Version: p.Version, Drawn: p.Version,
		Role: string(models.RoleChampion), Generation: 1, ArmShare: 1, LogShare: 1, Status: 200, LatencyUS: 900,
		Inputs:  fmt.Sprintf(`{"kind":[%q],"x":[%v]}`, kind(r.x), r.x),
		Outputs: fmt.Sprintf(`{"probability":[%.6f]}`, p.Answer(r.x)),
	}
}

// labels are what becomes known about a request: usually in time and at once
// right. Of one that comes after the last score nothing may be seen.
func (w World) labels(day int, r request, chance float64) []happening {
	end := w.Moment(day + 1)
	first, last := end.Add(w.Maturity), end.Add(w.Maturity+w.Corrections)
	inTime, late, tooLate := end.Add(w.Maturity/2), first.Add(w.Corrections/2), last.Add(time.Hour)
	label := func(at time.Time, y float64) happening {
		return happening{at: at, label: &models.LabelRow{ID: r.id, Label: y, LabelTime: at.UnixMicro(), Time: wallClock(at)}}
	}
	y := r.y
	switch {
	case day == SilentDay && chance < 0.85:
		return []happening{label(late, y)}
	case chance < 0.03:
		return nil // never
	case chance < 0.06:
		return []happening{label(late, y)}
	case chance < 0.10:
		return []happening{label(inTime, 1-y), label(late, y)} // corrected within the bound
	case chance < 0.14:
		return []happening{label(inTime, y), label(tooLate, 1-y)} // and beyond it
	case chance < 0.18:
		return []happening{label(inTime, 1-y), label(inTime.Add(time.Minute), y)} // twice, the last counts
	default:
		return []happening{label(inTime, y)}
	}
}

// kind is one of two, by x: the halves of Rising and Falling.
func kind(x float64) string {
	if x < 0.5 {
		return "short"
	}
	return "long"
}
