package activities_test

import (
	"bytes"
	"path"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/parquetio"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/models"
)

// profile stores what a preparation would have found in the snapshot's rows.
func (c *championWorld) profile() models.Ref {
	c.t.Helper()
	raw, err := artifact.ReadRef(c.t.Context(), c.store, c.watch.Snapshot, 1<<20)
	if err != nil {
		c.t.Fatal(err)
	}
	manifest, err := dataset.Decode(raw)
	if err != nil {
		c.t.Fatal(err)
	}
	var pass *profile.Pass
	for _, f := range manifest.Files {
		data, _, err := artifact.GetBytes(c.t.Context(), c.store, dataset.ObjectKey(f.SHA256), 1<<30)
		if err != nil {
			c.t.Fatal(err)
		}
		file, err := parquetio.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			c.t.Fatal(err)
		}
		var names []string
		var columns []models.Column
		for _, field := range file.Fields() {
			names = append(names, field.Name)
			columns = append(columns, models.Column{Name: field.Name, Type: field.Type, Role: dataset.RoleFeature})
		}
		table, err := file.ReadAll(c.t.Context(), names)
		if err != nil {
			c.t.Fatal(err)
		}
		if pass == nil {
			if pass, err = profile.NewPass(profile.Plan{Spec: c.watch.Data.WithDefaults(), Columns: columns}); err != nil {
				c.t.Fatal(err)
			}
		}
		sides := make([]profile.Side, table.Rows())
		for i := range sides {
			sides[i] = map[string]profile.Side{dataset.TrainDir: profile.Train, dataset.TestDir: profile.Test}[path.Dir(f.Path)]
		}
		if err := pass.Add(dataset.Chunk{First: 1, Table: table}, sides); err != nil {
			c.t.Fatal(err)
		}
	}
	data, err := pass.Finish().Profile.Compact().Encode()
	if err != nil {
		c.t.Fatal(err)
	}
	return c.put(data)
}

func (c *championWorld) put(data []byte) models.Ref {
	c.t.Helper()
	ref, err := artifact.PutObjectBytes(c.t.Context(), c.store, data)
	if err != nil {
		c.t.Fatal(err)
	}
	return ref
}

func (c *championWorld) shift() *shift.Reference {
	c.t.Helper()
	data, err := artifact.ReadRef(c.t.Context(), c.store, *c.reference().Object, 1<<20)
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := shift.DecodeReference(data)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func TestReferenceTakesItsBinsFromTheProfile(t *testing.T) {
	c := newChampion(t)
	found := c.shift()
	c.watch.Profile = c.profile()
	taken := c.shift()
	if len(taken.Features) != 3 || taken.All.Rows != found.All.Rows {
		t.Fatalf("%d features of %d rows", len(taken.Features), taken.All.Rows)
	}
	known := c.decoded()
	for i, f := range taken.Features {
		column := known.Column(f.Name)
		rows := 0.0
		for _, n := range taken.All.Features[i] {
			rows += n
		}
		if int64(rows) != column.Rows || int64(taken.All.Features[i][f.Missing()]) != column.Nulls {
			t.Errorf("%s: %v rows, %v without a value; the profile has %d and %d", f.Name, rows, taken.All.Features[i][f.Missing()], column.Rows, column.Nulls)
		}
		if f.Name == "origin" {
			for k, name := range f.Values {
				if got := int64(taken.All.Features[i][k]); got != rowsOf(column, name) {
					t.Errorf("%s: %d rows, the profile has %d", name, got, rowsOf(column, name))
				}
			}
		} else if !column.Values.Exact() {
			for k, rows := range column.Numbers.Histogram(f.Edges) {
				if taken.All.Features[i][k] != rows {
					t.Errorf("%s: bin %d has %v rows, the profile %v", f.Name, k, taken.All.Features[i][k], rows)
				}
			}
		}
	}
	if wind := known.Column("wind"); wind.Values.Exact() {
		t.Error("no feature has more values than a profile counts one by one")
	}
}

func rowsOf(c *profile.Column, value string) int64 {
	for _, v := range c.Values.Top {
		if v.Value == value {
			return v.Rows
		}
	}
	return -1
}

func (c *championWorld) decoded() profile.SideProfile {
	c.t.Helper()
	data, err := artifact.ReadRef(c.t.Context(), c.store, c.watch.Profile, 1<<20)
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := profile.Decode(data)
	if err != nil {
		c.t.Fatal(err)
	}
	whole, err := p.Whole()
	if err != nil {
		c.t.Fatal(err)
	}
	return whole
}

func TestReferenceWhoseProfileIsGone(t *testing.T) {
	c := newChampion(t)
	want := *c.reference().Object
	c.watch.Profile = c.profile()
	c.remove(c.watch.Profile.URI)
	if got := *c.reference().Object; got != want {
		t.Errorf("another reference than without a profile: %v, want %v", got, want)
	}
	c.watch.Profile = c.put([]byte(`{"format":9}`))
	_, err := c.drift.BuildReference(t.Context(), models.ReferenceRequest{Endpoint: endpoint, Watch: c.watch})
	wantFailure(t, err, models.KindInvalidSpec, "profile can't be used", "format 9")
}

// TestSensitiveFeaturesHaveNoBins: their values would be the bins' names.
func TestSensitiveFeaturesHaveNoBins(t *testing.T) {
	c := newChampion(t)
	c.watch.Data.Columns = map[string]models.ColumnSpec{"wind": {Sensitive: models.SensitiveKeep}}
	for _, f := range c.shift().Features {
		if f.Name == "wind" {
			t.Error("a sensitive feature has bins")
		}
	}
}
