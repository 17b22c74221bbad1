package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// ask passes a question about the model on to the champion.
func (g *Gateway) ask(w http.ResponseWriter, r *http.Request) {
	_, current, status, err := g.find(r.PathValue("endpoint"))
	if err != nil {
		writeError(w, status, err.Error())
		return
	}
	target := current.champion
	if target == nil {
		target = current.draw(0)
	}
	if target == nil {
		writeError(w, http.StatusServiceUnavailable, "the route gives no version any traffic")
		return
	}
	result, ok := g.forward(r.Context(), target, nil, call{method: http.MethodGet, path: r.URL.Path, header: http.Header{}})
	if !ok {
		return
	}
	defer g.buffers.put(result.body)
	w.Header().Set("Content-Type", result.contentType)
	w.Header().Set(HeaderVersion, result.arm.Version)
	w.WriteHeader(result.status)
	_, _ = w.Write(result.body.Bytes()) // a client that went away has nobody to tell
}

func (g *Gateway) listModels(w http.ResponseWriter, _ *http.Request) {
	names := []string{}
	for _, e := range g.endpoints() {
		names = append(names, e.name)
	}
	writeJSON(w, http.StatusOK, struct {
		Models []string `json:"models"`
	}{names})
}

func (g *Gateway) describe(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{"mainspring-gateway", "2", []string{"labels"}})
}

// health says yes once the routes have been read, and no when stopping.
func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, g.lastPoll.Load() != nil && !g.stopping.Load())
}

func writeHealth(w http.ResponseWriter, ok bool) {
	status := http.StatusOK
	if !ok {
		status = http.StatusBadRequest // the protocol's "no"
	}
	writeJSON(w, status, struct {
		Live  bool `json:"live"`
		Ready bool `json:"ready"`
	}{ok, ok})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that went away has nobody to tell
}

func writeError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(errorJSON(message)) // a client that went away has nobody to tell
}

func errorJSON(message string) []byte { return oip.AppendError(nil, message) }
