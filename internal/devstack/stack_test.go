package devstack

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// stackVariable allows tests that download, build and start the real servers.
const stackVariable = "MAINSPRING_TEST_STACK"

// realTools installs the real servers' programs, or finds them in the cache.
func realTools(t *testing.T) Tools {
	t.Helper()
	if os.Getenv(stackVariable) == "" {
		t.Skipf("SKIPPED: %s is not set; `make test` sets it", stackVariable)
	}
	began := time.Now()
	tools, err := Setup(t.Context(), ReporterFunc(func(p Progress) {
		t.Logf("%-30s %-10s %5.1f s  %s", p.Title, p.State, p.Elapsed.Seconds(), p.Detail)
	}))
	require.NoError(t, err)
	t.Logf("set-up took %.1f s", time.Since(began).Seconds())
	return tools
}

func stackConfig(dir string, tools Tools) Config {
	return Config{
		StateDir: dir, Tools: tools, OnlyFreePorts: true, Program: os.Args[0], Command: "a test",
		Watchdog: []string{"/usr/bin/env", roleVariable + "=watchdog", os.Args[0]},
	}
}

func startStack(t *testing.T, config Config) *Stack {
	t.Helper()
	began := time.Now()
	s, err := Start(within(t, 2*time.Minute), config)
	require.NoError(t, err)
	t.Logf("start took %.1f s", time.Since(began).Seconds())
	t.Cleanup(func() { s.Stop(within(t, time.Minute)) })
	return s
}

