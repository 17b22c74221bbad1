package gateway

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// ask passes a question about the model on to the champion, or to the version
// that is named in it.
func (g *Gateway) ask(w http.ResponseWriter, r *http.Request) {
	in := inference{header: g.door.withoutKey(r.Header), version: r.PathValue("version"), started: time.Now()}
	result, ok, status, err := g.question(r.Context(), r.PathValue("endpoint"), unversioned(r), &in)
	if err != nil {
		oip.WriteError(w, status, err.Error())
		return
	}
	if !ok {
		return
	}
	defer g.buffers.put(result.body)
	writeAnswer(w, in.id, result)
}

// question is ask apart from HTTP; in has the header and the version. ok is
// false when the caller went away. The answer's body goes back to g.buffers.
func (g *Gateway) question(ctx context.Context, name, path string, in *inference) (result answer, ok bool, status int, err error) {
	if in.endpoint, in.route, status, err = g.find(name); err != nil {
		return result, false, status, err
	}
	if in.drawn = in.route.champion; in.drawn == nil || in.version != "" {
		if status, err = in.draw(""); err != nil {
			return result, false, status, err
		}
	}
	if err := g.name(in, ""); err != nil {
		return result, false, http.StatusBadRequest, err
	}
	through := g.newPassage(in.route, in.drawn, true)
	through.unbroken = true
	result, ok = g.forward(ctx, &through, call{method: http.MethodGet, path: path, header: forwardedHeader(in.header, in.id)})
	return result, ok, 0, nil
}

// unversioned is a request's path without the version: a version's servers are
// known by their address, and may call the version by another name.
func unversioned(r *http.Request) string {
	version := r.PathValue("version")
	if version == "" {
		return r.URL.Path
	}
	prefix := "/v2/models/" + r.PathValue("endpoint")
	return prefix + strings.TrimPrefix(r.URL.Path, prefix+"/versions/"+version)
}

// listModels names the endpoints that the caller may use.
func (g *Gateway) listModels(w http.ResponseWriter, r *http.Request) {
	who, names := tenantOf(r.Context()), []string{}
	for _, e := range g.endpoints() {
		if who.sees(e.name) {
			names = append(names, e.name)
		}
	}
	oip.WriteJSON(w, http.StatusOK, struct {
		Models []string `json:"models"`
	}{names})
}

func (g *Gateway) describe(w http.ResponseWriter, _ *http.Request) {
	oip.WriteJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{serverName, protocolVersion, extensions()})
}

// What the gateway says of itself.
const (
	serverName      = "mainspring-gateway"
	protocolVersion = "2"
)

func extensions() []string { return []string{"labels", "binary_tensor_data"} }

// health says yes once the routes have been read, and no when stopping.
func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) {
	oip.WriteHealth(w, g.lastPoll.Load() != nil && !g.stopping.Load())
}

func errorJSON(message string) []byte { return oip.AppendError(nil, message) }
