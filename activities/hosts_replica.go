package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

const (
	// readyLimit is the default of Hosts.ReadyWithin.
	readyLimit = 60 * time.Second
	// unreadyLimit is how long a server may fail its probes before it is given
	// up.
	unreadyLimit = 5 * time.Second
	// drainLimit is the grace of a server: longer than it drains by itself.
	drainLimit = 15 * time.Second
	// probeLimit bounds one question after the health of a server.
	probeLimit = 2 * time.Second
)

const (
	serverName = "server"
	readyFile  = "ready"
)

// reasonReplaced is why a server ends whose watch was cancelled.
const reasonReplaced = "the replica is not wanted any more"

// replicaKey names the job of one replica under one lease.
func replicaKey(endpoint, version string, replica int, token int64) string {
	clean := func(s string) string { return regexp.MustCompile(`[^A-Za-z0-9-]`).ReplaceAllString(s, "_") }
	id := artifact.Digest([]byte(endpoint + "\x00" + version))[:8] // cleaning may make two names equal
	return fmt.Sprintf("serve-%s-%s-%s-%d-%d", clean(endpoint), clean(version), id, replica, token)
}

// StartReplica implements models.Hosts. The server is a job of the runner: it
// outlives the agent, and starting it again attaches to it.
func (h *Hosts) StartReplica(ctx context.Context, req models.StartReplicaRequest) (models.Replica, error) {
	defer pulse(ctx, nothing)()
	key := replicaKey(req.Endpoint, req.Version, req.Replica, req.Token)
	release, err := h.claims.take(ctx, key)
	if err != nil {
		return models.Replica{}, err
	}
	defer release()
	handle, found, err := h.Runner.Attach(key)
	if err == nil && !found {
		handle, err = h.startServer(ctx, key, req)
	}
	if err != nil {
		return models.Replica{}, err
	}
	url, err := h.awaitServer(ctx, handle, req)
	if err != nil {
		return models.Replica{}, err
	}
	return models.Replica{Replica: req.Replica, Node: h.Node, URL: url, Token: req.Token}, nil
}

func nothing() (struct{}, int) { return struct{}{}, 0 }

// busy is for pulse: the same all the time.
func busy(doing string) func() (string, int) { return func() (string, int) { return doing, 0 } }

func (h *Hosts) startServer(ctx context.Context, key string, req models.StartReplicaRequest) (*runner.Handle, error) {
	model, err := h.trustedModel(ctx, req)
	if err != nil {
		return nil, err
	}
	dir := h.Runner.Dir(key)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	env := h.baseEnvironment()
	for _, variable := range h.Environ {
		if strings.HasPrefix(variable, "MAINSPRING_ONNXRUNTIME=") || strings.HasPrefix(variable, "OTEL_") {
			env.set(variable)
		}
	}
	env.set(accel.Visibility(req.Node.Devices)...)
	job := runner.Job{Key: key, Token: req.Token, Grace: drainLimit, Orphan: h.Orphan, Processes: []runner.Process{{
		Name: serverName, Near: nearAny(req.Node.Devices), Dir: dir, Log: logPath(dir, serverName), Env: env.list(),
		Argv: append(append([]string(nil), h.Server...),
			"--model-dir", model, "--name", req.Endpoint, "--version", req.Version,
			"--addr", h.listenAddress(), "--advertise", h.Address, "--ready-file", filepath.Join(dir, readyFile)),
	}}}
	leased(&job, req.Node)
	handle, _, err := h.Runner.Start(ctx, job)
	return handle, h.stuck(err)
}

// listenAddress keeps a server whose host is reached over loopback there.
func (h *Hosts) listenAddress() string {
	if ip := net.ParseIP(h.Address); h.Address == "localhost" || ip != nil && ip.IsLoopback() {
		return net.JoinHostPort(h.Address, "0")
	}
	return ":0"
}

// awaitServer returns the server's URL once it answers. A server that does not
// come up is ended.
func (h *Hosts) awaitServer(ctx context.Context, handle *runner.Handle, req models.StartReplicaRequest) (string, error) {
	limit := cmp.Or(h.ReadyWithin, readyLimit)
	deadline := handle.Began().Add(limit)
	for {
		state, ended, err := handle.Poll()
		if err != nil {
			return "", err
		}
		if ended {
			return "", h.serverEnded(state, handle, req)
		}
		if url, ok := serverURL(handle.Dir()); ok && ready(ctx, url) {
			return url, handle.Touch()
		}
		if time.Now().After(deadline) {
			if _, err := handle.Stop(context.WithoutCancel(ctx), "it did not become ready"); err != nil {
				return "", err
			}
			return "", h.serverFailed(req, fmt.Sprintf("the model server was not ready within %s", limit), handle)
		}
		select {
		case <-time.After(followEvery):
		case <-agentStops(ctx):
			return "", h.agentLeaves()
		case <-ctx.Done():
			if cancelRequested(ctx) {
				_, err := handle.Stop(context.WithoutCancel(ctx), reasonReplaced)
				return "", errors.Join(ctx.Err(), err)
			}
			return "", h.agentLeaves()
		}
	}
}

