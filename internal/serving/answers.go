package serving

import (
	"encoding/json"
	"net/http"

	"github.com/mainspring-ml/mainspring/models"
)

type portMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

func describe(ports []models.ModelPort) []portMetadata {
	out := make([]portMetadata, len(ports))
	for i, p := range ports {
		out[i] = portMetadata(p)
	}
	return out
}

// What the server says about itself and every model.
const (
	serverName      = "mainspring"
	protocolVersion = "2"
	platform        = "onnx_onnxv1" // the specification's name for ONNX
)

var extensions = []string{"binary_tensor_data"}

func (s *Server) modelMetadata(w http.ResponseWriter, _ *http.Request) {
	type parameters struct {
		Provider string `json:"provider"`
	}
	metadata := struct {
		Name       string         `json:"name"`
		Versions   []string       `json:"versions"`
		Platform   string         `json:"platform"`
		Inputs     []portMetadata `json:"inputs"`
		Outputs    []portMetadata `json:"outputs"`
		Parameters *parameters    `json:"parameters,omitempty"`
	}{Name: s.config.Name, Versions: []string{s.config.Version}, Platform: platform, Inputs: describe(s.config.Inputs), Outputs: describe(s.config.Outputs)}
	if s.config.Provider != "" {
		metadata.Parameters = &parameters{s.config.Provider}
	}
	writeJSON(w, http.StatusOK, metadata)
}

func (s *Server) serverMetadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{serverName, protocolVersion, extensions})
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Models []string `json:"models"`
	}{[]string{s.config.Name}})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) { writeHealth(w, s.ready.Load()) }

// writeHealth sends both of the keys that clients look for (the specification
// says "live", KServe sends "ready"). Others judge by the status alone: the
// specification wants 200 for yes and 4xx for no.
func writeHealth(w http.ResponseWriter, ok bool) {
	status := http.StatusOK
	if !ok {
		status = http.StatusBadRequest
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
	writeJSON(w, status, struct {
		Error string `json:"error"`
	}{message})
}
