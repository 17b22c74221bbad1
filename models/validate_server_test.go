package models

import (
	"strings"
	"testing"
)

func TestValidateServer(t *testing.T) {
	command := []string{"mlflow", "models", "serve", "-m", "{model_dir}", "-p", "{port}", "--host={host}"}
	for name, test := range map[string]struct {
		server ServerSpec
		want   string // part of the only problem; empty: none
	}{
		"built-in":               {ServerSpec{Threads: 2, Batch: BatchSpec{MaxRows: 32}}, ""},
		"command":                {ServerSpec{Command: command, Protocol: ProtocolMLflow, Env: map[string]string{"TOKEN": "env:TOKEN"}}, ""},
		"all placeholders":       {ServerSpec{Command: []string{"s", "{grpc_port}", "{endpoint}@{version}", `{"json": 1}`}}, ""},
		"another model name":     {ServerSpec{Command: command, Model: "resnet"}, ""},
		"protocol alone":         {ServerSpec{Protocol: ProtocolV2}, `deploy.server.protocol: is "v2", and there is no command (name a command, or drop the field)`},
		"model alone":            {ServerSpec{Model: "m"}, `deploy.server.model: is "m", and there is no command`},
		"code alone":             {ServerSpec{Code: Source{Path: "."}}, "deploy.server.code: is set, and there is no command"},
		"environment alone":      {ServerSpec{Environment: Environment{Python: "python3.12"}}, "deploy.server.environment: is set, and there is no command"},
		"threads of a command":   {ServerSpec{Command: command, Threads: 2}, "deploy.server.threads: is 2, and a command serves (drop it: it is a setting of the built-in server)"},
		"batches of a command":   {ServerSpec{Command: command, Batch: BatchSpec{MaxRows: 2}}, "deploy.server.batch: is set, and a command serves"},
		"body of a command":      {ServerSpec{Command: command, MaxBody: 1}, "deploy.server.max_body: is set, and a command serves"},
		"unknown protocol":       {ServerSpec{Command: command, Protocol: "grpc"}, `deploy.server.protocol: is "grpc"; it must be v2 or mlflow`},
		"unknown placeholder":    {ServerSpec{Command: []string{"s", "{prot}"}}, "deploy.server.command[1]: has {prot}, which is nothing that is known here (use one of [{model_dir} {host}"},
		"shell string":           {ServerSpec{Command: []string{"mlflow models serve"}}, "deploy.server.command"},
		"name for MLflow":        {ServerSpec{Command: command, Protocol: ProtocolMLflow, Model: "m"}, `deploy.server.model: is "m", and MLflow's server has one model, without a name (drop it)`},
		"variable of the engine": {ServerSpec{Env: map[string]string{"MAINSPRING_PORT": "1"}}, "deploy.server.env.MAINSPRING_PORT: names with MAINSPRING_ are set by the engine"},
		"no variable":            {ServerSpec{Command: command, Env: map[string]string{"a-b": "1"}}, `"a-b" is no name of an environment variable`},
		"no time to start":       {ServerSpec{Command: command, StartWithin: -1}, "deploy.server.start_within: is -1ns; it must be longer than 0"},
	} {
		spec := validSpec()
		spec.Deploy.Server = test.server
		err := spec.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: got %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%s: got %v, want %q alone", name, err, test.want)
		}
	}
}

// A server by command may answer for a model that another runtime judges.
func TestServerByCommandMayServeWhatOnnxJudges(t *testing.T) {
	for _, runtime := range []Runtime{RuntimeONNX, RuntimePyfunc} {
		spec := validSpec()
		spec.Evaluate.Predict.Runtime = runtime
		spec.Deploy.Server.Command = []string{"server"}
		if err := spec.Validate(); err != nil {
			t.Errorf("%s: %v", runtime, err)
		}
	}
}

func TestServerTakesCodeAndEnvironmentOfTheTraining(t *testing.T) {
	spec := validSpec()
	spec.Train.Code = Source{URI: "s3://b/code", SHA256: strings.Repeat("a", 64)}
	spec.Train.Environment.Requirements = Source{URI: "s3://b/requirements", SHA256: strings.Repeat("b", 64)}
	spec.Deploy.Server.Command = []string{"server"}
	server := spec.WithDefaults().Deploy.Server
	if server.Code != spec.Train.Code || server.Environment.Requirements != spec.Train.Environment.Requirements {
		t.Errorf("got %+v", server)
	}
	if !spec.Deploy.Server.Code.IsZero() {
		t.Error("the defaults changed the spec itself")
	}
	spec.Deploy.Server.Code = Source{Path: "server"}
	if err := spec.ValidateResolved(); err == nil || !strings.Contains(err.Error(), `deploy.server.code: is the local path "server"`) {
		t.Errorf("got %v", err)
	}
}
