package gateway

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
	"github.com/mainspring-ml/mainspring/models"
)

// overGRPC serves the stage's gateway over gRPC.
func (s *stage) overGRPC() *grpc.ClientConn {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	failed := make(chan error, 1)
	server := s.gateway.serveGRPC(listener, failed)
	s.t.Cleanup(server.Stop)
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func inferContext(t *testing.T, pairs ...string) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func doubles(values ...float64) []oip.NamedTensor {
	return []oip.NamedTensor{{Name: "x", Tensor: oip.Tensor{Datatype: oip.FP64, Shape: []int64{int64(len(values))}, Data: values}}}
}

func question(t *testing.T, inputs []oip.NamedTensor, raw bool) *grpcv2.ModelInferRequest {
	t.Helper()
	m, err := grpcv2.NewRequest("flights", "", "body-id", inputs, []string{"y"}, raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// echo answers with the values of x as y, in the form in which they came.
func echo(t *testing.T, bodies *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*bodies = append(*bodies, string(body))
		request, err := oip.ScanBinaryRequest(body, r.Header.Get(oip.HeaderLength))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(errorJSON(err.Error()))
			return
		}
		tensor, err := request.Inputs[0].Decode()
		if err != nil {
			t.Error(err)
		}
		answer, length, err := oip.AppendResponse(nil, oip.Response{Model: "flights", Version: "theirs", ID: request.ID, Outputs: []oip.NamedTensor{
			{Name: "y", Tensor: tensor, Binary: request.WantsBinary("y")},
		}})
		if err != nil {
			t.Error(err)
		}
		if length > 0 {
			w.Header().Set(oip.HeaderLength, fmt.Sprint(length))
		}
		_, _ = w.Write(answer)
	}
}

func TestGRPCInfersByTheSameWayAsHTTP(t *testing.T) {
	s := newStage(t, Config{})
	var bodies []string
	s.replicas("v1", customServer(t, echo(t, &bodies)))
	s.route(4, 0)
	client := grpcv2.NewGRPCInferenceServiceClient(s.overGRPC())
	values := []float64{0.1, math.Pi, 5e-324, -1.7976931348623157e308, 9007199254740993}
	for _, raw := range []bool{false, true} {
		var header metadata.MD
		at := time.Date(2013, 1, 2, 3, 0, 0, 0, time.UTC)
		answer, err := client.ModelInfer(inferContext(t, "mainspring-request-id", "r1", "mainspring-event-time", at.Format(time.RFC3339)), question(t, doubles(values...), raw), grpc.Header(&header))
		if err != nil {
			t.Fatal(err)
		}
		if grpcv2.IsRaw(question(t, doubles(1), raw)) != (len(answer.RawOutputContents) > 0) {
			t.Errorf("raw %v: the answer has %d raw contents", raw, len(answer.RawOutputContents))
		}
		outputs, err := grpcv2.Outputs(answer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(values, outputs[0].Data); diff != "" {
			t.Errorf("raw %v: not the very values:\n%s", raw, diff)
		}
		if answer.ModelVersion != "v1" || answer.ModelName != "flights" || answer.Id != "body-id" {
			t.Errorf("answer of %s %s, id %s", answer.ModelName, answer.ModelVersion, answer.Id)
		}
		for name, want := range map[string]string{"mainspring-request-id": "r1", "mainspring-version": "v1", "mainspring-arm": "champion"} {
			if got := header.Get(name); len(got) != 1 || got[0] != want {
				t.Errorf("metadata %s: %v, want %s", name, got, want)
			}
		}
	}
	if !strings.HasSuffix(bodies[0], `,"outputs":[{"name":"y"}]}`) {
		t.Errorf("the server was not asked for y: %s", bodies[0])
	}
	s.wantArm("v1@4", 2, 0)
	s.flush()
	rows := rowsUnder[models.InferenceRow](t, s.store, "inference/")
	if len(rows) != 2 || rows[0].ID != "r1" || rows[0].Status != 200 || !strings.Contains(rows[0].Inputs, "3.141592653589793") || rows[0].EventTime != time.Date(2013, 1, 2, 3, 0, 0, 0, time.UTC).UnixMicro() {
		t.Errorf("the log has %+v", rows)
	}
}

// Values that JSON can't hold travel in binary form.
func TestGRPCTakesWhatJSONCannotHold(t *testing.T) {
	s := newStage(t, Config{})
	var bodies []string
	s.replicas("v1", customServer(t, echo(t, &bodies)))
	s.route(1, 0)
	client := grpcv2.NewGRPCInferenceServiceClient(s.overGRPC())
	image := []oip.NamedTensor{{Name: "x", Tensor: oip.Tensor{Datatype: oip.Bytes, Shape: []int64{2}, Data: []string{"\xff\xd8\x00", "text"}}}}
	for _, inputs := range [][]oip.NamedTensor{image, doubles(math.Inf(1), 2)} {
		answer, err := client.ModelInfer(inferContext(t), question(t, inputs, true))
		if err != nil {
			t.Fatal(err)
		}
		outputs, err := grpcv2.Outputs(answer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(inputs[0].Data, outputs[0].Data); diff != "" {
			t.Error(diff)
		}
	}
}

func TestGRPCNamesWhatIsWrong(t *testing.T) {
	answered := http.StatusOK
	s, _ := tenantStage(t, "- {tenant: web, keys: ["+digestHex("k")+"], endpoints: [flights, gone]}\n- {tenant: slow, keys: ["+digestHex("s")+`], endpoints: [flights], rate: 0.001}`,
		func(w http.ResponseWriter, r *http.Request) {
			if answered != http.StatusOK {
				w.WriteHeader(answered)
				_, _ = io.WriteString(w, `{"error":"theirs"}`)
				return
			}
			asV1(w, r)
		})
	client := grpcv2.NewGRPCInferenceServiceClient(s.overGRPC())
	ask := func(key string, change func(*grpcv2.ModelInferRequest)) error {
		t.Helper()
		m := question(t, doubles(1), false)
		m.Outputs = nil
		if change != nil {
			change(m)
		}
		pairs := []string{}
		if key != "" {
			pairs = []string{"authorization", "Bearer " + key}
		}
		_, err := client.ModelInfer(inferContext(t, pairs...), m)
		return err
	}
	want := func(name string, err error, code codes.Code, text string) {
		t.Helper()
		if got := status.Convert(err); got.Code() != code || !strings.Contains(got.Message(), text) {
			t.Errorf("%s: %v %q, want %v with %q", name, got.Code(), got.Message(), code, text)
		}
	}
	want("the key", ask("k", nil), codes.OK, "")
	want("no key", ask("", nil), codes.Unauthenticated, "a key is needed")
	want("an unknown key", ask("x", nil), codes.Unauthenticated, "not known")
	want("not their endpoint", ask("k", func(m *grpcv2.ModelInferRequest) { m.ModelName = "other" }), codes.PermissionDenied, "may not call")
	want("no such endpoint", ask("k", func(m *grpcv2.ModelInferRequest) { m.ModelName = "gone" }), codes.NotFound, `"gone"`)
	want("no such version", ask("k", func(m *grpcv2.ModelInferRequest) { m.ModelVersion = "v9" }), codes.NotFound, `"v9"`)
	want("a wrong tensor", ask("k", func(m *grpcv2.ModelInferRequest) { m.Inputs[0].Datatype = "FP65" }), codes.InvalidArgument, `"x"`)
	want("within the rate", ask("s", nil), codes.OK, "")
	want("beyond the rate", ask("s", nil), codes.ResourceExhausted, "requests per second")
	for code, grpcCode := range map[int]codes.Code{400: codes.InvalidArgument, 404: codes.NotFound, 413: codes.ResourceExhausted, 500: codes.Internal} {
		answered = code
		want(fmt.Sprint("the server answers ", code), ask("k", nil), grpcCode, "theirs")
	}
	answered = http.StatusServiceUnavailable
	want("the server is not ready", ask("k", nil), codes.Unavailable, "ready")
	for _, place := range s.gateway.Status().Tenants.Tenants {
		if place.InFlight != 0 {
			t.Errorf("tenant %s still holds %d places", place.Tenant, place.InFlight)
		}
	}
}

func TestGRPCTellsAboutServerAndModel(t *testing.T) {
	s := newStage(t, Config{})
	connection := s.overGRPC()
	client := grpcv2.NewGRPCInferenceServiceClient(connection)
	ctx := inferContext(t)
	ready := func() (server bool, probe healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		answer, err := client.ServerReady(ctx, &grpcv2.ServerReadyRequest{})
		if err != nil {
			t.Fatal(err)
		}
		check, err := healthpb.NewHealthClient(connection).Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer.Ready, check.Status
	}
	if server, probe := ready(); server || probe != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("before the routes were read: %v, %v", server, probe)
	}
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/ready") {
			_, _ = io.WriteString(w, `{"ready":true}`)
			return
		}
		_, _ = io.WriteString(w, `{"name":"flights","versions":["theirs"],"platform":"onnx","inputs":[{"name":"x","datatype":"FP64","shape":[-1]}],"outputs":[{"name":"y","datatype":"FP64","shape":[-1,1]}]}`)
	}))
	s.route(1, 0)
	if server, probe := ready(); !server || probe != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("with routes: %v, %v", server, probe)
	}
	if answer, err := client.ModelReady(ctx, &grpcv2.ModelReadyRequest{Name: "flights"}); err != nil || !answer.Ready {
		t.Errorf("model ready: %v, %v", answer, err)
	}
	if _, err := client.ModelReady(ctx, &grpcv2.ModelReadyRequest{Name: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown model: %v", err)
	}
	model, err := client.ModelMetadata(ctx, &grpcv2.ModelMetadataRequest{Name: "flights"})
	if err != nil {
		t.Fatal(err)
	}
	if model.Platform != "onnx" || model.Versions[0] != "v1" || model.Inputs[0].Name != "x" || model.Outputs[0].Shape[1] != 1 {
		t.Errorf("the model: %v", model)
	}
	if server, err := client.ServerMetadata(ctx, &grpcv2.ServerMetadataRequest{}); err != nil || server.Name != "mainspring-gateway" {
		t.Errorf("the server: %v, %v", server, err)
	}
}

func TestGRPCBoundsMessagesAndDrains(t *testing.T) {
	entered, goOn := make(chan struct{}, 1), make(chan struct{})
	s := newStage(t, Config{MaxBodyBytes: 4096})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-goOn
		asV1(w, r)
	}))
	s.route(1, 0)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := s.gateway.serveGRPC(listener, make(chan error, 1))
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	client := grpcv2.NewGRPCInferenceServiceClient(connection)
	if _, err := client.ModelInfer(inferContext(t), question(t, doubles(make([]float64, 1000)...), true)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message beyond the limit: %v", err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := client.ModelInfer(inferContext(t), question(t, doubles(1), true))
		answered <- err
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- stopGRPC(ctx, server)
	}()
	close(goOn)
	if err := <-answered; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}
