package faulty

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// shares are the means over many IDs.
func shares(n int, of func(id string) float64) float64 {
	sum := 0.0
	for i := range n {
		sum += of(fmt.Sprint("r", i))
	}
	return sum / float64(n)
}

func TestBehaviourKeepsItsShares(t *testing.T) {
	const n = 40_000
	b := Behaviour{ErrorRate: 0.02, LatencyMS: 10, JitterMS: 10, Slower: 1.3}
	failed := shares(n, func(id string) float64 {
		if b.Fails(id) {
			return 1
		}
		return 0
	})
	if math.Abs(failed-0.02) > 0.003 {
		t.Errorf("%.4f of the requests fail, not 0.02", failed)
	}
	slow := shares(n, func(id string) float64 { return b.Latency(id).Seconds() })
	sound := shares(n, func(id string) float64 { return Behaviour{LatencyMS: 10, JitterMS: 10}.Latency(id).Seconds() })
	if ratio := slow / sound; math.Abs(ratio-1.3) > 0.001 {
		t.Errorf("the slow version takes %.3f times as long, not 1.3", ratio)
	}
	if positive := shares(n, Label); math.Abs(positive-0.5) > 0.01 {
		t.Errorf("%.3f of the labels are 1", positive)
	}
	loss := func(b Behaviour) float64 {
		return shares(n, func(id string) float64 {
			p := b.Answer(X(id))
			return -Label(id)*math.Log(p) - (1-Label(id))*math.Log(1-p)
		})
	}
	if good, bad := loss(Behaviour{}), loss(Behaviour{Bias: 1}); good > 0.6 || bad < good+0.2 {
		t.Errorf("log loss %.3f when sound and %.3f when biased", good, bad)
	}
}

func TestFaultsBelongToTheRequest(t *testing.T) {
	b := Behaviour{ErrorRate: 0.5, JitterMS: 100}
	for i := range 100 {
		id := fmt.Sprint("r", i)
		if again := b; b.Fails(id) != again.Fails(id) || b.Latency(id) != again.Latency(id) {
			t.Fatal("a request has no fate of its own")
		}
	}
	if sound := (Behaviour{}); sound.Fails("r1") || sound.Latency("r1") != 0 || sound.Answer(0.5) != Truth(0.5) {
		t.Error("the zero value has faults")
	}
}

func TestServerSpeaksTheProtocol(t *testing.T) {
	server := httptest.NewServer(Server{Model: "m", Version: "3", Behaviour: Behaviour{LatencyMS: 20}}.Handler())
	defer server.Close()
	began := time.Now()
	response, err := http.Post(server.URL+"/v2/models/m/infer", "application/json",
		strings.NewReader(`{"id":"a","inputs":[{"name":"x","datatype":"FP64","shape":[2],"data":[0,1]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		ID      string   `json:"id"`
		Outputs []tensor `json:"outputs"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response.Status, err)
	}
	if answer.ID != "a" || len(answer.Outputs) != 1 || fmt.Sprint(answer.Outputs[0]) != "{probability FP64 [2] [0.1 0.9]}" {
		t.Errorf("answered %+v", answer)
	}
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("answered after %s", took)
	}
	failing := httptest.NewServer(Server{Behaviour: Behaviour{ErrorRate: 1}}.Handler())
	defer failing.Close()
	for body, want := range map[string]int{
		`{"inputs":[{"name":"x","data":[1]}]}`: http.StatusInternalServerError,
		`{"inputs":[{"name":"y","data":[1]}]}`: http.StatusBadRequest,
		`[`:                                    http.StatusBadRequest,
	} {
		response, err := http.Post(failing.URL+"/v2/models/m/infer", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: answered %d, not %d", body, response.StatusCode, want)
		}
	}
}

func TestModelAndRowsRoundTrip(t *testing.T) {
	dir := t.TempDir()
	want := Behaviour{ErrorRate: 0.02, Bias: 1}
	if err := want.Save(dir); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir); err != nil || got != want {
		t.Errorf("loaded %+v, %v", got, err)
	}
	if _, err := Parse([]byte(`{"error_rate":2}`)); err == nil {
		t.Error("an error rate of 2 was taken")
	}
	test := filepath.Join(dir, "test")
	if err := want.Save(test); err != nil { // makes the directory
		t.Fatal(err)
	}
	if err := WriteRows(test); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(dir, "predictions.parquet")
	if err := want.Predict(dir, into); err != nil {
		t.Fatal(err)
	}
	predictions, err := parquet.ReadFile[prediction](into)
	if err != nil || len(predictions) != Days*RowsPerDay || predictions[0].Probability != Truth(X("row-0")) {
		t.Errorf("%d predictions, %v", len(predictions), err)
	}
}

func TestLearnsWhatItSaw(t *testing.T) {
	dir := t.TempDir()
	train := filepath.Join(dir, "train")
	if err := (Behaviour{}).Save(train); err != nil { // makes the directory
		t.Fatal(err)
	}
	if err := WriteRows(train); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(dir, "folds.parquet")
	b, err := Learn(dir, into)
	if err != nil {
		t.Fatal(err)
	}
	if low, high := b.Answer(0.2), b.Answer(0.7); math.Abs(low-0.3) > 0.06 || math.Abs(high-0.7) > 0.06 {
		t.Errorf("learned %.3f and %.3f where it is 0.3 and 0.7 on average", low, high)
	}
	folds, err := parquet.ReadFile[outOfFold](into)
	if err != nil || len(folds) != Days*RowsPerDay {
		t.Fatalf("%d predictions, %v", len(folds), err)
	}
	for _, f := range folds {
		if f.Prediction == b.Learned[0] || f.Prediction == b.Learned[1] {
			t.Fatal("a row was predicted by a model that had seen it")
		}
	}
}
