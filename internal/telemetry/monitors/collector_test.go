package monitors

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/mainspring-ml/mainspring/models"
)

// fakeTemporal has one monitor a status; nil does not answer.
type fakeTemporal struct {
	mu       sync.Mutex
	statuses map[string]*models.MonitorStatus
	err      error         // of every call
	hangs    chan struct{} // calls wait for it; nil: they do not
	looks    int
}

func (f *fakeTemporal) ListWorkflow(ctx context.Context, request *workflowservice.ListWorkflowExecutionsRequest) (*workflowservice.ListWorkflowExecutionsResponse, error) {
	f.mu.Lock()
	f.looks++
	hangs, err := f.hangs, f.err
	f.mu.Unlock()
	if hangs != nil {
		select {
		case <-hangs:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err != nil {
		return nil, err
	}
	if request.GetQuery() != "WorkflowType = 'Monitor' AND ExecutionStatus = 'Running'" {
		return nil, errors.New("unknown query " + request.GetQuery())
	}
	// One a page, to see that all pages are read.
	var ids []string
	for endpoint := range f.statuses {
		ids = append(ids, models.MonitorID(endpoint))
	}
	slices.Sort(ids)
	at := len(request.GetNextPageToken())
	response := &workflowservice.ListWorkflowExecutionsResponse{}
	if at < len(ids) {
		response.Executions = []*workflow.WorkflowExecutionInfo{{Execution: &common.WorkflowExecution{WorkflowId: ids[at]}}}
	}
	if at+1 < len(ids) {
		response.NextPageToken = make([]byte, at+1)
	}
	return response, nil
}

func (f *fakeTemporal) QueryWorkflow(_ context.Context, id, _, query string, _ ...any) (converter.EncodedValue, error) {
	status := f.statuses[strings.TrimPrefix(id, "monitor/")]
	if status == nil || query != models.StatusQuery {
		return nil, serviceerror.NewDeadlineExceeded("no poller")
	}
	return encoded{status}, nil
}

func (f *fakeTemporal) looked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.looks
}

// encoded is a value on its way through JSON.
type encoded struct{ value any }

func (e encoded) HasValue() bool { return true }

func (e encoded) Get(target any) error {
	text, err := json.Marshal(e.value)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, target)
}

// stage is a collector whose clock the test moves.
type stage struct {
	*fakeTemporal
	passed   atomic.Int64 // since day 0, in nanoseconds
	registry *prometheus.Registry
}

func newStage(statuses map[string]*models.MonitorStatus) *stage {
	s := &stage{fakeTemporal: &fakeTemporal{statuses: statuses}, registry: prometheus.NewPedanticRegistry()}
	s.registry.MustRegister(&Collector{&looker{source: s.fakeTemporal, clock: func() time.Time { return day(0).Add(time.Duration(s.passed.Load())) }, wait: 50 * time.Millisecond}})
	return s
}

func day(n int) time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }

// flights is a monitor with everything that there is to show.
func flights() *models.MonitorStatus {
	corrections := models.Day
	s := &models.MonitorStatus{}
	s.Endpoint, s.Watermark = "flights", day(6)
	s.Watch = &models.WatchRequest{Model: "delay", Version: "3", Spec: models.MonitorSpec{Maturity: models.Day, Corrections: &corrections}.WithDefaults()}
	s.Reference = &models.MonitorReference{Loss: 0.55}
	for i, b := range []models.Block{
		{Version: "2", Conclusive: true, Loss: 9},
		{Version: "3", Conclusive: true, Loss: 0.5}, {Version: "3", Conclusive: true, Loss: 0.6}, {Version: "3", Loss: 7},
	} {
		b.Start, b.End, b.Requests = day(i), day(i+1), 100
		s.Blocks = append(s.Blocks, b)
	}
	s.Ahead = []models.Block{{Estimated: 0.58}}
	conformal := models.DetectorSpec{Kind: models.DetectorConformal}
	s.Detector.Detectors = []models.Detector{
		{Spec: conformal, Value: 4, Threshold: 13.75}, {Spec: conformal, Value: 2, Threshold: 13.75},
		{Spec: models.DetectorSpec{Kind: models.DetectorLevel, Column: "origin", Slice: "E\xff"}, Value: 1, Threshold: 55},
	}
	s.Alarms = []models.Alarm{
		{Block: day(1), State: models.AlarmNotHelping, Settled: true}, {Block: day(2), State: models.AlarmWaiting},
	}
	s.Actions = []models.MonitorEvent{
		{At: day(7), Kind: models.NoticeNotHelping}, {At: day(9), Kind: models.NoticeAlarm}, {At: day(8), Kind: models.NoticeAlarm, Failed: "HTTP 500"}, {At: day(9), Text: "told"},
	}
	s.Paused, s.Trouble = "kim: upgrade", "S3 does not answer"
	s.Inputs = &models.InputReport{Features: []models.FeatureShift{{Moved: true}, {}}, Slices: []models.SliceShift{{}}}
	return s
}

