package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

// monitored is a monitor with everything that there is to show.
func monitored(t *testing.T) client.Monitor {
	t.Helper()
	text, err := os.ReadFile("../../internal/monitorview/testdata/status.json")
	require.NoError(t, err)
	m := client.Monitor{Endpoint: "flights", WorkflowID: "monitor/flights", Page: "http://127.0.0.1:8233/x"}
	require.NoError(t, json.Unmarshal(text, &m.Status))
	return m
}

func monitorText(m client.Monitor, blocks int) string {
	return trimmed(strings.Join(monitorFrame{layout{columns: 120}, m, blocks}.lines(), "\n") + "\n")
}

func TestAMonitorIsPrinted(t *testing.T) {
	require.Equal(t, ` flights · flight-delay version 2
 watched since 2013-06-23 · blocks of 1d, judged 1d after their end · log complete up to 2013-08-02 07:00

 loss       0.567    ▄▂▄▂▃▆▄▃▄▂▄▁▄▄▅▇▄▂▃▅▄▁▅▄▃▆▆▆█▃▅▆▄▄▅▄▆▅  0.459 to 0.64 in 38 blocks
 reference  0.553    promised: at most 0.578; eight in ten of its 59 blocks: 0.523 to 0.6
 estimated  0.575    2 blocks without labels yet, by the model's own probabilities: no trigger
 evidence   conformal █████████████▊·· 9.5 of 13.8       after 38 blocks
            level     ▍··············· 1.1 of 55         after 38 blocks

 block (UTC)       requests  labelled      loss estimated  evidence  score
 2013-07-27             308       304     0.571     0.585       9.5  final
 2013-07-28             306       295     0.544     0.574       9.5  final
 2013-07-29             315       294     0.592      0.56       9.5  labels may still change it
 2013-07-30             258       257     0.567     0.562       9.5  labels may still change it
 2013-07-31             300                         0.565            labels to come
 2013-08-01             301                         0.575            labels to come

 alarms     2013-06-14  new champion  version 1
            conformal at 31.2 of 13.8; loss 0.637 against 0.553, since about 2013-06-03
            version 2 was promoted: its loss on held-out rows is lower by 0.069
            The loss rose from 0.553 to 0.637 since about 3 June: most of it because the same flights have become
            harder, above all from EWR. Departure hours moved with it.
            its page: mainspring monitor flights --alarm '2013-06-14' --report alarm.html
 inputs     dep_hour: PSI 0.31, Jensen-Shannon 0.18, moved by 0.42 standard deviations
            carrier: PSI 0.12, Jensen-Shannon 0.11, nulls 0.2 %, were 0 %, 3.1 % in new categories
            origin = EWR: loss 0.668, was 0.57; 41 % of the traffic, was 36 %
 actions    2026-11-25 11:40:02Z alarm on version 1: conformal at 31.2 of 13.75
            2026-11-25 11:40:03Z the steward started lifecycle/delay/2013-06-16
            2026-11-25 11:41:40Z version 2 is champion
            2026-11-25 11:41:41Z notice to env:SLACK_URL (failed: HTTP 500, given up after an hour)
            2026-11-25 11:59:00Z kim@ops: pause: the upstream is being upgraded
 paused     alarms start nothing: kim@ops: the upstream is being upgraded
 waits for  the labels of 2013-07-31 to mature; looks every 5m
 page       http://127.0.0.1:8233/x
`, monitorText(monitored(t), 4))
}

// TestMonitorFrameFits: nothing is wider than the terminal, whatever people
// write, and nothing of theirs moves the cursor.
func TestMonitorFrameFits(t *testing.T) {
	m := monitored(t)
	const hostile = "\x1b[2J漢字\n"
	m.Status.Actions[4].Text = strings.Repeat(hostile, 60)
	m.Status.Alarms[0].Action, m.Status.Alarms[0].Explanation.Words = strings.Repeat(hostile, 60), hostile
	m.Status.Watch.Version, m.Status.Watch.Model, m.Status.Waiting, m.Status.Paused = hostile, hostile, hostile, hostile
	m.Status.Inputs.Features[0].Feature = hostile
	m.Status.Detector.Detectors[0].Spec.Column = hostile
	m.Status.Blocks[149].Version = hostile
	for _, columns := range []int{20, 80, 200} {
		for _, line := range (monitorFrame{layout{paint: true, columns: columns}, m, 10}).lines() {
			require.Less(t, ansi.StringWidth(line), columns)
			require.NotContains(t, line, "\x1b[2J")
			require.NotContains(t, line, "\n")
		}
	}
}

