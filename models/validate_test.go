package models

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func validSpec() LifecycleSpec {
	return LifecycleSpec{
		Model: ModelSpec{Name: "delay"},
		Data: DataSpec{
			Source: "data/", Time: "sched", Key: "id", Label: "late", LabelTime: "arrived",
			Features: []string{"carrier", "hour"}, Window: 60 * Day, Holdout: 14 * Day,
		},
		Train:   TrainSpec{Command: []string{"python", "train.py"}, Code: Source{Path: "."}},
		Deploy:  &DeploySpec{Endpoint: "delay"},
		Monitor: &MonitorSpec{},
	}
}

func f(v float64) *float64 { return &v }

func TestValidate(t *testing.T) {
	const nameRule = "; a name has letters, digits, '-', '_' and '.', starts with a letter or digit, and is at most 100 long"
	const commandHint = " (write program and arguments as a list, such as [python, train.py])"
	const durationHint = " (write a number and a unit, such as 90s, 36h or 60d)"
	tests := []struct {
		name   string
		change func(*LifecycleSpec)
		want   string // all problems, one on a line
	}{
		{"valid", func(*LifecycleSpec) {}, ""},
		{"label time may be the event time", func(s *LifecycleSpec) { s.Data.LabelTime = "sched" }, ""},
		{"no model name", func(s *LifecycleSpec) { s.Model.Name = "" },
			"model.name: is missing (a name of letters, digits, '-', '_' and '.')"},
		{"slash in model name", func(s *LifecycleSpec) { s.Model.Name = "a/b" }, `model.name: is "a/b"` + nameRule},
		{"colon in endpoint", func(s *LifecycleSpec) { s.Deploy.Endpoint = "a:b" }, `deploy.endpoint: is "a:b"` + nameRule},
		{"pool with a space", func(s *LifecycleSpec) { s.Train.Resources.Pool = "a b" }, `train.resources.pool: is "a b"` + nameRule},
		{"window shorter than holdout", func(s *LifecycleSpec) { s.Data.Window = 7 * Day },
			"data.window: is 7d and must be longer than the holdout (14d) (the rest of the window is what trains)\n" +
				"monitor.retrain.window: is 7d and must be longer than the holdout (14d) (the rest of the window is what trains)"},
		{"retraining with its own impossible window", func(s *LifecycleSpec) { s.Monitor.Retrain.Window = 14 * Day },
			"monitor.retrain.window: is 14d and must be longer than the holdout (14d) (the rest of the window is what trains)"},
		{"negative window", func(s *LifecycleSpec) { s.Data.Window = -Day; s.Monitor = nil },
			"data.window: is -1d; it must be longer than 0" + durationHint},
		{"holdout of one block", func(s *LifecycleSpec) { s.Data.Holdout = Day },
			"data.holdout: is 1d; it must hold at least two blocks of evaluate.champion.block (1d) (make it longer or the block shorter)"},
		{"no features", func(s *LifecycleSpec) { s.Data.Features = nil },
			"data.features: is empty (name the columns the model sees)"},
		{"a feature twice", func(s *LifecycleSpec) { s.Data.Features = []string{"hour", "hour", ""} },
			"data.features[1]: \"hour\" is listed twice\ndata.features[2]: is an empty name"},
		{"leaks", func(s *LifecycleSpec) { s.Data.Features = []string{"late", "arrived", "id"} },
			"data.features[0]: \"late\" is the label: the model would see the answer (remove it)\n" +
				"data.features[1]: \"arrived\" is known only together with the label: the model would see the answer (remove it)\n" +
				"data.features[2]: \"id\" is the key: it identifies a row and says nothing about it (remove it)"},
		{"one column for all", func(s *LifecycleSpec) {
			s.Data.Time, s.Data.Key, s.Data.Label, s.Data.LabelTime = "x", "x", "x", "x"
		},
			"data.key: is \"x\", the column of data.time; they must differ\n" +
				"data.label: is \"x\", which is data.time or data.key already\n" +
				"data.label_time: is \"x\", which is data.label or data.key already"},
		{"nothing in data", func(s *LifecycleSpec) { s.Data = DataSpec{}; s.Monitor = nil },
			"data.source: is missing (s3://bucket/prefix/, file:///dir/ or a path relative to the spec)\n" +
				"data.time: is missing (the column with the event time of a row)\n" +
				"data.key: is missing (the column that identifies a row)\n" +
				"data.label: is missing (the column with the outcome, see data.task)\n" +
				"data.features: is empty (name the columns the model sees)\n" +
				"data.window: is missing, or 0" + durationHint + "\n" +
				"data.holdout: is missing, or 0" + durationHint},
		{"foreign source", func(s *LifecycleSpec) { s.Data.Source = "https://x/y" },
			`data.source: has the scheme "https"; it must be s3://, file:// or a path relative to the spec`},
		{"checks", func(s *LifecycleSpec) {
			s.Data.Checks = DataChecks{MinRows: -1, MaxNullFraction: map[string]float64{"hour": 1.5, "huor": 0.1},
				Range: map[string]Range{"hour": {Min: f(2), Max: f(1)}, "id": {}}}
		},
			"data.checks.min_rows: is -1; it must be at least 1\n" +
				"data.checks.max_null_fraction.hour: is 1.5; it must be between 0 and 1\n" +
				"data.checks.max_null_fraction.huor: \"huor\" is no column of this spec; it has sched, id, late, arrived, carrier or hour\n" +
				"data.checks.range.hour: has min 2 above max 1\n" +
				"data.checks.range.id: says nothing: give min, max or both"},
		{"no command", func(s *LifecycleSpec) { s.Train.Command = nil }, "train.command: is missing" + commandHint},
		{"shell string", func(s *LifecycleSpec) { s.Train.Command = []string{"python train.py"} },
			`train.command[0]: is "python train.py", a whole command line in one string; no shell reads it` + commandHint},
		{"environment", func(s *LifecycleSpec) {
			s.Train.Env = map[string]string{"A-B": "x", "MAINSPRING_PARAMS": "x", "HF_TOKEN": "hf_123", "OK_TOKEN": "env:HF_TOKEN",
				"BAD": "env:", "FILE": "file:secret", "GOOD": "file:/run/secret", "TOKENIZERS_PARALLELISM": "false"}
		},
			"train.env.A-B: \"A-B\" is no name of an environment variable\n" +
				"train.env.BAD: refers to \"\", which is no name of an environment variable (such as env:HF_TOKEN)\n" +
				"train.env.FILE: refers to \"secret\"; the path on the host must be absolute (such as file:/run/secrets/token)\n" +
				"train.env.HF_TOKEN: looks like a secret, and the spec is kept in histories and logs (write env:NAME or file:PATH)\n" +
				"train.env.MAINSPRING_PARAMS: names with MAINSPRING_ are set by the engine (hand parameters over in train.params)"},
		{"resources", func(s *LifecycleSpec) {
			restarts := -1
			s.Train.Resources = Resources{Nodes: -1, GPUsPerNode: -2, DeviceMemory: -5}
			s.Train.Timeout, s.Train.Grace, s.Train.MaxRestarts = -1, -1, &restarts
		},
			"train.resources.nodes: is -1; it must be at least 1\n" +
				"train.resources.gpus_per_node: is -2; it must be at least 1\n" +
				"train.resources.device_memory: is -5B; it must not be below 0\n" +
				"train.timeout: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"train.grace: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"train.max_restarts: is -1; it must be at least 0"},
		{"shape written twice", func(s *LifecycleSpec) {
			s.Train.Resources = Resources{Nodes: 2, MinNodes: 3, GPUs: 4, Placement: "scatter", GPUMilli: 1001}
		},
			"train.resources.gpus: is given together with nodes or gpus_per_node (write nodes and gpus_per_node, or gpus, or uuids)\n" +
				"train.resources.min_nodes: is given together with gpus, which says nothing of hosts (write nodes and gpus_per_node)\n" +
				"train.resources.placement: is \"scatter\"; it must be pack or spread\n" +
				"train.resources.gpu_milli: is 1001; it must be between 1 and 1000"},
		{"elastic the wrong way round", func(s *LifecycleSpec) {
			s.Train.Resources = Resources{Nodes: 2, MinNodes: 3, Placement: PlacementSpread, CPUsPerGPU: -1, MemoryPerGPU: -1, MinRuntime: -1, MaxWait: -1}
		},
			"train.resources.min_nodes: is 3; it must be between 1 and nodes (2)\n" +
				"train.resources.placement: is given without gpus (write nodes and gpus_per_node, or gpus, or uuids)\n" +
				"train.resources.cpus_per_gpu: is -1; it must not be below 0\n" +
				"train.resources.memory_per_gpu: is -1B; it must not be below 0\n" +
				"train.resources.min_runtime: is -1ns; it must not be below 0\n" +
				"train.resources.max_wait: is -1ns; it must not be below 0"},
		{"devices by name", func(s *LifecycleSpec) {
			s.Train.Resources = Resources{UUIDs: []string{"GPU-1", "", "GPU-1"}, Nodes: 1, DeviceModels: []string{""}}
		},
			"train.resources.uuids: names the devices, and a shape is given as well (write nodes and gpus_per_node, or gpus, or uuids)\n" +
				"train.resources.uuids[1]: is empty\n" +
				"train.resources.uuids[2]: \"GPU-1\" is listed twice\n" +
				"train.resources.device_models[0]: is empty"},
		{"budgets", func(s *LifecycleSpec) {
			s.Train.HangTimeout, s.Train.Budget.GPUSeconds, s.Train.Checkpoints = -1, -1, CheckpointKeep{Last: -1, Every: -1}
		},
			"train.hang_timeout: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"train.budget.gpu_seconds: is -1; it must be at least 0\n" +
				"train.checkpoints.keep_last: is -1; it must be at least 1\n" +
				"train.checkpoints.keep_every: is -1; it must be at least 0"},
		{"canary", func(s *LifecycleSpec) {
			s.Deploy.Replicas = -1
			s.Deploy.Resources.Nodes = 2
			s.Deploy.Canary = CanarySpec{Steps: []float64{10, 10, 100, 5}, FalseAlarm: 1, FalsePass: -0.1, Tolerance: -1,
				MaxErrorRate: 2, StepDeadline: -1, OnDeadline: "promote", Poll: -1}
		},
			"deploy.replicas: is -1; it must be at least 1\n" +
				"deploy.resources.nodes: is 2; one replica runs on one host (set replicas for more servers)\n" +
				"deploy.canary.steps[1]: is 10 after 10; steps must rise\n" +
				"deploy.canary.steps[2]: is 100; a step is above 0 and below 100 percent (the promotion itself is the step to 100)\n" +
				"deploy.canary.steps[3]: is 5 after 100; steps must rise\n" +
				"deploy.canary.false_rollback: is 1; it must be above 0 and below 1\n" +
				"deploy.canary.false_promotion: is -0.1; it must be above 0 and below 1\n" +
				"deploy.canary.tolerance: is -1; it must be above 0 (0.5 calls a rise by half a regression)\n" +
				"deploy.canary.max_error_rate: is 2; it must be above 0 and below 1\n" +
				"deploy.canary.step_deadline: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"deploy.canary.on_deadline: is \"promote\"; it must be roll_back or hold\n" +
				"deploy.canary.poll: is -1ns; it must be longer than 0" + durationHint},
		{"monitor", func(s *LifecycleSpec) {
			s.Monitor = &MonitorSpec{Block: -1, Maturity: -1, MinLabels: -1, FalseAlarmsPerYear: -1, ReferenceBlocks: 1, Poll: -1,
				Retrain: RetrainSpec{Cooldown: -1, MaxFailures: -1}}
		},
			"monitor.block: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.maturity: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.corrections: is -1ns; it must be 0s or more\n" +
				"monitor.min_labels: is -1; it must be at least 1\n" +
				"monitor.false_alarms_per_year: is -1; it must be above 0\n" +
				"monitor.reference_blocks: is 1; it must be at least 2\n" +
				"monitor.poll: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.retrain.cooldown: is -1ns; it must be longer than 0" + durationHint + "\n" +
				"monitor.retrain.max_failures: is -1; it must be from 1 to 100"},
		{"nothing to watch", func(s *LifecycleSpec) { s.Deploy = nil },
			"monitor: nothing to watch: the spec has no deploy section (add a deploy section or drop monitor)"},
		{"another runtime is judged than served", func(s *LifecycleSpec) { s.Evaluate.Predict.Runtime = RuntimePyfunc },
			"evaluate.predict.runtime: is pyfunc, and deploy serves with onnx: the gate would judge another runtime than the one that answers (use onnx, name a server in deploy.server.command, or drop deploy)"},
		{"trigger", func(s *LifecycleSpec) { s.Trigger = &Trigger{Kind: "cron"} },
			`trigger.kind: is "cron"; it must be manual, alarm, schedule or arrival`},
		{"parameters without a JSON form", func(s *LifecycleSpec) { s.Train.Params = map[string]any{"x": math.NaN()} },
			"train.params: cannot be written as JSON: json: unsupported value: NaN (numbers, strings, booleans, lists and maps only)"},
		{"digest", func(s *LifecycleSpec) { s.Train.Code = Source{URI: "file:///x", SHA256: "12", Size: 1} },
			"train.code.uri: is \"file:///x\"; packed bytes lie under s3://\n" +
				"train.code.sha256: is \"12\"; it must be 64 hexadecimal digits (render the spec again)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			spec := validSpec()
			test.change(&spec)
			checkProblems(t, spec.Validate(), test.want)
		})
	}
}

