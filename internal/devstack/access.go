package devstack

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Secret prints and logs as "[redacted]".
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// S3Access is an S3 endpoint, a bucket in it, and the right to use it.
type S3Access struct {
	Endpoint  string `json:"endpoint"` // URL
	Bucket    string `json:"bucket"`
	Region    string `json:"region"`
	AccessKey string `json:"access_key"`
	SecretKey Secret `json:"secret_key"`
}

// Access is how clients reach a stack. The programs are absolute paths.
type Access struct {
	PID               int      `json:"pid"` // of the supervisor
	TemporalAddress   string   `json:"temporal_address"`
	TemporalNamespace string   `json:"temporal_namespace"`
	TemporalUI        string   `json:"temporal_ui"`      // URL
	TemporalMetrics   string   `json:"temporal_metrics"` // URL
	TemporalCLI       string   `json:"temporal_cli"`     // program
	MLflow            string   `json:"mlflow"`           // URL
	Gateway           string   `json:"gateway"`          // URL; a program of the stack listens there
	GatewayGRPC       string   `json:"gateway_grpc"`     // host:port of the same for gRPC
	S3                S3Access `json:"s3"`
	ONNXRuntime       string   `json:"onnxruntime"` // shared library
	UV                string   `json:"uv"`          // program
	// TrustedKeys is the PEM file of the key whose signatures the agents accept.
	TrustedKeys string `json:"trusted_keys"`
}

// Env returns the variables that clients of the stack are configured by.
func (a Access) Env() []string {
	return append(a.S3.env(),
		"TEMPORAL_ADDRESS="+a.TemporalAddress,
		"TEMPORAL_NAMESPACE="+a.TemporalNamespace,
		"MLFLOW_TRACKING_URI="+a.MLflow,
		"MAINSPRING_S3_ENDPOINT="+a.S3.Endpoint,
		"MAINSPRING_S3_BUCKET="+a.S3.Bucket,
		"MAINSPRING_GATEWAY="+a.Gateway,
		"MAINSPRING_GATEWAY_GRPC="+a.GatewayGRPC,
		"MAINSPRING_ONNXRUNTIME="+a.ONNXRuntime,
		"MAINSPRING_UV="+a.UV,
		"MAINSPRING_TRUSTED_KEYS="+a.TrustedKeys,
		"MAINSPRING_TEMPORAL_UI="+a.TemporalUI,
		"MAINSPRING_POOL_ASKS="+strconv.Itoa(asksAtOnce),
	)
}

// env is what S3 clients other than Mainspring's read, MLflow's among them.
func (s S3Access) env() []string {
	return []string{
		"AWS_ACCESS_KEY_ID=" + s.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + string(s.SecretKey),
		"AWS_DEFAULT_REGION=" + s.Region,
		"AWS_REGION=" + s.Region,
		"MLFLOW_S3_ENDPOINT_URL=" + s.Endpoint,
	}
}

// accessFile is where a running stack says how to reach it.
const accessFile = "stack.json"

// Discover returns the access to the stack that runs on the first of the
// state directories that has one, or ErrNotRunning.
func Discover(stateDirs ...string) (Access, error) {
	for _, dir := range stateDirs {
		held, err := isHeld(dir)
		if err != nil {
			return Access{}, describe("look for a running stack", dir, err)
		}
		if !held {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, accessFile))
		if errors.Is(err, os.ErrNotExist) {
			return Access{}, &Error{Op: "reach the stack", Subject: dir, Err: ErrNotRunning, Hint: "it is just starting or stopping; try again in a few seconds"}
		}
		var access Access
		if err == nil {
			err = json.Unmarshal(text, &access)
		}
		if err != nil {
			return Access{}, describe("reach the stack", dir, err)
		}
		return access, nil
	}
	return Access{}, &Error{
		Op: "look for a running stack", Subject: strings.Join(stateDirs, ", "), Err: ErrNotRunning,
		Hint: "start one with `mainspring dev`, or set TEMPORAL_ADDRESS, MLFLOW_TRACKING_URI and MAINSPRING_S3_ENDPOINT",
	}
}

// write publishes the access to Discover, complete or not at all.
func (a Access) write(stateDir string) error {
	return writePrivate(filepath.Join(stateDir, accessFile), a)
}

// credentialsFile keeps the S3 keys of a state directory, which its data
// belong to.
const credentialsFile = "s3-credentials.json"

type s3Keys struct {
	AccessKey string `json:"access_key"`
	SecretKey Secret `json:"secret_key"`
}

// loadKeys reads the keys of the state directory or draws new ones.
func loadKeys(stateDir string) (s3Keys, error) {
	path := filepath.Join(stateDir, credentialsFile)
	var keys s3Keys
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		keys = s3Keys{AccessKey: "mainspring" + rand.Text()[:10], SecretKey: Secret(rand.Text() + rand.Text()[:14])}
		return keys, describe("keep the S3 credentials", path, writePrivate(path, keys))
	case err != nil:
		return keys, describe("read the S3 credentials", path, err)
	}
	err = json.Unmarshal(text, &keys)
	if err == nil && (keys.AccessKey == "" || keys.SecretKey == "") {
		err = errors.New("a key is empty")
	}
	if err != nil {
		return keys, &Error{Op: "read the S3 credentials", Subject: path, Err: err, Hint: "remove the file; new ones are drawn"}
	}
	return keys, nil
}

// writePrivate writes JSON that only the user may read, by rename.
func writePrivate(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}
