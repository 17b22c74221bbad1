package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
)

// wantedOutput is an output that is asked for, in the protocol's JSON.
type wantedOutput struct {
	Name string `json:"name"`
}

// bodyOf is a gRPC request as one over HTTP: JSON, which every server reads, or
// binary tensors where JSON can't hold the values (NaN, bytes that are no
// text). The header says which.
func bodyOf(m *grpcv2.ModelInferRequest, header http.Header) ([]byte, error) {
	inputs, err := grpcv2.Inputs(m)
	if err != nil {
		return nil, err
	}
	var wanted []wantedOutput
	for _, name := range grpcv2.Wanted(m) {
		wanted = append(wanted, wantedOutput{name})
	}
	header.Set("Content-Type", "application/json")
	body, err := oip.AppendRequest(nil, m.Id, inputs)
	if err != nil {
		return binaryBody(m.Id, inputs, wanted, header)
	}
	if len(wanted) == 0 {
		return body, nil
	}
	outputs, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	body = append(body[:len(body)-1], `,"outputs":`...) // the object is opened again
	return append(append(body, outputs...), '}'), nil
}

func binaryBody(id string, inputs []oip.NamedTensor, wanted []wantedOutput, header http.Header) ([]byte, error) {
	type input struct {
		Name       string         `json:"name"`
		Datatype   string         `json:"datatype"`
		Shape      []int64        `json:"shape"`
		Parameters map[string]int `json:"parameters"`
	}
	request := struct {
		ID         string          `json:"id,omitempty"`
		Inputs     []input         `json:"inputs"`
		Outputs    []wantedOutput  `json:"outputs,omitempty"`
		Parameters map[string]bool `json:"parameters"`
	}{ID: id, Outputs: wanted, Parameters: map[string]bool{"binary_data_output": true}}
	for _, t := range inputs {
		request.Inputs = append(request.Inputs, input{t.Name, t.Datatype, t.Shape, map[string]int{"binary_data_size": oip.BinarySize(t.Tensor)}})
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	header.Set("Content-Type", "application/octet-stream")
	header.Set(oip.HeaderLength, strconv.Itoa(len(body)))
	for _, t := range inputs {
		if body, err = oip.AppendBinary(body, t.Tensor); err != nil {
			return nil, fmt.Errorf("input %q: %w", t.Name, err)
		}
	}
	return body, nil
}

// messageOf is a server's answer as a gRPC message. The caller reads the form
// that it wrote: raw contents or typed ones.
func messageOf(m *grpcv2.ModelInferRequest, result answer) (*grpcv2.ModelInferResponse, error) {
	wrong := func(err error) error {
		return status.Errorf(codes.Internal, "version %s did not answer in the protocol's form: %v", result.arm.Version, err)
	}
	text, err := plain(result.header, result.body.Bytes(), int64(result.body.Len())<<10)
	if err != nil {
		return nil, wrong(err)
	}
	raw, err := oip.ScanBinaryResponse(text, result.header.Get(oip.HeaderLength))
	if err != nil {
		return nil, wrong(err)
	}
	response := oip.Response{Model: m.ModelName, Version: result.arm.Version, ID: raw.ID}
	for _, output := range raw.Outputs {
		tensor, err := output.Decode()
		if err != nil {
			return nil, wrong(fmt.Errorf("output %q: %w", output.Name, err))
		}
		response.Outputs = append(response.Outputs, oip.NamedTensor{Name: output.Name, Tensor: tensor})
	}
	message, err := grpcv2.NewResponse(response, grpcv2.IsRaw(m))
	if err != nil {
		return nil, wrong(err)
	}
	return message, nil
}
