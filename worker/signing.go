package worker

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/internal/signing"
)

// The variables of signing. Keys never pass through a command line, where every
// user of the host would see them.
const (
	signingKeyVariable = "MAINSPRING_SIGNING_KEY"       // worker: URI of the key
	trustedVariable    = "MAINSPRING_TRUSTED_KEYS"      // agent: PEM files, as in PATH
	requireVariable    = "MAINSPRING_REQUIRE_SIGNATURE" // agent: 1 or 0
)

// keyring opens the worker's key when it is first needed and keeps it. A key
// that can't be opened is tried again: a token may be plugged in later.
type keyring struct {
	uri    string
	getenv func(string) string

	mu  sync.Mutex
	key signing.Key
}

func (k *keyring) open(ctx context.Context) (signing.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.key != nil {
		return k.key, nil
	}
	key, err := signing.OpenKey(ctx, k.uri, k.getenv)
	if err != nil {
		return nil, err
	}
	k.key = key
	return key, nil
}

// signingKey returns how to open the key that the environment names, and nil
// where it names none. What is wrong with a key is said at the start already.
func signingKey(ctx context.Context, getenv func(string) string) func(context.Context) (signing.Key, error) {
	uri := getenv(signingKeyVariable)
	if uri == "" {
		return nil
	}
	ring := &keyring{uri: uri, getenv: getenv}
	if key, err := ring.open(ctx); err != nil {
		slog.Error("models can't be signed; lifecycles wait for the key", "variable", signingKeyVariable, "error", err)
	} else if id, err := signing.KeyID(key.Public()); err == nil {
		slog.Info("models are signed", "key", id)
	}
	return ring.open
}

// servingPolicy reads what this host wants of models. A policy that can't be
// read, or that nothing can satisfy, must not be taken for none.
func servingPolicy(getenv func(string) string) (activities.ServingPolicy, error) {
	var policy activities.ServingPolicy
	if text := getenv(requireVariable); text != "" {
		required, err := strconv.ParseBool(text)
		if err != nil {
			return policy, fmt.Errorf("%s is %q: write 1 or 0", requireVariable, text)
		}
		policy.Require = required
	}
	trust, err := signing.LoadTrust(filepath.SplitList(getenv(trustedVariable))...)
	if err != nil {
		return policy, fmt.Errorf("%s: %w", trustedVariable, err)
	}
	policy.Trust = trust
	if policy.Require && trust.Empty() {
		return policy, fmt.Errorf("%s is set, and %s names no key: nothing could ever be served", requireVariable, trustedVariable)
	}
	return policy, nil
}
