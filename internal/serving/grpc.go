package serving

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // for callers that compress
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/mainspring-ml/mainspring/internal/drain"
	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
	"github.com/mainspring-ml/mainspring/models"
)

// grpcService answers the protocol over gRPC, by the same way as HTTP.
type grpcService struct {
	grpcv2.UnimplementedGRPCInferenceServiceServer
	*Server
}

// ServeGRPC answers gRPC on the listener until ctx ends. Then it is not ready
// any more, takes no new requests, and waits for those in flight.
func (s *Server) ServeGRPC(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer(
		// The message has as many bytes as its tensors, and their names.
		grpc.MaxRecvMsgSize(int(s.config.MaxBodyBytes)),
		// A message is in memory before it is counted as pending.
		grpc.MaxConcurrentStreams(uint32(s.config.MaxPending)),
		grpc.ConnectionTimeout(10*time.Second),
	)
	grpcv2.RegisterGRPCInferenceServiceServer(server, grpcService{Server: s})
	probes := health.NewServer()
	healthpb.RegisterHealthServer(server, probes)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve gRPC on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.ready.Store(false)
	probes.Shutdown()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Drain)
	defer cancel()
	return drain.StopGRPC(deadline, server)
}

// ModelInfer implements the protocol.
func (g grpcService) ModelInfer(ctx context.Context, m *grpcv2.ModelInferRequest) (*grpcv2.ModelInferResponse, error) {
	started := time.Now()
	answer, refused := g.inferMessage(ctx, m)
	if refused != nil {
		g.metrics.observe(overGRPC, refused.status, time.Since(started))
		return nil, status.Error(codeOf(refused.status, g.ready.Load()), refused.message)
	}
	g.metrics.observe(overGRPC, http.StatusOK, time.Since(started))
	return answer, nil
}

func (g grpcService) inferMessage(ctx context.Context, m *grpcv2.ModelInferRequest) (*grpcv2.ModelInferResponse, *refusal) {
	if refused := g.named(m.ModelName, m.ModelVersion); refused != nil {
		return nil, refused
	}
	if refused := g.admit(); refused != nil {
		return nil, refused
	}
	defer g.release()
	tensors, err := grpcv2.Inputs(m)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%s", err.Error())
	}
	q := question{inputs: make(map[string]Tensor, len(tensors))}
	for _, t := range tensors {
		if err := g.put(q.inputs, t.Name, t.Shape, func() (Tensor, error) { return t.Tensor, nil }); err != nil {
			return nil, refuse(http.StatusBadRequest, "%s", err.Error())
		}
	}
	if q.wanted, err = g.wanted(grpcv2.Wanted(m)); err != nil {
		return nil, refuse(http.StatusBadRequest, "%s", err.Error())
	}
	outputs, refused := g.answer(ctx, q)
	if refused != nil {
		return nil, refused
	}
	// The caller reads the form that it wrote.
	answer, err := grpcv2.NewResponse(oip.Response{Model: g.config.Name, Version: g.config.Version, ID: m.Id, Outputs: outputs}, grpcv2.IsRaw(m))
	if err != nil {
		return nil, refuse(http.StatusInternalServerError, "%s", err.Error())
	}
	return answer, nil
}

// codeOf is gRPC's word for a status of HTTP. Too many requests and not ready
// are the same status there, and two codes here.
func codeOf(status int, ready bool) codes.Code {
	switch status {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusRequestEntityTooLarge:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		if ready {
			return codes.ResourceExhausted
		}
		return codes.Unavailable
	case statusClientGone:
		return codes.Canceled
	default:
		return codes.Internal
	}
}

// ServerLive implements the protocol.
func (g grpcService) ServerLive(context.Context, *grpcv2.ServerLiveRequest) (*grpcv2.ServerLiveResponse, error) {
	return &grpcv2.ServerLiveResponse{Live: true}, nil
}

// ServerReady implements the protocol.
func (g grpcService) ServerReady(context.Context, *grpcv2.ServerReadyRequest) (*grpcv2.ServerReadyResponse, error) {
	return &grpcv2.ServerReadyResponse{Ready: g.ready.Load()}, nil
}

// ModelReady implements the protocol.
func (g grpcService) ModelReady(_ context.Context, m *grpcv2.ModelReadyRequest) (*grpcv2.ModelReadyResponse, error) {
	if refused := g.named(m.Name, m.Version); refused != nil {
		return nil, status.Error(codes.NotFound, refused.message)
	}
	return &grpcv2.ModelReadyResponse{Ready: g.ready.Load()}, nil
}

// ServerMetadata implements the protocol.
func (g grpcService) ServerMetadata(context.Context, *grpcv2.ServerMetadataRequest) (*grpcv2.ServerMetadataResponse, error) {
	return &grpcv2.ServerMetadataResponse{Name: serverName, Version: protocolVersion, Extensions: extensions}, nil
}

// ModelMetadata implements the protocol.
func (g grpcService) ModelMetadata(_ context.Context, m *grpcv2.ModelMetadataRequest) (*grpcv2.ModelMetadataResponse, error) {
	if refused := g.named(m.Name, m.Version); refused != nil {
		return nil, status.Error(codes.NotFound, refused.message)
	}
	return &grpcv2.ModelMetadataResponse{
		Name: g.config.Name, Versions: []string{g.config.Version}, Platform: platform,
		Inputs: describeGRPC(g.config.Inputs), Outputs: describeGRPC(g.config.Outputs),
	}, nil
}

func describeGRPC(ports []models.ModelPort) []*grpcv2.ModelMetadataResponse_TensorMetadata {
	out := make([]*grpcv2.ModelMetadataResponse_TensorMetadata, len(ports))
	for i, p := range ports {
		out[i] = &grpcv2.ModelMetadataResponse_TensorMetadata{Name: p.Name, Datatype: p.Datatype, Shape: p.Shape}
	}
	return out
}
