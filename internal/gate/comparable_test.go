package gate

import (
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

func TestOnlyModelsOfTheSameQuestionAreCompared(t *testing.T) {
	colours := []string{"red", "green", "blue"}
	for name, c := range map[string]struct {
		data     models.DataSpec
		champion models.ChampionModel
		texts    []string // none: they are compared
	}{
		"the same":          {models.DataSpec{}, models.ChampionModel{Task: models.TaskBinary}, nil},
		"an older record":   {models.DataSpec{Task: models.TaskRegression}, models.ChampionModel{}, nil},
		"the same classes":  {models.DataSpec{Task: models.TaskMulticlass, Classes: colours}, models.ChampionModel{Task: models.TaskMulticlass, Classes: colours}, nil},
		"indexes as names":  {models.DataSpec{Task: models.TaskMulticlass}, models.ChampionModel{Task: models.TaskMulticlass, Classes: []string{"0", "1", "2"}}, nil},
		"numbers, not odds": {models.DataSpec{Task: models.TaskRegression}, models.ChampionModel{Version: "3", Task: models.TaskBinary}, []string{"champion (version 3)", "task binary", "task regression", "model.name"}},
		"another order": {
			models.DataSpec{Task: models.TaskMulticlass, Classes: colours},
			models.ChampionModel{Task: models.TaskMulticlass, Classes: []string{"green", "red", "blue"}},
			[]string{`["green" "red" "blue"]`, `["red" "green" "blue"]`},
		},
		"names and none": {models.DataSpec{Task: models.TaskMulticlass, Classes: colours}, models.ChampionModel{Task: models.TaskMulticlass}, []string{"classes that are numbers"}},
	} {
		err := Comparable(c.data, c.champion)
		if (err != nil) != (c.texts != nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range c.texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q does not say %q", name, err, text)
			}
		}
	}
}
