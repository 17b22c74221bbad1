package testenv_test

import (
	"os"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/stretchr/testify/require"
)

// No container engine runs where the tests do: what is checked is that the
// file is valid, its references resolve, and nothing listens beyond loopback.
func TestComposeFile(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"},
		cli.WithEnv([]string{"S3_ACCESS_KEY=a", "S3_SECRET_KEY=b"}), cli.WithName("mainspring"))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)

	require.ElementsMatch(t, []string{"temporal", "s3", "mlflow", "worker", "agent", "gateway"}, project.ServiceNames())
	dockerfile, err := os.ReadFile("../Dockerfile")
	require.NoError(t, err)
	for name, service := range project.Services {
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "service %s publishes port %d beyond loopback", name, port.Target)
		}
		if service.Build != nil {
			require.Contains(t, string(dockerfile), " AS "+service.Build.Target, "service %s builds a target the Dockerfile lacks", name)
		}
	}
	for _, line := range strings.Split(string(dockerfile), "\n") {
		if copied, ok := strings.CutPrefix(line, "COPY internal/"); ok {
			require.FileExists(t, "../internal/"+strings.Fields(copied)[0])
		}
	}
}

func TestComposeFileNeedsKeys(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithEnv(nil), cli.WithName("mainspring"))
	require.NoError(t, err)
	_, err = options.LoadProject(t.Context())
	require.ErrorContains(t, err, "copy .env.example to .env")
}
