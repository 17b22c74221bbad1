package demo

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func TestTrafficOfTextFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"2013-01.csv":   "id,at,known,late,distance,origin,night\na,2013-01-01,2013-01-02,0,100,JFK,true\n",
		"2013-02.jsonl": `{"id":"c","at":"2013-02-02","known":"2013-02-04","late":1,"distance":null,"origin":"LGA","night":false}` + "\n" + `{"id":"b","at":"2013-02-01","known":"2013-02-03","late":0,"distance":7.5,"origin":"EWR","night":true}`,
		"README.md":     "no data",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := func(d int) time.Time { return time.Date(2013, 2, d, 0, 0, 0, 0, time.UTC) }
	data := models.DataSpec{Key: "id", Time: "at", LabelTime: "known", Label: "late", Features: []string{"distance", "origin", "night"}}
	got, err := loadTraffic(t.Context(), dir, data, at(1), 1000)
	if err != nil {
		t.Fatal(err)
	}
	first := request{id: "b", at: at(1), labelTime: at(3), features: map[string]any{"distance": 7.5, "origin": "EWR", "night": true}}
	second := request{id: "c", at: at(2), labelTime: at(4), label: 1, features: map[string]any{"distance": nil, "origin": "LGA", "night": false}}
	want := &traffic{total: 2, days: []day{{start: at(1), requests: []request{first}}, {start: at(2), requests: []request{second}}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := loadTraffic(t.Context(), filepath.Join(dir, "none"), data, at(1), 10); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
