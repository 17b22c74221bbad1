package activities

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/drain"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/serving/adapt"
	"github.com/mainspring-ml/mainspring/models"
)

// playForeign is a server by command. It takes key=value arguments: port, host,
// model (the name it knows; none: it has no question for models), exit (ends
// with that status), squat (listens on its port a second time, unless the file
// is there), load (how long it loads), deaf (SIGTERM is ignored).
func playForeign(args []string) int {
	flags := map[string]string{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		flags[key] = value
	}
	for _, variable := range os.Environ() {
		fmt.Println(variable)
	}
	fmt.Println("code:", readText("note.txt"))
	if flags["exit"] != "" {
		fmt.Println("token", os.Getenv("API_TOKEN"))
		return 3
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(flags["host"], flags["port"]))
	check(err)
	if once := flags["squat"]; once != "" && readText(once) == "" {
		check(os.WriteFile(once, []byte("done"), 0o600))
		_, err := net.Listen("tcp", listener.Addr().String())
		fmt.Println(err)
		return 1
	}
	loaded := time.Now()
	if pause, err := time.ParseDuration(flags["load"]); err == nil {
		loaded = loaded.Add(pause)
	}
	go func() { _ = http.Serve(listener, foreignHandler(flags["model"], loaded)) }()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
	fmt.Println("drained")
	return 0
}

