package reliability

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// The figures stand between these lines.
const (
	beginMark = "<!-- figures: go run ./bench/reliability -write -->"
	endMark   = "<!-- /figures -->"
)

// WriteInto puts the figures between the marks of a document.
func (f Figures) WriteInto(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	written, err := f.replaceIn(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(written), 0o644)
}

func (f Figures) replaceIn(document string) (string, error) {
	before, rest, found := strings.Cut(document, beginMark)
	_, after, closed := strings.Cut(rest, endMark)
	if !found || !closed {
		return "", fmt.Errorf("the lines %q and %q must be there, in this order", beginMark, endMark)
	}
	return before + beginMark + "\n" + f.table() + endMark + after, nil
}

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
