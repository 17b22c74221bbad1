package serving

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

// gate is a model of one input x that adds 1. Each prediction reports its rows
// and waits until it is let through.
type gate struct {
	entered chan int64
	let     chan struct{} // nil: at once
}

func (g *gate) Predict(_ context.Context, inputs map[string]Tensor) (map[string]Tensor, error) {
	x := inputs["x"]
	g.entered <- x.Shape[0]
	if g.let != nil {
		<-g.let
	}
	out := Tensor{Datatype: x.Datatype, Shape: slices.Clone(x.Shape)}
	values := x.Data.([]int64)
	if slices.Contains(values, -1) {
		return nil, errors.New("the value -1 breaks the runtime")
	}
	plus := make([]int64, len(values))
	for i, v := range values {
		plus[i] = v + 1
	}
	out.Data = plus
	return map[string]Tensor{"y": out}, nil
}

// batching is a batcher under test with the answers of its callers.
type batching struct {
	*batcher
	model   *gate
	answers sync.WaitGroup
}

func newBatching(t *testing.T, rows int64, delay time.Duration, parallel int) *batching {
	t.Helper()
	b := &batching{model: &gate{entered: make(chan int64, 100), let: make(chan struct{}, 100)}}
	config := Config{
		Name: "m", Inputs: []models.ModelPort{port("x", "INT64", -1, -1)}, Outputs: []models.ModelPort{port("y", "INT64", -1, -1)},
		Batch: BatchConfig{MaxRows: rows, MaxDelay: delay}, Parallel: parallel,
	}
	predictor, err := newPredictor(config, b.model, newMetrics(config))
	if err != nil {
		t.Fatal(err)
	}
	b.batcher = predictor.(*batcher)
	t.Cleanup(b.answers.Wait)
	return b
}

// ask predicts rows of one column in the background and checks the answer;
// wrong: the answer must be an error.
func (b *batching) ask(ctx context.Context, t *testing.T, wrong string, columns int, values ...int64) {
	t.Helper()
	shape := []int64{int64(len(values) / columns), int64(columns)}
	b.answers.Go(func() {
		outputs, err := b.Predict(ctx, map[string]Tensor{"x": {Datatype: "INT64", Shape: shape, Data: values}})
		if wrong != "" {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%v: got %v, %v, want the error %q", values, outputs, err, wrong)
			}
			return
		}
		want := make([]int64, len(values))
		for i, v := range values {
			want[i] = v + 1
		}
		if err != nil || !reflect.DeepEqual(outputs["y"], Tensor{Datatype: "INT64", Shape: shape, Data: want}) {
			t.Errorf("%v: got %v, %v", values, outputs, err)
		}
	})
}

func (b *batching) waitQueued(t *testing.T, n int) {
	t.Helper()
	waitUntil(t, func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.queue) == n
	})
}

