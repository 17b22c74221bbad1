package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
)

// question is one row in the form of each protocol.
type question struct {
	v2, invocations []byte
	message         *grpcv2.ModelInferRequest
}

func newQuestion(p perceptron) (question, error) {
	row := p.row()
	inputs := []oip.NamedTensor{{Name: "x", Tensor: oip.Tensor{Datatype: oip.FP32, Shape: []int64{1, int64(len(row))}, Data: row}}}
	var q question
	var err error
	if q.v2, err = oip.AppendRequest(nil, "", inputs); err != nil {
		return q, err
	}
	if q.message, err = grpcv2.NewRequest("m", "", "", inputs, nil, true); err != nil {
		return q, err
	}
	// "inputs" is the form that MLflow reads fastest: no data frame is made.
	q.invocations, err = json.Marshal(map[string]any{"inputs": [][]float32{row}})
	return q, err
}

const inferPath = "/v2/models/m/infer"

func (q question) http(p *process) func() (asker, error) {
	return func() (asker, error) { return newHTTPAsker(p.http, inferPath, q.v2) }
}

func (q question) mlflow(p *process) func() (asker, error) {
	return func() (asker, error) { return newHTTPAsker(p.http, "/invocations", q.invocations) }
}

func (q question) grpc(p *process) func() (asker, error) {
	return func() (asker, error) { return newGRPCAsker(p.grpc, q.message) }
}

// agree fails unless both servers predict the same.
func (q question) agree(ours, theirs *process) error {
	var v2 struct {
		Outputs []struct{ Data []float64 }
	}
	var invocations struct {
		Predictions struct{ Y [][]float64 }
	}
	if err := post(ours.http, inferPath, q.v2, &v2); err != nil {
		return err
	}
	if err := post(theirs.http, "/invocations", q.invocations, &invocations); err != nil {
		return err
	}
	if a, b := v2.Outputs[0].Data[0], invocations.Predictions.Y[0][0]; math.Abs(a-b) > 1e-5 {
		return fmt.Errorf("the servers disagree: %v and %v", a, b)
	}
	return nil
}

func post(addr, path string, body []byte, into any) error {
	response, err := http.Post("http://"+addr+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, text)
	}
	return json.Unmarshal(text, into)
}
