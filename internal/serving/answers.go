package serving

import (
	"net/http"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
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
	oip.WriteJSON(w, http.StatusOK, metadata)
}

func (s *Server) serverMetadata(w http.ResponseWriter, _ *http.Request) {
	oip.WriteJSON(w, http.StatusOK, struct {
		Name       string   `json:"name"`
		Version    string   `json:"version"`
		Extensions []string `json:"extensions"`
	}{serverName, protocolVersion, extensions})
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	oip.WriteJSON(w, http.StatusOK, struct {
		Models []string `json:"models"`
	}{[]string{s.config.Name}})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) { oip.WriteHealth(w, s.ready.Load()) }
