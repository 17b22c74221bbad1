package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// sceneOf is the moment at which a share of the fixture's story has passed.
func sceneOf(story *Story, share float64) Scene {
	blocks := story.Blocks[:int(share*float64(len(story.Blocks)))]
	s := Scene{
		Elapsed: time.Duration(share * 104 * float64(time.Second)), From: story.Blocks[0].Start, To: story.Blocks[len(story.Blocks)-1].Start,
		Requests: int64(share * 52318), PerSecond: 812, UI: story.UI, Events: story.Events[:int(share*float64(len(story.Events)))],
	}
	current := story.Lifecycles[min(int(share*3), 2)]
	s.Current = &current
	s.Monitor.Detector.Detectors = []models.Detector{{Spec: models.DetectorSpec{Kind: models.DetectorConformal}, Threshold: 11}}
	if len(blocks) > 0 {
		last := blocks[len(blocks)-1]
		s.EventTime = last.Start
		s.Monitor.Blocks, s.Monitor.Detector.Detectors[0].Value = blocks, last.Martingale
		s.Monitor.Watch = &models.WatchRequest{Version: last.Version}
		for _, a := range story.Alarms {
			if !a.Block.After(last.Start) {
				s.Monitor.Alarms = append(s.Monitor.Alarms, a)
			}
		}
	}
	return s
}

func scenes(t *testing.T) map[string]Scene {
	story := fixture(t)
	training, waiting := sceneOf(story, 0), sceneOf(story, 0.4)
	training.Training = &models.RankProgress{Phase: "training", Step: 40, Of: 100, Curve: story.Lifecycles[0].Curve, Checkpoint: 40}
	training.Current.Status.Result, training.Current.Status.Ended = nil, nil
	waiting.Waiting = []string{"CreateRun, attempt 3: MLflow does not answer\nat all", strings.Repeat("漢字\x1b[2J", 90)}
	waiting.HoldsFor = "a retraining is in stage " + strings.Repeat("train ", 50)
	waiting.Current.Failure = strings.Repeat("no rows ", 40)
	waiting.Monitor.Alarms = []models.Alarm{{State: models.AlarmAsked, Explanation: &models.Explanation{Words: strings.Repeat("harder\n漢字 ", 50)}}}
	return map[string]Scene{
		"empty": {}, "half empty": {Current: &LifecycleStory{}, Training: &models.RankProgress{}},
		"training": training, "waiting": waiting, "middle": sceneOf(story, 0.5), "end": sceneOf(story, 1),
	}
}

func framed(s Scene, columns, rows int, colour bool) []string {
	f := frame{scene: s, now: time.Date(2026, 3, 2, 9, 1, 0, 0, time.UTC), paint: terminal.Paint(colour), columns: columns}
	return f.lines(rows)
}

func TestFramesKeepTheirSize(t *testing.T) {
	all := scenes(t)
	for _, size := range [][2]int{{80, 50}, {80, 24}, {118, 60}, {100, 12}, {80, 1}, {40, 50}} {
		want := len(framed(Scene{}, size[0], size[1], true))
		require.LessOrEqual(t, want, size[1])
		for name, scene := range all {
			lines := framed(scene, size[0], size[1], true)
			require.Len(t, lines, want, "%s at %v", name, size)
			for _, line := range lines {
				require.LessOrEqual(t, ansi.StringWidth(line), size[0]-1, "%s at %v: %q", name, size, line)
				require.NotContains(t, line, "\n")
				require.NotContains(t, line, "\x1b[2J")
			}
		}
	}
}

func TestFrameShowsTheMoment(t *testing.T) {
	shown := func(name string) string {
		return ansi.Strip(strings.Join(framed(scenes(t)[name], 110, 60, true), "\n"))
	}
	for _, want := range []string{"step 40 of 100", "checkpoint at 40", "▇", "loss 0."} {
		require.Contains(t, shown("training"), want)
	}
	for _, want := range []string{"✓  evaluate", "pass  gain over the champion +0.069", "version 2 at 50 %", "at 20 it promotes", "at 100 it rolls back", "at 11 it alarms"} {
		require.Contains(t, shown("middle"), want)
	}
	require.Contains(t, shown("waiting"), "2 reasons, first: CreateRun, attempt 3: MLflow does not answer at all")
	require.Contains(t, shown("end"), "2, last: 22 Dec  loss 0.672 against 0.561 since about 8 Dec  retraining does not help")
	require.Contains(t, shown("end"), "log-loss gain -0.093", "what came of it, while it is not explained")
	require.Contains(t, shown("middle"), "it alarms: conformal")
}

func TestFrameWithoutColour(t *testing.T) {
	for name, scene := range scenes(t) {
		require.NotContains(t, strings.Join(framed(scene, 90, 60, false), ""), "\x1b", name)
	}
	t.Setenv("NO_COLOR", "1")
	var out bytes.Buffer
	newLiveView(&out).Show(scenes(t)["end"])
	require.NotRegexp(t, `\x1b\[[0-9;]*m`, out.String())
}
