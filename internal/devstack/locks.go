package devstack

import (
	_ "embed" // the lock files
	"regexp"
)

// Everything that set-up downloads is pinned and hashed in these files.
// python/lock.sh renews the Python ones; the S3 server's are a module file
// and its sums, renewed by
//
//	go get -modfile=internal/devstack/s3server/versitygw.mod -tool \
//	    github.com/versity/versitygw/cmd/versitygw@vX.Y.Z
var (
	//go:embed python/uv.lock
	uvLock string
	//go:embed python/mlflow.lock
	mlflowLock string
	//go:embed python/temporal.lock
	temporalLock string
	//go:embed python/onnxruntime.lock
	onnxLock string
	//go:embed python/model-signing.lock
	modelSigningLock string
	//go:embed python/openlineage.lock
	openLineageLock string
	//go:embed s3server/versitygw.mod
	s3ServerMod string
	//go:embed s3server/versitygw.sum
	s3ServerSum string
)

// s3ServerPackage is what is built out of s3ServerMod.
const s3ServerPackage = "github.com/versity/versitygw/cmd/versitygw"

// pythonPin returns the version of a package in a lock file.
func pythonPin(lock, name string) string {
	return firstMatch(`(?m)^`+regexp.QuoteMeta(name)+`==(\S+)`, lock)
}

// modulePin returns the version of a module in a module file, without the v.
func modulePin(mod, path string) string {
	return firstMatch(`(?m)^\s+`+regexp.QuoteMeta(path)+` v(\S+)`, mod)
}

func firstMatch(pattern, text string) string {
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		return "unpinned"
	}
	return match[1]
}
