package division_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/division"
	"github.com/mainspring-ml/mainspring/models"
)

func day(d int) time.Time { return time.Date(2013, 1, d, 0, 0, 0, 0, time.UTC) }

// spec sees [1, 11) January as of the 11th and holds the last two days out.
func spec() models.DataSpec {
	return models.DataSpec{
		Source: "s3://b/data/", Time: "at", Key: "id", Label: "late", LabelTime: "known",
		Features: []string{"distance", "carrier"},
		AsOf:     day(11), Window: 10 * models.Day, Holdout: 2 * models.Day,
	}.WithDefaults()
}

type row struct {
	id        string
	at, known time.Time
	late      int64
}

func table(rows ...row) dataset.Table {
	t := dataset.Table{Series: []dataset.Series{
		{Name: "id", Type: "string"}, {Name: "at", Type: "timestamp"}, {Name: "late", Type: "int64"},
		{Name: "known", Type: "timestamp"}, {Name: "distance", Type: "int64"}, {Name: "carrier", Type: "string"},
	}}
	for i, r := range rows {
		t.Series[0].Strings = append(t.Series[0].Strings, r.id)
		t.Series[1].Ints = append(t.Series[1].Ints, r.at.UnixMicro())
		t.Series[2].Ints = append(t.Series[2].Ints, r.late)
		t.Series[3].Ints = append(t.Series[3].Ints, r.known.UnixMicro())
		t.Series[4].Ints = append(t.Series[4].Ints, int64(100*i))
		t.Series[5].Strings = append(t.Series[5].Strings, "UA")
	}
	return t
}

// divide takes a share out of tables that have the columns of the spec.
func divide(t *testing.T, s models.DataSpec, key division.PseudonymKey, tables ...dataset.Table) division.Share {
	t.Helper()
	var source dataset.Source
	for _, series := range tables[0].Series {
		source.Fields = append(source.Fields, dataset.Field{Name: series.Name, Type: series.Type})
	}
	columns, err := dataset.Resolve(s, source)
	if err != nil {
		t.Fatal(err)
	}
	dividing, err := division.New(division.Plan{Spec: s, Columns: columns, Key: key, File: "a.parquet"})
	if err != nil {
		t.Fatal(err)
	}
	first := int64(1)
	for _, whole := range tables {
		chunk := dataset.Chunk{First: first}
		for _, c := range columns {
			chunk.Table.Series = append(chunk.Table.Series, *whole.Column(c.Name))
		}
		if err := dividing.Add(chunk); err != nil {
			t.Fatal(err)
		}
		first += int64(whole.Rows())
	}
	return dividing.Finish()
}

func TestBoundariesOfTheSides(t *testing.T) {
	micro := time.Microsecond
	in := []row{
		{"too old", day(1).Add(-micro), day(2), 0},
		{"first", day(1), day(2), 0},
		{"last training", day(9).Add(-micro), day(10), 1},
		{"first held out", day(9), day(10), 0},
		{"known at the moment", day(10), day(11), 1},
		{"not known yet", day(10), day(11).Add(micro), 1},
		{"too new", day(11), day(11), 1},
		{"b same time", day(5), day(6), 1},
		{"a same time", day(5), day(4), 0},
	}
	share := divide(t, spec(), nil, table(in...))
	if got := share.Train.Column("id").Strings; !slices.Equal(got, []string{"first", "a same time", "b same time", "last training"}) {
		t.Errorf("training rows %q", got)
	}
	if got := share.Test.Column("id").Strings; !slices.Equal(got, []string{"first held out", "known at the moment"}) {
		t.Errorf("held-out rows %q", got)
	}
	if got := share.Train.Column("distance").Ints; !slices.Equal(got, []int64{100, 800, 700, 200}) {
		t.Errorf("features did not follow their rows: %v", got)
	}
	if share.Train.Column("known") != nil {
		t.Error("training sees when a label became known")
	}
	if share.Rows != 6 || share.Unknown != 1 {
		t.Errorf("%d rows, %d unknown", share.Rows, share.Unknown)
	}
	if want := (division.Times{Min: day(1).Add(-micro), Max: day(11), Newest: day(10)}); share.Times != want {
		t.Errorf("times %+v, want %+v", share.Times, want)
	}
	// Chunks are no more than a way of reading.
	parted := divide(t, spec(), nil, table(in[:4]...), table(in[4:]...))
	if !slices.Equal(parted.Train.Column("id").Strings, share.Train.Column("id").Strings) || parted.Unknown != 1 {
		t.Errorf("in two chunks the training rows are %q", parted.Train.Column("id").Strings)
	}
}

