package exhibit

import (
	"fmt"
	"math"

	"github.com/mainspring-ml/mainspring/models"
)

// decimals are enough to tell the ends of an interval apart: two digits of its
// width, at least three and at most six decimals for small numbers.
func decimals(e models.Estimate) int {
	size := max(math.Abs(e.Value), math.Abs(e.Low), math.Abs(e.High))
	least := 3
	if size >= 100 {
		least = 1
	}
	half := (e.High - e.Low) / 2
	if !(half > 0) {
		return 4
	}
	return min(max(least, 1-int(math.Floor(math.Log10(half)))), 6)
}

// zeroed is v, or 0 for what would print as -0.
func zeroed(v float64, digits int) float64 {
	if math.Abs(v) < 0.5*math.Pow(10, -float64(digits)) {
		return 0
	}
	return v
}

// interval writes a figure: 0.512 [0.498, 0.526].
func interval(e models.Estimate) string { return withDigits("%.*f [%.*f, %.*f]", e, decimals(e)) }

// signed writes a gain with its sign.
func signed(e models.Estimate) string { return withDigits("%+.*f [%+.*f, %+.*f]", e, decimals(e)) }

func withDigits(format string, e models.Estimate, digits int) string {
	return fmt.Sprintf(format, digits, zeroed(e.Value, digits), digits, zeroed(e.Low, digits), digits, zeroed(e.High, digits))
}

// unit is what a metric is measured in; empty: a pure number.
func unit(m models.Metric) string {
	switch m {
	case models.LogLoss:
		return "nats"
	case models.RMSE, models.MAE, models.Pinball:
		return "the label's unit"
	case models.Brier, models.AUC, models.PRAUC, models.Accuracy, models.F1, models.CalibrationError, models.R2:
	}
	return ""
}

// title is a metric in prose.
func title(m models.Metric) string {
	switch m {
	case models.LogLoss:
		return "log-loss"
	case models.Brier:
		return "Brier score"
	case models.AUC:
		return "AUC"
	case models.PRAUC:
		return "PR-AUC"
	case models.CalibrationError:
		return "calibration error"
	case models.RMSE:
		return "RMSE"
	case models.MAE:
		return "MAE"
	case models.R2:
		return "R²"
	case models.Pinball:
		return "pinball loss"
	case models.Accuracy, models.F1:
	}
	return string(m)
}

func withUnit(m models.Metric) string {
	if u := unit(m); u != "" {
		return title(m) + " (" + u + ")"
	}
	return title(m)
}
