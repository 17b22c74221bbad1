package profile_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

const benchRows = 32 << 10

// benchColumns are columns on which the pass takes other ways.
func benchColumns() map[string]dataset.Series {
	random := rand.New(rand.NewPCG(1, 1))
	columns := map[string]dataset.Series{
		"floats": {Type: dataset.TypeFloat64}, "ints": {Type: dataset.TypeInt64}, "times": {Type: dataset.TypeTimestamp},
		"few strings": {Type: dataset.TypeString}, "many strings": {Type: dataset.TypeString},
	}
	for name, s := range columns {
		s.Name = "x"
		for i := range benchRows {
			switch name {
			case "floats":
				s.Floats = append(s.Floats, random.NormFloat64())
			case "ints":
				s.Ints = append(s.Ints, int64(random.IntN(2000)))
			case "times":
				s.Ints = append(s.Ints, start.UnixMicro()+int64(i)*1e6)
			case "few strings":
				s.Strings = append(s.Strings, fmt.Sprintf("N%d", random.IntN(300)))
			default:
				s.Strings = append(s.Strings, fmt.Sprintf("2013-02-%08d", random.Uint32()))
			}
		}
		columns[name] = s
	}
	return columns
}

func BenchmarkPass(b *testing.B) {
	for name, s := range benchColumns() {
		chunk := dataset.Chunk{First: 1, Table: dataset.Table{Series: []dataset.Series{s}}}
		plan := profile.Plan{Columns: []models.Column{{Name: "x", Type: s.Type, Role: "feature"}}}
		run := func(chunk dataset.Chunk) func(*testing.B) {
			return func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p, err := profile.NewPass(plan)
					for range 8 {
						if err == nil {
							err = p.Add(chunk, nil)
						}
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/8/benchRows, "ns/cell")
			}
		}
		b.Run(name+"/plain", run(chunk))
		if name != "many strings" && name != "floats" {
			b.Run(name+"/coded", run(code(chunk)))
		}
	}
}

func BenchmarkFinish(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	s := dataset.Series{Name: "x", Type: dataset.TypeInt64}
	for range benchRows {
		s.Ints = append(s.Ints, int64(random.Uint64()))
	}
	plan := profile.Plan{Columns: []models.Column{{Name: "x", Type: s.Type, Role: "feature"}}}
	const chunks = 40
	for b.Loop() {
		b.StopTimer()
		p, err := profile.NewPass(plan)
		for i := range chunks {
			if err == nil {
				err = p.Add(dataset.Chunk{First: int64(1 + i*benchRows), Table: dataset.Table{Series: []dataset.Series{s}}}, nil)
			}
			for k := range s.Ints {
				s.Ints[k] += 12345
			}
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		p.Finish()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/chunks/benchRows, "ns/row")
}
