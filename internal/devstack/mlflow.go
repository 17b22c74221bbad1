package devstack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// mlflowServer runs MLflow's application in one process. Its own launcher
// would start workers and a job runner around it; what it tells the
// application in private variables is set here, and pinned by the lock file.
func (s *Stack) mlflowServer() (supervise.Process, error) {
	database := filepath.Join(s.config.StateDir, "mlflow.db")
	if err := copyOnce(s.config.Tools.MLflowTemplate, database); err != nil {
		return supervise.Process{}, describe("create MLflow's database", database, err)
	}
	argv := []string{
		s.config.Tools.MLflowPython, "-W", "ignore", "-m", "uvicorn", "mlflow.server.fastapi_app:app",
		"--host", "127.0.0.1", "--port", strconv.Itoa(s.ports.MLflow), "--log-level", "warning",
		"--timeout-graceful-shutdown", "3",
	}
	artifacts := "s3://" + s.access.S3.Bucket + "/mlflow"
	env := slices.Concat(quietMLflow(), s.access.S3.env(), []string{
		"_MLFLOW_SERVER_FILE_STORE=sqlite:///" + database,
		"_MLFLOW_SERVER_REGISTRY_STORE=sqlite:///" + database,
		"_MLFLOW_SERVER_SERVE_ARTIFACTS=true",
		"_MLFLOW_SERVER_ARTIFACT_DESTINATION=" + artifacts,
		"_MLFLOW_SERVER_ARTIFACT_ROOT=" + artifacts,
	})
	return s.serverProcess(ServerMLflow, argv, env, mlflowReady(s.access.MLflow)), nil
}

// mlflowReady asks for an experiment: /health answers before the store does.
func mlflowReady(address string) supervise.Probe {
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet,
			address+"/api/2.0/mlflow/experiments/get?experiment_id=0", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("MLflow answers %s", response.Status)
		}
		return nil
	}
}

// copyOnce copies a file to where none is, complete or not at all.
func copyOnce(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	part, err := os.OpenFile(to+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, source); err != nil {
		_ = part.Close()
		return err
	}
	if err := part.Close(); err != nil {
		return err
	}
	return os.Rename(to+".part", to)
}
