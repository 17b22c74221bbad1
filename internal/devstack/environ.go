package devstack

import (
	"os"
	"slices"
	"strings"
)

// inheritedEnv is the user's environment without the variables that would
// point a part of the stack at something outside of it.
func inheritedEnv() []string {
	foreign := []string{
		"AWS_", "MLFLOW_", "_MLFLOW_", "TEMPORAL_", "VGW_", "ROOT_ACCESS_KEY_ID", "ROOT_SECRET_ACCESS_KEY",
		"MAINSPRING_STACK_", "MAINSPRING_S3_", "MAINSPRING_GATEWAY", "MAINSPRING_SIGNING_KEY", "MAINSPRING_TRUSTED_KEYS", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH",
		"NO_PROXY", "no_proxy",
	}
	var kept []string
	for _, variable := range os.Environ() {
		if !slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(variable, prefix) }) {
			kept = append(kept, variable)
		}
	}
	return append(kept, bypassProxy()...)
}

// bypassProxy keeps requests within this host off the user's proxy.
func bypassProxy() []string {
	hosts := "127.0.0.1,localhost"
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if value := os.Getenv(name); value != "" {
			hosts += "," + value
			break
		}
	}
	return []string{"NO_PROXY=" + hosts, "no_proxy=" + hosts}
}

// quietMLflow switches off telemetry and the job runner, which costs eight
// processes and 30 % of a core.
func quietMLflow() []string {
	return []string{"MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"}
}
