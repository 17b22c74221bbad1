package models_test

import (
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/models"
)

// TestApart: a reader need not know what an AUC is.
func TestApart(t *testing.T) {
	for _, test := range []struct {
		auc  *models.Estimate
		want string
	}{
		{nil, ""},
		{&models.Estimate{Value: 0.5, Low: 0.5, High: 0.53}, "can't be told"},
		{&models.Estimate{Value: 0.6, Low: 0.5, High: 0.8}, "can't be told"},
		{&models.Estimate{Value: 0.74, Low: 0.7, High: 0.78}, "in about 74 % of cases"},
	} {
		got := models.Explanation{Classifier: test.auc}.Apart()
		if !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%+v: %q", test.auc, got)
		}
	}
}
