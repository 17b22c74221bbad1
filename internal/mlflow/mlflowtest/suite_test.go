package mlflowtest_test

import (
	"net/http"
	"os"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/mlflow/mlflowtest"
)

func connect(t testing.TB, cfg mlflow.Config, through http.RoundTripper) *mlflow.Client {
	t.Helper()
	cfg.HTTPClient = &http.Client{Transport: through}
	c, err := mlflow.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStandIn(t *testing.T) {
	url := mlflowtest.NewServer("s3://mainspring/mlflow").Start(t)
	mlflowtest.Run(t, func(t testing.TB, through http.RoundTripper) *mlflow.Client {
		return connect(t, mlflow.Config{BaseURL: url}, through)
	})
}

func TestRealServer(t *testing.T) {
	cfg := mlflow.ConfigFromEnv(os.Getenv)
	cfg.BaseURL = os.Getenv("MAINSPRING_TEST_MLFLOW_URI")
	if cfg.BaseURL == "" {
		t.Skip("NOT TESTED against a real MLflow server: MAINSPRING_TEST_MLFLOW_URI is not set (make test sets it)")
	}
	mlflowtest.Run(t, func(t testing.TB, through http.RoundTripper) *mlflow.Client { return connect(t, cfg, through) })
}
