package devstack

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/devstack/supervise"
)

// ExternalS3 reads an S3 endpoint out of an environment. Without
// MAINSPRING_S3_ENDPOINT it is nil, and the stack starts a server of its own.
func ExternalS3(getenv func(string) string) *S3Access {
	endpoint := getenv("MAINSPRING_S3_ENDPOINT")
	if endpoint == "" {
		return nil
	}
	access := &S3Access{
		Endpoint: endpoint, Bucket: getenv("MAINSPRING_S3_BUCKET"), Region: getenv("AWS_REGION"),
		AccessKey: getenv("AWS_ACCESS_KEY_ID"), SecretKey: Secret(getenv("AWS_SECRET_ACCESS_KEY")),
	}
	if access.Bucket == "" {
		access.Bucket = Bucket
	}
	if access.Region == "" {
		access.Region = region
	}
	return access
}

func (s *Stack) s3Server() (supervise.Process, error) {
	data := filepath.Join(s.config.StateDir, "s3")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return supervise.Process{}, err
	}
	if err := sweepUploads(data); err != nil {
		return supervise.Process{}, err
	}
	argv := []string{s.config.Tools.S3Server, "--quiet", "--port", loopback(s.ports.S3), "--region", region, "posix"}
	if !hasAttributes(data) {
		sidecar := filepath.Join(s.config.StateDir, "s3-metadata")
		if err := os.MkdirAll(sidecar, 0o700); err != nil {
			return supervise.Process{}, err
		}
		argv = append(argv, "--sidecar", sidecar)
	}
	env := []string{
		"VGW_HEALTH=/health",
		"ROOT_ACCESS_KEY_ID=" + s.access.S3.AccessKey,
		"ROOT_SECRET_ACCESS_KEY=" + string(s.access.S3.SecretKey),
	}
	return s.serverProcess(ServerS3, append(argv, data), env, supervise.HTTPReady(s.access.S3.Endpoint+"/health")), nil
}

// sweepUploads removes what a server that was killed in the middle of an
// upload left behind; clients never see it.
func sweepUploads(data string) error {
	left, err := filepath.Glob(filepath.Join(data, "*", ".sgwtmp"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			// A multipart upload may be continued; single puts can't be.
			if err == nil && entry.IsDir() && entry.Name() == "multipart" {
				return fs.SkipDir
			}
			if err == nil && entry.Type().IsRegular() {
				return os.Remove(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hasAttributes is true where files can have extended attributes, in which
// the S3 server keeps metadata; elsewhere it needs a directory for them.
func hasAttributes(dir string) bool {
	return unix.Setxattr(dir, "user.mainspring", []byte("1"), 0) == nil
}

// createBucket makes the bucket unless it is there.
func (s *Stack) createBucket(ctx context.Context) error {
	endpoint, err := url.Parse(s.access.S3.Endpoint)
	if err != nil {
		return describe("reach S3", s.access.S3.Endpoint, err)
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(s.access.S3.AccessKey, string(s.access.S3.SecretKey), ""),
		Secure: endpoint.Scheme == "https", Region: s.access.S3.Region,
	})
	if err != nil {
		return describe("reach S3", s.access.S3.Endpoint, err)
	}
	exists, err := client.BucketExists(ctx, s.access.S3.Bucket)
	switch {
	case err != nil:
		return describe("look for the bucket "+s.access.S3.Bucket, s.access.S3.Endpoint, err)
	case exists:
		return nil
	case s.config.ExternalS3 != nil:
		return &Error{
			Op: "use the bucket " + s.access.S3.Bucket, Subject: s.access.S3.Endpoint, Err: errors.New("there is no such bucket"),
			Hint: "create it, or name another in MAINSPRING_S3_BUCKET",
		}
	}
	err = client.MakeBucket(ctx, s.access.S3.Bucket, minio.MakeBucketOptions{Region: s.access.S3.Region})
	return describe("create the bucket "+s.access.S3.Bucket, s.access.S3.Endpoint, err)
}
