package serving

import (
	"context"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
)

// dialGRPC serves gRPC for a test. stop begins the drain; served gets its
// outcome.
func dialGRPC(t testing.TB, server *Server) (connection *grpc.ClientConn, stop func(), served chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served = make(chan error, 1)
	go func() { served <- server.ServeGRPC(ctx, listener) }()
	connection, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		connection.Close()
	})
	return connection, stop, served
}

func flightRequest(t testing.TB, distance int64, raw bool) *grpcv2.ModelInferRequest {
	t.Helper()
	m, err := grpcv2.NewRequest("flights", "", "r1", []oip.NamedTensor{
		{Name: "carrier", Tensor: Tensor{Datatype: "BYTES", Shape: []int64{1, 1}, Data: []string{"UA"}}},
		{Name: "distance", Tensor: Tensor{Datatype: "INT64", Shape: []int64{1, 1}, Data: []int64{distance}}},
	}, nil, raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGRPCAnswersInTheFormOfTheRequest(t *testing.T) {
	server := newTestServer(t, &doubler{})
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	connection, _, _ := dialGRPC(t, server)
	client := grpcv2.NewGRPCInferenceServiceClient(connection)
	for _, raw := range []bool{false, true} {
		answer, err := client.ModelInfer(t.Context(), flightRequest(t, 7, raw))
		if err != nil {
			t.Fatal(err)
		}
		outputs, err := grpcv2.Outputs(answer)
		want := []oip.NamedTensor{{Name: "twice", Tensor: Tensor{Datatype: "FP64", Shape: []int64{1, 1}, Data: []float64{14}}}}
		if err != nil || !reflect.DeepEqual(outputs, want) || (len(answer.RawOutputContents) > 0) != raw {
			t.Errorf("raw %v: %v, %v", raw, answer, err)
		}
		if answer.ModelName != "flights" || answer.ModelVersion != "v3" || answer.Id != "r1" {
			t.Errorf("answer %v", answer)
		}
	}
	metadata, err := client.ModelMetadata(t.Context(), &grpcv2.ModelMetadataRequest{Name: "flights"})
	if err != nil || metadata.Platform != "onnx_onnxv1" || !reflect.DeepEqual(metadata.Versions, []string{"v3"}) ||
		len(metadata.Inputs) != 2 || metadata.Inputs[1].Datatype != "INT64" || !reflect.DeepEqual(metadata.Inputs[1].Shape, []int64{-1, 1}) {
		t.Errorf("metadata %v, %v", metadata, err)
	}
	about, err := client.ServerMetadata(t.Context(), &grpcv2.ServerMetadataRequest{})
	if err != nil || about.Name != "mainspring" || len(about.Extensions) != 1 {
		t.Errorf("server %v, %v", about, err)
	}
}

func TestGRPCCodes(t *testing.T) {
	server := newTestServer(t, &doubler{})
	connection, _, _ := dialGRPC(t, server)
	client := grpcv2.NewGRPCInferenceServiceClient(connection)
	infer := func(change func(*grpcv2.ModelInferRequest)) error {
		m := flightRequest(t, 7, true)
		change(m)
		_, err := client.ModelInfer(t.Context(), m)
		return err
	}
	check := func(err error, code codes.Code, want string) {
		t.Helper()
		if status.Code(err) != code || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %v: %q", err, code, want)
		}
	}
	check(infer(func(*grpcv2.ModelInferRequest) {}), codes.Unavailable, "not ready")
	ready, err := client.ModelReady(t.Context(), &grpcv2.ModelReadyRequest{Name: "flights", Version: "v3"})
	if err != nil || ready.Ready {
		t.Errorf("ready before the warm-up: %v, %v", ready, err)
	}
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	if ready, err := client.ServerReady(t.Context(), &grpcv2.ServerReadyRequest{}); err != nil || !ready.Ready {
		t.Errorf("not ready after the warm-up: %v, %v", ready, err)
	}
	check(infer(func(m *grpcv2.ModelInferRequest) { m.ModelName = "x" }), codes.NotFound, `has model "flights"`)
	check(infer(func(m *grpcv2.ModelInferRequest) { m.ModelVersion = "9" }), codes.NotFound, `version "v3" only`)
	check(infer(func(m *grpcv2.ModelInferRequest) { m.Inputs[1].Datatype = "FP64" }), codes.InvalidArgument, `input "distance": has datatype FP64`)
	check(infer(func(m *grpcv2.ModelInferRequest) { m.RawInputContents[1] = []byte{1} }), codes.InvalidArgument, `input "distance": 1 bytes of data`)
	check(infer(func(m *grpcv2.ModelInferRequest) {
		m.Outputs = []*grpcv2.ModelInferRequest_InferRequestedOutputTensor{{Name: "x"}}
	}), codes.InvalidArgument, `output "x" is not an output`)
	check(infer(func(m *grpcv2.ModelInferRequest) { m.Id = strings.Repeat("x", 5000) }), codes.ResourceExhausted, "larger than max")
	_, err = client.ModelReady(t.Context(), &grpcv2.ModelReadyRequest{Name: "x"})
	check(err, codes.NotFound, `has model "flights"`)
	server.pending.Store(server.config.MaxPending)
	check(infer(func(*grpcv2.ModelInferRequest) {}), codes.ResourceExhausted, "512 requests are waiting already")
	server.pending.Store(0)
	_, text := call(t, server, "GET", "/metrics", "")
	if want := `mainspring_serve_answers_total{model="flights",protocol="grpc",status="404",version="v3"} 2`; !strings.Contains(text, want) {
		t.Errorf("metrics lack %s", want)
	}
}

func TestGRPCFinishesRequestsInFlight(t *testing.T) {
	model := &doubler{hold: make(chan struct{}), entered: make(chan struct{}, 1)}
	server := newTestServer(t, model)
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	connection, stop, served := dialGRPC(t, server)
	if _, err := healthpb.NewHealthClient(connection).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	client := grpcv2.NewGRPCInferenceServiceClient(connection)
	answered := make(chan error, 1)
	message := flightRequest(t, 7, true)
	go func() {
		_, err := client.ModelInfer(context.Background(), message)
		answered <- err
	}()
	<-model.entered
	stop()
	waitUntil(t, func() bool { return !server.ready.Load() })
	if status, _ := call(t, server, "GET", "/v2/health/ready", ""); status != http.StatusBadRequest {
		t.Errorf("ready while draining: %d", status)
	}
	close(model.hold)
	if err := <-answered; err != nil {
		t.Errorf("the request in flight got %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
