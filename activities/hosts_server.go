package activities

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// serverSection is where the spec describes a server.
	serverSection = "deploy.server"
	// adapterName is the process that translates for a server which callers
	// can't talk to as it is.
	adapterName = "adapter"
	// ownLoopback is where such a server listens: only its adapter calls it.
	ownLoopback = "127.0.0.1"
)

// errPortTaken says that a server ended because somebody else had its port.
var errPortTaken = errors.New("somebody else took the server's port")

// adapted reports whether an adapter stands between callers and the server.
// Gateways ask for the model by the endpoint's name.
func adapted(req models.StartReplicaRequest) bool {
	return req.Server.Protocol == models.ProtocolMLflow || req.Server.Model != "" && req.Server.Model != req.Endpoint
}

// listening is where a server by command is told to listen.
type listening struct {
	host           string
	port, grpcPort int
}

// foreignServer is a server that the spec names by its command, with an adapter
// where it needs one.
func (h *Hosts) foreignServer(ctx context.Context, dir string, req models.StartReplicaRequest) ([]runner.Process, error) {
	model, err := h.ownModel(ctx, filepath.Join(dir, modelDir), req)
	if err != nil {
		return nil, err
	}
	runs := program{argv: slices.Clone(req.Server.Command)}
	err = h.ownProgram(ctx, &runs, ownership{
		section: serverSection, dir: dir, code: req.Server.Code, environment: req.Server.Environment, env: req.Server.Env,
		cores: wholeCores(req.Node), log: &buildLog{ctx: ctx, stop: func() {}}, building: func() {},
	})
	if err != nil {
		return nil, err
	}
	// The ports come last: the sooner the server binds them, the better.
	at, err := h.freePorts(ctx, adapted(req))
	if err != nil {
		return nil, err
	}
	told := map[string]string{
		"model_dir": model, "host": at.host, "port": strconv.Itoa(at.port), "grpc_port": strconv.Itoa(at.grpcPort),
		"endpoint": req.Endpoint, "version": req.Version,
	}
	runs.env.set(accel.Visibility(req.Node.Devices)...)
	for name, value := range told {
		runs.env.set("MAINSPRING_" + strings.ToUpper(name) + "=" + value)
	}
	runs.env.set("MAINSPRING_WORK_DIR=" + filepath.Join(dir, workDir))
	if err := os.WriteFile(filepath.Join(dir, portFile), []byte(told["port"]+"\n"), 0o600); err != nil {
		return nil, err
	}
	server := runner.Process{
		Name: serverName, Argv: filled(runs.argv, told), Dir: runs.dir, Log: logPath(dir, serverName),
		Near: nearAny(req.Node.Devices), Env: runs.env.list(),
	}
	if adapted(req) {
		return []runner.Process{server, h.adapter(dir, model, at, req)}, nil
	}
	address := "http://" + net.JoinHostPort(h.Address, told["port"]) + "\n"
	return []runner.Process{server}, os.WriteFile(filepath.Join(dir, readyFile), []byte(address), 0o600)
}

// adapter is this program in front of the server. Its ready file says where it
// listens, as that of the built-in server does.
func (h *Hosts) adapter(dir, model string, at listening, req models.StartReplicaRequest) runner.Process {
	argv := append(slices.Clone(h.Server),
		"--adapt", "http://"+net.JoinHostPort(at.host, strconv.Itoa(at.port)), "--protocol", string(req.Server.Protocol),
		"--model-dir", model, "--name", req.Endpoint, "--version", req.Version,
		"--addr", h.listenAddress(), "--advertise", h.Address, "--ready-file", filepath.Join(dir, readyFile))
	if req.Server.Model != "" {
		argv = append(argv, "--upstream-model", req.Server.Model)
	}
	if req.Prediction != "" {
		argv = append(argv, "--prediction", req.Prediction)
	}
	if req.Task != "" {
		argv = append(argv, "--task", string(req.Task))
	}
	return runner.Process{Name: adapterName, Argv: argv, Dir: dir, Log: logPath(dir, adapterName), Env: h.engineEnvironment().list()}
}

// ownModel is a trusted model in a directory that its server can't spoil for
// others.
func (h *Hosts) ownModel(ctx context.Context, dir string, req models.StartReplicaRequest) (string, error) {
	cached, err := h.trustedModel(ctx, req)
	if err != nil {
		return "", err
	}
	if err := runner.Remove(dir); err != nil { // of a start that was interrupted
		return "", err
	}
	return dir, os.CopyFS(dir, os.DirFS(cached))
}

// freePorts finds two ports where nobody listens. The server binds them a moment
// later; should somebody be faster, it is started again with others.
func (h *Hosts) freePorts(ctx context.Context, private bool) (listening, error) {
	at := listening{host: "0.0.0.0"}
	switch ip := net.ParseIP(h.Address); {
	case private || h.Address == "localhost":
		at.host = ownLoopback
	case h.loopback():
		at.host = h.Address
	case ip != nil && ip.To4() == nil:
		at.host = "::"
	}
	var config net.ListenConfig
	for _, port := range []*int{&at.port, &at.grpcPort} {
		listener, err := config.Listen(ctx, "tcp", net.JoinHostPort(at.host, "0"))
		if err != nil {
			return at, unavailable(h.Node, "no free port", err)
		}
		defer listener.Close() // both are held until both are found
		if address, ok := listener.Addr().(*net.TCPAddr); ok {
			*port = address.Port
		}
	}
	return at, nil
}

// anothers reports whether what answers at a server's port is a server of another
// job, which was faster to take it. The servers of this program say themselves
// where they listen.
func anothers(handle *runner.Handle) bool {
	port, err := strconv.Atoi(readLine(filepath.Join(handle.Dir(), portFile)))
	return err == nil && handle.PortOfAnother(port)
}

// filled fills in a command's placeholders.
func filled(argv []string, told map[string]string) []string {
	var pairs []string
	for name, value := range told {
		pairs = append(pairs, "{"+name+"}", value)
	}
	replacer := strings.NewReplacer(pairs...) // no placeholder is the beginning of another
	argv = slices.Clone(argv)
	for i := range argv {
		argv[i] = replacer.Replace(argv[i])
	}
	return argv
}

// inUse is what servers write when they can't bind their port.
var inUse = regexp.MustCompile(`(?i)address (is )?already in use|already in use|address in use|connection in use|EADDRINUSE`)

// portTaken reports whether a server by command ended because it could not bind
// its port.
func portTaken(dir string, first runner.ProcessState, req models.StartReplicaRequest) bool {
	return len(req.Server.Command) > 0 && first.Name == serverName && first.Exit.Signal == "" &&
		inUse.MatchString(runner.Tail(logPath(dir, serverName), logLines))
}
