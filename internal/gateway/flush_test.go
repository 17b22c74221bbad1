package gateway

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/models"
)

func readyStage(t *testing.T, config Config) *stage {
	t.Helper()
	s := newStage(t, config)
	s.replicas("v1", modelServer(t, "v1"))
	s.route(7, 0)
	return s
}

func (s *stage) watermark() time.Time {
	s.t.Helper()
	var mark models.Watermark
	s.store.read(s.t, models.WatermarkPrefix("flights")+"gw.json", &mark)
	if mark.Closed {
		s.t.Error("the watermark is closed")
	}
	return mark.EventTime
}

func TestFlushWritesRowsThenCountersThenWatermark(t *testing.T) {
	s := readyStage(t, Config{})
	s.infer("a", day(1, 23))
	s.infer("b", day(2, 1))
	s.infer("c", day(1, 22)) // late: belongs to the first day
	if got := s.flush(); got != 3 {
		t.Errorf("flushed %d rows", got)
	}
	if got, want := s.store.kinds(), []string{"inference", "inference", "inference", "stats", "watermarks"}; !reflect.DeepEqual(got, want) {
		t.Errorf("wrote %v, want %v", got, want)
	}
	ids := func(d int) (ids []string) {
		for _, row := range rowsUnder[models.InferenceRow](t, s.store, models.InferencePrefix("flights", day(d, 0))) {
			ids = append(ids, row.ID)
		}
		return ids
	}
	if !reflect.DeepEqual(ids(1), []string{"c", "a"}) || !reflect.DeepEqual(ids(2), []string{"b"}) {
		t.Errorf("day 1 %v, day 2 %v", ids(1), ids(2))
	}
	if got := s.watermark(); !got.Equal(day(2, 1)) {
		t.Errorf("watermark %v", got)
	}
	s.flush()
	if got := s.store.kinds(); got != nil {
		t.Errorf("an idle flush wrote %v", got)
	}
}

func TestNoWatermarkBeforeItsRows(t *testing.T) {
	s := readyStage(t, Config{})
	s.infer("a", day(1, 1))
	s.store.setOut(func(operation, key string) bool { return operation == "put" && strings.HasPrefix(key, "inference/") })
	if _, err := s.gateway.flush(context.Background(), false); err == nil || !strings.Contains(err.Error(), "endpoint flights: write inference/flights/dt=2013-01-01/hour=01/gw-b1-00000001.parquet") {
		t.Errorf("error %v", err)
	}
	s.infer("b", day(1, 2))
	if got := s.store.kinds(); got != nil {
		t.Errorf("wrote %v though the rows are not durable", got)
	}
	if got := s.gateway.Status().Endpoints[0]; got.Waiting != 2 || !got.Watermark.IsZero() {
		t.Errorf("%d rows wait, watermark %v", got.Waiting, got.Watermark)
	}
	s.store.setOut(nil)
	if got := s.flush(); got != 2 {
		t.Errorf("flushed %d rows after the outage", got)
	}
	if got := s.watermark(); !got.Equal(day(1, 2)) {
		t.Errorf("watermark %v", got)
	}
	if got := s.gateway.Status().Endpoints[0]; got.Waiting != 0 || got.Dropped != 0 {
		t.Errorf("%d rows wait, %d dropped", got.Waiting, got.Dropped)
	}
}

func TestRequestInFlightHoldsTheWatermark(t *testing.T) {
	s := newStage(t, Config{})
	entered, release := make(chan struct{}), make(chan struct{})
	s.replicas("v1", customServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(HeaderRequestID) == "slow" {
			close(entered)
			<-release
		}
		answerAs(w, r, "v1")
	}))
	s.route(7, 0)
	s.infer("a", day(1, 1))
	done := make(chan error, 1)
	go func() {
		_, err := s.tryPost("/v2/models/flights/infer", inferBody, map[string]string{HeaderRequestID: "slow", HeaderEventTime: day(1, 2).Format(time.RFC3339)})
		done <- err
	}()
	<-entered
	s.infer("b", day(1, 3))
	s.flush()
	if got := s.watermark(); !got.Equal(day(1, 2)) {
		t.Errorf("watermark %v with a request of %v in flight", got, day(1, 2))
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.flush()
	if got := s.watermark(); !got.Equal(day(1, 3)) {
		t.Errorf("watermark %v", got)
	}
}

func TestClientThatLeavesIsNotLogged(t *testing.T) {
	s := newStage(t, Config{})
	entered := make(chan struct{})
	s.replicas("v1", customServer(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(entered)
		<-r.Context().Done()
	}))
	s.route(7, 0)
	ctx, leave := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, "POST", s.url+"/v2/models/flights/infer", strings.NewReader(inferBody))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-entered
		leave()
	}()
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Fatal("the request was answered")
	}
	log := (*s.gateway.known.Load())["flights"].log
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		log.mu.Lock()
		idle := len(log.free) == len(log.inflight)
		log.mu.Unlock()
		if idle {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the request never ended")
		}
	}
	if got := s.flush(); got != 0 {
		t.Errorf("%d rows", got)
	}
	s.wantArm("v1@7", 0, 0)
}