func checkProblems(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Errorf("error is a %T with %d problems; want Problems", err, len(problems))
		}
	}
	if got != want {
		t.Errorf("problems:\n%s\nwant:\n%s", got, want)
	}
}

func TestValidateSize(t *testing.T) {
	spec := validSpec()
	spec.Train.Params = map[string]any{"table": strings.Repeat("x", maxSpecBytes)}
	err := spec.Validate()
	if err == nil || !strings.Contains(err.Error(), "at most 16384 fit (move large parameters to a file in train.code)") {
		t.Errorf("error = %v", err)
	}
}

func TestValidateResolved(t *testing.T) {
	spec := validSpec()
	spec.Train.Environment.Requirements = Source{Path: "requirements.txt"}
	const hint = ", which other hosts cannot read (start from `mainspring render -f lifecycle.yaml`, which uploads local paths)"
	checkProblems(t, spec.ValidateResolved(), "data.source: is the local path \"data/\""+hint+"\n"+
		"train.code: is the local path \".\""+hint+"\n"+
		"train.environment.requirements: is the local path \"requirements.txt\""+hint)

	resolved := Source{URI: "s3://mainspring/objects/x", SHA256: strings.Repeat("0a", 32), Size: 3}
	spec.Data.Source = "s3://mainspring/data/"
	spec.Train.Code, spec.Train.Environment.Requirements = resolved, resolved
	checkProblems(t, spec.ValidateResolved(), "")
	spec.Train.Code = Source{}
	checkProblems(t, spec.ValidateResolved(), "")
}

