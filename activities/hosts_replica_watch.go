package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/runner"
	"github.com/mainspring-ml/mainspring/models"
)

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
		if !ended && someEnded(state) {
			if state, err = handle.Stop(context.WithoutCancel(ctx), reasonHalfGone); err != nil {
				return models.ReplicaExit{}, err
			}
			ended = true
		}
		if ended {
			return h.replicaExit(handle, req, "the server ended: "+exitText(state)), nil
		}
		if err := handle.Touch(); err != nil {
			return models.ReplicaExit{}, err
		}
		if ready(ctx, req.Replica.URL) {
			healthy = time.Now()
		} else if time.Since(healthy) > unreadyLimit && ctx.Err() == nil {
			_, err := handle.Stop(context.WithoutCancel(ctx), "it was not ready any more")
			return h.replicaExit(handle, req, fmt.Sprintf("the server was not ready for %s and was ended", unreadyLimit)), err
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
			clearServer(handle)
			return models.ReplicaExit{}, errors.Join(ctx.Err(), err)
		}
	}
}

// exitLogLimit bounds what a history keeps of each crash.
const exitLogLimit = 4 << 10

// replicaExit tells why a server ended, and what it wrote last.
func (h *Hosts) replicaExit(handle *runner.Handle, req models.WatchReplicaRequest, reason string) models.ReplicaExit {
	clearServer(handle)
	exit := models.ReplicaExit{Reason: reason}
	if mask := h.maskerOf(req.Server.Env); !mask.blind {
		log := mask.text(runner.Tail(logPath(handle.Dir(), serverName), logLines))
		exit.Log = strings.ToValidUTF8(log[max(0, len(log)-exitLogLimit):], "\uFFFD")
	}
	return exit
}

// clearServer removes what only a running server needs. Its logs stay for
// people, until the runner removes the job.
func clearServer(handle *runner.Handle) {
	if _, ended, err := handle.Poll(); err != nil || !ended {
		return
	}
	for _, name := range []string{modelDir, codeDir, workDir} {
		if err := runner.Remove(filepath.Join(handle.Dir(), name)); err != nil {
			slog.Warn("left over", "path", filepath.Join(handle.Dir(), name), "error", err)
		}
	}
}

// someEnded reports whether a process of the job has ended: without it the rest
// can't serve.
func someEnded(state runner.State) bool {
	_, some := firstExit(state, func(runner.Exit) bool { return true })
	return some
}

// exitText is one line about the server's end: of the process that ended first
// without being asked, if any did.
func exitText(state runner.State) string {
	exit, ok := firstExit(state, func(e runner.Exit) bool { return !e.Asked })
	switch {
	case !ok && state.Stopping != "":
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
	line := readLine(filepath.Join(dir, readyFile))
	return line, line != ""
}

// readLine is a file's first line, "" when there is none.
func readLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// ready reports whether the server says that it is.
func ready(ctx context.Context, url string) bool {
	status, _, err := probe(ctx, url+"/v2/health/ready")
	return err == nil && status == http.StatusOK
}

// unready is why the server can't be given requests yet, "" when it can. A
// server by command is asked for its model as well, unless it has no such
// question: one that is up may still be loading it, or know it by another name.
func (h *Hosts) unready(ctx context.Context, url string, req models.StartReplicaRequest) string {
	status, body, err := probe(ctx, url+"/v2/health/ready")
	switch {
	case err != nil:
		return err.Error()
	case status != http.StatusOK:
		return fmt.Sprintf("GET /v2/health/ready answered %d %s", status, body)
	case len(req.Server.Command) == 0:
		return ""
	}
	path := "/v2/models/" + neturl.PathEscape(req.Endpoint) + "/ready"
	status, body, err = probe(ctx, url+path)
	switch {
	case err != nil:
		return err.Error()
	case status == http.StatusOK:
		return ""
	case status == http.StatusNotFound && json.Valid([]byte(body)): // an error body of the protocol
		return fmt.Sprintf("it knows no model %q: GET %s answered %d %s; set deploy.server.model to the name it knows", req.Endpoint, path, status, body)
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented:
		return "" // it has no such question
	default:
		return fmt.Sprintf("GET %s answered %d %s", path, status, body)
	}
}

// probes goes to the servers of this host straight: a proxy of the agent's
// environment does not reach them.
var probes = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}}

// probe asks, and returns the beginning of the answer.
func probe(ctx context.Context, url string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := probes.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	const most = 512
	text, _ := io.ReadAll(io.LimitReader(response.Body, most)) // what could be read is shown
	return response.StatusCode, strings.TrimSpace(string(text)), nil
}
