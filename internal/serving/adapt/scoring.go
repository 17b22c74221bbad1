package adapt

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/mlmodel"
	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// scoring translates for an upstream that speaks MLflow's scoring protocol.
type scoring struct {
	config  Config
	client  *http.Client
	inputs  []models.ModelPort // none: not known
	outputs []models.ModelPort
	mux     *http.ServeMux
}

func newScoring(config Config) http.Handler {
	s := &scoring{config: config, client: &http.Client{Transport: transport()}, mux: http.NewServeMux()}
	// What the protocol has no datatype for can't be told to callers; MLflow
	// itself checks what it is sent.
	s.inputs, _ = mlmodel.Ports(config.Signature.Inputs)
	s.outputs, _ = mlmodel.Ports(config.Signature.Outputs)
	for i := range s.inputs {
		if s.inputs[i].Name == "" {
			s.inputs[i].Name = unnamedInput
		}
	}
	if len(s.outputs) == 1 && (s.outputs[0].Name == "" || config.Prediction != "") {
		s.outputs[0].Name = s.predictionName()
	}
	s.routes()
	return s.mux
}

func (s *scoring) predictionName() string {
	switch {
	case s.config.Prediction != "":
		return s.config.Prediction
	case len(s.outputs) == 1 && s.outputs[0].Name != "":
		return s.outputs[0].Name
	default:
		return "predictions"
	}
}

func (s *scoring) routes() {
	s.mux.HandleFunc("GET /v2", s.server)
	s.mux.HandleFunc("GET /v2/{$}", s.server)
	s.mux.HandleFunc("GET /v2/health/live", func(w http.ResponseWriter, _ *http.Request) { oip.WriteHealth(w, true) })
	s.mux.HandleFunc("GET /v2/health/ready", s.ready)
	for _, prefix := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		s.mux.HandleFunc("GET "+prefix, s.named(s.metadata))
		s.mux.HandleFunc("GET "+prefix+"/ready", s.named(s.ready))
		s.mux.HandleFunc("POST "+prefix+"/infer", s.named(s.infer))
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		oip.WriteError(w, http.StatusNotFound, fmt.Sprintf("no route %s %s in the Open Inference Protocol v2", r.Method, r.URL.Path))
	})
}

// named lets only requests for the served model and version through.
func (s *scoring) named(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		model, version := r.PathValue("model"), r.PathValue("version")
		if model != s.config.Name || (version != "" && version != s.config.Version) {
			oip.WriteError(w, http.StatusNotFound, fmt.Sprintf("this server has model %q version %q only", s.config.Name, s.config.Version))
			return
		}
		next(w, r)
	}
}

func (s *scoring) server(w http.ResponseWriter, _ *http.Request) {
	oip.WriteJSON(w, http.StatusOK, map[string]any{"name": "mainspring", "version": "2", "extensions": []string{}})
}

type portMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

func (s *scoring) metadata(w http.ResponseWriter, _ *http.Request) {
	describe := func(ports []models.ModelPort) []portMetadata {
		out := make([]portMetadata, len(ports))
		for i, p := range ports {
			out[i] = portMetadata(p)
		}
		return out
	}
	oip.WriteJSON(w, http.StatusOK, map[string]any{
		"name": s.config.Name, "versions": []string{s.config.Version}, "platform": "mlflow_pyfunc",
		"inputs": describe(s.inputs), "outputs": describe(s.outputs),
	})
}

// ready asks the upstream, which answers /ping once it has loaded the model.
func (s *scoring) ready(w http.ResponseWriter, r *http.Request) {
	const limit = 2 * time.Second
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.at("/ping"), nil)
	if err != nil {
		oip.WriteHealth(w, false)
		return
	}
	response, err := s.client.Do(request)
	if err != nil {
		oip.WriteHealth(w, false)
		return
	}
	response.Body.Close()
	oip.WriteHealth(w, response.StatusCode == http.StatusOK)
}

func (s *scoring) at(path string) string {
	return strings.TrimSuffix(s.config.Upstream.String(), "/") + path
}

