package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

const command = "go run ./bench/registry -write"

// WriteInto puts the figures into a document.
func (f Figures) WriteInto(path string) error { return figures.WriteInto(path, command, f.tables()) }

func (f Figures) tables() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nMeasured on %s on %d cores.\n\n", f.Date.Format(time.DateOnly), f.Cores)
	fmt.Fprintf(&out, "%d of %d seeds ended with one run for each lifecycle, one version of it, the right aliases, a record whose\n"+
		"chain verifies and the route at the champion, after %d strikes among %d calls. It took %.0f s; the longest\nseed took %.0f s.\n\n",
		f.Seeds.Right, f.Seeds.Seeds, f.Seeds.Strikes, f.Seeds.Calls, f.Seeds.Took, f.Seeds.Longest)
	f.Seeds.table(&out)
	fmt.Fprintf(&out, "%d lifecycles of one model at once left %d versions and %d promotions, in order and once each, in %.0f s.\n\n",
		f.Crowd.Lifecycles, f.Crowd.Versions, f.Crowd.Promotions, f.Crowd.Took)
	fmt.Fprintf(&out, "A registration takes %d calls for the first version of a model and %d for later ones.\n\n", len(f.Trips.First), len(f.Trips.Later))
	out.WriteString("| What happens | What comes of it |\n|---|---|\n")
	for _, story := range f.Stories {
		ended := oneLine(story.Ended)
		if story.Error != "" {
			ended = "**not as promised**: " + oneLine(story.Error)
		}
		fmt.Fprintf(&out, "| %s | %s |\n", story.Story, ended)
	}
	out.WriteString("\n")
	return out.String()
}

// table counts strikes by boundary and fault.
func (f SeedsFigures) table(out *strings.Builder) {
	names := make([]string, 0, len(Faults()))
	for _, fault := range Faults() {
		names = append(names, string(fault))
	}
	fmt.Fprintf(out, "| Call | %s |\n|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, boundary := range slices.Sorted(maps.Keys(f.Table)) {
		cells := make([]string, 0, len(names))
		for _, fault := range Faults() {
			cells = append(cells, fmt.Sprint(f.Table[boundary][fault]))
		}
		fmt.Fprintf(out, "| `%s` | %s |\n", boundary, strings.Join(cells, " | "))
	}
	out.WriteString("\n")
}

func oneLine(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