func TestMonitorsAreShown(t *testing.T) {
	s := newStage(map[string]*models.MonitorStatus{"flights": flights(), "lost": nil, "new": {MonitorState: models.MonitorState{Endpoint: "new"}}})
	problems, err := testutil.GatherAndLint(s.registry)
	require.NoError(t, err)
	require.Empty(t, problems)
	text := s.scraped(t)
	for _, want := range []string{
		`scrape_success 1`, `scrape_timestamp_seconds 1.7723232e+09`,
		`up{endpoint="flights"} 1`, `up{endpoint="lost"} 0`, `up{endpoint="new"} 1`,
		`loss{endpoint="flights",model="delay",version="3"} 0.6`,
		`reference_loss{endpoint="flights",model="delay",version="3"} 0.55`,
		`estimated_loss{endpoint="flights",model="delay",version="3"} 0.58`,
		`martingale{detector="conformal",endpoint="flights",model="delay",version="3"} 4`,
		`martingale{detector="conformal #2",endpoint="flights",model="delay",version="3"} 2`,
		`threshold{detector="level origin=E�",endpoint="flights",model="delay",version="3"} 55`,
		`blocks{endpoint="flights",model="delay",version="3"} 4`,
		`inconclusive_blocks{endpoint="flights",model="delay",version="3"} 1`,
		`recent_inconclusive_ratio{endpoint="flights",model="delay",version="3"} 0.25`,
		`block_seconds{endpoint="flights",model="delay",version="3"} 86400`,
		`maturity_seconds{endpoint="flights",model="delay",version="3"} 86400`,
		`watermark_timestamp_seconds{endpoint="flights",model="delay",version="3"} 1.7728416e+09`,
		`last_block_timestamp_seconds{endpoint="flights",model="delay",version="3"} 1.7726688e+09`,
		`alarms{endpoint="flights",model="delay",state="not_helping",version="3"} 1`,
		`alarm_open{endpoint="flights",model="delay",state="waiting",version="3"} 1`,
		`alarm_open{endpoint="flights",model="delay",state="person",version="3"} 0`,
		`last_alarm_timestamp_seconds{endpoint="flights",model="delay",version="3"} 1.772496e+09`,
		`last_action_timestamp_seconds{endpoint="flights",kind="alarm",model="delay",version="3"} 1.7731008e+09`,
		`last_failure_timestamp_seconds{endpoint="flights",model="delay",version="3"} 1.7730144e+09`,
		`paused{endpoint="flights",model="delay",version="3"} 1`,
		`scoring_failing{endpoint="flights",model="delay",version="3"} 1`,
		`moved_features{endpoint="flights",model="delay",version="3"} 1`,
		`moved_slices{endpoint="flights",model="delay",version="3"} 0`,
	} {
		require.Contains(t, text, "\nmainspring_monitor_"+want+"\n")
	}
	require.NotContains(t, text, `endpoint="lost",`)
	require.NotContains(t, text, `kind="promoted"`, "it never happened")
}

// scraped is the page that Prometheus reads.
func (s *stage) scraped(t *testing.T) string {
	t.Helper()
	response := httptest.NewRecorder()
	promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}).ServeHTTP(response, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, response.Code, response.Body)
	return "\n" + response.Body.String()
}