// infer answers one prediction request.
func (s *scoring) infer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, s.config.MaxBodyBytes+1))
	switch {
	case err != nil:
		oip.WriteError(w, http.StatusBadRequest, fmt.Sprintf("the body can't be read: %v", err))
		return
	case int64(len(body)) > s.config.MaxBodyBytes:
		oip.WriteError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes; send smaller batches", s.config.MaxBodyBytes))
		return
	}
	request, err := oip.ScanBinaryRequest(body, r.Header.Get(oip.HeaderLength))
	if err != nil {
		oip.WriteError(w, http.StatusBadRequest, err.Error())
		return
	}
	invocation, err := invocationOf(request.Inputs, s.config.Signature.TakesTensors(), s.inputs)
	if err != nil {
		oip.WriteError(w, http.StatusBadRequest, err.Error())
		return
	}
	status, answer := s.invoke(r.Context(), invocation)
	if status != http.StatusOK {
		oip.WriteError(w, status, string(answer))
		return
	}
	s.reply(w, request, answer)
}

// unexpected is what MLflow says of an error in the model itself, which it calls
// a bad request.
const unexpected = "unexpected error while evaluating the model"

// invoke returns MLflow's answer, or the status and the message of a failure.
func (s *scoring) invoke(ctx context.Context, invocation []byte) (status int, answer []byte) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.at("/invocations"), bytes.NewReader(invocation))
	if err != nil {
		return http.StatusInternalServerError, []byte(err.Error())
	}
	request.Header.Set("Content-Type", "application/json")
	// Asking twice is safe. It is not sent; it lets the transport take another
	// connection when an idle one turns out to be closed.
	request.Header["Idempotency-Key"] = []string{}
	response, err := s.client.Do(request)
	if err != nil {
		return unanswered(err), []byte("the model server does not answer: " + err.Error())
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	switch {
	case err != nil:
		return http.StatusBadGateway, []byte("the model server broke off: " + err.Error())
	case response.StatusCode == http.StatusOK:
		return http.StatusOK, answer
	}
	var failure struct {
		Message string `json:"message"`
		Detail  any    `json:"detail"`
	}
	message := strings.TrimSpace(string(answer))
	if json.Unmarshal(answer, &failure) == nil && failure.Message != "" {
		message = failure.Message
	}
	switch {
	case response.StatusCode >= http.StatusInternalServerError || strings.Contains(message, unexpected):
		return http.StatusInternalServerError, []byte(message)
	case response.StatusCode == http.StatusTooManyRequests:
		return http.StatusTooManyRequests, []byte(message)
	default:
		return http.StatusBadRequest, []byte(message)
	}
}

// reply writes what MLflow has answered as outputs of the protocol.
func (s *scoring) reply(w http.ResponseWriter, request oip.RawRequest, answer []byte) {
	outputs, err := s.outputsOf(answer)
	if err != nil {
		oip.WriteError(w, http.StatusInternalServerError, err.Error())
		return
	}
	if len(request.Outputs) > 0 {
		wanted := make([]oip.NamedTensor, 0, len(request.Outputs))
		for _, name := range request.Outputs {
			i := slices.IndexFunc(outputs, func(t oip.NamedTensor) bool { return t.Name == name })
			if i < 0 {
				oip.WriteError(w, http.StatusBadRequest, fmt.Sprintf("output %q is not an output of the model, which has %v", name, namesOf(outputs)))
				return
			}
			wanted = append(wanted, outputs[i])
		}
		outputs = wanted
	}
	for i := range outputs {
		outputs[i].Binary = request.WantsBinary(outputs[i].Name)
	}
	body, jsonLength, err := oip.AppendResponse(nil, oip.Response{Model: s.config.Name, Version: s.config.Version, ID: request.ID, Outputs: outputs})
	if err != nil {
		oip.WriteError(w, http.StatusInternalServerError, err.Error())
		return
	}
	if jsonLength > 0 {
		w.Header().Set(oip.HeaderLength, strconv.Itoa(jsonLength))
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	writeBody(w, http.StatusOK, body)
}

func namesOf(tensors []oip.NamedTensor) []string {
	names := make([]string, len(tensors))
	for i, t := range tensors {
		names[i] = t.Name
	}
	return names
}
