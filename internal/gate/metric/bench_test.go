package metric

import (
	"math/rand/v2"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func benchmark(b *testing.B, w world, blocks, rowsPerBlock, slices int) {
	s := sliced(w.draw(rand.New(rand.NewPCG(1, 1)), blocks, rowsPerBlock), slices, 0)
	set := Settings{Level: 0.1, Resamples: 1000, Seed: 1}
	for b.Loop() {
		Measure(s, set)
	}
	b.ReportMetric(float64(len(s.Labels))*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkFortnight: 14 days of about 900 rows.
func BenchmarkFortnight(b *testing.B) {
	for _, task := range []models.Task{models.TaskBinary, models.TaskMulticlass, models.TaskRegression} {
		b.Run(string(task), func(b *testing.B) { benchmark(b, world{task, 0.2, 0.2, 0.2, 1}, 14, 900, 5) })
	}
}

// BenchmarkYear: 365 days of about 300 rows.
func BenchmarkYear(b *testing.B) {
	benchmark(b, world{models.TaskBinary, 0.2, 0.2, 0.2, 1}, 365, 300, 20)
}
