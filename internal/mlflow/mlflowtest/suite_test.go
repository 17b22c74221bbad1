package mlflowtest_test

import (
	"os"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/mlflow"
	"github.com/mainspring-ml/mainspring/internal/mlflow/mlflowtest"
)

func connect(t testing.TB, cfg mlflow.Config) *mlflow.Client {
	t.Helper()
	c, err := mlflow.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStandIn(t *testing.T) {
	url := mlflowtest.NewServer("s3://mainspring/mlflow").Start(t)
	mlflowtest.Run(t, func(t testing.TB) *mlflow.Client { return connect(t, mlflow.Config{BaseURL: url}) })
}

func TestRealServer(t *testing.T) {
	cfg := mlflow.ConfigFromEnv(os.Getenv)
	cfg.BaseURL = os.Getenv("MAINSPRING_TEST_MLFLOW_URI")
	if cfg.BaseURL == "" {
		t.Skip("NOT TESTED against a real MLflow server: MAINSPRING_TEST_MLFLOW_URI is not set (make test sets it)")
	}
	mlflowtest.Run(t, func(t testing.TB) *mlflow.Client { return connect(t, cfg) })
}
