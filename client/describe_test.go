package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/models"
)

func TestDescribeStep(t *testing.T) {
	step := models.CanaryStep{Weight: 0.1, Canary: models.ArmCounts{Requests: 20, Errors: 1}, Champion: models.ArmCounts{Requests: 180}}
	require.Equal(t, "canary at 10%: 20 requests, 1 errors (champion 180, 0)", describeStep(step))
	step.Verdict = models.CanaryVerdict{Verdict: models.VerdictFail, Harm: 101, HarmThreshold: 100, Safe: 0.25, SafeThreshold: 20}
	require.Equal(t, "canary at 10%: 20 requests, 1 errors (champion 180, 0); harm 101 of 100, safe 0.25 of 20: fail", describeStep(step))
	step.Weight, step.Shadow, step.Verdict.Verdict = 0, 1, models.VerdictInconclusive
	step.Verdict.Metrics = []models.MetricVerdict{
		{Metric: models.CanaryErrors, Harm: 2, HarmThreshold: 200, Safe: 1, SafeThreshold: 20},
		{Metric: models.CanaryQuality, Harm: 3, HarmThreshold: 300, Safe: 1.5, SafeThreshold: 20},
	}
	require.Equal(t, "shadow of 100%: 20 requests, 1 errors (champion 180, 0); errors: harm 2 of 200, safe 1 of 20; quality: harm 3 of 300, safe 1.5 of 20", describeStep(step))
}