// nameOf is a gauge's full name, which a description tells only in its text.
func nameOf(g gauge) string {
	_, after, _ := strings.Cut(g.desc.String(), `fqName: "`)
	name, _, _ := strings.Cut(after, `"`)
	return name
}

// TestWithoutTemporalThereAreNoFigures: old ones would hide that nobody
// watches.
func TestWithoutTemporalThereAreNoFigures(t *testing.T) {
	s := newStage(map[string]*models.MonitorStatus{"flights": flights()})
	require.Contains(t, s.scraped(t), "mainspring_monitor_loss{")
	s.err = serviceerror.NewUnavailable("connection refused") // no look is under way
	s.passed.Add(int64(kept))
	text := s.scraped(t)
	require.Contains(t, text, "\nmainspring_monitor_scrape_success 0\n")
	require.NotContains(t, text, "mainspring_monitor_loss{")
	require.NotContains(t, text, "mainspring_monitor_up{")
}

// TestANewChampionHasNoLossYet: that of the version before is not its own.
func TestANewChampionHasNoLossYet(t *testing.T) {
	status := flights()
	status.Watch.Version = "4"
	text := newStage(map[string]*models.MonitorStatus{"flights": status}).scraped(t)
	require.NotContains(t, text, "mainspring_monitor_loss{")
	require.Contains(t, text, `mainspring_monitor_last_block_timestamp_seconds{endpoint="flights",model="delay",version="4"}`)
}

// TestOneLookServesManyScrapes: whoever scrapes, and however often.
func TestOneLookServesManyScrapes(t *testing.T) {
	s := newStage(map[string]*models.MonitorStatus{"flights": flights()})
	for range 5 {
		s.scraped(t)
		s.passed.Add(int64(kept/5 - 1))
	}
	require.Equal(t, 1, s.looks)
	s.passed.Add(int64(kept))
	s.scraped(t)
	require.Equal(t, 2, s.looks)
}

// TestAScrapeWaitsForNobody: while Temporal hangs, the answers of before are
// shown until they are stale, and every scrape ends in time.
func TestAScrapeWaitsForNobody(t *testing.T) {
	s := newStage(map[string]*models.MonitorStatus{"flights": flights()})
	s.scraped(t)
	hangs := make(chan struct{})
	s.mu.Lock()
	s.hangs = hangs
	s.mu.Unlock()
	s.passed.Add(int64(kept))
	began := time.Now()
	require.Contains(t, s.scraped(t), "mainspring_monitor_loss{")
	s.passed.Add(int64(stale))
	text := s.scraped(t)
	require.Contains(t, text, "\nmainspring_monitor_scrape_success 0\n")
	require.NotContains(t, text, "mainspring_monitor_loss{")
	require.Less(t, time.Since(began), 2*time.Second)
	require.Equal(t, 2, s.looked(), "the look under way is waited for, not begun again")
	close(hangs)
	require.Eventually(t, func() bool { return strings.Contains(s.scraped(t), "mainspring_monitor_loss{") }, 5*time.Second, time.Millisecond)
}

// TestBlocksWithoutRequestsDoNotMissLabels: a quiet night is no sign that
// labels are lost.
func TestBlocksWithoutRequestsDoNotMissLabels(t *testing.T) {
	_, ok := recentlyInconclusive([]models.Block{{}, {}})
	require.False(t, ok)
	blocks := make([]models.Block, 40)
	for i := range blocks {
		blocks[i].Requests, blocks[i].Conclusive = 10, i < 39
	}
	ratio, ok := recentlyInconclusive(append(blocks, models.Block{}))
	require.True(t, ok)
	require.InDelta(t, 1.0/14, ratio, 1e-9)

	rows := models.MonitorSpec{BlockRows: 500}
	require.Equal(t, 36*time.Hour, blockLength(rows, []models.Block{{Start: day(0), End: day(2)}, {Start: day(2), End: day(3)}}))
	require.Zero(t, blockLength(rows, nil))
}
