package registry

import (
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/figures"
)

func figuresOfATest() Figures {
	return Figures{
		Date: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), Cores: 2,
		Trips: TripsFigures{First: []Boundary{"POST a", "GET b"}, Later: []Boundary{"GET b"}},
		Seeds: SeedsFigures{Seeds: 2, Right: 2, Calls: 90, Strikes: 11, Took: 12.3, Longest: 4.5, Table: map[Boundary]map[Fault]int{
			"POST a": {ResetBefore: 1, ResetAfter: 1, ErrorBefore: 1, ErrorAfter: 1, Busy: 1, TimeoutBefore: 1, TimeoutAfter: 1,
				KillBefore: 1, KillAfter: 1, MLflowBefore: 1, MLflowAfter: 1},
		}},
		Crowd:   CrowdFigures{Lifecycles: 3, Versions: 3, Promotions: 3},
		Stories: []StoryFigures{{Story: "MLflow down", Ended: "it\nwaits | and goes on"}},
	}
}

func TestFiguresReplaceThoseOfTheLastRun(t *testing.T) {
	f := figuresOfATest()
	once, err := figures.Replace("# Title\n\n"+figures.BeginMark(command)+"\nold\n"+figures.EndMark+"\n\nthe end\n", command, f.tables())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Title\n\n" + figures.BeginMark(command), "2 of 2 seeds", "| `POST a` | 1 | 1 |", `| MLflow down | it waits \| and goes on |`, figures.EndMark + "\n\nthe end\n"} {
		if !strings.Contains(once, want) {
			t.Errorf("%q is missing in:\n%s", want, once)
		}
	}
	if strings.Contains(once, "old") {
		t.Error("the old figures are left")
	}
	if twice, err := figures.Replace(once, command, f.tables()); err != nil || twice != once {
		t.Errorf("writing again changes the document (%v)", err)
	}
	if _, err := figures.Replace("no marks", command, f.tables()); err == nil {
		t.Error("a document without marks was accepted")
	}
}

func TestCheckNamesBrokenPromises(t *testing.T) {
	if err := figuresOfATest().Check(); err != nil {
		t.Error(err)
	}
	for says, spoil := range map[string]func(*Figures){
		"1 of 2 seeds": func(f *Figures) { f.Seeds.Right = 1 },
		"never struck": func(f *Figures) { f.Seeds.Table["POST a"][Busy] = 0 },
		"more than 12": func(f *Figures) { f.Trips.Later = make([]Boundary, MostTrips+1) },
		"3 lifecycles": func(f *Figures) { f.Crowd.Versions = 4 },
		"it fell over": func(f *Figures) { f.Stories[0].Error = "it fell over" },
	} {
		f := figuresOfATest()
		spoil(&f)
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
