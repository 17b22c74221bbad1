package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/runner/affinity"
	"github.com/mainspring-ml/mainspring/models"
)

// inherited reports whether a program gets the agent's own value of a variable:
// where things are on this host, and how S3 and MLflow are reached (which
// includes their credentials, because a program may write to its run). Nothing
// else of the agent's environment reaches a program.
func inherited(name string) bool {
	switch name {
	case "PATH", "HOME", "LANG", "TMPDIR":
		return true
	}
	// The last is how a development stack recognises what it has to end.
	return strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "MLFLOW_") || strings.HasPrefix(name, "MAINSPRING_STACK_")
}

// variables are a program's environment under construction; later ones win.
type variables map[string]string

func (h *Hosts) baseEnvironment() variables {
	env := variables{}
	for _, variable := range h.Environ {
		if name, value, ok := strings.Cut(variable, "="); ok && inherited(name) {
			env[name] = value
		}
	}
	return env
}

func (v variables) set(list ...string) {
	for _, variable := range list {
		name, value, _ := strings.Cut(variable, "=")
		v[name] = value
	}
}

func (v variables) list() []string {
	list := make([]string, 0, len(v))
	for _, name := range slices.Sorted(maps.Keys(v)) {
		list = append(list, name+"="+v[name])
	}
	return list
}

// resolveSecrets reads the values of env:NAME and file:PATH on this host. They
// go to the program and nowhere else; errors name the reference only, and the
// field below the section of the spec that has it.
func (h *Hosts) resolveSecrets(section string, env map[string]string) (variables, error) {
	resolved := variables{}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value := env[name]
		field := section + ".env." + name
		if source, ok := strings.CutPrefix(value, models.SecretFromEnv); ok {
			i := slices.IndexFunc(h.Environ, func(v string) bool { return strings.HasPrefix(v, source+"=") })
			if i < 0 {
				return nil, &models.Error{
					Kind: models.KindEnvironmentFailed, Subject: field, Message: fmt.Sprintf("%s is not set on host %s", source, h.Node),
					Hint: "start the agent with it",
				}
			}
			value = strings.TrimPrefix(h.Environ[i], source+"=")
		} else if path, ok := strings.CutPrefix(value, models.SecretFromFile); ok {
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, &models.Error{
					Kind: models.KindEnvironmentFailed, Subject: field, Message: "the secret can't be read on host " + h.Node,
					Hint: "put the file there, readable for the agent", Cause: err,
				}
			}
			value = strings.TrimRight(string(content), "\r\n")
		}
		resolved[name] = value
	}
	return resolved, nil
}

// places are the paths that a rank is told.
type places struct {
	data, params, checkpoints, resume, model, outOfFold, work string
	interpreter                                               string // of a built environment, or ""
}

// rankEnvironment is the training contract's environment of one local rank.
// The spec's own variables may set defaults such as OMP_NUM_THREADS, but not
// what the engine says.
func (h *Hosts) rankEnvironment(ctx context.Context, req models.RunRanksRequest, local int, at places, progress string, spec variables) []string {
	env := h.baseEnvironment()
	env.set("OMP_NUM_THREADS="+strconv.Itoa(threads(req.Node, local)), "PYTHONUNBUFFERED=1", "TORCH_NCCL_ASYNC_ERROR_HANDLING=1")
	if at.interpreter != "" {
		bin := filepath.Dir(at.interpreter)
		env.set("VIRTUAL_ENV="+filepath.Dir(bin), "PATH="+bin+string(os.PathListSeparator)+env["PATH"])
	}
	maps.Copy(env, spec)
	env.set(accel.Visibility(req.Node.Devices)...)
	env.set(torchrun(req, local)...)
	env.set(
		"MAINSPRING_DATA_DIR="+at.data,
		"MAINSPRING_PARAMS="+at.params,
		"MAINSPRING_CHECKPOINT_DIR="+at.checkpoints,
		"MAINSPRING_PROGRESS="+progress,
		"MAINSPRING_MODEL_DIR="+at.model,
		"MAINSPRING_OOF_PATH="+at.outOfFold,
		"MAINSPRING_WORK_DIR="+at.work,
		"MLFLOW_RUN_ID="+req.Run.RunID,
	)
	if at.resume != "" {
		env.set("MAINSPRING_RESUME_DIR=" + at.resume)
	}
	env.trace(ctx)
	return env.list()
}

