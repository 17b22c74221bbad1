package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// checkXML: a drawing is XML on its own, and every number is one.
func checkXML(t *testing.T, drawn string) {
	t.Helper()
	for decoder := xml.NewDecoder(strings.NewReader(drawn)); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, "%s", drawn)
	}
	require.NotRegexp(t, `="[^"]*(NaN|Inf)`, drawn)
}

func TestTicksKnowNoNegativeZero(t *testing.T) {
	require.Equal(t, "0.0", Axis{To: 1}.Ticks(5)[0].Label)
}

// Squares of errors on large numbers are more than an integer of 64 bits holds.
func TestTicksOfGreatNumbersAreWrittenAsTheyAre(t *testing.T) {
	ticks := Axis{To: 3e20}.Ticks(3)
	require.Equal(t, Tick{3e20, "3e+20"}, ticks[len(ticks)-1])
}

func TestTicks(t *testing.T) {
	labels := func(a Axis, n int) (all []string) {
		for _, tick := range a.Ticks(n) {
			all = append(all, tick.Label)
		}
		return all
	}
	day := func(s string) float64 {
		at, err := time.Parse(time.DateOnly, s)
		require.NoError(t, err)
		return Time(at)
	}
	require.Equal(t, []string{"0.50", "0.55", "0.60", "0.65"}, labels(Axis{From: 0.48, To: 0.67}, 5))
	require.Equal(t, []string{"0", "500", "1,000"}, labels(Axis{From: 0, To: 1100}, 4))
	require.Equal(t, []string{"0.01", "0.1", "1", "10", "100"}, labels(Axis{From: 0.01, To: 400, Log: true}, 8))
	require.Equal(t, []string{"Nov 2013", "Dec", "Jan 2014"}, labels(Axis{From: day("2013-10-20"), To: day("2014-01-10"), Dates: true}, 8))
	require.Equal(t, []string{"1 Aug", "4 Aug", "7 Aug"}, labels(Axis{From: day("2013-08-01"), To: day("2013-08-08"), Dates: true}, 3))
	require.NotEmpty(t, labels(Axis{}, 3))
	hours := Axis{From: day("2013-08-01"), To: day("2013-08-02"), Dates: true}
	require.Equal(t, []string{"1 Aug 00:00", "06:00", "12:00", "18:00", "2 Aug 00:00"}, labels(hours, 5))
	hours.To = hours.From + 40
	require.Equal(t, []string{"1 Aug 00:00"}, labels(hours, 5))
}

func TestPlotLeavesOutWhatHasNoPlace(t *testing.T) {
	p := Plot{Width: 400, Height: 200, Y: Axis{From: 1, To: 100, Log: true}, X: Axis{To: 1}, Rules: []Rule{{At: math.NaN(), Label: "lost"}},
		Series: []Series{{Dots: true, Points: []Point{{X: 0, Y: math.NaN()}, {X: math.Inf(1), Y: 3}, {X: 0.5, Y: 0}}}}}
	drawn := string(p.Render())
	checkXML(t, drawn)
	require.Equal(t, 1, strings.Count(drawn, "<circle"), "the zero is drawn at the bottom of the log axis, the others nowhere")
	require.NotContains(t, drawn, "lost")
	p.Series[0].Points = p.Series[0].Points[:2]
	require.Contains(t, string(p.Render()), "no data to draw")
}

// TestLabelsOfShortRulesHaveRoom: one that does not fit to the right of where its
// rule begins stands to the left.
func TestLabelsOfShortRulesHaveRoom(t *testing.T) {
	p := Plot{Width: 400, Height: 200, X: Axis{To: 1}, Y: Axis{To: 1}, Rules: []Rule{
		{At: 0.5, Label: "as long as this is", Span: [2]float64{0.9, 1}}, {At: 0.25, Label: "short", Span: [2]float64{0.1, 1}},
	}, Series: []Series{{Dots: true, Points: []Point{{X: 0.5, Y: 0.5}}}}}
	drawn := string(p.Render())
	require.Contains(t, drawn, `<text x="344.0" y="96.0" class="mark  end">as long as this is</text>`)
	require.Contains(t, drawn, `<text x="100.0" y="118.0" class="mark ">short</text>`)
}

// TestBandsLieWithinThePlot: one that reaches beyond the axis is cut there, and
// one without numbers is left out.
func TestBandsLieWithinThePlot(t *testing.T) {
	p := Plot{Width: 400, Height: 200, X: Axis{To: 1}, Y: Axis{To: 1}, Bands: []Band{
		{From: -5, To: 0.5, Class: "reference", Note: "<expected>"}, {From: math.Inf(-1), To: 1, Class: "lost"},
	}, Series: []Series{{Dots: true, Points: []Point{{X: 0.5, Y: 0.5}}}}}
	drawn := string(p.Render())
	checkXML(t, drawn)
	require.Contains(t, drawn, `<rect x="62.0" y="92.0" width="320.0" height="62.0" rx="2" class="area reference"><title>&lt;expected&gt;</title></rect>`)
	require.NotContains(t, drawn, "lost")
}
