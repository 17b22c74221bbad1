package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner"
)

// The test binary also plays the shim, the ranks and the model servers; its
// first argument says which.
func TestMain(m *testing.M) {
	part := ""
	if len(os.Args) > 1 {
		part = os.Args[1]
	}
	switch part {
	case "shim":
		if err := runner.RunShim(context.Background(), os.Args[3], os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "rank":
		os.Exit(playRank(os.Args[2:]))
	case "serve":
		os.Exit(playServer(os.Args[2:]))
	case "predict":
		os.Exit(playPredictor(os.Args[2:]))
	case "foreign":
		os.Exit(playForeign(os.Args[2:]))
	case "answer":
		os.Exit(playAnswerer(os.Args[2:]))
	default:
		os.Exit(m.Run())
	}
}

// rankPart is one training process of the tests.
type rankPart struct {
	rank  int
	args  map[string]string
	asked chan os.Signal
}

// playRank takes key=value arguments: steps, every (checkpoint), model (name of
// its input), until (waits for that file), exit, die (rank that kills itself),
// hang (rank that goes silent after its steps, deaf to SIGTERM, while the others
// wait for it), slow (time it takes to write a checkpoint).
func playRank(args []string) int {
	p := rankPart{args: map[string]string{}, asked: make(chan os.Signal, 1)}
	p.rank, _ = strconv.Atoi(os.Getenv("RANK"))
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		p.args[key] = value
	}
	signal.Notify(p.asked, syscall.SIGTERM)
	for _, variable := range os.Environ() {
		fmt.Println(variable)
	}
	if p.args["die"] == strconv.Itoa(p.rank) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if p.args["die"] != "" {
		time.Sleep(100 * time.Millisecond)
		fmt.Println("peer is gone")
		return 1
	}
	if code := p.train(); code != 0 {
		return code
	}
	if p.args["exit"] != "" {
		for i := range 30 {
			fmt.Println("reason", i)
		}
		code, _ := strconv.Atoi(p.args["exit"])
		return code
	}
	return p.finish()
}

func (p rankPart) train() int {
	begin, _ := strconv.Atoi(readText(filepath.Join(os.Getenv("MAINSPRING_RESUME_DIR"), "step")))
	steps, _ := strconv.Atoi(p.args["steps"])
	every, _ := strconv.Atoi(p.args["every"])
	for step := begin + 1; step <= steps; step++ {
		p.report(fmt.Sprintf(`{"step":%d,"of":%d,"loss":%g,"note":"text"}`, step, steps, 1/float64(step)))
		if every > 0 && step%every == 0 {
			p.checkpoint(step)
		}
	}
	if p.args["hang"] != "" {
		if p.args["hang"] == strconv.Itoa(p.rank) {
			signal.Ignore(syscall.SIGTERM)
		} else {
			signal.Reset(syscall.SIGTERM)
		}
		time.Sleep(time.Minute)
	}
	for p.args["until"] != "" && readText(p.args["until"]) == "" {
		select {
		case <-p.asked:
			p.checkpoint(steps + 1)
			return 143
		case <-time.After(10 * time.Millisecond):
		}
	}
	return 0
}

func (p rankPart) report(line string) {
	file, err := os.OpenFile(os.Getenv("MAINSPRING_PROGRESS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(line + "\n")
		file.Close()
	}
	check(err)
}

func (p rankPart) checkpoint(step int) {
	if p.rank != 0 {
		return
	}
	dir := filepath.Join(os.Getenv("MAINSPRING_CHECKPOINT_DIR"), fmt.Sprintf("step-%d", step))
	check(os.MkdirAll(dir+".tmp", 0o700))
	if pause, err := time.ParseDuration(p.args["slow"]); err == nil {
		time.Sleep(pause)
	}
	check(os.WriteFile(filepath.Join(dir+".tmp", "step"), []byte(strconv.Itoa(step)), 0o600))
	check(os.Rename(dir+".tmp", dir))
}

func (p rankPart) finish() int {
	if p.rank != 0 || p.args["model"] == "" {
		return 0
	}
	dir := os.Getenv("MAINSPRING_MODEL_DIR")
	check(os.MkdirAll(dir, 0o700))
	signature := fmt.Sprintf(`[{"name": %q, "type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1, 1]}}]`, p.args["model"])
	text, err := json.Marshal(map[string]any{"signature": map[string]string{"inputs": signature, "outputs": `[{"name":"probability","type":"float"}]`}})
	check(err)
	check(os.WriteFile(filepath.Join(dir, "MLmodel"), text, 0o600))
	check(os.WriteFile(filepath.Join(dir, "model.onnx"), []byte("weights"), 0o600))
	check(os.WriteFile(os.Getenv("MAINSPRING_OOF_PATH"), []byte("predictions"), 0o600))
	return 0
}

// playServer is a model server that is ready at once, unless its version is
// "broken" or "slow".
func playServer(args []string) int {
	flags := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	switch flags["--version"] {
	case "broken":
		fmt.Println("weights are damaged")
		return 1
	case "slow":
		time.Sleep(time.Minute)
	}
	if flags["--adapt"] != "" {
		return playAdapter(flags)
	}
	listener, err := net.Listen("tcp", flags["--addr"])
	check(err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	check(err)
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/health/ready" || readText(filepath.Join(flags["--model-dir"], "MLmodel")) == "" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
	}()
	check(os.WriteFile(flags["--ready-file"], []byte("http://"+net.JoinHostPort(flags["--advertise"], port)+"\n"), 0o600))
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	<-asked
	fmt.Println("drained")
	return 0
}

func readText(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(99)
	}
}
