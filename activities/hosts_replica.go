package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/accel"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/internal/serving"
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
	portFile   = "port" // of a server by command
)

const (
	// reasonReplaced is why a server ends whose watch was cancelled.
	reasonReplaced = "the replica is not wanted any more"
	// reasonHalfGone is why the rest of a server ends with a part of it.
	reasonHalfGone = "a part of the server has ended"
)

// replicaKey names the job of one replica under one lease.
func replicaKey(endpoint, version string, replica int, token int64) string {
	clean := func(s string) string { return regexp.MustCompile(`[^A-Za-z0-9-]`).ReplaceAllString(s, "_") }
	id := artifact.Digest([]byte(endpoint + "\x00" + version))[:8] // cleaning may make two names equal
	return fmt.Sprintf("serve-%s-%s-%s-%d-%d", clean(endpoint), clean(version), id, replica, token)
}

// portTries is how often a server is started whose port somebody else was
// faster to take.
const portTries = 5

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
	url, err := h.startOnce(ctx, key, req)
	for try := 1; errors.Is(err, errPortTaken) && try < portTries; try++ {
		// A lease has one job: the one that came to nothing makes way.
		if err := runner.Remove(h.Runner.Dir(key)); err != nil {
			return models.Replica{}, err
		}
		url, err = h.startOnce(ctx, key, req)
	}
	if err != nil {
		return models.Replica{}, h.maskedFailure(req, err)
	}
	return models.Replica{Replica: req.Replica, Node: h.Node, URL: url, Token: req.Token}, nil
}

func nothing() (struct{}, int) { return struct{}{}, 0 }

// busy is for pulse: the same all the time.
func busy(doing string) func() (string, int) { return func() (string, int) { return doing, 0 } }

// startOnce starts one job, or attaches to it, and returns the server's URL
// once it is ready.
func (h *Hosts) startOnce(ctx context.Context, key string, req models.StartReplicaRequest) (string, error) {
	handle, found, err := h.Runner.Attach(key)
	if err == nil && !found {
		handle, err = h.startServer(ctx, key, req)
	}
	if err != nil {
		return "", err
	}
	url, err := h.awaitServer(ctx, handle, req)
	if err != nil {
		clearServer(handle)
	}
	return url, err
}

func (h *Hosts) startServer(ctx context.Context, key string, req models.StartReplicaRequest) (*runner.Handle, error) {
	job := runner.Job{Key: key, Token: req.Token, Grace: drainLimit, Orphan: h.Orphan}
	if err := os.MkdirAll(h.Runner.Dir(key), 0o700); err != nil {
		return nil, err
	}
	var err error
	if len(req.Server.Command) > 0 {
		job.Processes, err = h.foreignServer(ctx, h.Runner.Dir(key), req)
	} else {
		job.Processes, err = h.builtInServer(ctx, h.Runner.Dir(key), req)
	}
	if err != nil {
		return nil, err
	}
	leased(&job, req.Node)
	handle, _, err := h.Runner.Start(ctx, job)
	return handle, h.stuck(err)
}

// builtInServer is this program itself.
func (h *Hosts) builtInServer(ctx context.Context, dir string, req models.StartReplicaRequest) ([]runner.Process, error) {
	model, err := h.trustedModel(ctx, req)
	if err != nil {
		return nil, err
	}
	variables, err := h.resolveSecrets(serverSection, req.Server.Env)
	if err != nil {
		return nil, err
	}
	env := h.engineEnvironment()
	maps.Copy(env, variables)
	env.set(accel.Visibility(req.Node.Devices)...)
	argv := append(slices.Clone(h.Server),
		"--model-dir", model, "--name", req.Endpoint, "--version", req.Version,
		"--addr", h.listenAddress(), "--advertise", h.Address, "--ready-file", filepath.Join(dir, readyFile))
	return []runner.Process{{
		Name: serverName, Near: nearAny(req.Node.Devices), Dir: dir, Log: logPath(dir, serverName), Env: env.list(),
		Argv: append(argv, builtInFlags(req.Server)...),
	}}, nil
}

