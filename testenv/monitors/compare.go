package monitors

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// plain is the account as JSON has it, the same for every slot. Explanations say
// what was known when an alarm was raised, which depends on the pieces in which
// the log was read: they can be left out.
func (a Account) plain(slot *Slot, explained bool) (plain any, err error) {
	a.Scenes = slices.Clone(a.Scenes)
	for i := range a.Scenes {
		alarms := slices.Clone(a.Scenes[i].State.Alarms)
		for k := range alarms {
			if !explained {
				alarms[k].Explanation = nil
			}
		}
		a.Scenes[i].State.Alarms = alarms
	}
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal([]byte(strings.ReplaceAll(string(text), slot.bucket(), "bucket")), &plain)
	return plain, err
}

// mostDifferences are shown; there may be more.
const mostDifferences = 12

// differences names what differs, by path.
func differences(wanted, got any) (found []string) {
	var compare func(path string, w, g any)
	compare = func(path string, w, g any) {
		if len(found) >= mostDifferences {
			return
		}
		switch w := w.(type) {
		case map[string]any:
			if g, ok := g.(map[string]any); ok {
				keys := slices.Sorted(maps.Keys(w))
				for key := range g {
					if _, there := w[key]; !there {
						keys = append(keys, key)
					}
				}
				for _, key := range keys {
					compare(path+"."+key, w[key], g[key])
				}
				return
			}
		case []any:
			if g, ok := g.([]any); ok && len(g) == len(w) {
				for i := range w {
					compare(fmt.Sprintf("%s[%d]", path, i), w[i], g[i])
				}
				return
			}
		case nil, bool, float64, string:
			if g == w {
				return
			}
		}
		const most = 300
		found = append(found, fmt.Sprintf("%s is %.*s, not %.*s", strings.TrimPrefix(path, "."), most, fmt.Sprint(g), most, fmt.Sprint(w)))
	}
	compare("", wanted, got)
	return found
}
