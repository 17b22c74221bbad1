package devstack

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// searchAttributes are the typed facts by which workflows are found.
func searchAttributes() []string {
	return []string{"MainspringEndpoint", "MainspringModel", "MainspringStage", "MainspringVerdict", "MainspringVersion"}
}

// asksAtOnce is how many questions a worker may have in flight at a device
// pool, MAINSPRING_POOL_ASKS. Temporal's default limit is 10 for a workflow;
// temporalSettings raise it.
const asksAtOnce = 32

// temporalSettings make a dev server answer in milliseconds: it looks for new
// tasks 100 times a second rather than 20, fires timers when they are due
// rather than up to a second later, lets a waiter that missed its wake-up ask
// again after 2 s rather than 20, and tells activities at once that they have
// been cancelled.
func temporalSettings() []string {
	return []string{
		`history.transferProcessorMaxPollRPS=100`,
		`history.timerProcessorMaxTimeShift="1ms"`,
		`history.maxInFlightUpdates=200`,
		`history.longPollExpirationInterval="2s"`,
		`system.enableCancelActivityWorkerCommand=true`,
		`frontend.WorkerCommandsEnabled=true`,
	}
}

// TemporalFlags are what a dev server is started with besides its addresses
// and files.
func TemporalFlags() []string {
	flags := []string{"--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal", "--log-level", "warn"}
	for _, setting := range temporalSettings() {
		flags = append(flags, "--dynamic-config-value", setting)
	}
	return flags
}

func (s *Stack) temporalServer() supervise.Process {
	argv := []string{
		s.config.Tools.Temporal, "server", "start-dev", "--ip", "127.0.0.1",
		"--port", strconv.Itoa(s.ports.Temporal), "--ui-port", strconv.Itoa(s.ports.TemporalUI),
		"--metrics-port", strconv.Itoa(s.ports.TemporalMetrics),
		"--db-filename", filepath.Join(s.config.StateDir, "temporal.db"),
		"--namespace", Namespace, "--ui-disable-news-fetch",
	}
	argv = append(argv, TemporalFlags()...)
	for _, setting := range s.config.TemporalSettings {
		argv = append(argv, "--dynamic-config-value", setting)
	}
	for _, name := range searchAttributes() {
		argv = append(argv, "--search-attribute", name+"=Keyword")
	}
	frontend, ui := supervise.TCPReady(s.access.TemporalAddress), supervise.HTTPReady(s.access.TemporalUI)
	return s.serverProcess(ServerTemporal, argv, nil, func(ctx context.Context) error {
		if err := frontend(ctx); err != nil {
			return err
		}
		return ui(ctx)
	})
}

// settleTemporal adds the search attributes that the namespace lacks, since
// the server's own flag counts for a new namespace only, and keeps finished
// workflows for longer than the dev server's day.
func (s *Stack) settleTemporal(ctx context.Context) error {
	output, err := s.temporalCommand(ctx, "operator", "search-attribute", "list", "--output", "json")
	if err != nil {
		return err
	}
	var known map[string]any
	if err := json.Unmarshal([]byte(output), &known); err != nil {
		return describe("read Temporal's search attributes", s.access.TemporalAddress, err)
	}
	custom, _ := known["customAttributes"].(map[string]any)
	create := []string{"operator", "search-attribute", "create", "--type", "Keyword"}
	missing := false
	for _, name := range searchAttributes() {
		if _, ok := custom[name]; !ok {
			missing = true
			create = append(create, "--name", name)
		}
	}
	if missing {
		if _, err := s.temporalCommand(ctx, create...); err != nil {
			return err
		}
	}
	_, err = s.temporalCommand(ctx, "operator", "namespace", "update", "--retention", "30d")
	return err
}

// temporalCommand runs the CLI against the stack's server. The server opens
// its port before it can answer everything, so failures are tried again.
func (s *Stack) temporalCommand(ctx context.Context, arguments ...string) (string, error) {
	arguments = append(arguments, "--address", s.access.TemporalAddress, "--namespace", Namespace,
		"--disable-config-file", "--disable-config-env")
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var last error
	for {
		output, err := command{argv: append([]string{s.config.Tools.Temporal}, arguments...), env: inheritedEnv()}.run(ctx)
		if err == nil {
			return output, nil
		}
		if ctx.Err() != nil {
			return "", describe("set Temporal up", s.access.TemporalAddress, errors.Join(err, last))
		}
		last = err
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