// expect waits for predictions with these numbers of rows, in this order.
func (b *batching) expect(t *testing.T, rows ...int64) {
	t.Helper()
	for _, want := range rows {
		select {
		case got := <-b.model.entered:
			if got != want {
				t.Errorf("a prediction of %d rows, want %d", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no prediction of %d rows", want)
		}
	}
}

func (b *batching) let(n int) {
	for range n {
		b.model.let <- struct{}{}
	}
}

const never = time.Hour // a delay that no test lives to see

func TestBatchLoneRequestStartsAtOnce(t *testing.T) {
	b := newBatching(t, 8, never, 1)
	for range 3 {
		b.ask(context.Background(), t, "", 1, 7)
		b.expect(t, 1)
		b.let(1)
		b.answers.Wait()
	}
}

func TestBatchGathersWhileAPredictionRuns(t *testing.T) {
	b := newBatching(t, 8, never, 1)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	b.ask(context.Background(), t, "", 1, 2, 3)
	b.waitQueued(t, 1)
	b.ask(context.Background(), t, "", 1, 4)
	b.waitQueued(t, 2)
	b.let(2)
	b.expect(t, 3)
}

func TestBatchExpectsTheCallersOfAJointPredictionAgain(t *testing.T) {
	b := newBatching(t, 8, never, 1)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	for i := range 3 {
		b.ask(context.Background(), t, "", 1, int64(i))
		b.waitQueued(t, i+1)
	}
	b.let(2)
	b.expect(t, 3)
	b.answers.Wait()
	for i := range 2 { // these wait for the third one
		b.ask(context.Background(), t, "", 1, int64(i))
		b.waitQueued(t, i+1)
	}
	b.ask(context.Background(), t, "", 1, 3)
	b.let(1)
	b.expect(t, 3)
	b.answers.Wait()

	// Later than the longest delay nobody is expected any more.
	b.config.MaxDelay = time.Nanosecond
	b.ask(context.Background(), t, "", 1, 4)
	b.let(1)
	b.expect(t, 1)
}

func TestBatchIsNeverLargerThanAllowed(t *testing.T) {
	b := newBatching(t, 4, never, 1)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	for i, values := range [][]int64{{10, 11, 12}, {20, 21}, {30}, {40, 41, 42, 43, 44, 45}, {50}} {
		b.ask(context.Background(), t, "", 1, values...)
		b.waitQueued(t, i+1)
	}
	b.let(5)
	// {10…} alone, since {20, 21} does not fit; then {20, 21} and {30}; the one
	// that is larger than a batch by itself.
	b.expect(t, 3, 3, 6, 1)
}

func TestBatchJoinsEqualShapesOnly(t *testing.T) {
	b := newBatching(t, 8, never, 1)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	b.ask(context.Background(), t, "", 2, 1, 2)
	b.waitQueued(t, 1)
	b.ask(context.Background(), t, "", 3, 1, 2, 3)
	b.waitQueued(t, 2)
	b.ask(context.Background(), t, "", 2, 5, 6, 7, 8)
	b.waitQueued(t, 3)
	b.let(3)
	b.expect(t, 3, 1)
}

func TestBatchStartsWhenFullOrDue(t *testing.T) {
	b := newBatching(t, 2, never, 2)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	b.ask(context.Background(), t, "", 1, 2)
	b.waitQueued(t, 1)
	b.ask(context.Background(), t, "", 1, 3)
	b.expect(t, 2) // full, while the first one still runs
	b.let(2)
	b.answers.Wait()

	b = newBatching(t, 8, time.Millisecond, 2)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	b.ask(context.Background(), t, "", 1, 2)
	b.expect(t, 1) // due, while the first one still runs
	b.let(2)
}

func TestBatchRunsNoMoreThanAllowedAtOnce(t *testing.T) {
	b := newBatching(t, 1, time.Microsecond, 2)
	for i := range int64(5) {
		b.ask(context.Background(), t, "", 1, i)
	}
	b.expect(t, 1, 1)
	b.waitQueued(t, 3)
	time.Sleep(5 * time.Millisecond) // all are due now
	if n := len(b.model.entered); n > 0 {
		t.Errorf("%d predictions more than 2 run at once", n)
	}
	b.let(5)
}

func TestBatchBadRequestFailsAlone(t *testing.T) {
	b := newBatching(t, 8, never, 1)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	b.ask(context.Background(), t, "", 1, 2)
	b.waitQueued(t, 1)
	b.ask(context.Background(), t, "breaks the runtime", 1, -1)
	b.waitQueued(t, 2)
	b.ask(context.Background(), t, "", 1, 3)
	b.waitQueued(t, 3)
	// A wrong input does not even wait.
	_, err := b.Predict(context.Background(), map[string]Tensor{"x": {Datatype: "FP32", Shape: []int64{1, 1}, Data: []float32{1}}})
	if err == nil || !strings.Contains(err.Error(), `input "x": has datatype FP32`) {
		t.Errorf("error %v", err)
	}
	b.let(5)
	b.expect(t, 3, 1, 1, 1) // together, then each by itself
}

func TestBatchCancelledRequestDropsOut(t *testing.T) {
	b := newBatching(t, 8, never, 1)
	b.ask(context.Background(), t, "", 1, 1)
	b.expect(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	b.ask(ctx, t, "canceled", 1, 2)
	b.waitQueued(t, 1)
	b.ask(context.Background(), t, "", 1, 3)
	b.waitQueued(t, 2)
	cancel()
	b.waitQueued(t, 1)
	b.let(2)
	b.expect(t, 1)
}

// TestBatchUnderLoad mixes shapes and broken requests from many callers; every
// one must get its own answer.
func TestBatchUnderLoad(t *testing.T) {
	b := newBatching(t, 5, 100*time.Microsecond, 2)
	b.model.let = nil
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-b.model.entered:
			case <-stop:
				return
			}
		}
	}()
	for caller := range int64(8) {
		b.answers.Go(func() {
			for i := range int64(200) {
				values := make([]int64, (1+caller%2)*(1+i%3))
				for j := range values {
					values[j] = 1000*caller + i
				}
				wrong := ""
				if i%17 == caller {
					values[0], wrong = -1, "breaks"
				}
				done := &batching{batcher: b.batcher, model: b.model}
				done.ask(context.Background(), t, wrong, int(1+caller%2), values...)
				done.answers.Wait()
			}
		})
	}
	b.answers.Wait()
	close(stop)
}

