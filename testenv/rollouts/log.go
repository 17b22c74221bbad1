package rollouts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/models"
	"github.com/mainspring-ml/mainspring/testenv/traffic"
)

// maxLogFile bounds one file of the inference log.
const maxLogFile = 256 << 20

// Logged is an endpoint's inference log.
type Logged struct {
	Rows []models.InferenceRow
	// ByID counts the answers to callers by request ID; a shadow's are not.
	ByID map[string]int
}

// ReadLog reads all of it.
func (b *Bench) ReadLog(ctx context.Context, endpoint string) (logged Logged, err error) {
	logged.ByID = map[string]int{}
	objects, err := b.Store.List(ctx, models.InferenceRoot(endpoint))
	if err != nil {
		return logged, err
	}
	for _, object := range objects {
		if !strings.HasSuffix(object.Key, ".parquet") {
			continue
		}
		text, _, err := artifact.GetBytes(ctx, b.Store, object.Key, maxLogFile)
		if err != nil {
			return logged, err
		}
		rows, err := parquet.Read[models.InferenceRow](bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return logged, fmt.Errorf("%s: %w", object.Key, err)
		}
		logged.Rows = append(logged.Rows, rows...)
	}
	for _, row := range logged.Rows {
		if row.Role != string(models.RoleShadow) {
			logged.ByID[row.ID]++
		}
	}
	return logged, nil
}

// share is what a step gave a version.
func (l Logged) share(step models.CanaryStep, version string) Share {
	s := Share{Weight: step.Weight, Shadow: step.Shadow}
	drawn := 0
	for _, row := range l.Rows {
		if row.Generation != step.Generation || row.Role == string(models.RoleShadow) {
			continue
		}
		s.Requests++
		if row.Version == version {
			drawn++
		}
	}
	n := max(1, float64(s.Requests))
	s.Share = float64(drawn) / n
	s.Most = s.Weight + 4*math.Sqrt(s.Weight*(1-s.Weight)/n)
	return s
}

// Check wants each answered request in the log exactly once, and the version
// and status that the caller saw.
func (l Logged) Check(report traffic.Report) error {
	const most = 5 // examples are enough
	var broken []error
	complain := func(format string, arguments ...any) {
		if len(broken) < most {
			broken = append(broken, fmt.Errorf("inference log: "+format, arguments...))
		}
	}
	rows := map[string]models.InferenceRow{}
	for _, row := range l.Rows {
		if row.Role != string(models.RoleShadow) {
			rows[row.ID] = row
		}
	}
	for _, r := range report.Requests {
		if !r.Answered() || r.Version == "" {
			continue
		}
		row, there := rows[r.ID]
		switch {
		case !there:
			complain("request %s was answered by version %s at %s and is not there", r.ID, r.Version, r.Ended.Format("15:04:05.000"))
		case l.ByID[r.ID] != 1:
			complain("request %s is there %d times", r.ID, l.ByID[r.ID])
		case row.Version != r.Version || int(row.Status) != r.Status:
			complain("request %s has version %s and status %d; the caller saw %s and %d", r.ID, row.Version, row.Status, r.Version, r.Status)
		case row.Status == http.StatusOK && !strings.Contains(row.Outputs, "probability"):
			complain("request %s has the outputs %s", r.ID, row.Outputs)
		}
	}
	return errors.Join(broken...)
}

// Missing counts the answered requests that are not in the log, by gateway.
func (l Logged) Missing(report traffic.Report) map[int][]traffic.Request {
	missing := map[int][]traffic.Request{}
	for _, r := range report.Requests {
		if r.Answered() && r.Version != "" && l.ByID[r.ID] == 0 {
			missing[r.Gateway] = append(missing[r.Gateway], r)
		}
	}
	return missing
}

func contains(text, words string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(words))
}