func TestRowsWithoutATimeOrALabel(t *testing.T) {
	in := table(
		row{"no time", day(2), day(3), 0}, row{"no label", day(2), day(3), 0},
		row{"no label time", day(2), day(3), 0}, row{"fine", day(2), day(3), 1},
	)
	in.Column("at").Nulls = []bool{true, false, false, false}
	in.Column("late").Nulls = []bool{false, true, false, false}
	in.Column("known").Nulls = []bool{false, false, true, false}
	in.Column("distance").Nulls = []bool{true, true, true, true}
	share := divide(t, spec(), nil, in)
	if got := share.Train.Column("id").Strings; !slices.Equal(got, []string{"fine"}) || share.Unknown != 1 {
		t.Fatalf("rows %q, %d unknown", got, share.Unknown)
	}
	without := spec()
	without.LabelTime = ""
	if share := divide(t, without, nil, table(row{"a", day(10), day(30), 1})); share.Test.Rows() != 1 || share.Unknown != 0 {
		t.Errorf("without a label time: %d rows, %d unknown", share.Test.Rows(), share.Unknown)
	}
}

// hashSpec draws by customer, who has many rows and is no column of the model.
func hashSpec() models.DataSpec {
	s := spec()
	s.Holdout, s.LabelTime = 0, ""
	s.Split = models.SplitSpec{By: models.SplitByHash, Column: "customer", Fraction: 0.3, Salt: "2013"}
	return s.WithDefaults()
}

func customers(n int) dataset.Table {
	t := table()
	customer := dataset.Series{Name: "customer", Type: "int64"}
	for i := range n {
		one := table(row{fmt.Sprintf("r%05d", i), day(1).Add(time.Duration(i) * time.Second), day(2), int64(i % 2)})
		t.Append(one)
		customer.Ints = append(customer.Ints, int64(i%997)-300)
	}
	t.Series = append(t.Series, customer)
	return t
}

// sideByID is where each row of a table went.
func sideByID(share division.Share) map[string]string {
	where := map[string]string{}
	for side, table := range map[string]dataset.Table{"train": share.Train, "test": share.Test} {
		if table.Rows() > 0 {
			for _, id := range table.Column("id").Strings {
				where[id] = side
			}
		}
	}
	return where
}

