package reliability

import (
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

const command = "go run ./bench/reliability -write"

// WriteInto puts the figures into a document.
func (f Figures) WriteInto(path string) error { return figures.WriteInto(path, command, f.table()) }

func (f Figures) table() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nMeasured on %s on %d cores: %d steps of %d ms and more, a checkpoint every %d.\n",
		f.Date.Format(time.DateOnly), f.Cores, f.Rounds, f.StepMS, f.Interval)
	fmt.Fprintf(&out, "The undisturbed model is `%.12s…`.\n\n", f.Reference)
	out.WriteString("| Case | Struck at step | Attempts | Steps repeated | Notice | Recovery | Same model |\n|---|---|---|---|---|---|---|\n")
	for _, figure := range f.Figures {
		fmt.Fprintf(&out, "| %s | %s |\n", figure.Did, strings.Join(figure.cells(), " | "))
	}
	out.WriteString("\n")
	return out.String()
}

func (f Figure) cells() []string {
	if f.Error != "" {
		return []string{"", "", "", "", "", "**not measured**: " + strings.ReplaceAll(f.Error, "\n", " ")}
	}
	notice := "none needed"
	if f.Notice > 0 {
		notice = fmt.Sprintf("%.1f s", f.Notice)
	}
	same := "yes"
	if !f.Same {
		same = "**no**"
	}
	if !f.Same && f.Differs != "" {
		same = "no: " + f.Differs
	}
	return []string{fmt.Sprint(f.StruckAt), fmt.Sprint(f.Attempts), fmt.Sprint(f.Repeated), notice, fmt.Sprintf("%.1f s", f.Recovery), same}
}