// builtInFlags are the spec's settings of the built-in server; what is not set
// is its own default.
func builtInFlags(server models.ServerSpec) (flags []string) {
	if server.Threads > 0 {
		flags = append(flags, "--threads", strconv.Itoa(server.Threads))
	}
	if server.MaxBody > 0 {
		flags = append(flags, "--max-body-bytes", strconv.FormatInt(int64(server.MaxBody), 10))
	}
	if server.Batch.MaxRows > 0 {
		flags = append(flags, "--batch-max-rows", strconv.Itoa(server.Batch.MaxRows))
	}
	if server.Batch.MaxRows > 0 && server.Batch.MaxDelay > 0 {
		flags = append(flags, "--batch-max-delay", server.Batch.MaxDelay.Std().String())
	}
	return flags
}

// engineEnvironment is what this program's own servers need of the agent's.
func (h *Hosts) engineEnvironment() variables {
	env := h.baseEnvironment()
	for _, variable := range h.Environ {
		if strings.HasPrefix(variable, serving.LibraryVariable+"=") || strings.HasPrefix(variable, "OTEL_") {
			env.set(variable)
		}
	}
	return env
}

// loopback reports whether this host is reached over loopback, and its servers
// stay there.
func (h *Hosts) loopback() bool {
	ip := net.ParseIP(h.Address)
	return h.Address == "localhost" || ip != nil && ip.IsLoopback()
}

// listenAddress is where a server of this program listens.
func (h *Hosts) listenAddress() string {
	if h.loopback() {
		return net.JoinHostPort(h.Address, "0")
	}
	return ":0"
}

// awaitServer returns the server's URL once it answers. A server that does not
// come up is ended.
func (h *Hosts) awaitServer(ctx context.Context, handle *runner.Handle, req models.StartReplicaRequest) (string, error) {
	limit := cmp.Or(h.ReadyWithin, req.Server.StartWithin.Std(), readyLimit)
	deadline := handle.Began().Add(limit)
	why := "it has not said where it listens"
	for {
		state, ended, err := handle.Poll()
		if err != nil {
			return "", err
		}
		if !ended && someEnded(state) {
			state, err = handle.Stop(context.WithoutCancel(ctx), reasonHalfGone)
			ended = true
		}
		if ended {
			return "", errors.Join(err, h.serverEnded(state, handle, req))
		}
		if url, ok := serverURL(handle.Dir()); ok {
			if why = h.unready(ctx, url, req); why == "" && anothers(handle) {
				why = "another server has its port"
			}
			if why == "" {
				return url, handle.Touch()
			}
		}
		if time.Now().After(deadline) {
			if _, err := handle.Stop(context.WithoutCancel(ctx), "it did not become ready"); err != nil {
				return "", err
			}
			return "", h.serverFailed(req, fmt.Sprintf("the model server was not ready within %s: %s", limit, why), handle)
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
	first, unasked := firstExit(state, func(e runner.Exit) bool { return !e.Asked })
	switch {
	case state.Stopping == runner.ReasonFenced:
		return &models.Error{Kind: models.KindStaleFence, Subject: filepath.Base(handle.Dir()), Message: "the server was ended: " + state.Stopping}
	case !unasked:
		return rankLost(serverName, "was ended before it was ready ("+state.Stopping+")", handle.Dir())
	case portTaken(handle.Dir(), first, req):
		failed := h.serverFailed(req, "the model server ended before it was ready ("+exitText(state)+")", handle)
		failed.Cause, failed.Hint = errPortTaken, "let it listen on {port} alone, and give it no port of its own"
		return failed
	case first.Exit.Signal != "" || killed(*first.Exit):
		return rankLost(first.Name, "was ended before it was ready ("+exitText(state)+")", handle.Dir())
	default:
		return h.serverFailed(req, "the model "+first.Name+" ended before it was ready ("+exitText(state)+")", handle)
	}
}

// serverFailed quotes the log of the process that is to blame: the adapter's,
// when only that wrote something.
func (h *Hosts) serverFailed(req models.StartReplicaRequest, message string, handle *runner.Handle) *models.Error {
	for _, name := range []string{serverName, adapterName} {
		if tail := runner.Tail(logPath(handle.Dir(), name), logLines); tail != "" {
			message += "; its last lines:\n" + tail
			break
		}
	}
	return &models.Error{Kind: models.KindServerFailed, Subject: fmt.Sprintf("%s version %s on %s", req.Endpoint, req.Version, h.Node), Message: message}
}

// maskedFailure takes the server's secrets out of what an error quotes.
func (h *Hosts) maskedFailure(req models.StartReplicaRequest, err error) error {
	var rich *models.Error
	if !errors.As(err, &rich) {
		return err
	}
	(&logShipper{mask: h.maskerOf(req.Server.Env)}).maskError(rich)
	return err
}