// trace tells a program which span it belongs to, if there is one.
func (v variables) trace(ctx context.Context) {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	if parent := carrier.Get("traceparent"); parent != "" {
		v.set("TRACEPARENT=" + parent)
	}
}

// leased puts a lease's share of the host into a job.
func leased(job *runner.Job, node models.LeaseNode) {
	// Part of a core can't be bound to: it is shared, like everything unleased.
	job.Cores, job.MemoryMiB = wholeCores(node), node.MemoryMiB
	for _, device := range node.Devices {
		job.Devices = append(job.Devices, device.UUID)
		if device.Share() < models.WholeGPU {
			if job.Shares == nil {
				job.Shares = map[string]int64{}
			}
			job.Shares[device.UUID] = device.Share()
		}
	}
}

func wholeCores(node models.LeaseNode) int {
	const milli = 1000
	return int(node.CPUMilli / milli)
}

// threads is how many threads of a library a rank should run: one for each of
// its cores. Without any, one: many ranks with a thread for each core of the
// host would only stand in each other's way.
func threads(node models.LeaseNode, local int) int {
	return max(1, min(affinity.Share(wholeCores(node), len(node.Devices), local), runtime.NumCPU()))
}

// near lists the cores next to a device; empty: unknown.
func near(device models.Device) string {
	if device.CPUs != "" || device.NUMANode == nil {
		return device.CPUs
	}
	text, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/node/node%d/cpulist", *device.NUMANode))
	if err != nil {
		return "" // then it is not known after all
	}
	return strings.TrimSpace(string(text))
}

// nearAny lists the cores next to any of the devices.
func nearAny(devices []models.Device) string {
	var lists []string
	for _, device := range devices {
		if list := near(device); list != "" {
			lists = append(lists, list)
		}
	}
	return strings.Join(lists, ",")
}

// torchrun sets what torchrun would. Ranks are numbered host by host; every
// host of a gang has the same number of devices.
func torchrun(req models.RunRanksRequest, local int) []string {
	onHost := len(req.Node.Devices)
	rank := strconv.Itoa(req.GroupRank*onHost + local)
	world := strconv.Itoa(req.WorldSize)
	restarts := 0
	if req.Train.MaxRestarts != nil {
		restarts = *req.Train.MaxRestarts
	}
	return []string{
		"RANK=" + rank,
		"LOCAL_RANK=" + strconv.Itoa(local),
		"WORLD_SIZE=" + world,
		"LOCAL_WORLD_SIZE=" + strconv.Itoa(onHost),
		"GROUP_RANK=" + strconv.Itoa(req.GroupRank),
		"GROUP_WORLD_SIZE=" + strconv.Itoa(req.Groups),
		"ROLE_NAME=default",
		"ROLE_RANK=" + rank,
		"ROLE_WORLD_SIZE=" + world,
		"MASTER_ADDR=" + req.Master.Address,
		"MASTER_PORT=" + strconv.Itoa(req.Master.Port),
		"TORCHELASTIC_RESTART_COUNT=" + strconv.Itoa(req.Restart),
		"TORCHELASTIC_MAX_RESTARTS=" + strconv.Itoa(restarts),
		"TORCHELASTIC_RUN_ID=" + req.RunKey,
		// There is no elastic agent: rank 0 hosts the store.
		"TORCHELASTIC_USE_AGENT_STORE=False",
	}
}

// paramsJSON is what a program is told of the params in a section of the spec:
// "{}" without any.
func paramsJSON(section string, params map[string]any) (string, error) {
	if params == nil {
		return "{}", nil
	}
	text, err := json.Marshal(params)
	if err != nil {
		return "", &models.Error{Kind: models.KindInvalidSpec, Subject: section + ".params", Message: "not representable as JSON", Cause: err}
	}
	return string(text), nil
}