// serverEnded: a server that was killed may do better elsewhere; one that ended
// by itself would do so everywhere.
func (h *Hosts) serverEnded(state runner.State, handle *runner.Handle, req models.StartReplicaRequest) error {
	if state.Stopping == runner.ReasonFenced {
		return &models.Error{Kind: models.KindStaleFence, Subject: filepath.Base(handle.Dir()), Message: "the server was ended: " + state.Stopping}
	}
	if _, wasKilled := firstExit(state, func(e runner.Exit) bool { return e.Signal != "" || killed(e) }); wasKilled || state.Stopping != "" {
		return rankLost(serverName, "was ended before it was ready ("+exitText(state)+")", handle.Dir())
	}
	return h.serverFailed(req, "the model server ended before it was ready ("+exitText(state)+")", handle)
}

func (h *Hosts) serverFailed(req models.StartReplicaRequest, message string, handle *runner.Handle) error {
	if tail := runner.Tail(logPath(handle.Dir(), serverName), logLines); tail != "" {
		message += "; its last lines:\n" + tail
	}
	return &models.Error{Kind: models.KindServerFailed, Subject: fmt.Sprintf("%s version %s on %s", req.Endpoint, req.Version, h.Node), Message: message}
}

// WatchReplica implements models.Hosts.
func (h *Hosts) WatchReplica(ctx context.Context, req models.WatchReplicaRequest) (models.ReplicaExit, error) {
	defer pulse(ctx, nothing)()
	key := replicaKey(req.Endpoint, req.Version, req.Replica.Replica, req.Replica.Token)
	handle, found, err := h.Runner.Attach(key)
	if err != nil {
		return models.ReplicaExit{}, err
	}
	if !found {
		return models.ReplicaExit{Reason: "there is no such server on host " + h.Node}, nil
	}
	const probeEvery = time.Second
	healthy := time.Now()
	for {
		state, ended, err := handle.Poll()
		if err != nil {
			return models.ReplicaExit{}, err
		}
		if ended {
			return models.ReplicaExit{Reason: "the server ended: " + exitText(state)}, nil
		}
		if err := handle.Touch(); err != nil {
			return models.ReplicaExit{}, err
		}
		if ready(ctx, req.Replica.URL) {
			healthy = time.Now()
		} else if time.Since(healthy) > unreadyLimit && ctx.Err() == nil {
			_, err := handle.Stop(context.WithoutCancel(ctx), "it was not ready any more")
			return models.ReplicaExit{Reason: fmt.Sprintf("the server was not ready for %s and was ended", unreadyLimit)}, err
		}
		select {
		case <-time.After(probeEvery):
		case <-agentStops(ctx):
			return models.ReplicaExit{}, h.agentLeaves()
		case <-ctx.Done():
			if !cancelRequested(ctx) {
				return models.ReplicaExit{}, h.agentLeaves()
			}
			_, err := handle.Stop(context.WithoutCancel(ctx), reasonReplaced)
			return models.ReplicaExit{}, errors.Join(ctx.Err(), err)
		}
	}
}

// exitText is one line about the server's end.
func exitText(state runner.State) string {
	exit, ok := firstExit(state, func(runner.Exit) bool { return true })
	switch {
	case state.Stopping != "":
		return state.Stopping
	case !ok:
		return "it left no trace"
	case exit.Exit.Error != "":
		return exit.Exit.Error
	case exit.Exit.Signal != "":
		return "signal: " + exit.Exit.Signal
	default:
		return fmt.Sprintf("exit status %d", exit.Exit.Code)
	}
}

// serverURL reads the ready file, which appears whole.
func serverURL(dir string) (string, bool) {
	text, err := os.ReadFile(filepath.Join(dir, readyFile))
	line, _, _ := strings.Cut(string(text), "\n")
	return line, err == nil && line != ""
}

func ready(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v2/health/ready", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}