func TestSectionsAlone(t *testing.T) {
	spec := validSpec()
	checkProblems(t, spec.Data.Validate(), "")
	checkProblems(t, spec.Train.Validate(), "")
	checkProblems(t, spec.Evaluate.Validate(), "")
	checkProblems(t, spec.Deploy.Validate(), "")
	checkProblems(t, spec.Monitor.Validate(), "")
	checkProblems(t, TrainSpec{Command: []string{""}}.Validate(),
		"train.command[0]: is an empty program name (write program and arguments as a list, such as [python, train.py])")
}

func TestWithDefaults(t *testing.T) {
	spec := validSpec()
	before := validSpec()
	restarts := 10
	want := validSpec()
	want.Data.Task = "binary"
	want.Data.Split.By = "time"
	rise, unseen, duplicates, skew, shift, leak := 0.05, 0.01, 0.01, 0.01, 0.3, 0.8
	want.Data.Checks = DataChecks{MinRows: 1, Unique: []string{"id"}, MaxNullRise: &rise, MaxUnseen: &unseen,
		MaxDuplicates: &duplicates, MaxSkew: &skew, MaxShift: &shift, MaxLeak: &leak}
	one := Resources{Pool: "default", Nodes: 1, MinNodes: 1, GPUsPerNode: 1, GPUMilli: WholeGPU, Tenant: "default", MinRuntime: Duration(10 * time.Minute)}
	want.Train.Environment.Python = "python3"
	want.Train.Resources = one
	want.Train.Timeout = Duration(24 * time.Hour)
	want.Train.Grace = Duration(30 * time.Second)
	want.Train.MaxRestarts = &restarts
	want.Train.HangTimeout = Duration(30 * time.Minute)
	want.Train.Checkpoints.Last = 3
	want.Evaluate = EvaluateSpec{Prediction: "probability", Threshold: 0.5, Quantile: 0.5,
		Predict:  PredictSpec{Runtime: "onnx", Timeout: Duration(time.Hour)},
		Champion: ChampionGate{Metric: "log_loss", Level: 0.1, Block: Day, Resamples: 2000}}
	want.Deploy = &DeploySpec{Endpoint: "delay", Replicas: 1, Resources: one,
		Canary: CanarySpec{
			Steps: []float64{10, 50}, FalseAlarm: 0.01, FalsePass: 0.05, Evidence: "blocks", Block: Duration(time.Minute),
			Tolerance: 0.5, MaxErrorRate: 0.02,
			StepDeadline: Duration(24 * time.Hour), OnDeadline: "roll_back", Poll: Duration(time.Minute)},
		Server: ServerSpec{StartWithin: Duration(time.Minute), Threads: 1, MaxBody: 16 << 20},
		Traffic: TrafficSpec{Timeout: Duration(10 * time.Second),
			Breaker: BreakerSpec{MaxPending: 1024, Failures: 20, OpenFor: Duration(5 * time.Second)},
			Eject:   EjectSpec{Failures: 5, For: Duration(time.Second)}, Log: LogSpec{Sample: 100}}}
	corrections := Day
	want.Monitor = &MonitorSpec{Block: Day, Maturity: Day, Corrections: &corrections, MinLabels: 30, FalseAlarmsPerYear: 0.1, ReferenceBlocks: 30,
		Detectors: []DetectorSpec{{Kind: "conformal", Share: 4, Season: "day_of_week"}, {Kind: "level", Share: 1, Season: "none"}},
		Poll:      Duration(5 * time.Minute), Inputs: InputsSpec{Bins: 16, Level: 0.1},
		Retrain: RetrainSpec{Window: 60 * Day, From: "window", MinWindow: 42 * Day, Holdout: 14 * Day, Cooldown: 14 * Day, MaxFailures: 3}}

	got := spec.WithDefaults()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("defaults:\n%+v\nwant:\n%+v", got, want)
	}
	if !reflect.DeepEqual(spec, before) {
		t.Errorf("WithDefaults changed its receiver: %+v", spec)
	}
	if again := got.WithDefaults(); !reflect.DeepEqual(again, got) {
		t.Errorf("not idempotent: %+v", again)
	}
	spec.SetDefaults()
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("SetDefaults: %+v", spec)
	}
}

