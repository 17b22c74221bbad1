package checks

import (
	"fmt"

	"github.com/mainspring-ml/mainspring/models"
)

// skew holds the rows against what was served for the same keys: a model that
// is trained on other values than it will be asked with learns the wrong thing.
// The figure is the share of joined rows whose value differs.
func (j judge) skew() []models.CheckResult {
	if j.Traffic == nil {
		return []models.CheckResult{j.skipped(checkSkew, "", j.noTraffic())}
	}
	limit := *j.Spec.Checks.MaxSkew
	var results []models.CheckResult
	joined := int64(0)
	for _, f := range j.Traffic.Features {
		if f.Joined == 0 {
			continue
		}
		joined = max(joined, f.Joined)
		figure := share(f.Differ, f.Joined)
		r := models.CheckResult{Figure: figure, Limit: limit,
			Message: fmt.Sprintf("column %q: %d of %d rows (a share of %.4g) differ from what endpoint %s was asked with, at most %.4g allowed",
				f.Column, f.Differ, f.Joined, figure, j.Traffic.Endpoint, limit)}
		if figure > limit {
			r.Rows = f.Rows
		}
		results = append(results, j.result(checkSkew, f.Column, figure <= limit, r))
	}
	if len(results) == 0 {
		return []models.CheckResult{j.skipped(checkSkew, "", fmt.Sprintf("none of the keys is among the %d requests that endpoint %s has logged",
			j.Traffic.Requests, j.Traffic.Endpoint))}
	}
	return j.folded(checkSkew, results, fmt.Sprintf("the features of %d rows are what endpoint %s was asked with", joined, j.Traffic.Endpoint))
}

// shift compares each feature's training rows with the requests. The figure is
// their Jensen-Shannon distance.
func (j judge) shift() []models.CheckResult {
	if j.Traffic == nil {
		return []models.CheckResult{j.skipped(checkShift, "", j.noTraffic())}
	}
	limit := *j.Spec.Checks.MaxShift
	var results []models.CheckResult
	reason := fmt.Sprintf("endpoint %s has logged no request in the window", j.Traffic.Endpoint)
	for _, f := range j.Traffic.Features {
		if f.Shift == nil {
			if f.NoShift != "" {
				reason = f.NoShift
			}
			continue
		}
		results = append(results, j.result(checkShift, f.Column, *f.Shift <= limit, models.CheckResult{
			Figure: *f.Shift, Limit: limit,
			Message: fmt.Sprintf("column %q: the training rows lie %.4g (Jensen-Shannon) from the %d requests to endpoint %s, at most %.4g allowed",
				f.Column, *f.Shift, j.Traffic.Requests, j.Traffic.Endpoint, limit)}))
	}
	if len(results) == 0 {
		return []models.CheckResult{j.skipped(checkShift, "", reason)}
	}
	return results
}

func (j judge) noTraffic() string {
	if j.NoTraffic != "" {
		return j.NoTraffic
	}
	return "nothing was served yet"
}