// Whatever order rows have, whatever files and chunks they lie in and however
// the file writes its values: each row is on the side it was on.
func TestADrawKnowsNothingButTheValue(t *testing.T) {
	all := customers(6000)
	want := sideByID(divide(t, hashSpec(), nil, all))
	if len(want) != 6000 {
		t.Fatalf("%d rows", len(want))
	}
	random := rand.New(rand.NewPCG(7, 11))
	names := make([]string, len(all.Series))
	for i, s := range all.Series {
		names[i] = s.Name
	}
	for round := range 20 {
		rows := random.Perm(all.Rows())
		got := map[string]string{}
		for from := 0; from < len(rows); {
			to := min(len(rows), from+1+random.IntN(3000))
			part := all.Pick(names, rows[from:to])
			if round%2 == 1 {
				part = written(t, part, random.IntN(2) == 0)
			}
			for id, side := range sideByID(divide(t, hashSpec(), nil, part)) {
				got[id] = side
			}
			from = to
		}
		for id, side := range want {
			if got[id] != side {
				t.Fatalf("round %d: row %s is on side %q, before on %q", round, id, got[id], side)
			}
		}
	}
	byCustomer := map[int64]string{}
	tests := 0
	for i, c := range all.Column("customer").Ints {
		side := want[fmt.Sprintf("r%05d", i)]
		if before, ok := byCustomer[c]; ok && before != side {
			t.Fatalf("customer %d is on both sides", c)
		}
		if _, ok := byCustomer[c]; !ok && side == "test" {
			tests++
		}
		byCustomer[c] = side
	}
	if share := float64(tests) / float64(len(byCustomer)); share < 0.25 || share > 0.35 {
		t.Errorf("a share of %v of the customers tests, want 0.3", share)
	}
	salted := hashSpec()
	salted.Split.Salt = "2014"
	if moved := sideByID(divide(t, salted, nil, all)); fmt.Sprint(moved) == fmt.Sprint(want) {
		t.Error("another salt is no other draw")
	}
}

// written is a table whose customers went through a text file, as numbers that
// are declared int64 or as strings.
func written(t *testing.T, in dataset.Table, declared bool) dataset.Table {
	t.Helper()
	out := dataset.Table{Series: slices.Clone(in.Series)}
	s := out.Column("customer")
	texts := make([]string, s.Len())
	for i := range texts {
		texts[i] = strconv.FormatInt(s.Ints[i], 10)
	}
	if !declared {
		*s = dataset.Series{Name: s.Name, Type: "string", Strings: texts}
		return out
	}
	read := dataset.Series{Name: s.Name, Type: "int64"}
	for _, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		read.Ints = append(read.Ints, n)
	}
	*s = read
	return out
}

// The draw is a promise to whoever keeps snapshots: it must not change.
func TestTheDrawOfKnownValues(t *testing.T) {
	s := hashSpec()
	s.Split = models.SplitSpec{By: models.SplitByHash, Column: "id", Fraction: 0.5}
	share := divide(t, s, nil, table(
		row{"a", day(1), day(2), 0}, row{"b", day(1), day(2), 0}, row{"c", day(1), day(2), 0}, row{"d", day(1), day(2), 0},
		row{"7", day(1), day(2), 0}, row{"", day(1), day(2), 0},
	))
	got := sideByID(share)
	// `printf '\xffa' | sha256sum` begins with 6446, of b with 8007, of c aa86, of d
	// 44c1, of 7 fe07, of nothing a810: below 8000 tests.
	want := map[string]string{"a": "test", "b": "train", "c": "train", "d": "test", "7": "train", "": "train"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sides %v, want %v", got, want)
	}
}