func TestFullBufferDropsAndCounts(t *testing.T) {
	s := readyStage(t, Config{BufferRows: 3})
	s.store.setOut(func(operation, _ string) bool { return operation == "put" })
	for i := range 2 {
		s.infer(fmt.Sprint(i), day(1, 1))
	}
	if _, err := s.gateway.flush(context.Background(), false); err == nil {
		t.Fatal("no error")
	}
	for i := range 3 {
		if r := s.infer(fmt.Sprint(2+i), day(1, 1)); r.status != 200 {
			t.Fatalf("%+v", r)
		}
	}
	if got := s.gateway.Status().Endpoints[0]; got.Waiting != 3 || got.Dropped != 2 {
		t.Errorf("%d rows wait, %d dropped; want 3, 2", got.Waiting, got.Dropped)
	}
	s.store.setOut(nil)
	if got := s.flush(); got != 3 {
		t.Errorf("flushed %d rows", got)
	}
}

func TestIdleWatermarkIsRefreshed(t *testing.T) {
	s := readyStage(t, Config{})
	s.infer("a", day(1, 1))
	s.flush()
	s.store.kinds()
	e := (*s.gateway.known.Load())["flights"]
	e.book.written.Written = e.book.written.Written.Add(-refresh)
	s.flush()
	if got, want := s.store.kinds(), []string{"watermarks"}; !reflect.DeepEqual(got, want) {
		t.Errorf("wrote %v, want %v", got, want)
	}
}

func TestManyRowsBringTheFlushForward(t *testing.T) {
	s := readyStage(t, Config{FlushRows: 2, Flush: time.Hour})
	ctx, stop := context.WithCancel(context.Background())
	flusher := make(chan struct{})
	go func() {
		defer close(flusher)
		s.gateway.runFlusher(ctx)
	}()
	s.infer("a", day(1, 1))
	s.infer("b", day(1, 2))
	for deadline := time.Now().Add(10 * time.Second); s.watermark().IsZero(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no flush")
		}
	}
	stop()
	<-flusher
}

func TestLabelsAreDurableBeforeTheAnswer(t *testing.T) {
	s := readyStage(t, Config{})
	path := "/v2/models/flights/labels"
	r := s.post(path, `{"id":"b","label":1,"label_time":"2013-01-02T00:30:00Z"}
{"id":"a","label":0,"label_time":"2013-01-01T19:00:00-05:00"}

{"id":"c","label":1,"label_time":"2013-01-01T23:59:59Z"}`, nil)
	if r.status != 200 || r.body != `{"labels":3,"days":{"2013-01-01":1,"2013-01-02":2}}` {
		t.Fatalf("%+v", r)
	}
	rows := rowsUnder[models.LabelRow](t, s.store, models.LabelPrefix("flights", day(2, 0)))
	for i := range rows {
		if time.Since(time.UnixMicro(rows[i].Time)).Abs() > time.Minute {
			t.Errorf("arrival %v", rows[i].Time)
		}
		rows[i].Time = 0
	}
	if want := []models.LabelRow{
		{ID: "a", Label: 0, LabelTime: day(2, 0).UnixMicro()}, {ID: "b", Label: 1, LabelTime: day(2, 0.5).UnixMicro()},
	}; !reflect.DeepEqual(rows, want) {
		t.Errorf("rows %+v, want %+v", rows, want)
	}
	before := time.Now()
	if r := s.post(path, `{"id":"now","label":1}`, nil); r.status != 200 {
		t.Fatalf("%+v", r)
	}
	if rows := rowsUnder[models.LabelRow](t, s.store, models.LabelPrefix("flights", before)); len(rows) != 1 || rows[0].LabelTime < before.UnixMicro() {
		t.Errorf("rows %+v", rows)
	}
	s.flush()
	if !s.watermark().IsZero() {
		t.Error("labels moved the watermark")
	}
	s.store.setOut(func(string, string) bool { return true })
	if r := s.post(path, `{"id":"x","label":1}`, nil); r.status != 503 || !strings.Contains(r.body, "send them again") {
		t.Errorf("during an outage: %+v", r)
	}
}

func TestLabelErrorsNameTheLine(t *testing.T) {
	s := readyStage(t, Config{MaxLabels: 200})
	for _, test := range []struct {
		body   string
		status int
		want   string
	}{
		{"", 400, "no labels"},
		{"{\"id\":\"a\",\"label\":1}\n\n{\"id\":\"b\"}", 400, `line 3: \"label\" is missing`},
		{`{"label":1}`, 400, `line 1: \"id\" is missing`},
		{`{"id":"a","label":2}`, 400, `line 1: \"label\" is 2, must be 0 or 1`},
		{`{"id":"a","label":1,"label_time":"noon"}`, 400, "line 1:"},
		{`{"id":"a","lable":1}`, 400, `unknown field \"lable\"`},
		{`{"id":"a","label":1}{"id":"b","label":1}`, 400, "one object per line"},
		{strings.Repeat(" ", 201), 413, "more than 200 bytes"},
	} {
		if r := s.post("/v2/models/flights/labels", test.body, nil); r.status != test.status || !strings.Contains(r.body, test.want) {
			t.Errorf("%q: %d %s, want %d %s", test.body, r.status, r.body, test.status, test.want)
		}
	}
	if r := s.post("/v2/models/other/labels", `{"id":"a","label":1}`, nil); r.status != 404 {
		t.Errorf("unknown endpoint: %+v", r)
	}
	if got := s.store.kinds(); got != nil {
		t.Errorf("refused labels were written: %v", got)
	}
}
