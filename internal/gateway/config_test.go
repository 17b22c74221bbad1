package gateway

import "testing"

func TestConfigRefusesWhatMakesNoSense(t *testing.T) {
	for name, config := range map[string]Config{
		"no name": {}, "a path as name": {Name: "a/b"}, "body": {Name: "gw", MaxBodyBytes: -1}, "labels": {Name: "gw", MaxLabels: -1},
		"flush": {Name: "gw", FlushRows: -1}, "buffer": {Name: "gw", BufferRows: -1}, "spool": {Name: "gw", SpoolBytes: -1}, "time": {Name: "gw", Drain: -1},
	} {
		if _, err := New(config, newMemoryStore()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
