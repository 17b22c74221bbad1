package models

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidateMonitor(t *testing.T) {
	const durationHint = " (write a number and a unit, such as 90s, 36h or 60d)"
	const receiverHint = " (write https://…, or env:NAME or file:PATH of a secret on the worker)"
	const hour = Duration(time.Hour)
	for name, test := range map[string]struct {
		change func(*LifecycleSpec)
		want   string // all problems, one on a line
	}{
		"all of it": {func(s *LifecycleSpec) {
			never := Duration(0)
			s.Evaluate.Slices = []SliceSpec{{Column: "carrier"}}
			s.Monitor = &MonitorSpec{
				Block: hour, Corrections: &never, Slices: []SliceSpec{{Column: "hour", Quantiles: 4}},
				Detectors: []DetectorSpec{
					{Kind: DetectorConformal, Season: SeasonHourOfWeek, Share: 0.5}, {Kind: DetectorLevel, Level: f(0.6)},
					{Kind: DetectorEstimated}, {Kind: DetectorConformal, Column: "hour", Slice: "(12, 40]"}},
				Inputs: InputsSpec{Features: []string{"carrier"}, Bins: 64, Level: 0.5},
				Retrain: RetrainSpec{Window: 30 * Day, From: RetrainFromChange, MinWindow: 10 * Day, Holdout: 7 * Day,
					Budget: &RetrainBudget{Runs: 2, GPUHours: 1.5}, Schedule: &ScheduleSpec{Cron: "0 4 1-15/2 jan,jul mon-FRI"}, Arrival: &ArrivalSpec{}},
				Notify: []NotifySpec{{URL: "https://x/hook"}, {URL: "http://127.0.0.1:9/"}, {URL: "env:HOOK", Format: NotifySlack},
					{URL: "file:/run/secrets/hook", On: []NoticeKind{NoticeAlarm, NoticePerson}}},
			}
		}, ""},
		"another task":       {func(s *LifecycleSpec) { s.Data.Task = TaskRegression }, ""},
		"blocks of requests": {func(s *LifecycleSpec) { s.Monitor.BlockRows = 30 }, ""},
		"blocks in two ways": {func(s *LifecycleSpec) { s.Monitor.BlockRows, s.Monitor.Block = 100, Day },
			"monitor.block_rows: is given beside block (keep one of them)"},
		"blocks of one request": {func(s *LifecycleSpec) { s.Monitor.BlockRows, s.Monitor.MinLabels = 1, 1 },
			"monitor.block_rows: is 1; it must be at least 2"},
		"blocks of fewer than none": {func(s *LifecycleSpec) { s.Monitor.BlockRows = -1 },
			"monitor.block_rows: is -1; it must be at least 2"},
		"blocks that can't be judged": {func(s *LifecycleSpec) { s.Monitor.BlockRows = 29 },
			"monitor.block_rows: is 29; with min_labels 30 no block could ever be judged (make blocks larger, or min_labels smaller)"},
		"blocks of seconds": {func(s *LifecycleSpec) { s.Monitor.Block = Duration(time.Second) },
			"monitor.block: is 1s; it must be at least 1m0s"},
		"blocks that stay open": {func(s *LifecycleSpec) {
			s.Monitor.Block, s.Monitor.Maturity = Duration(time.Minute), 7*Day
		}, "monitor.corrections: is 7d; 10080 blocks of 1m0s would wait for it at a time, and 5000 may (shorten it, or make blocks longer)"},
		"detectors": {func(s *LifecycleSpec) {
			s.Monitor.Detectors = []DetectorSpec{
				{Kind: "ks", Season: "moon", Share: -1}, {Kind: DetectorLevel, Season: SeasonDayOfWeek, Level: f(0)},
				{Kind: DetectorConformal, Level: f(1), Slice: "UA", Season: SeasonNone}, {Kind: DetectorEstimated, Column: "carrier", Slice: "UA"},
				{Kind: DetectorConformal, Column: "carrier", Slice: "UA", Season: SeasonHourOfWeek}, {Kind: DetectorConformal, Season: SeasonDayOfWeek}, {Kind: DetectorConformal, Season: SeasonDayOfWeek, Share: 2}}
		},
			"monitor.detectors[0].kind: is \"ks\"; it must be conformal, level or estimated\n" +
				"monitor.detectors[0].season: is \"moon\"; it must be none, day_of_week or hour_of_week\n" +
				"monitor.detectors[0].share: is -1; it must be above 0\n" +
				"monitor.detectors[1].season: is for ranks; a level has no seasons (drop it, or use kind conformal)\n" +
				"monitor.detectors[1].level: must be above 0\n" +
				"monitor.detectors[2].level: is given for kind conformal (drop it, or use kind level)\n" +
				"monitor.detectors[2].slice: needs a column, and a column a slice (name both column and slice)\n" +
				"monitor.detectors[3].column: can't be watched by kind estimated (use kind conformal or level)\n" +
				"monitor.detectors[4].season: is hour_of_week, and a block of 1d has no hour (use day_of_week, or shorter blocks)\n" +
				"monitor.detectors[6]: is listed twice (give one of them a larger share)\n" +
				"monitor.detectors[3].column: \"carrier\" is no column of monitor.slices (add it to monitor.slices)\n" +
				"monitor.detectors[4].column: \"carrier\" is no column of monitor.slices (add it to monitor.slices)"},
		"days of the week in blocks of weeks": {func(s *LifecycleSpec) {
			s.Monitor.Block, s.Monitor.Detectors = 7*Day, []DetectorSpec{{Kind: DetectorConformal, Season: SeasonDayOfWeek}}
		},
			"monitor.detectors[0].season: is day_of_week, and a block of 7d has no day (drop it, or use shorter blocks)"},
		"the error of a regression can't be estimated": {func(s *LifecycleSpec) {
			s.Data.Task, s.Monitor.Detectors = TaskRegression, []DetectorSpec{{Kind: DetectorEstimated}}
		},
			"monitor.detectors[0].kind: is estimated, and a regression's predictions say nothing about their error (use conformal or level)"},
		"inputs": {func(s *LifecycleSpec) {
			s.Monitor.Inputs = InputsSpec{Features: []string{"hour", "huor"}, Bins: 3, Level: 1}
		},
			"monitor.inputs.bins: is 3; it must be from 4 to 64\n" +
				"monitor.inputs.level: is 1; it must be between 0 and 1\n" +
				"monitor.inputs.features[1]: \"huor\" is no column of this spec; it has carrier or hour"},
		"slices": {func(s *LifecycleSpec) {
			s.Evaluate.Slices = []SliceSpec{{Column: "carrier"}}
			s.Monitor.Slices = []SliceSpec{{Column: "carrier", Quantiles: 21, Max: 101}, {Column: "id"}, {}}
		},
			"monitor.slices[0].quantiles: is 21; it must be between 2 and 20 (drop it for one slice per value)\n" +
				"monitor.slices[0].max: is 101; it must be between 1 and 100\n" +
				"monitor.slices[2].column: is missing (the column to cut the rows by)\n" +
				"monitor.slices[1].column: is \"id\", the key: every row would be a slice"},
		"inherited slices are told of once": {func(s *LifecycleSpec) { s.Evaluate.Slices = []SliceSpec{{Column: "id"}} },
			"evaluate.slices[0].column: is \"id\", the key: every row would be a slice"},
		"retraining": {func(s *LifecycleSpec) {
			s.Monitor.Retrain = RetrainSpec{From: "now", Cooldown: -1, MaxFailures: 101,
				Budget:   &RetrainBudget{Per: -1, Runs: 201, GPUHours: -0.5},
				Schedule: &ScheduleSpec{Every: -1, CatchUp: -1}, Arrival: &ArrivalSpec{Poll: -1, Partitions: -1, Quiet: -2}}
		},
			"monitor.retrain.from: is \"now\"; it must be window or change\n" +
				"monitor.retrain.cooldown: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.retrain.max_failures: is 101; it must be from 1 to 100\n" +
				"monitor.retrain.budget.per: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.retrain.budget.runs: is 201; it must be from 0 to 200\n" +
				"monitor.retrain.budget.gpu_hours: is -0.5; it must be 0 or more\n" +
				"monitor.retrain.schedule.every: is -1ns; it must be at least 1m0s\n" +
				"monitor.retrain.schedule.catch_up: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.retrain.arrival.poll: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.retrain.arrival.partitions: is -1; it must be at least 1\n" +
				"monitor.retrain.arrival.quiet: is -2ns; it must be 0s or more"},
		"a budget without a limit": {func(s *LifecycleSpec) { s.Monitor.Retrain.Budget = &RetrainBudget{} },
			"monitor.retrain.budget: limits nothing (give runs, gpu_hours or both)"},
		"the shortest window is as short as the holdout": {func(s *LifecycleSpec) {
			s.Monitor.Retrain = RetrainSpec{From: RetrainFromChange, MinWindow: 14 * Day}
		}, "monitor.retrain.min_window: is 14d; it must be longer than the holdout (14d)"},
		"the shortest window is longer than the longest": {func(s *LifecycleSpec) {
			s.Monitor.Retrain = RetrainSpec{From: RetrainFromChange, MinWindow: 61 * Day}
		}, "monitor.retrain.min_window: is 61d; it must not be longer than the window (60d)"},
		"a holdout of one block": {func(s *LifecycleSpec) { s.Monitor.Retrain.Holdout = Day },
			"monitor.retrain.holdout: is 1d; it must hold at least two blocks of evaluate.champion.block (1d) (make it longer or the block shorter)"},
		"a schedule that says nothing": {func(s *LifecycleSpec) { s.Monitor.Retrain.Schedule = &ScheduleSpec{} },
			"monitor.retrain.schedule: says when in no way or in two (give either cron or every)"},
		"a schedule that says it twice": {func(s *LifecycleSpec) { s.Monitor.Retrain.Schedule = &ScheduleSpec{Cron: "0 4 * * *", Every: Day} },
			"monitor.retrain.schedule: says when in no way or in two (give either cron or every)"},
		"receivers": {func(s *LifecycleSpec) {
			s.Monitor.Notify = []NotifySpec{
				{}, {URL: "hook"}, {URL: "ftp://x/y"}, {URL: "https://"}, {URL: "env:MY-HOOK"}, {URL: "file:hook"},
				{URL: "https://hooks.slack.com/services/T0/B0/hush"}, {URL: "https://ada:hush@x/"},
				{URL: "https://x", Format: "xml", On: []NoticeKind{NoticeAlarm, "lunch", NoticeAlarm}}}
		},
			"monitor.notify[0].url: is missing (https://…, env:NAME or file:PATH)\n" +
				"monitor.notify[1].url: is neither an address nor a reference" + receiverHint + "\n" +
				"monitor.notify[2].url: is neither an address nor a reference" + receiverHint + "\n" +
				"monitor.notify[3].url: is neither an address nor a reference" + receiverHint + "\n" +
				"monitor.notify[4].url: refers to \"MY-HOOK\", which is no name of an environment variable" + receiverHint + "\n" +
				"monitor.notify[5].url: refers to \"hook\"; the path on the worker must be absolute" + receiverHint + "\n" +
				"monitor.notify[6].url: is a secret, and the spec is kept in histories and logs (write env:NAME or file:PATH)\n" +
				"monitor.notify[7].url: is a secret, and the spec is kept in histories and logs (write env:NAME or file:PATH)\n" +
				"monitor.notify[8].format: is \"xml\"; it must be json or slack\n" +
				"monitor.notify[8].on[1]: is \"lunch\"; it must be alarm, retraining, promoted, not_helping, failed, refused or person\n" +
				"monitor.notify[8].on[2]: \"alarm\" is listed twice"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := validSpec()
			test.change(&spec)
			checkProblems(t, spec.Validate(), test.want)
		})
	}
}