// runStackUntilKilled is the "stack" role: it prints the IDs of everything
// that must not outlive it.
func runStackUntilKilled() int {
	ctx := context.Background()
	tools, err := Setup(ctx, nil)
	if err != nil {
		return 1
	}
	s, err := Start(ctx, stackConfig(os.Getenv("DEVSTACK_TEST_DIR"), tools))
	if err != nil {
		return 1
	}
	shim := Program{Name: "agent", Env: []string{roleVariable + "=shim"}}
	if err := s.Launch(ctx, shim); err != nil {
		return 1
	}
	for _, status := range s.Status() {
		fmt.Println(status.PID)
	}
	for {
		if text, err := os.ReadFile(s.logFile("agent")); err == nil && len(text) > 0 {
			fmt.Print(string(text))
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("started")
	time.Sleep(time.Minute)
	return 0
}

func TestRealStack(t *testing.T) {
	tools := realTools(t)
	config := stackConfig(filepath.Join(t.TempDir(), "dev"), tools)
	order := &stopOrder{}
	config.OnChange = order.observe
	s := startStack(t, config)

	t.Run("Temporal keeps its state when it is killed", func(t *testing.T) { checkTemporalSurvives(t, s) })
	t.Run("S3", func(t *testing.T) { checkS3(t, s) })
	t.Run("MLflow keeps artifacts in S3", func(t *testing.T) { checkMLflow(t, s) })
	t.Run("clients find it", func(t *testing.T) {
		access, err := Discover(s.StateDir())
		require.NoError(t, err)
		require.Equal(t, s.Access(), access)
	})
	t.Run("a second one is refused", func(t *testing.T) {
		_, err := Start(t.Context(), stackConfig(s.StateDir(), tools))
		require.ErrorIs(t, err, ErrHeld)
		require.ErrorContains(t, err, "a test, process")
	})
	t.Run("no secret is in an argument list", func(t *testing.T) { checkArguments(t, s) })
	t.Run("nothing is left", func(t *testing.T) { checkStop(t, s, order) })
	t.Run("it starts again on its data", func(t *testing.T) {
		again := startStack(t, stackConfig(s.StateDir(), tools))
		require.Equal(t, s.Access().S3.SecretKey, again.Access().S3.SecretKey)
		output, err := again.temporalCommand(t.Context(), "workflow", "list", "--query", `WorkflowId="survivor"`)
		require.NoError(t, err)
		require.Contains(t, output, "Running")
	})
}

func checkTemporalSurvives(t *testing.T, s *Stack) {
	ctx := within(t, time.Minute)
	_, err := s.temporalCommand(ctx, "workflow", "start", "--type", "Any", "--task-queue", "none",
		"--workflow-id", "survivor", "--search-attribute", `MainspringModel="delays"`)
	require.NoError(t, err)

	require.NoError(t, s.Kill(ctx, ServerTemporal))
	require.NoError(t, s.AwaitReady(ctx, ServerTemporal))

	eventually(t, "the workflow is found by its search attribute", func() bool {
		output, err := s.temporalCommand(ctx, "workflow", "list", "--query", `MainspringModel="delays"`)
		return err == nil && strings.Contains(output, "survivor")
	})
	output, err := s.temporalCommand(ctx, "operator", "search-attribute", "list")
	require.NoError(t, err)
	for _, name := range searchAttributes() {
		require.Contains(t, output, name)
	}
	// The namespace of an older stack may lack one.
	_, err = s.temporalCommand(ctx, "operator", "search-attribute", "remove", "--name", "MainspringStage", "--yes")
	require.NoError(t, err)
	require.NoError(t, s.settleTemporal(ctx))
	output, err = s.temporalCommand(ctx, "operator", "search-attribute", "list")
	require.NoError(t, err)
	require.Contains(t, output, "MainspringStage")

	output, err = s.temporalCommand(ctx, "operator", "namespace", "describe", "--output", "json")
	require.NoError(t, err)
	require.Contains(t, output, `"workflowExecutionRetentionTtl": "2592000s"`)
}

func s3Client(t *testing.T, access S3Access) *minio.Client {
	t.Helper()
	endpoint, err := url.Parse(access.Endpoint)
	require.NoError(t, err)
	client, err := minio.New(endpoint.Host, &minio.Options{Creds: credentials.NewStaticV4(access.AccessKey, string(access.SecretKey), "")})
	require.NoError(t, err)
	return client
}

func checkS3(t *testing.T, s *Stack) {
	client, bucket := s3Client(t, s.Access().S3), s.Access().S3.Bucket
	put := func(options minio.PutObjectOptions) error {
		options.DisableMultipart = true
		_, err := client.PutObject(t.Context(), bucket, "routes/a.json", strings.NewReader("{}"), 2, options)
		return err
	}
	onlyNew := minio.PutObjectOptions{}
	onlyNew.SetMatchETagExcept("*")
	require.NoError(t, put(onlyNew))
	require.Equal(t, http.StatusPreconditionFailed, minio.ToErrorResponse(put(onlyNew)).StatusCode)

	wrong := s.Access().S3
	wrong.SecretKey = "guessed"
	_, err := s3Client(t, wrong).StatObject(t.Context(), bucket, "routes/a.json", minio.StatObjectOptions{})
	require.Equal(t, http.StatusForbidden, minio.ToErrorResponse(err).StatusCode)
}

// call makes a request to MLflow and returns the body of a 200.
func call(t *testing.T, method, address, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, string(text))
	return string(text)
}

func checkMLflow(t *testing.T, s *Stack) {
	address := s.Access().MLflow
	require.Contains(t, call(t, http.MethodGet, address+"/", ""), "<title>MLflow</title>")

	run := call(t, http.MethodPost, address+"/api/2.0/mlflow/runs/create", `{"experiment_id":"0","start_time":1}`)
	id := firstMatch(`"run_id": "([0-9a-f]{32})"`, run)
	require.Len(t, id, 32, run)
	file := "/api/2.0/mlflow-artifacts/artifacts/0/" + id + "/artifacts/note.txt"
	call(t, http.MethodPut, address+file, "kept in S3")

	object, err := s3Client(t, s.Access().S3).GetObject(t.Context(), s.Access().S3.Bucket,
		"mlflow/0/"+id+"/artifacts/note.txt", minio.GetObjectOptions{})
	require.NoError(t, err)
	text, err := io.ReadAll(object)
	require.NoError(t, err)
	require.Equal(t, "kept in S3", string(text))
	require.Contains(t, call(t, http.MethodGet, address+"/api/2.0/mlflow/artifacts/list?run_id="+id, ""), "note.txt")
	require.Equal(t, "kept in S3", call(t, http.MethodGet, address+"/get-artifact?path=note.txt&run_uuid="+id, ""))
}

func checkArguments(t *testing.T, s *Stack) {
	secret := []byte(string(s.Access().S3.SecretKey))
	for _, status := range s.Status() {
		arguments, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(status.PID), "cmdline"))
		require.NoError(t, err)
		require.NotEmpty(t, arguments)
		require.False(t, bytes.Contains(arguments, secret), status.Name)
		log, err := os.ReadFile(status.LogFile)
		require.NoError(t, err)
		require.False(t, bytes.Contains(log, secret), status.Name)
	}
}

