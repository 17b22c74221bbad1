package models

import (
	"slices"
	"strings"
	"testing"
)

func TestAHashSplitIsRetrainedOnItsWindow(t *testing.T) {
	spec := validSpec()
	spec.Data.Holdout, spec.Data.Split = 0, SplitSpec{By: SplitByHash}
	spec.Monitor.Retrain.From = RetrainFromChange
	full := spec.WithDefaults()
	if err := full.Validate(); err != nil {
		t.Error(err)
	}
	if r := full.Monitor.Retrain; r.Window != 60*Day || r.Holdout != 0 || r.MinWindow != 15*Day {
		t.Errorf("retraining takes %s, at least %s, and holds %s out", r.Window, r.MinWindow, r.Holdout)
	}
	spec.Monitor.Retrain.Holdout = 7 * Day
	if err := spec.WithDefaults().Validate(); err == nil || !strings.Contains(err.Error(), "monitor.retrain.holdout: is given, but data.split.by is hash (drop it)") {
		t.Errorf("a holdout of retrainings: %v", err)
	}
}

func TestSensitiveFeaturesAreNotLogged(t *testing.T) {
	spec := validSpec()
	spec.Data.Columns = map[string]ColumnSpec{"carrier": {Sensitive: SensitiveKeep}, "hour": {}, "remark": {Sensitive: SensitiveDrop}}
	said := []string{"seat"}
	spec.Deploy = &DeploySpec{Endpoint: "delay", Traffic: TrafficSpec{Log: LogSpec{Sensitive: said}}}
	full := spec.WithDefaults().WithDefaults()
	if got := full.Deploy.Traffic.Log.Sensitive; !slices.Equal(got, []string{"seat", "carrier"}) || len(said) != 1 {
		t.Errorf("values of %q are not logged", got)
	}
}

func TestNoSliceIsNamedAfterASensitiveValue(t *testing.T) {
	spec := validSpec()
	spec.Data.Columns = map[string]ColumnSpec{"carrier": {Sensitive: SensitiveKeep}}
	spec.Evaluate.Slices = []SliceSpec{{Column: "carrier"}}
	if err := spec.WithDefaults().Validate(); err == nil || !strings.Contains(err.Error(), `"carrier", which is sensitive`) {
		t.Errorf("a slice by a sensitive column: %v", err)
	}
}