func TestCron(t *testing.T) {
	for text, want := range map[string]string{
		"0 4 * * 1": "", "*/15 0-6 1,15 2-12/2 sun": "", "0 0 31 DEC 7": "", "5/10 * * * *": "",
		"@daily":            "must have five fields",
		"0 4 * * 1 2026":    "must have five fields",
		"60 * * * *":        `the minute "60"; it must be from 0 to 59`,
		"0 24 * * *":        `the hour "24"`,
		"0 0 0 * *":         `the day of the month "0"; it must be from 1 to 31`,
		"0 0 1 13 *":        `the month "13"`,
		"0 0 1 mai *":       `the month "mai"`,
		"0 0 * * 8":         `the day of the week "8"; it must be from 0 to 7`,
		"0 6-2 * * *":       `the hour "6-2"`,
		"0 */0 * * *":       `the hour "*/0"`,
		"0 1,,2 * * *":      `the hour ""`,
		"0 1-2-3 * * *":     `the hour "1-2-3"`,
		"-1 0 * * *":        `the minute "-1"`,
		"0 4 * * L":         `the day of the week "L"`,
		"CRON_TZ=x 0 4 * *": `the minute "CRON_TZ=x"`,
	} {
		got := cronProblem(text)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestMonitorDefaults(t *testing.T) {
	spec := validSpec()
	spec.Evaluate.Slices = []SliceSpec{{Column: "carrier"}}
	spec.Monitor = &MonitorSpec{
		BlockRows: 500, Maturity: 2 * Day, Detectors: []DetectorSpec{{Kind: DetectorConformal, Season: SeasonDayOfWeek}},
		Retrain: RetrainSpec{Window: 21 * Day, Holdout: 10 * Day, Budget: &RetrainBudget{Runs: 1}, Schedule: &ScheduleSpec{Every: Day},
			Arrival: &ArrivalSpec{Poll: Duration(time.Hour)}},
		Notify: []NotifySpec{{URL: "env:HOOK"}, {URL: "env:HOOK", Format: NotifySlack, On: []NoticeKind{NoticePerson}}},
	}
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	corrections := 2 * Day // as long as the maturity
	want := MonitorSpec{
		BlockRows: 500, Maturity: 2 * Day, Corrections: &corrections, MinLabels: 30, FalseAlarmsPerYear: 0.1, ReferenceBlocks: 30,
		Detectors: []DetectorSpec{{Kind: DetectorConformal, Share: 1, Season: SeasonDayOfWeek}},
		Poll:      Duration(5 * time.Minute), Slices: []SliceSpec{{Column: "carrier", MinRows: 200, Max: 20}}, Inputs: InputsSpec{Bins: 16, Level: 0.1},
		// The shortest window is three holdouts, but no longer than the window.
		Retrain: RetrainSpec{Window: 21 * Day, From: RetrainFromWindow, MinWindow: 21 * Day, Holdout: 10 * Day, Cooldown: 14 * Day, MaxFailures: 3,
			Budget: &RetrainBudget{Per: 30 * Day, Runs: 1}, Schedule: &ScheduleSpec{Every: Day, CatchUp: Duration(time.Hour)},
			Arrival: &ArrivalSpec{Poll: Duration(time.Hour), Partitions: 1, Quiet: Duration(time.Hour)}},
		Notify: []NotifySpec{{URL: "env:HOOK", Format: NotifyJSON, On: NoticeKinds()}, {URL: "env:HOOK", Format: NotifySlack, On: []NoticeKind{NoticePerson}}},
	}
	got := *spec.WithDefaults().Monitor
	if !reflect.DeepEqual(got, want) {
		t.Errorf("defaults:\n%+v\nwant:\n%+v", got, want)
	}
	if again := *spec.WithDefaults().WithDefaults().Monitor; !reflect.DeepEqual(again, want) {
		t.Errorf("not idempotent:\n%+v\nwant:\n%+v", again, want)
	}
	if after, err := json.Marshal(spec); err != nil || string(after) != string(text) {
		t.Errorf("WithDefaults changed its receiver: %s, %v", after, err)
	}
	written := Duration(0)
	alone := MonitorSpec{Corrections: &written, Block: Duration(time.Hour)}.WithDefaults()
	if *alone.Corrections != 0 || alone.Block != Duration(time.Hour) || alone.Retrain.Window != 0 || alone.Slices != nil {
		t.Errorf("what is written, and what only the whole spec knows: %+v", alone)
	}
}

// The monitor inherits the slices, so they are twice in what travels.
func TestTheLargestSlicesFitTheSpec(t *testing.T) {
	spec := validSpec()
	spec.Data.Features = nil
	for i := range 100 {
		name := fmt.Sprintf("feature_%03d", i)
		spec.Data.Features = append(spec.Data.Features, name)
		spec.Evaluate.Slices = append(spec.Evaluate.Slices, SliceSpec{Column: name, Quantiles: 2})
	}
	checkProblems(t, spec.Validate(), "")
	inherited := spec.WithDefaults()
	if !slices.Equal(inherited.Monitor.Slices, inherited.Evaluate.Slices) {
		t.Error("the slices are not inherited")
	}
	text, err := json.Marshal(inherited)
	if err != nil || len(text) > maxSpecBytes {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
