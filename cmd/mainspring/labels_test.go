package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/labelfile"
	"github.com/mainspring-ml/mainspring/models"
)

func TestLabelsOfAFile(t *testing.T) {
	store := artifact.NewMemory("b")
	file := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(file, []byte("id,y,at\nr1,12.5,2013-01-01\nr2,,\nr3,-1,2013-01-02\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := labelsFlags{columns: labelfile.Columns{ID: "id", Label: "y", Time: "at"}}
	run := func() (string, error) {
		var out bytes.Buffer
		err := f.storeIn(t.Context(), store, &out, "prices", []string{file})
		return out.String(), err
	}
	if _, err := run(); err == nil || !strings.Contains(err.Error(), `no endpoint "prices"`) {
		t.Errorf("error %v", err)
	}
	if _, err := artifact.PutBytes(t.Context(), store, models.RouteKey("prices"), []byte(`{"task":"regression"}`), artifact.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{"", ", 2 of them stored before"} {
		want := file + ": 2 labels" + before + "; 1 rows have none yet\n  2013-01-01  1\n  2013-01-02  1\n"
		if got, err := run(); err != nil || got != want {
			t.Errorf("%v\n%s\nwant\n%s", err, got, want)
		}
	}
	if code := execute(t.Context(), []string{"labels", "prices", file, "--id", "id"}, &bytes.Buffer{}, &bytes.Buffer{}); code != 2 {
		t.Errorf("without --label: exit code %d", code)
	}
}