func TestBatchNeedsABatchDimension(t *testing.T) {
	good := []models.ModelPort{port("x", "INT64", -1, 2)}
	for _, test := range []struct {
		inputs, outputs []models.ModelPort
		want            string
	}{
		{[]models.ModelPort{port("x", "INT64", 1, 2)}, good, `input "x" has the shape [1,2]: its first dimension is fixed`},
		{good, []models.ModelPort{port("y", "FP32")}, `output "y" has the shape []: its first dimension is fixed`},
	} {
		_, err := NewServer(Config{Name: "m", Inputs: test.inputs, Outputs: test.outputs, Batch: BatchConfig{MaxRows: 2}}, &doubler{})
		var rich *models.Error
		if !errors.As(err, &rich) || rich.Kind != models.KindModelRejected || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}

// summing answers one row whatever the batch.
type summing struct{}

func (summing) Predict(context.Context, map[string]Tensor) (map[string]Tensor, error) {
	return map[string]Tensor{"y": {Datatype: "INT64", Shape: []int64{1}, Data: []int64{0}}}, nil
}

func TestWarmUpFindsAModelThatMixesRows(t *testing.T) {
	for rows, want := range map[int64]string{0: "<nil>", 4: `output "y" has the shape [1] for a batch of 4: requests can't be joined`} {
		server, err := NewServer(Config{
			Name: "m", Inputs: []models.ModelPort{port("x", "INT64", -1)}, Outputs: []models.ModelPort{port("y", "INT64", -1)}, Batch: BatchConfig{MaxRows: rows},
		}, summing{})
		if err != nil {
			t.Fatal(err)
		}
		if err := server.WarmUp(context.Background()); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("batches of %d: error %v, want %q", rows, err, want)
		}
	}
}

func TestUnbatchedRequestsWaitForACore(t *testing.T) {
	model := &gate{entered: make(chan int64, 10), let: make(chan struct{})}
	config := Config{Name: "m", Inputs: []models.ModelPort{port("x", "INT64", -1)}, Parallel: 1}
	predictor, err := newPredictor(config, model, newMetrics(config))
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string]Tensor{"x": {Datatype: "INT64", Shape: []int64{1}, Data: []int64{1}}}
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := predictor.Predict(context.Background(), inputs); err != nil {
			t.Error(err)
		}
	})
	<-model.entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := predictor.Predict(ctx, inputs); !errors.Is(err, context.Canceled) {
		t.Errorf("a second prediction: %v, want it to give up waiting", err)
	}
	close(model.let)
	first.Wait()
}
