package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
)

func (f grpcFront) ready() bool { return f.lastPoll.Load() != nil && !f.stopping.Load() }

// ServerLive implements the protocol.
func (f grpcFront) ServerLive(context.Context, *grpcv2.ServerLiveRequest) (*grpcv2.ServerLiveResponse, error) {
	return &grpcv2.ServerLiveResponse{Live: true}, nil
}

// ServerReady implements the protocol.
func (f grpcFront) ServerReady(context.Context, *grpcv2.ServerReadyRequest) (*grpcv2.ServerReadyResponse, error) {
	return &grpcv2.ServerReadyResponse{Ready: f.ready()}, nil
}

// Check implements gRPC's own health protocol, for the gateway as a whole.
func (f grpcFront) Check(_ context.Context, m *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if m.Service != "" && m.Service != grpcv2.GRPCInferenceService_ServiceDesc.ServiceName {
		return nil, status.Errorf(codes.NotFound, "no service %q", m.Service)
	}
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if f.ready() {
		state = healthpb.HealthCheckResponse_SERVING
	}
	return &healthpb.HealthCheckResponse{Status: state}, nil
}

// ServerMetadata implements the protocol.
func (f grpcFront) ServerMetadata(context.Context, *grpcv2.ServerMetadataRequest) (*grpcv2.ServerMetadataResponse, error) {
	return &grpcv2.ServerMetadataResponse{Name: serverName, Version: protocolVersion, Extensions: extensions()}, nil
}

// ModelReady implements the protocol. Like the health of the gateway it is open
// to everybody.
func (f grpcFront) ModelReady(ctx context.Context, m *grpcv2.ModelReadyRequest) (*grpcv2.ModelReadyResponse, error) {
	in := inference{header: f.door.withoutKey(headerOf(ctx)), version: m.Version, started: time.Now()}
	result, err := f.pass(ctx, m.Name, "/ready", &in)
	if err != nil {
		return nil, err
	}
	defer f.buffers.put(result.body)
	return &grpcv2.ModelReadyResponse{Ready: result.status == http.StatusOK}, nil
}

// ModelMetadata implements the protocol.
func (f grpcFront) ModelMetadata(ctx context.Context, m *grpcv2.ModelMetadataRequest) (*grpcv2.ModelMetadataResponse, error) {
	header := headerOf(ctx)
	who, err := f.admit(ctx, header, m.Name)
	if err != nil {
		return nil, err
	}
	defer who.leave()
	in := inference{header: header, version: m.Version, started: time.Now()}
	result, err := f.pass(ctx, m.Name, "", &in)
	if err != nil {
		return nil, err
	}
	defer f.buffers.put(result.body)
	f.mark(ctx, in.id, result)
	if result.status != http.StatusOK {
		return nil, status.Error(codeOf(result.status), errorText(result))
	}
	return describe(m.Name, result)
}

// pass takes a question about a model to a server.
func (f grpcFront) pass(ctx context.Context, name, about string, in *inference) (answer, error) {
	result, ok, code, err := f.question(ctx, name, "/v2/models/"+name+about, in)
	if err != nil {
		return result, status.Error(codeOf(code), err.Error())
	}
	if !ok {
		return result, status.FromContextError(ctx.Err()).Err()
	}
	return result, nil
}

// describe is a server's description of its model as a gRPC message.
func describe(name string, result answer) (*grpcv2.ModelMetadataResponse, error) {
	type port struct {
		Name     string  `json:"name"`
		Datatype string  `json:"datatype"`
		Shape    []int64 `json:"shape"`
	}
	var model struct {
		Platform string `json:"platform"`
		Inputs   []port `json:"inputs"`
		Outputs  []port `json:"outputs"`
	}
	if err := json.Unmarshal(result.body.Bytes(), &model); err != nil {
		return nil, status.Errorf(codes.Internal, "version %s did not describe its model in the protocol's form: %v", result.arm.Version, err)
	}
	ports := func(from []port) []*grpcv2.ModelMetadataResponse_TensorMetadata {
		list := make([]*grpcv2.ModelMetadataResponse_TensorMetadata, len(from))
		for i, p := range from {
			list[i] = &grpcv2.ModelMetadataResponse_TensorMetadata{Name: p.Name, Datatype: p.Datatype, Shape: p.Shape}
		}
		return list
	}
	return &grpcv2.ModelMetadataResponse{
		Name: name, Versions: []string{result.arm.Version}, Platform: model.Platform,
		Inputs: ports(model.Inputs), Outputs: ports(model.Outputs),
	}, nil
}
