//go:build cgo

package serving

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/serving/oip/grpcv2"
)

// TestBatchWithTheRuntime joins real requests; one of them breaks the runtime
// and must fail alone.
func TestBatchWithTheRuntime(t *testing.T) {
	model := load(t, openRuntime(t), "gather")
	server, err := NewServer(Config{
		Name: "flights", Version: "1", Inputs: model.Inputs, Outputs: model.Outputs, Batch: BatchConfig{MaxRows: 16, MaxDelay: 5 * time.Millisecond}, Parallel: 1,
	}, model)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for caller := range 8 {
		callers.Go(func() {
			for i := range 40 {
				index := (caller + i) % 4 // 3 is outside the table
				status, got := call(t, server, "POST", "/v2/models/flights/infer",
					fmt.Sprintf(`{"inputs":[{"name":"index","datatype":"INT64","shape":[1],"data":[%d]}]}`, index))
				wantStatus, want := http.StatusOK, fmt.Sprintf(`"data":[%d]`, 10*(index+1))
				if index == 3 {
					wantStatus, want = http.StatusInternalServerError, "Gather"
				}
				if status != wantStatus || !strings.Contains(got, want) {
					t.Errorf("index %d: %d %s", index, status, got)
				}
			}
		})
	}
	callers.Wait()
}

func TestBatchingIsRefusedForAModelThatMixesRows(t *testing.T) {
	model := load(t, openRuntime(t), "total")
	_, err := NewServer(Config{Name: "m", Inputs: model.Inputs, Outputs: model.Outputs, Batch: BatchConfig{MaxRows: 4}}, model)
	if err == nil || !strings.Contains(err.Error(), `output "sum" has the shape [1]`) {
		t.Errorf("error %v", err)
	}
}

func TestGRPCWithTheRuntime(t *testing.T) {
	model := load(t, openRuntime(t), "flights")
	server, err := NewServer(Config{Name: "flights", Version: "1", Inputs: model.Inputs, Outputs: model.Outputs}, model)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.WarmUp(context.Background()); err != nil {
		t.Fatal(err)
	}
	connection, _, _ := dialGRPC(t, server)
	answer, err := grpcv2.NewGRPCInferenceServiceClient(connection).ModelInfer(t.Context(), flightRequest(t, 500, true))
	if err != nil {
		t.Fatal(err)
	}
	outputs, err := grpcv2.Outputs(answer)
	if err != nil || len(outputs) != 2 || outputs[0].Data.([]int64)[0] != 1 {
		t.Errorf("outputs %v, %v", outputs, err)
	}
}
