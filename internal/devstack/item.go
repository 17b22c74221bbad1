package devstack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
)

// Source says where an item comes from.
type Source string

// The sources, in order of precedence.
const (
	FromEnv   Source = "env"
	FromPath  Source = "PATH"
	FromCache Source = "cache"
	Missing   Source = "missing"
)

// Located is an item as it was found.
type Located struct {
	Path    string
	Version string
	Source  Source
}

// The names of the items, in the order in which they are shown.
const (
	itemUV       = "uv"
	itemTemporal = "temporal"
	itemS3       = "s3-server"
	itemMLflow   = "mlflow"
	itemONNX     = "onnxruntime"
)

// item is one thing to install.
type item struct {
	name     string
	title    string
	version  string
	sizeMiB  uint64
	variable string                                                             // environment variable that names another one; "" if there is none
	onPath   string                                                             // program that may be taken from PATH; "" if there is none
	needs    []string                                                           // items that must be there first
	entry    string                                                             // in the cache
	file     string                                                             // in the entry
	check    func(ctx context.Context, path string) (version string, err error) // of one that is not ours
	build    func(ctx context.Context, dir string) error
}

// locate finds the item without installing it. A program that the user names
// must be suitable; an unsuitable one on PATH is passed over.
func (it item) locate(ctx context.Context, c cache) (Located, error) {
	if it.variable != "" {
		if named := os.Getenv(it.variable); named != "" {
			version, err := it.check(ctx, named)
			if err != nil {
				return Located{}, &Error{Op: "use " + it.variable, Subject: named, Err: err, Hint: "correct the variable or unset it"}
			}
			return Located{Path: named, Version: version, Source: FromEnv}, nil
		}
	}
	if it.onPath != "" {
		if path, err := exec.LookPath(it.onPath); err == nil {
			if version, err := it.check(ctx, path); err == nil {
				return Located{Path: path, Version: version, Source: FromPath}, nil
			}
		}
	}
	if c.has(it.entry, it.file) {
		return it.cached(c), nil
	}
	return Located{Version: it.version, Source: Missing}, nil
}

func (it item) cached(c cache) Located {
	return Located{Path: c.path(it.entry) + "/" + it.file, Version: it.version, Source: FromCache}
}

// oldestTemporal is the oldest usable minor version of the Temporal CLI 1.x:
// the first whose server can push cancellations to activities.
const oldestTemporal = 9

// checkTemporal reads the version of a Temporal CLI.
func checkTemporal(ctx context.Context, path string) (string, error) {
	output, err := command{argv: []string{path, "--version"}}.run(ctx)
	if err != nil {
		return "", err
	}
	match := regexp.MustCompile(`version v?(\d+)\.(\d+)\.(\d+\S*)`).FindStringSubmatch(output)
	if match == nil {
		return "", fmt.Errorf("%w: it gives its version as %q", ErrUnsuitable, output)
	}
	version := match[1] + "." + match[2] + "." + match[3]
	major, _ := strconv.Atoi(match[1])
	minor, _ := strconv.Atoi(match[2])
	if major < 1 || major == 1 && minor < oldestTemporal {
		return "", fmt.Errorf("%w: version %s is older than 1.%d", ErrUnsuitable, version, oldestTemporal)
	}
	return version, nil
}

// checkS3Server reads the version of a versitygw.
func checkS3Server(ctx context.Context, path string) (string, error) {
	output, err := command{argv: []string{path, "--version"}}.run(ctx)
	if err != nil {
		return "", err
	}
	return firstMatch(`(?i)version\s*:?\s*(\S+)`, output), nil
}

// checkFile is for what can't be asked for its version.
func checkFile(_ context.Context, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: it is no file", ErrUnsuitable)
	}
	return "unknown version", nil
}
