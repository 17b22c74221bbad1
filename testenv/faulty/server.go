package faulty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// requestIDHeader is how gateways name a request to servers.
const requestIDHeader = "Mainspring-Request-Id"

// tensor is one of the Open Inference Protocol, as far as one number needs it.
type tensor struct {
	Name     string    `json:"name"`
	Datatype string    `json:"datatype"`
	Shape    []int     `json:"shape"`
	Data     []float64 `json:"data"`
}

// Server answers for one model.
type Server struct {
	Model, Version string
	Behaviour      Behaviour
}

// Handler is the server's HTTP interface.
func (s Server) Handler() http.Handler {
	mux := http.NewServeMux()
	ok := func(http.ResponseWriter, *http.Request) {}
	mux.HandleFunc("GET /v2/health/live", ok)
	mux.HandleFunc("GET /v2/health/ready", ok)
	mux.HandleFunc("GET /v2/models/{model}/ready", ok)
	mux.HandleFunc("GET /v2/models/{model}", s.describe)
	mux.HandleFunc("POST /v2/models/{model}/infer", s.infer)
	return mux
}

func (s Server) describe(w http.ResponseWriter, _ *http.Request) {
	port := func(name string) map[string]any {
		return map[string]any{"name": name, "datatype": "FP64", "shape": []int{-1}}
	}
	write(w, http.StatusOK, map[string]any{"name": s.Model, "versions": []string{s.Version}, "platform": "faulty",
		"inputs": []any{port("x")}, "outputs": []any{port("probability")}})
}

func (s Server) infer(w http.ResponseWriter, r *http.Request) {
	var request struct {
		ID     string   `json:"id"`
		Inputs []tensor `json:"inputs"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, "the body is no inference request: %v", err)
		return
	}
	if len(request.Inputs) != 1 || request.Inputs[0].Name != "x" || len(request.Inputs[0].Data) == 0 {
		refuse(w, http.StatusBadRequest, "the only input is x, with at least one number")
		return
	}
	id := r.Header.Get(requestIDHeader)
	if id == "" {
		id = request.ID
	}
	if !pause(r, s.Behaviour.Latency(id)) {
		return
	}
	if s.Behaviour.Fails(id) {
		refuse(w, http.StatusInternalServerError, "version %s fails on this request", s.Version)
		return
	}
	answer := tensor{Name: "probability", Datatype: "FP64"}
	for _, x := range request.Inputs[0].Data {
		answer.Data = append(answer.Data, s.Behaviour.Answer(x))
	}
	answer.Shape = []int{len(answer.Data)}
	write(w, http.StatusOK, map[string]any{"model_name": s.Model, "model_version": s.Version, "id": request.ID, "outputs": []tensor{answer}})
}

// pause waits, and reports whether the caller is still there.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
		return false
	}
}

func refuse(w http.ResponseWriter, status int, format string, arguments ...any) {
	write(w, status, map[string]string{"error": fmt.Sprintf(format, arguments...)})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a caller who is gone needs no answer
}