func TestDefaultsKeepWhatIsWritten(t *testing.T) {
	none := 0
	spec := validSpec()
	spec.Train.MaxRestarts = &none
	spec.Deploy.Canary.Steps = []float64{1}
	spec.Monitor.Retrain.Window = 30 * Day
	got := spec.WithDefaults()
	if *got.Train.MaxRestarts != 0 || len(got.Deploy.Canary.Steps) != 1 || got.Monitor.Retrain.Window != 30*Day {
		t.Errorf("restarts %d, steps %v, window %s", *got.Train.MaxRestarts, got.Deploy.Canary.Steps, got.Monitor.Retrain.Window)
	}
}

// A deadline that is over before the first label is due would roll every
// version back.
func TestLabelsExtendTheStepDeadline(t *testing.T) {
	for _, test := range []struct {
		name    string
		quality *QualitySpec
		set     Duration
		want    Duration
	}{
		{"no quality", nil, 0, Day},
		{"quality by default", &QualitySpec{Tolerance: 0.1}, 0, 2*Day + Duration(time.Hour)},
		{"slow labels", &QualitySpec{Tolerance: 0.1, Block: Day, Maturity: 7 * Day}, 0, 9 * Day},
		{"as written", &QualitySpec{Tolerance: 0.1}, Duration(time.Hour), Duration(time.Hour)},
	} {
		if got := (CanarySpec{Quality: test.quality, StepDeadline: test.set}).WithDefaults(); got.StepDeadline != test.want {
			t.Errorf("%s: %s, want %s", test.name, got.StepDeadline, test.want)
		}
	}
}
