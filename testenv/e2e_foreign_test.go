package testenv_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
	"github.com/mainspring-ml/mainspring/models"
)

// foreignClient lets tritonclient ask the built-in model server, and the same
// server through a gateway.
func foreignClient(ctx context.Context, t *testing.T, l *laptop) {
	const endpoint = "echo"
	getenv := lookupIn(l.Env())
	python := pythonFor(ctx, t, getenv, "triton/requirements.txt")
	server, serverGRPC := freeAddress(t), freeAddress(t)
	gateway, gatewayGRPC := freeAddress(t), freeAddress(t)
	require.NoError(t, l.Launch(ctx,
		devstack.Program{Name: "server-echo", Ready: supervise.HTTPReady("http://" + server + "/v2/health/ready"), Args: []string{
			"serve", "--model-dir", repository(t, "internal/serving/testdata/echo"), "--name", endpoint, "--version", "1",
			"--addr", server, "--grpc-addr", serverGRPC}},
		devstack.Program{Name: "gateway-echo", Ready: supervise.TCPReady(gateway), Args: []string{
			"gateway", "--addr", gateway, "--grpc-addr", gatewayGRPC, "--name", "echo", "--poll", "100ms"}},
	))
	store, err := artifact.NewS3(artifact.ConfigFromEnv(getenv))
	require.NoError(t, err)
	routing := &activities.Routing{Store: store}
	require.NoError(t, routing.PublishReplicas(ctx, models.Replicas{Endpoint: endpoint, Version: "1", URLs: []string{"http://" + server}}))
	require.NoError(t, routing.PublishRoute(ctx, models.Route{Endpoint: endpoint, Model: endpoint, Generation: 1,
		Arms: []models.Arm{{Version: "1", Role: models.RoleChampion, Weight: 1}}, Traffic: models.TrafficSpec{}.WithDefaults()}))
	eventually(t, patience, func() (bool, any) {
		status, err := get(ctx, "http://"+gateway+"/v2/models/"+endpoint+"/ready")
		return status == http.StatusOK, []any{status, err}
	})

	t.Run("Server", func(t *testing.T) { asksAs(ctx, t, python, server, serverGRPC, endpoint) })
	t.Run("Gateway", func(t *testing.T) { asksAs(ctx, t, python, gateway, gatewayGRPC, endpoint) })
}

// asksAs runs the foreign client's checks, none of which may be skipped.
func asksAs(ctx context.Context, t *testing.T, python, address, grpc, model string) {
	t.Helper()
	command := exec.CommandContext(ctx, python, "-W", "ignore", "triton/client.py", address, grpc, model)
	var complaint strings.Builder
	command.Stderr = &complaint
	out, err := command.Output()
	require.NoError(t, err, "%s", complaint.String())
	var counts struct{ Run, Failed, Skipped int }
	require.NoError(t, json.Unmarshal(out, &counts), "%s", out)
	require.Zero(t, counts.Skipped)
	require.GreaterOrEqual(t, counts.Run, 23)
	t.Logf("%d checks", counts.Run)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := devstack.FreeAddress()
	require.NoError(t, err)
	return address
}

func repository(t *testing.T, path string) string {
	t.Helper()
	absolute, err := filepath.Abs(filepath.Join("..", path))
	require.NoError(t, err)
	return absolute
}

func get(ctx context.Context, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