// TestASmallTerminalShowsWhatMatters: the end of a frame, which says what is
// waited for, is not what is cut off.
func TestASmallTerminalShowsWhatMatters(t *testing.T) {
	whole := len(monitorFrame{layout{columns: 80}, monitored(t), 10}.lines())
	for rows := 16; rows <= whole; rows++ {
		lines := monitorFrame{layout{columns: 80, height: rows}, monitored(t), 10}.lines()
		require.LessOrEqual(t, len(lines), rows)
		text := strings.Join(lines, "\n")
		for _, want := range []string{"evidence", "alarms     2013-06-14", "paused", "waits for"} {
			require.Contains(t, text, want, rows)
		}
	}
	require.Len(t, monitorFrame{layout{columns: 80, height: whole}, monitored(t), 10}.lines(), whole)
}

func TestAMonitorWithoutMuchToShow(t *testing.T) {
	empty := client.Monitor{Endpoint: "flights", Status: models.MonitorStatus{Waiting: "the first champion"}}
	require.Equal(t, ` flights · no champion yet

 alarms     none
 waits for  the first champion
`, monitorText(empty, 10))
	m := monitored(t)
	m.Status.Blocks, m.Status.Ahead, m.Status.Reference = nil, nil, nil
	require.Contains(t, monitorText(m, 10), " loss       no block with enough labels yet\n")
	require.NotContains(t, monitorText(monitored(t), 0), "requests ", "no block was asked for")
}

func TestAnAlarmIsPrinted(t *testing.T) {
	m := monitored(t)
	a := &m.Status.Alarms[0]
	a.Settled, a.State, a.Action = false, models.AlarmPerson, "3 retrainings in a row did not help"
	m.Status.Pending = a.RequestID
	text := monitorText(m, 1)
	require.Contains(t, text, "2013-06-14  a person must decide  version 1\n            conformal at 31.2 of 13.8; loss 0.637 against 0.553, since about 2013-06-03\n            3 retrainings in a row did not help\n")
	require.Contains(t, text, "the detectors rest until the open alarm is settled")
	for range 4 {
		m.Status.Alarms = append(m.Status.Alarms, *a)
	}
	require.Contains(t, monitorText(m, 1), "and 2 before")
	require.Equal(t, "alarm of 2013-06-14: a person must decide; paused", monitorState(m.Status))

	m.Status.Trouble = "the log can't be read"
	require.Contains(t, monitorText(m, 1), " trouble    blocks can't be scored: the log can't be read\n")
	require.Equal(t, "alarm of 2013-06-14: a person must decide; paused; blocks can't be scored: the log can't be read", monitorState(m.Status))
	m.Closed = noon
	require.Contains(t, monitorText(m, 1), "ended      2026-11-25 12:00:00Z: nobody watches; the steward starts it anew within minutes")
}

func TestNewsOfAMonitor(t *testing.T) {
	now := monitored(t).Status
	before := monitored(t).Status
	require.Empty(t, monitorNews(before, now))
	before.Blocks, before.Actions, before.Waiting = before.Blocks[:149], before.Actions[:4], ""
	before.Alarms[0].State = models.AlarmAsked
	require.Equal(t, []string{
		"block 2013-07-30: loss 0.567 on 257 of 258 labelled, version 2, evidence 9.5, labels may still change it",
		"alarm 2013-06-14: new champion, version 2 was promoted: its loss on held-out rows is lower by 0.069",
		"2026-11-25 11:59:00Z pause: the upstream is being upgraded",
		"waits for the labels of 2013-07-31 to mature; looks every 5m",
	}, monitorNews(before, now))
	require.Len(t, monitorNews(models.MonitorStatus{}, now), 150+1+5+1)
}

func TestMonitorsAreListed(t *testing.T) {
	var out strings.Builder
	require.NoError(t, printMonitors(&out, []client.Monitor{
		monitored(t), {Endpoint: "lost", Trouble: "no worker answers\n"}, {Endpoint: "new", Status: models.MonitorStatus{Waiting: "the first champion"}},
	}))
	require.Equal(t, `ENDPOINT  MODEL         VERSION  NEWEST BLOCK  LOSS   REFERENCE  NEAREST TO ALARM       STATE
flights   flight-delay  2        2013-07-30    0.567  0.553      conformal 9.5 of 13.8  watches; paused
lost      -             -        -             -      -          -                      no worker answers
new       -             -        -             -      -          -                      waits for the first champion
`, out.String())
}

