package activities_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/models"
)

func TestReferenceOfAChampion(t *testing.T) {
	c := newChampion(t)
	got := c.reference()
	if got.Object == nil || got.Note != "" || len(got.Blocks) != trained+heldOut {
		t.Fatalf("%d blocks, object %v, note %q", len(got.Blocks), got.Object, got.Note)
	}
	first, sum := got.Blocks[0], 0.0
	if !first.Start.Equal(worldStart) || first.Labelled != perDay || first.Loss < 0.2 || first.Loss > 0.8 || first.Estimated == 0 {
		t.Errorf("first block %+v", first)
	}
	for _, b := range got.Blocks {
		sum += b.Loss
	}
	near(t, "mean", got.Loss, sum/float64(len(got.Blocks)))
	if len(first.Slices) != 3 || first.Slices[0].Column != "origin" {
		t.Errorf("slices that a detector watches: %+v", first.Slices)
	}
	if again := c.reference(); !reflect.DeepEqual(got, again) {
		t.Error("not the same twice")
	}
	data, err := artifact.ReadRef(t.Context(), c.store, *got.Object, 1<<20)
	if err != nil || len(data) > 100<<10 || bytes.Contains(data, []byte("2013-02-01-0")) {
		t.Errorf("an object of %d bytes, with keys of rows or not readable: %v", len(data), err)
	}
	c.watch.Spec.Block, c.watch.Spec.BlockRows = 0, 900
	if rows := c.reference(); len(rows.Blocks) != 10 || rows.Blocks[3].Labelled != 900 {
		t.Errorf("%d blocks of rows", len(rows.Blocks))
	}
	c.watch.Spec.MinLabels = 1000
	if none := c.reference(); len(none.Blocks) != 0 || none.Object == nil || !strings.Contains(none.Note, "1000 rows") {
		t.Errorf("blocks too small: %+v", none.Note)
	}
}

func TestReferenceWithoutRows(t *testing.T) {
	want := []models.BlockLoss{{Loss: 0.5}, {Loss: 0.6}}
	for name, lose := range map[string]func(*championWorld){
		"never stored":          func(c *championWorld) { c.watch.Snapshot = models.Ref{} },
		"no held-out answers":   func(c *championWorld) { c.watch.HeldOut = models.Ref{} },
		"manifest deleted":      func(c *championWorld) { c.remove(c.watch.Snapshot.URI) },
		"answers deleted":       func(c *championWorld) { c.remove(c.watch.HeldOut.URI) },
		"out of fold deleted":   func(c *championWorld) { c.remove(c.watch.OutOfFold.URI) },
		"snapshot's rows moved": func(c *championWorld) { c.removeAll("objects/") },
	} {
		c := newChampion(t)
		lose(c)
		got := c.reference()
		if got.Object != nil || !reflect.DeepEqual(got.Blocks, want) || !strings.Contains(got.Note, "inputs and slices with nothing") {
			t.Errorf("%s: %+v", name, got)
		}
		near(t, name, got.Loss, 0.55)
	}
}

func (c *championWorld) remove(uri string) {
	_, key, err := artifact.ParseURI(uri)
	if err != nil {
		c.t.Fatal(err)
	}
	c.removeAll(key)
}

func (c *championWorld) removeAll(prefix string) {
	objects, err := c.store.List(c.t.Context(), prefix)
	if err != nil || len(objects) == 0 {
		c.t.Fatalf("nothing to remove at %s: %v", prefix, err)
	}
	for _, object := range objects {
		if err := c.store.Delete(c.t.Context(), object.Key); err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestReferenceOfOtherRows(t *testing.T) {
	c := newChampion(t)
	answers := func(p float64, keys ...string) models.Ref {
		return c.table(dataset.Table{Series: []dataset.Series{
			{Name: "key", Type: dataset.TypeString, Strings: keys}, {Name: "candidate", Type: dataset.TypeFloat64, Floats: slices.Repeat([]float64{p}, len(keys))},
		}})
	}
	var keys []string
	for day := trained; day < trained+heldOut; day++ {
		for i := range perDay {
			keys = append(keys, fmt.Sprintf("%s-%d", models.DayKey(worldStart.AddDate(0, 0, day)), i))
		}
	}
	for name, test := range map[string]struct {
		change func()
		says   string
	}{
		"other keys":       {func() { c.watch.HeldOut = answers(0.5, "x") }, "1 rows instead of 2100"},
		"no such feature":  {func() { c.watch.Spec.Inputs.Features = []string{"gust"} }, "gust"},
		"a string's parts": {func() { c.watch.Spec.Slices = []models.SliceSpec{{Column: "origin", Quantiles: 3}} }, "has no quantiles"},
		"no probabilities": {func() { c.watch.HeldOut = answers(1.5, keys...) }, "is 1.5 for a held-out row"},
	} {
		before := c.watch
		test.change()
		_, err := c.drift.BuildReference(t.Context(), models.ReferenceRequest{Endpoint: endpoint, Watch: c.watch})
		c.watch = before
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantFailure(t, err, models.KindInvalidSpec, test.says)
	}
	if math.IsNaN(c.reference().Loss) {
		t.Error("the champion itself has no reference any more")
	}
}
