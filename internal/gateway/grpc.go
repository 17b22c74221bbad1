package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/mainspring-ml/mainspring/internal/drain"
	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
)

// grpcFront answers the protocol over gRPC, by the same way as HTTP: a request
// is drawn, sent on as one over HTTP, counted and logged. The metadata of a
// call stands for the header of a request, under the same names.
type grpcFront struct {
	grpcv2.UnimplementedGRPCInferenceServiceServer
	healthpb.UnimplementedHealthServer
	*Gateway
}

// serveGRPC answers on the listener; without one it returns nil.
func (g *Gateway) serveGRPC(listener net.Listener, failed chan<- error) *grpc.Server {
	if listener == nil {
		return nil
	}
	limit := int(min(g.config.MaxBodyBytes, math.MaxInt32))
	server := grpc.NewServer(grpc.MaxRecvMsgSize(limit), grpc.MaxSendMsgSize(limit), grpc.MaxHeaderListSize(maxHeader),
		grpc.ConnectionTimeout(10*time.Second))
	front := grpcFront{Gateway: g}
	grpcv2.RegisterGRPCInferenceServiceServer(server, front)
	healthpb.RegisterHealthServer(server, front)
	go func() { failed <- fmt.Errorf("serve gRPC on %s: %w", listener.Addr(), server.Serve(listener)) }()
	return server
}

// stopGRPC takes no new calls and waits for those in flight until ctx ends.
func stopGRPC(ctx context.Context, server *grpc.Server) error {
	if server == nil {
		return nil
	}
	return drain.StopGRPC(ctx, server)
}

// ModelInfer implements the protocol.
func (f grpcFront) ModelInfer(ctx context.Context, m *grpcv2.ModelInferRequest) (*grpcv2.ModelInferResponse, error) {
	header := headerOf(ctx)
	who, err := f.admit(ctx, header, m.ModelName)
	if err != nil {
		return nil, err
	}
	defer who.leave()
	in := inference{started: time.Now(), version: m.ModelVersion, header: header, sending: new(atomic.Int32)}
	if in.body, err = bodyOf(m, header); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if code, err := f.accept(m.ModelName, &in); err != nil {
		return nil, status.Error(codeOf(code), err.Error())
	}
	result, ok := f.answer(ctx, &in)
	if !ok {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	defer f.buffers.put(result.body)
	f.mark(ctx, in.id, result)
	if result.status != http.StatusOK {
		return nil, status.Error(codeOf(result.status), errorText(result))
	}
	return messageOf(m, result)
}

// admit is the door's word in gRPC's terms.
func (f grpcFront) admit(ctx context.Context, header http.Header, endpoint string) (*tenant, error) {
	who, no := f.door.admit(header, endpoint)
	if no == nil {
		return who, nil
	}
	if no.after > 0 {
		f.tell(ctx, metadata.Pairs("retry-after", strconv.Itoa(int(math.Ceil(no.after.Seconds())))))
	}
	return nil, status.Error(codeOf(no.status), no.message)
}

// mark says which request an answer belongs to and which version gave it.
func (f grpcFront) mark(ctx context.Context, id string, result answer) {
	header := http.Header{}
	markAnswer(header, id, result.arm)
	if after := result.header.Get("Retry-After"); after != "" {
		header.Set("Retry-After", after)
	}
	pairs := metadata.MD{}
	for name, values := range header {
		pairs.Append(name, values...)
	}
	f.tell(ctx, pairs)
}

// tell sets response metadata. It fails only when the call is over.
func (f grpcFront) tell(ctx context.Context, pairs metadata.MD) {
	if err := grpc.SetHeader(ctx, pairs); err != nil {
		f.config.Log.Debug("gRPC metadata not sent", "error", err)
	}
}

// headerOf is a call's metadata as a header, without what concerns gRPC itself
// or the form of its message.
func headerOf(ctx context.Context) http.Header {
	pairs, _ := metadata.FromIncomingContext(ctx)
	header := make(http.Header, len(pairs))
	for name, values := range pairs {
		switch {
		case strings.HasPrefix(name, ":"), strings.HasPrefix(name, "grpc-"), strings.HasSuffix(name, "-bin"):
		case name == "content-type", name == "content-length", name == "content-encoding", name == "accept-encoding",
			name == "host", name == "inference-header-content-length":
		default:
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return header
}

// codeOf is gRPC's word for a status of HTTP.
func codeOf(code int) codes.Code {
	switch code {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusUnsupportedMediaType:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	default:
		return codes.Internal
	}
}

// errorText is what a server says is wrong: the protocol's error, else the
// beginning of its answer.
func errorText(result answer) string {
	const most = 1000
	text := result.body.Bytes()
	var message struct {
		Error string `json:"error"`
	}
	if err := json.Unmarshal(text, &message); err == nil && message.Error != "" {
		return message.Error
	}
	return fmt.Sprintf("the server answered %d: %s", result.status, strings.ToValidUTF8(string(text[:min(len(text), most)]), "�"))
}