// stopOrder notes whether the shim was still alive when a server had stopped.
type stopOrder struct {
	shim    atomic.Int64
	tooSoon atomic.Bool
}

func (o *stopOrder) observe(status supervise.Status) {
	server := status.Name == ServerTemporal || status.Name == ServerS3 || status.Name == ServerMLflow
	if shim := int(o.shim.Load()); server && status.State == supervise.Stopped && shim > 0 && alive(shim) {
		o.tooSoon.Store(true)
	}
}

func checkStop(t *testing.T, s *Stack, order *stopOrder) {
	require.NoError(t, s.Launch(within(t, time.Minute), Program{Name: "agent", Env: []string{roleVariable + "=shim"}}))
	var shim int
	eventually(t, "the shim runs", func() bool {
		text, _ := os.ReadFile(s.logFile("agent"))
		shim, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return shim > 0 && alive(shim)
	})
	order.shim.Store(int64(shim))
	before := s.Status()
	require.Len(t, before, 4)

	began := time.Now()
	s.Stop(within(t, time.Minute))
	t.Logf("stop took %.1f s", time.Since(began).Seconds())

	for _, status := range before {
		require.False(t, alive(status.PID), status.Name)
	}
	require.False(t, alive(shim))
	require.False(t, order.tooSoon.Load(), "the servers stop last")
	_, err := Discover(s.StateDir())
	require.ErrorIs(t, err, ErrNotRunning)
}

func TestKilledStackLeavesNothingAndTheNextStarts(t *testing.T) {
	tools := realTools(t)
	dir := filepath.Join(t.TempDir(), "dev")
	output, writer, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = output.Close() }()
	stack := start(t, "stack", writer, "DEVSTACK_TEST_DIR="+dir)
	require.NoError(t, writer.Close())
	lines := bufio.NewScanner(output)
	var pids []int
	for lines.Scan() && lines.Text() != "started" {
		pid, err := strconv.Atoi(lines.Text())
		require.NoError(t, err)
		require.True(t, alive(pid))
		pids = append(pids, pid)
	}
	require.Len(t, pids, 5, "three servers, an agent and its shim")

	require.NoError(t, stack.Process.Kill())
	_ = stack.Wait()

	for _, pid := range pids {
		eventually(t, "the process has ended with its stack", func() bool { return !alive(pid) })
	}
	_, err = Discover(dir)
	require.ErrorIs(t, err, ErrNotRunning)
	startStack(t, stackConfig(dir, tools))
}

func TestInterruptedStartLeavesNothing(t *testing.T) {
	config := stackConfig(filepath.Join(t.TempDir(), "dev"), realTools(t))
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	_, err := Start(ctx, config)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	left, err := findMarked([]string{dirMark + config.StateDir})
	require.NoError(t, err)
	require.Empty(t, left)
	held, err := isHeld(config.StateDir)
	require.NoError(t, err)
	require.False(t, held)
}

func TestServerThatCannotStartIsNamedWithItsLog(t *testing.T) {
	program := filepath.Join(t.TempDir(), "server")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho cannot read the schema\nexit 1\n"), 0o755))
	template := filepath.Join(t.TempDir(), "template.db")
	require.NoError(t, os.WriteFile(template, nil, 0o600))
	config := stackConfig(filepath.Join(t.TempDir(), "dev"), Tools{
		Temporal: program, S3Server: program, MLflowPython: program, MLflowTemplate: template,
	})
	config.serverLimit = 2
	_, err := Start(within(t, time.Minute), config)
	require.ErrorContains(t, err, "cannot read the schema")
	require.ErrorContains(t, err, filepath.Join(config.StateDir, "logs"))
	var known *Error
	require.True(t, errors.As(err, &known))
}
