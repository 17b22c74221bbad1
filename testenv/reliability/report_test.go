package reliability

import (
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

func TestFiguresReplaceThoseOfTheLastRun(t *testing.T) {
	f := Figures{
		Date: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Cores: 2, Rounds: 40, Interval: 5, StepMS: 300, Reference: "0123456789abcdef",
		Figures: []Figure{
			{Case: "worker", Did: "SIGKILL of the worker", StruckAt: 12, Attempts: 1, Recovery: 0.4, Model: "0123456789abcdef", Same: true},
			{Case: "rank", Did: "SIGKILL of one rank", StruckAt: 13, Attempts: 2, Resumed: 10, Repeated: 3, Notice: 0.24, Recovery: 4.06, Model: "f"},
			{Case: "node", Did: "a host", Error: "it did not\nstart"},
		},
	}
	document := "# Title\n\n" + figures.BeginMark(command) + "\nold\n" + figures.EndMark + "\n\nthe end\n"
	once, err := figures.Replace(document, command, f.table())
	if err != nil {
		t.Fatal(err)
	}
	want := "# Title\n\n" + figures.BeginMark(command) + `

Measured on 2026-02-03 on 2 cores: 40 steps of 300 ms and more, a checkpoint every 5.
The undisturbed model is ` + "`0123456789ab…`" + `.

| Case | Struck at step | Attempts | Steps repeated | Notice | Recovery | Same model |
|---|---|---|---|---|---|---|
| SIGKILL of the worker | 12 | 1 | 0 | none needed | 0.4 s | yes |
| SIGKILL of one rank | 13 | 2 | 3 | 0.2 s | 4.1 s | **no** |
| a host |  |  |  |  |  | **not measured**: it did not start |

` + figures.EndMark + "\n\nthe end\n"
	if once != want {
		t.Errorf("got:\n%s", once)
	}
	if twice, err := figures.Replace(once, command, f.table()); err != nil || twice != once {
		t.Errorf("writing again changes the document (%v):\n%s", err, twice)
	}
	if _, err := figures.Replace("no marks", command, f.table()); err == nil {
		t.Error("a document without marks was accepted")
	}
}

func TestCheckNamesBrokenPromises(t *testing.T) {
	good := Figure{Case: "rank", Same: true, Repeated: CheckpointEvery, Recovery: MostRecovery.Seconds()}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		spoil func(*Figure)
		says  string
	}{
		"another model":      {func(f *Figure) { f.Same = false }, "is not that of the undisturbed training"},
		"too much repeated":  {func(f *Figure) { f.Repeated++ }, "steps were repeated"},
		"recovered too late": {func(f *Figure) { f.Recovery++ }, "from the notice to progress"},
		"no figures":         {func(f *Figure) { f.Error = "it broke" }, "it broke"},
	} {
		f := good
		c.spoil(&f)
		if err := (Figures{Figures: []Figure{f}}).Check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	differs := good
	differs.Same, differs.Differs = false, "another number of ranks adds in another order"
	if err := differs.Check(); err != nil {
		t.Error(err)
	}
}