func TestPseudonyms(t *testing.T) {
	s := spec()
	s.Columns = map[string]models.ColumnSpec{
		"id": {Sensitive: models.SensitivePseudonymise}, "customer": {Sensitive: models.SensitivePseudonymise},
		"secret": {Sensitive: models.SensitiveDrop}, "note": {Sensitive: models.SensitiveKeep},
	}
	key, err := division.NewPseudonymKey([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	in := table(row{"alice", day(2), day(3), 0}, row{"bob", day(2), day(3), 1}, row{"carol", day(10), day(10), 1})
	in.Series = append(in.Series,
		dataset.Series{Name: "customer", Type: "int64", Ints: []int64{7, 8, 7}, Nulls: []bool{false, true, false}},
		dataset.Series{Name: "secret", Type: "string", Strings: []string{"x", "y", "z"}},
		dataset.Series{Name: "note", Type: "timestamp", Ints: []int64{1, 2, 3}})
	share := divide(t, s, key, in)
	// HMAC-SHA256 of the text, its first 16 bytes: `printf alice | openssl dgst -sha256 -hmac 0123456789abcdef`.
	const alice, seven = "fdbf8b1cacd3d578e062d0e41104357d", "f69cf4852626eee19b92af564b9413e4"
	ids := share.Train.Column("id")
	if ids.Type != "string" || len(ids.Strings) != 2 || !slices.IsSorted(ids.Strings) || !slices.Contains(ids.Strings, alice) {
		t.Errorf("keys %q of type %s: rows of one time are sorted by what is written", ids.Strings, ids.Type)
	}
	if c := share.Test.Column("customer"); c.Type != "string" || c.Strings[0] != seven {
		t.Errorf("customer %q of type %s", c.Strings, c.Type)
	}
	train := share.Train.Column("customer")
	if nulls := slices.Index(train.Nulls, true); nulls < 0 || train.Strings[nulls] != "" || !slices.Contains(train.Strings, share.Test.Column("customer").Strings[0]) {
		t.Errorf("customers %q with nulls %v: a null stays one, and 7 is the same on both sides", train.Strings, train.Nulls)
	}
	if share.Train.Column("secret") != nil || share.Train.Column("note") == nil {
		t.Error("what is to be dropped is written, or what is to be kept is not")
	}
	var roles []string
	for _, c := range share.Columns {
		roles = append(roles, c.Name+" "+c.Type+" "+c.Role)
	}
	want := "id string key, at timestamp time, late int64 label, distance int64 feature, carrier string feature, customer string extra, note timestamp extra"
	if got := strings.Join(roles, ", "); got != want {
		t.Errorf("columns %s\nwant    %s", got, want)
	}
	other, err := division.NewPseudonymKey([]byte("0123456789abcdeX"))
	if err != nil {
		t.Fatal(err)
	}
	if divide(t, s, other, in).Test.Column("id").Strings[0] == share.Test.Column("id").Strings[0] {
		t.Error("another key gives the same pseudonym")
	}
	if key.Fingerprint() == other.Fingerprint() || division.PseudonymKey(nil).Fingerprint() != "" {
		t.Error("keys can't be told apart by their fingerprints")
	}
}

func TestAKeyIsShownNowhere(t *testing.T) {
	const secret = "correct horse battery"
	key, err := division.NewPseudonymKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %s %+v %x %q %#v %d", key, key, key, key, key, key, key)
	plan := division.Plan{Key: key}
	shown += fmt.Sprintf("%v %+v %#v", plan, plan, plan)
	if _, err := json.Marshal(plan); err == nil {
		t.Error("a key is written as JSON")
	}
	if strings.Contains(shown, secret) || strings.Contains(shown, fmt.Sprintf("%x", secret)) || strings.Contains(shown, "99 111 114") || strings.Contains(shown, "0x63") {
		t.Errorf("a key is shown: %s", shown)
	}
	if _, err := division.NewPseudonymKey([]byte("fifteen bytes..")); err == nil || strings.Contains(err.Error(), "fifteen") {
		t.Errorf("a short key: %v", err)
	}
	s := spec()
	s.Columns = map[string]models.ColumnSpec{"id": {Sensitive: models.SensitivePseudonymise}}
	var e *models.Error
	if _, err := division.New(division.Plan{Spec: s}); !errors.As(err, &e) || e.Kind != models.KindInvalidSpec {
		t.Errorf("without a key: %v", err)
	}
	s.Columns = map[string]models.ColumnSpec{"customer": {Sensitive: models.SensitiveDrop}}
	if _, err := division.New(division.Plan{Spec: s}); err != nil {
		t.Errorf("what is dropped and not hashed: %v", err)
	}
	s.Checks.Unique = []string{"customer"}
	if _, err := division.New(division.Plan{Spec: s}); !errors.As(err, &e) || e.Kind != models.KindInvalidSpec {
		t.Errorf("hashes of what is dropped, without a key: %v", err)
	}
	if _, err := division.New(division.Plan{Spec: s, LookOnly: true}); err != nil {
		t.Errorf("hashes that nobody keeps: %v", err)
	}
}
