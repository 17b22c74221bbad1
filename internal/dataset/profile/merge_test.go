package profile_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/models"
)

// cutUp divides rows at random, some parts empty.
func cutUp(random *rand.Rand, rows int) []int {
	cuts := []int{0, rows}
	for range 1 + random.IntN(6) {
		cuts = append(cuts, random.IntN(rows+1))
	}
	slices.Sort(cuts)
	return cuts
}

func TestAnySplitAndAnyOrderGiveTheSameBytes(t *testing.T) {
	table, sides, plan := world(6000, 3)
	whole := pass(t, plan, sides, part(table, 0, 6000)).Finish()
	want := encoded(t, whole.Profile)
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 9))
		cuts := cutUp(random, 6000)
		var profiles []profile.Profile
		appended := pass(t, plan, nil)
		var chunks []dataset.Chunk
		for i := 1; i < len(cuts); i++ {
			chunk := part(table, cuts[i-1], cuts[i])
			if seed%2 == 0 {
				chunk = code(chunk)
			}
			chunks = append(chunks, chunk)
			of := sides[cuts[i-1]:cuts[i]]
			profiles = append(profiles, reread(t, pass(t, plan, of, chunk).Finish().Profile))
			appended.Append(pass(t, plan, of, chunk))
		}
		random.Shuffle(len(profiles), func(i, k int) { profiles[i], profiles[k] = profiles[k], profiles[i] })
		merged := profiles[0]
		for _, p := range profiles[1:] {
			var err error
			if merged, err = profile.Merge(merged, p); err != nil {
				t.Fatal(err)
			}
		}
		if got := encoded(t, merged); got != want {
			t.Fatalf("seed %d, cut at %v: profiles merged in another order differ:\n%s\n%s", seed, cuts, got, want)
		}
		one, joined := pass(t, plan, sides, chunks...).Finish(), appended.Finish()
		for name, got := range map[string]profile.Result{"chunk by chunk": one, "appended": joined} {
			if text := encoded(t, got.Profile); text != want {
				t.Fatalf("seed %d, %s: %s\nwant %s", seed, name, text, want)
			}
			if !reflect.DeepEqual(got.Evidence, whole.Evidence) {
				t.Fatalf("seed %d, %s: evidence\n%+v\nwant\n%+v", seed, name, got.Evidence, whole.Evidence)
			}
			if !reflect.DeepEqual(got.Runs, whole.Runs) {
				t.Fatalf("seed %d, %s: runs differ", seed, name)
			}
		}
	}
}

// Bytes that are no UTF-8 can't be written. What they are written as is counted,
// known as a category, and merged.
func TestTextsThatCannotBeWrittenMerge(t *testing.T) {
	plan := profile.Plan{Columns: []models.Column{{Name: "s", Type: "string", Role: "feature"}}}
	chunk := func(texts ...string) dataset.Chunk {
		return dataset.Chunk{First: 1, Table: dataset.Table{Series: []dataset.Series{{Name: "s", Type: "string", Strings: texts}}}}
	}
	whole := pass(t, plan, nil, chunk("a\xff\xfe", "a\xfe\xfe", "a\xff\xff", "b")).Finish().Profile
	first, second := pass(t, plan, nil, code(chunk("a\xff\xfe", "a\xfe\xfe"))).Finish().Profile, pass(t, plan, nil, chunk("a\xff\xff", "b")).Finish().Profile
	merged, err := profile.Merge(reread(t, first), reread(t, second))
	if got, want := encoded(t, reread(t, merged)), encoded(t, reread(t, whole)); err != nil || got != want {
		t.Errorf("%v\nmerged %s\nwhole  %s", err, got, want)
	}
	before := reread(t, whole)
	plan.Baseline = &before
	evidence := pass(t, plan, nil, chunk("a\xff\xfe", "b", "c")).Finish().Evidence
	if unseen := evidence.Find(profile.RuleUnseen, "s"); unseen == nil || unseen.Seen != 3 || unseen.Count != 1 {
		t.Errorf("unseen: %+v", unseen)
	}
}

func reread(t *testing.T, p profile.Profile) profile.Profile {
	t.Helper()
	out, err := profile.Decode([]byte(encoded(t, p)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEvidenceMergesInOrder(t *testing.T) {
	table, sides, plan := world(3000, 5)
	whole := pass(t, plan, sides, part(table, 0, 3000)).Finish().Evidence
	var merged profile.Evidence
	for from := 0; from < 3000; from += 750 {
		e := pass(t, plan, sides[from:from+750], part(table, from, from+750)).Finish().Evidence
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var read profile.Evidence
		if err := json.Unmarshal(data, &read); err != nil {
			t.Fatal(err)
		}
		merged = profile.MergeEvidence(merged, read)
	}
	if !reflect.DeepEqual(merged, whole) {
		t.Errorf("merged\n%+v\nwant\n%+v", merged, whole)
	}
}

func TestMergeRefusesAnotherType(t *testing.T) {
	table, sides, plan := world(100, 1)
	a := pass(t, plan, sides, part(table, 0, 100)).Finish().Profile
	b := reread(t, a)
	b.Train.Column("distance").Type = dataset.TypeFloat64
	if _, err := profile.Merge(a, b); err == nil {
		t.Error("an int64 column was merged with a float64 one")
	}
	b = reread(t, a)
	b.Train.Columns = b.Train.Columns[1:]
	merged, err := profile.Merge(a, b)
	if err != nil || merged.Train.Column("id").Rows != a.Train.Rows || merged.Train.Rows != 2*a.Train.Rows {
		t.Errorf("a column that one profile lacks: %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, data := range []string{"", "{}", `{"format":2}`, `{"format":1,"more":1}`} {
		if _, err := profile.Decode([]byte(data)); err == nil {
			t.Errorf("%s was read", data)
		}
	}
}

// Broken sums, sketches, values and buckets are errors, not panics.
func TestMergeRefusesBrokenProfiles(t *testing.T) {
	table, sides, plan := world(500, 1)
	a := pass(t, plan, sides, part(table, 0, 500)).Finish().Profile
	for name, spoil := range map[string]func(*profile.Column){
		"sum":     func(c *profile.Column) { c.Numbers.Sum = "0x1p9999" },
		"squares": func(c *profile.Column) { c.Numbers.Squares = "1e3" },
		"bucket":  func(c *profile.Column) { c.Numbers.Buckets[0].At = 1 << 30 },
		"sketch":  func(c *profile.Column) { c.Values.Sketch = []byte{1} },
		"value":   func(c *profile.Column) { c.Values.Top[0].Value = "UA" },
	} {
		b := reread(t, a)
		spoil(b.Train.Column("distance"))
		if _, err := profile.Merge(a, b); err == nil {
			t.Errorf("a broken %s was merged", name)
		}
	}
}