func foreignHandler(model string, loaded time.Time) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/health/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /ping", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /invocations", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"predictions":[[0.75,0.25]]}`)
	})
	if model == "" {
		return mux
	}
	mux.HandleFunc("GET /v2/models/{model}/ready", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.PathValue("model") != model:
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": "unknown model " + r.PathValue("model")})
		case time.Now().Before(loaded):
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	return mux
}

// playAdapter translates for a server by command.
func playAdapter(flags map[string]string) int {
	upstream, err := url.Parse(flags["--adapt"])
	check(err)
	handler, err := adapt.Handler(adapt.Config{
		Upstream: upstream, Protocol: models.ServerProtocol(flags["--protocol"]), Name: flags["--name"], Version: flags["--version"],
		Prediction: flags["--prediction"], Task: models.Task(flags["--task"]), UpstreamModel: flags["--upstream-model"],
	})
	check(err)
	listener, err := net.Listen("tcp", flags["--addr"])
	check(err)
	check(os.WriteFile(flags["--ready-file"], []byte("http://"+listener.Addr().String()+"\n"), 0o600))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	check(drain.ServeHTTP(ctx, listener, handler, time.Second, func() {}))
	return 0
}

// foreignRequest asks for a server by command.
func (b *hostBench) foreignRequest(token int64, args ...string) models.StartReplicaRequest {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	req := b.replicaRequest("3", token)
	req.Endpoint = "flights"
	req.Server = models.ServerSpec{
		Command: append([]string{self, "foreign", "host={host}", "port={port}"}, args...),
		Code:    b.packed(map[string]string{"note.txt": "from the code"}),
		Env:     map[string]string{"GORACE": "atexit_sleep_ms=0", "API_TOKEN": "env:API_TOKEN", "MINE": "yes"},
	}.WithDefaults()
	return req
}

// packed is a directory as the client stores it.
func (b *hostBench) packed(files map[string]string) models.Source {
	b.Helper()
	dir := b.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	archive, err := artifact.PackDir(dir, 0)
	if err != nil {
		b.Fatal(err)
	}
	ref, err := artifact.PutObjectBytes(context.Background(), b.memory, archive.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	return models.Source{URI: ref.URI, SHA256: ref.SHA256, Size: ref.Size}
}

// foreign is the job of a request for a server.
func (b *hostBench) foreign(req models.StartReplicaRequest) (*runner.Handle, runner.State) {
	b.Helper()
	handle, found, err := b.Runner.Attach(replicaKey(req.Endpoint, req.Version, req.Replica, req.Token))
	if err != nil || !found {
		b.Fatalf("no server: %v", err)
	}
	state, _, err := handle.Poll()
	if err != nil {
		b.Fatal(err)
	}
	return handle, state
}

func TestServerByCommandIsToldWhatItNeeds(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.foreignRequest(1, "model=flights", "dir={model_dir}", "grpc={grpc_port}", "who={endpoint}@{version}")
	replica, err := b.StartReplica(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(replica.URL, "http://"))
	if err != nil || !ready(context.Background(), replica.URL) {
		t.Fatalf("%+v does not answer (%v)", replica, err)
	}
	handle, state := b.foreign(req)
	log, err := os.ReadFile(logPath(handle.Dir(), serverName))
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(handle.Dir(), modelDir)
	for _, want := range []string{
		"MAINSPRING_HOST=127.0.0.1", "MAINSPRING_PORT=" + port, "MAINSPRING_GRPC_PORT=", "MAINSPRING_ENDPOINT=flights", "MAINSPRING_VERSION=3",
		"MAINSPRING_MODEL_DIR=" + model, "MINE=yes", "API_TOKEN=hush-hush", "AWS_REGION=here", "MAINSPRING_VISIBLE_DEVICES=VIRT-n-0", "code: from the code",
	} {
		if !bytes.Contains(log, []byte(want)) {
			t.Errorf("the server was not told %q:\n%s", want, log)
		}
	}
	if strings.Contains(string(log), "OTHER=hidden") {
		t.Error("the agent's own environment reached the server")
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", state.Processes[0].ID.PID))
	if err != nil || !bytes.Contains(args, []byte("\x00dir="+model+"\x00")) || !bytes.Contains(args, []byte("who=flights@3")) || bytes.Contains(args, []byte("{")) {
		t.Errorf("command line %q, %v", args, err)
	}
	if text := readText(filepath.Join(model, "MLmodel")); text != "{}" {
		t.Errorf("the model is %q", text)
	}
	again, err := b.StartReplica(context.Background(), req)
	if err != nil || again != replica {
		t.Errorf("got %+v, %v; want the same server", again, err)
	}
}

func TestServerByCommandDrainsAndLeavesOnlyItsLog(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.foreignRequest(1)
	replica, err := b.StartReplica(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.WatchReplica(ctx, watchOf(req, replica))
		done <- err
	}()
	time.Sleep(100 * time.Millisecond)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	handle, state := b.foreign(req)
	if state.Processes[0].Exit.Failed() || !strings.Contains(readText(logPath(handle.Dir(), serverName)), "drained") {
		t.Errorf("got %+v; want a server that drained", state)
	}
	for _, name := range []string{modelDir, codeDir} {
		if _, err := os.Stat(filepath.Join(handle.Dir(), name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left over: %v", name, err)
		}
	}
}

func TestServerByCommandIsReadyWithItsModel(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	loading := b.foreignRequest(1, "model=flights", "load=1s")
	began := time.Now()
	if _, err := b.StartReplica(context.Background(), loading); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("ready after %s, before its model", took)
	}
	b.ReadyWithin = time.Second
	_, err := b.StartReplica(context.Background(), b.foreignRequest(2, "model=other"))
	wantKind(t, err, models.KindServerFailed, "not ready within 1s", `no model "flights"`, "deploy.server.model", "unknown model flights")
}

func TestServerThatLosesItsPortGetsAnother(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.foreignRequest(1, "squat="+filepath.Join(b.dir, "once"))
	replica, err := b.StartReplica(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if readText(filepath.Join(b.dir, "once")) != "done" || !ready(context.Background(), replica.URL) {
		t.Error("it did not lose its port, or does not answer now")
	}
	_, state := b.foreign(req)
	if err := unix.Kill(state.Processes[0].ID.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit, err := b.WatchReplica(context.Background(), watchOf(req, replica))
	if err != nil || !strings.Contains(exit.Reason, "killed") {
		t.Errorf("got %+v, %v; want the end of the second try", exit, err)
	}
}

func TestServerByCommandThatFailsSaysWhyWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	_, err := b.StartReplica(context.Background(), b.foreignRequest(1, "exit=3"))
	wantKind(t, err, models.KindServerFailed, "exit status 3", "token *********")
	if strings.Contains(err.Error(), "hush-hush") {
		t.Errorf("the error tells a secret: %v", err)
	}
	missing := b.foreignRequest(2)
	missing.Server.Command = []string{"no-such-server"}
	_, err = b.StartReplica(context.Background(), missing)
	wantKind(t, err, models.KindServerFailed, "no-such-server", "not found")

	unset := b.foreignRequest(3)
	unset.Server.Env["MORE"] = "env:NOT_HERE"
	_, err = b.StartReplica(context.Background(), unset)
	wantKind(t, err, models.KindEnvironmentFailed, "deploy.server.env.MORE", "NOT_HERE is not set")
}

func TestAdapterTranslatesAndEndsWithItsServer(t *testing.T) {
	t.Parallel()
	for victim, name := range []string{serverName, adapterName} {
		b := newHostBench(t)
		req := b.foreignRequest(1)
		req.Server.Protocol, req.Prediction, req.Task = models.ProtocolMLflow, "probability", models.TaskBinary
		replica, err := b.StartReplica(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		body := `{"inputs":[{"name":"distance","datatype":"INT64","shape":[1],"data":[1]}]}`
		response, err := http.Post(replica.URL+"/v2/models/flights/infer", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(response.Body)
		response.Body.Close()
		if want := `"outputs":[{"name":"probability","datatype":"FP64","shape":[1],"data":[0.25]}]`; err != nil || !bytes.Contains(answer, []byte(want)) {
			t.Errorf("got %s, %v; want %s", answer, err, want)
		}
		_, state := b.foreign(req)
		if err := unix.Kill(state.Processes[victim].ID.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		exit, err := b.WatchReplica(context.Background(), watchOf(req, replica))
		if err != nil || !strings.Contains(exit.Reason, "killed") {
			t.Errorf("%s was killed: got %+v, %v", name, exit, err)
		}
		_, state = b.foreign(req)
		for _, p := range state.Processes {
			if p.Exit == nil || p.ID.Alive() {
				t.Errorf("%s was killed, and %s goes on", name, p.Name)
			}
		}
	}
}

func TestModelOfAnotherNameIsAdapted(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.foreignRequest(1, "model=resnet")
	req.Server.Model = "resnet"
	replica, err := b.StartReplica(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if status, body, err := probe(context.Background(), replica.URL+"/v2/models/flights/ready"); err != nil || status != http.StatusOK {
		t.Errorf("got %d %s, %v", status, body, err)
	}
}

func TestBuiltInServerGetsItsSettings(t *testing.T) {
	if got := builtInFlags(models.ServerSpec{}); got != nil {
		t.Errorf("got %q; what is not set is the server's own default", got)
	}
	got := builtInFlags(models.ServerSpec{Threads: 2, MaxBody: 1 << 20, Batch: models.BatchSpec{MaxRows: 64, MaxDelay: models.Duration(2 * time.Millisecond)}})
	want := []string{"--threads", "2", "--max-body-bytes", "1048576", "--batch-max-rows", "64", "--batch-max-delay", "2ms"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A server that comes late to a port where another one answers already is not
// taken for that one.
func TestAnothersPortIsNotMistakenForTheServers(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	first := b.foreignRequest(1, "model=flights")
	if _, err := b.StartReplica(context.Background(), first); err != nil {
		t.Fatal(err)
	}
	late := b.foreignRequest(2)
	late.Version = "4"
	late.Node.Devices[0].UUID = "VIRT-n-1" // another lease, beside the first
	if _, err := b.StartReplica(context.Background(), late); err != nil {
		t.Fatal(err)
	}
	mine, _ := b.foreign(first)
	theirs, _ := b.foreign(late)
	if anothers(mine) {
		t.Error("a server's own port is taken for another's")
	}
	port := readLine(filepath.Join(mine.Dir(), portFile))
	check(os.WriteFile(filepath.Join(theirs.Dir(), portFile), []byte(port+"\n"), 0o600))
	if !anothers(theirs) {
		t.Error("another's port is taken for the server's own")
	}
}
