package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/internal/stores"
)

const stateDirUsage = "state directory of the local stack to use (default: .mainspring/dev, then .mainspring/demo)"

// findStack returns how to reach the local stack that runs. None is no error
// unless the user named its directory: the environment may name other servers.
func findStack(stateDir string) (devstack.Access, error) {
	if stateDir != "" {
		return devstack.Discover(stateDir)
	}
	access, err := devstack.Discover(filepath.Join(".mainspring", "dev"), filepath.Join(".mainspring", "demo"))
	if errors.Is(err, devstack.ErrNotRunning) {
		return devstack.Access{}, nil
	}
	return access, err
}

func dial(ctx context.Context, stack devstack.Access) (*client.Client, error) {
	ui := os.Getenv("MAINSPRING_TEMPORAL_UI")
	if address := os.Getenv("TEMPORAL_ADDRESS"); ui == "" && (address == "" || address == stack.TemporalAddress) {
		ui = stack.TemporalUI
	}
	return client.Dial(ctx, client.DialOptions{Address: stack.TemporalAddress, Namespace: stack.TemporalNamespace, UI: ui,
		Getenv: storeEnv(stack)})
}

// connect finds Temporal, and hands a connection out for as long as use runs.
func connect(ctx context.Context, stateDir string, use func(context.Context, *client.Client) error) error {
	stack, err := findStack(stateDir)
	if err != nil {
		return err
	}
	connection, err := dial(ctx, stack)
	if err != nil {
		return err
	}
	defer connection.Close()
	return use(ctx, connection)
}

// storeEnv reads where S3 is: as the environment says, else at the stack. The
// variables are taken together: keys of one server are no use at another. What
// profiles of further stores refer to is the environment's.
func storeEnv(stack devstack.Access) func(string) string {
	if os.Getenv("MAINSPRING_S3_ENDPOINT") != "" || stack.S3.Endpoint == "" {
		return os.Getenv
	}
	own := lookup(stack.Env())
	return func(name string) string {
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "MAINSPRING_S3_") {
			return own(name)
		}
		return os.Getenv(name)
	}
}

// openUploader opens the bucket that the environment names, else the stack's.
func openUploader(stack devstack.Access) (spec.Uploader, error) {
	store, err := stores.Open(storeEnv(stack))
	if err != nil {
		return nil, err
	}
	return spec.StoreUploader{Store: store}, nil
}

// lookup reads NAME=value pairs as os.Getenv reads the environment.
func lookup(pairs []string) func(string) string {
	values := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return func(name string) string { return values[name] }
}
