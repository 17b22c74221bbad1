package activities

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

func (b *hostBench) replicaRequest(version string, token int64) models.StartReplicaRequest {
	b.Helper()
	dir := filepath.Join(b.dir, "trained")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "MLmodel"), []byte("{}"), 0o600)); err != nil {
		b.Fatal(err)
	}
	manifest, err := artifact.PutTree(context.Background(), b.memory, dir, "models/m")
	if err != nil {
		b.Fatal(err)
	}
	return models.StartReplicaRequest{
		Endpoint: "flights/late", Version: version, Token: token, Artifact: models.ModelArtifact{Manifest: manifest},
		Node: models.LeaseNode{Node: "n", Devices: []models.Device{{UUID: "VIRT-n-0", Vendor: models.VendorVirtual}}},
	}
}

func watchOf(req models.StartReplicaRequest, replica models.Replica) models.WatchReplicaRequest {
	return models.WatchReplicaRequest{Endpoint: req.Endpoint, Version: req.Version, Replica: replica, Node: req.Node}
}

func (b *hostBench) server(req models.StartReplicaRequest) *runner.Handle {
	b.Helper()
	handle, found, err := b.Runner.Attach(replicaKey(req.Endpoint, req.Version, req.Replica, req.Token))
	if err != nil || !found {
		b.Fatalf("no server: %v", err)
	}
	return handle
}

func TestReplicaStartsOnceAndDrainsOnCancel(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.replicaRequest("3", 1)
	first, err := b.StartReplica(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if first.Node != "n" || first.Token != 1 || !strings.HasPrefix(first.URL, "http://127.0.0.1:") || !ready(context.Background(), first.URL) {
		t.Errorf("got %+v", first)
	}
	again, err := b.StartReplica(context.Background(), req)
	if err != nil || again != first {
		t.Errorf("got %+v, %v; want the same server", again, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := b.WatchReplica(ctx, watchOf(req, first))
		done <- err
	}()
	time.Sleep(100 * time.Millisecond)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	state, ended, err := b.server(req).Poll()
	if err != nil || !ended || state.Processes[0].Exit.Failed() {
		t.Errorf("got %+v, %v, %v; want a server that drained", state, ended, err)
	}
}

// An attempt that timed out has a successor, and so has one whose workflow has
// begun a new run: the server then says that it knows the activity no more.
func TestWatchLeavesTheServerToTheNextAttempt(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.replicaRequest("3", 1)
	replica, err := b.StartReplica(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	for _, cause := range []error{errors.New("the attempt timed out"), serviceerror.NewNotFound("workflow execution already completed")} {
		attempt, end := context.WithCancelCause(context.Background())
		end(cause)
		_, err = b.WatchReplica(attempt, watchOf(req, replica))
		wantKind(t, err, models.KindUnavailable)
		if !ready(context.Background(), replica.URL) {
			t.Error("the server was ended")
		}
	}
}

func TestWatchReportsTheEndOfAServer(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	req := b.replicaRequest("3", 1)
	replica, err := b.StartReplica(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	state, _, err := b.server(req).Poll()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(state.Processes[0].ID.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit, err := b.WatchReplica(context.Background(), watchOf(req, replica))
	if err != nil || !strings.Contains(exit.Reason, "killed") {
		t.Errorf("got %+v, %v", exit, err)
	}
	unknown := models.Replica{Token: 99}
	if exit, err := b.WatchReplica(context.Background(), watchOf(req, unknown)); err != nil || !strings.Contains(exit.Reason, "no such server") {
		t.Errorf("got %+v, %v", exit, err)
	}
}

func TestServerThatDoesNotComeUpFails(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	_, err := b.StartReplica(context.Background(), b.replicaRequest("broken", 1))
	wantKind(t, err, models.KindServerFailed, "exit status 1", "weights are damaged")

	b.ReadyWithin = 500 * time.Millisecond
	slow := b.replicaRequest("slow", 2)
	_, err = b.StartReplica(context.Background(), slow)
	wantKind(t, err, models.KindServerFailed, "not ready within 500ms")
	if _, ended, err := b.server(slow).Poll(); err != nil || !ended {
		t.Errorf("the server was left running: %v", err)
	}
}

func TestNewerLeaseReplacesTheServer(t *testing.T) {
	t.Parallel()
	b := newHostBench(t)
	older, err := b.StartReplica(context.Background(), b.replicaRequest("3", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.StartReplica(context.Background(), b.replicaRequest("4", 2)); err != nil {
		t.Fatal(err)
	}
	if ready(context.Background(), older.URL) {
		t.Error("two servers have the device")
	}
	_, err = b.StartReplica(context.Background(), b.replicaRequest("5", 1))
	wantKind(t, err, models.KindStaleFence)
}

// Agents often have a proxy in their environment, which is for the world outside
// and does not reach the servers of their hosts.
func TestProbesTakeNoProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	usual, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t.Fatalf("%T", http.DefaultTransport)
	}
	proxied := usual.Clone()
	proxied.Proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New("asked for a proxy") }
	http.DefaultTransport = proxied
	defer func() { http.DefaultTransport = usual }()
	if !ready(t.Context(), server.URL) {
		t.Error("a server that is ready does not look so")
	}
}
