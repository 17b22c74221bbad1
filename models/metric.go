package models

import "slices"

// Metric names a figure over held-out rows. docs/evaluation.md defines each.
type Metric string

// The metrics. The first seven are for probabilities, the rest for numbers.
const (
	LogLoss          Metric = "log_loss"
	Brier            Metric = "brier"
	AUC              Metric = "auc"
	PRAUC            Metric = "pr_auc"
	Accuracy         Metric = "accuracy"
	F1               Metric = "f1"
	CalibrationError Metric = "calibration_error"

	RMSE    Metric = "rmse"
	MAE     Metric = "mae"
	R2      Metric = "r2"
	Pinball Metric = "pinball"
)

// Metrics lists the metrics of a task, in the order of tables.
func (t Task) Metrics() []Metric {
	switch t {
	case TaskRegression:
		return []Metric{RMSE, MAE, R2, Pinball}
	case TaskMulticlass:
		return []Metric{LogLoss, Brier, AUC, Accuracy, F1, CalibrationError}
	case TaskBinary:
	}
	return []Metric{LogLoss, Brier, AUC, PRAUC, Accuracy, F1, CalibrationError}
}

// Has reports whether m is a metric of the task.
func (t Task) Has(m Metric) bool { return slices.Contains(t.Metrics(), m) }

// DefaultMetric is what candidates are compared in.
func (t Task) DefaultMetric() Metric {
	if t == TaskRegression {
		return RMSE
	}
	return LogLoss
}

// HigherIsBetter reports the metric's direction.
func (m Metric) HigherIsBetter() bool {
	switch m {
	case AUC, PRAUC, Accuracy, F1, R2:
		return true
	case LogLoss, Brier, CalibrationError, RMSE, MAE, Pinball:
	}
	return false
}

// highest is the largest figure that the metric can have; false: there is none.
func (m Metric) highest() (float64, bool) {
	switch m {
	case AUC, PRAUC, Accuracy, F1, CalibrationError, R2:
		return 1, true
	case LogLoss, Brier, RMSE, MAE, Pinball:
	}
	return 0, false
}
