package drift

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestChangePoint: at the alarm the change is estimated, in skewed losses.
func TestChangePoint(t *testing.T) {
	const runs, quiet = 200, 60
	for _, test := range []struct {
		sigmas       float64
		after        int     // blocks between change and estimate
		median, most float64 // error in blocks: the median, and the 90 % point
	}{{1, 15, 2, 12}, {0.5, 40, 6, 35}, {2, 5, 1, 7}} {
		var errs []float64
		for run := range runs {
			r := rand.New(rand.NewPCG(uint64(run), 21))
			losses := skewed(r, 60+quiet+test.after)
			for i := 60 + quiet; i < len(losses); i++ {
				losses[i] += test.sigmas
			}
			blocks := blocksOf(losses...)
			found := ChangePoint(blocks[:60], blocks[60:])
			if found.IsZero() {
				t.Fatalf("rise of %vσ: none found", test.sigmas)
			}
			errs = append(errs, math.Abs(found.Sub(blocks[60+quiet].Start).Hours()/24))
		}
		slices.Sort(errs)
		t.Logf("rise of %.1fσ, %d blocks later: off by %v in the median, by %v in a tenth", test.sigmas, test.after, errs[runs/2], errs[runs*9/10])
		if errs[runs/2] > test.median || errs[runs*9/10] > test.most {
			t.Errorf("rise of %vσ: off by %v and %v", test.sigmas, errs[runs/2], errs[runs*9/10])
		}
	}
}

func TestChangePointByHand(t *testing.T) {
	reference := blocksOf(1, 2, 3, 2, 1)
	live := append(blocksOf(2, 1, math.NaN(), 1, 7, 8, 9), models.BlockLoss{Loss: math.NaN()})
	if got := ChangePoint(reference, live); !got.Equal(live[4].Start) {
		t.Errorf("got %v", got)
	}
	if got := ChangePoint(nil, blocksOf(1, 1, 1, 5, 5, 5)); !got.Equal(monday.AddDate(0, 0, 3)) {
		t.Errorf("without a reference: %v", got)
	}
	for _, live := range [][]models.BlockLoss{nil, blocksOf(1), blocksOf(0, 0, 0)} {
		if got := ChangePoint(blocksOf(5, 6, 7), live); !got.IsZero() {
			t.Errorf("no rise: %v", got)
		}
	}
}

// skewed are losses of deviation 1 with a long upper tail.
func skewed(r *rand.Rand, n int) []float64 {
	losses := make([]float64, n)
	for i := range losses {
		losses[i] = 10 + math.Exp(0.5*r.NormFloat64())/0.604
	}
	return losses
}