func TestWhatAnOrderToAMonitorDid(t *testing.T) {
	status := monitored(t).Status
	text := func(action models.MonitorAction) string {
		return strings.Join(monitorOrdered("flights", action, status), "\n")
	}
	require.Contains(t, text(models.MonitorPause), "alarms start nothing\n  go on:      mainspring monitor flights resume --reason …")
	require.Contains(t, text(models.MonitorResume), "alarms start retrainings again\n  waits for:  the labels of")
	require.NotContains(t, text(models.MonitorResume), "alarm:", "none is open")
	status.Alarms[0].Settled, status.Alarms[0].Action = false, "asked for by kim"
	require.Contains(t, text(models.MonitorRetrain), "cooldown and budget do not hold it, and failures count anew\n  alarm:      asked for by kim")
	require.Contains(t, text(models.MonitorAccept), "the present level is the normal one from now on")
}

// TestASliceThatNoBlockHas is mostly a name that is wrong.
func TestASliceThatNoBlockHas(t *testing.T) {
	m := monitored(t)
	watched := models.Detector{Spec: models.DetectorSpec{Kind: models.DetectorConformal, Column: "origin", Slice: "EWX"}, Threshold: 55, Value: 1}
	m.Status.Detector.Detectors = append(m.Status.Detector.Detectors, watched)
	require.Contains(t, monitorText(m, 4), "1 of 55           no block has this slice: a wrong name?\n")
	m.Status.Detector.Detectors = m.Status.Detector.Detectors[2:]
	require.Contains(t, monitorText(m, 4), "after 0 blocks", "no other has seen one either")
}

func TestMonitorUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for line, want := range map[string]string{
		"monitor flights pasue":                   `"pasue" is no order; did you mean pause?`,
		"monitor flights stop-everything-now":     `"stop-everything-now" is no order; write one of retrain, accept, pause, resume`,
		"monitor pause flights":                   "the endpoint comes first: mainspring monitor flights pause",
		"monitor flights pause":                   "say why with --reason: it is kept on the monitor's record",
		"monitor flights pause --reason x --by ,": "no Temporal server answers",
		"monitor --report x.html":                 "--report goes with one ENDPOINT, and with neither --follow nor --json nor an order",
		"monitor flights --alarm last":            "say with --report where to write the alarm's page",
		"monitor --follow":                        "--follow goes with one ENDPOINT, and with neither --json nor an order",
		"monitor flights --reason x":              "--reason and --by go with an order: retrain, accept, pause, resume",
		"monitor flights --blocks -1":             "--blocks can't be negative",
	} {
		got := mainspring(t, strings.Fields(line)...)
		require.Contains(t, got.stderr, want, line)
		require.NotZero(t, got.code, line)
	}
}

func TestTheReportIsAFile(t *testing.T) {
	f := monitorFlags{report: t.TempDir() + "/monitor.html"}
	var out strings.Builder
	require.NoError(t, f.write(t.Context(), monitored(t), &out))
	require.Equal(t, "flights: the report is in "+f.report+"\n", out.String())
	page, err := os.ReadFile(f.report)
	require.NoError(t, err)
	require.Contains(t, string(page), "flights: is the model still good?")
	f.report = "-"
	require.NoError(t, f.write(t.Context(), monitored(t), &out))
	require.Contains(t, out.String(), "<!DOCTYPE html>")
	f.report = t.TempDir() + "/no/such/directory.html"
	require.ErrorContains(t, f.write(t.Context(), monitored(t), &out), "write the report (--report): ")
}

func TestAnAlarmIsNamedByItsBlock(t *testing.T) {
	m := monitored(t)
	for _, name := range []string{"2013-06-14", "last"} {
		alarm, err := alarmNamed(m, name)
		require.NoError(t, err)
		require.Equal(t, m.Status.Alarms[0].RequestID, alarm.RequestID)
	}
	_, err := alarmNamed(m, "2013-06-15")
	require.EqualError(t, err, "flights: there is no alarm of 2013-06-15; there are those of 2013-06-14")
	m.Status.Alarms[0].Explanation.Report = nil
	_, err = (&monitorFlags{alarm: "last"}).alarmPage(t.Context(), m)
	require.ErrorContains(t, err, "the alarm of 2013-06-14 has no page (yet)")
	m.Status.Alarms = nil
	_, err = alarmNamed(m, "last")
	require.EqualError(t, err, "flights: no alarm was raised")
}
