package gateway

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func TestLabelsOfEveryTask(t *testing.T) {
	for _, test := range []struct {
		task  models.Task
		label string
		want  float64
		wrong string
	}{
		{"", "1", 1, ""},
		{models.TaskBinary, "0", 0, ""},
		{models.TaskBinary, "0.5", 0, `"label" is 0.5, must be 0 or 1`},
		{models.TaskBinary, "true", 0, `"label" is true, must be 0 or 1`},
		{models.TaskBinary, "null", 0, `"label" is missing, must be 0 or 1`},
		{models.TaskMulticlass, "17", 17, ""},
		{models.TaskMulticlass, "1.5", 0, "must be the number of a class"},
		{models.TaskMulticlass, "-1", 0, "must be the number of a class"},
		{models.TaskMulticlass, `"setosa"`, 0, `the text "setosa", must be the number of a class, whole and from 0 on; send the place of the class in data.classes`},
		{models.TaskRegression, "-12.75", -12.75, ""},
		{models.TaskRegression, "1e999", 0, `"label" is no JSON value`},
		{models.TaskRegression, `"12"`, 0, "must be a finite number"},
	} {
		rows, err := ParseLabels([]byte(`{"id":"a","label":`+test.label+`}`), test.task, time.Unix(0, 0))
		switch {
		case test.wrong != "":
			if err == nil || !strings.Contains(err.Error(), "line 1: ") || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s %s: error %v", test.task, test.label, err)
			}
		case err != nil || len(rows) != 1 || rows[0].Label != test.want:
			t.Errorf("%s %s: %+v, %v", test.task, test.label, rows, err)
		}
	}
}

// Readers take the label that arrived last.
func TestTheLastOfSeveralLabelsInOneBodyArrivesLast(t *testing.T) {
	body := `{"id":"a","label":1,"label_time":"2013-01-02T00:00:00Z"}` + "\n" + `{"id":"b","label":1,"label_time":"2013-01-01T12:00:00Z"}` + "\n" +
		`{"id":"a","label":0,"label_time":"2013-01-01T00:00:00Z"}`
	rows, err := ParseLabels([]byte(body), models.TaskBinary, day(3, 0))
	if err != nil {
		t.Fatal(err)
	}
	arrived := day(3, 0).UnixMicro()
	want := []models.LabelRow{
		{ID: "a", Label: 0, LabelTime: day(1, 0).UnixMicro(), Time: arrived + 1},
		{ID: "b", Label: 1, LabelTime: day(1, 12).UnixMicro(), Time: arrived},
		{ID: "a", Label: 1, LabelTime: day(2, 0).UnixMicro(), Time: arrived},
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v", rows)
	}
}

func TestTheRouteSaysWhatLabelsAre(t *testing.T) {
	s := newStage(t, Config{})
	s.replicas("v1", modelServer(t, "v1"))
	s.store.putJSON(t, models.RouteKey("flights"), models.Route{
		Endpoint: "flights", Generation: 1, Task: models.TaskRegression, Arms: []models.Arm{{Version: "v1", Role: models.RoleChampion, Weight: 1}},
	})
	s.look()
	if r := s.post("/v2/models/flights/labels", `{"id":"a","label":12.5}`, nil); r.status != 200 {
		t.Errorf("%+v", r)
	}
}
