package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/models"
)

// Comparable refuses a champion that answers another question than the
// candidate: its probabilities, read as those of other classes or as numbers,
// would be measured without anybody noticing.
func Comparable(data models.DataSpec, champion models.ChampionModel) *models.Error {
	refuse := func(theirs, ours string) *models.Error {
		return &models.Error{
			Kind: models.KindInvalidSpec, Subject: "champion (version " + champion.Version + ")",
			Message: fmt.Sprintf("it was trained for %s and the candidate for %s, so they can't be compared", theirs, ours),
			Hint:    "train for the champion's, or register what answers another question as another model (model.name)",
		}
	}
	task := cmp.Or(data.Task, models.TaskBinary)
	switch {
	case champion.Task == "":
		return nil // of an older record; its answers are checked all the same
	case champion.Task != task:
		return refuse("task "+string(champion.Task), "task "+string(task))
	case task == models.TaskMulticlass && !slices.Equal(namedClasses(champion.Classes), namedClasses(data.Classes)):
		return refuse(classWords(champion.Classes), classWords(data.Classes))
	default:
		return nil
	}
}

// namedClasses are the classes, or nothing for those that are their own indexes.
func namedClasses(classes []string) []string {
	for i, class := range classes {
		if class != strconv.Itoa(i) {
			return classes
		}
	}
	return nil
}

func classWords(classes []string) string {
	const most = 10
	switch shown := classes[:min(len(classes), most)]; {
	case len(classes) == 0:
		return "classes that are numbers"
	case len(classes) > most:
		return fmt.Sprintf("%d classes in the order %q, …", len(classes), shown)
	default:
		return fmt.Sprintf("classes in the order %q", shown)
	}
}
