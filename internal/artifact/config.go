package artifact

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Config says where the bucket is.
type Config struct {
	// Endpoint is http(s)://host[:port]; empty: AWS in Region.
	Endpoint string
	Bucket   string
	Region   string // empty: us-east-1
	// AccessKey and SecretKey; both empty: AWS's other environment variables,
	// credentials file, or the instance's role.
	AccessKey, SecretKey, SessionToken string
	// Anonymous sends no credentials, as for public data.
	Anonymous bool
	// Credentials, asked whenever they have expired, stand for the keys; nil: the
	// keys count.
	Credentials credentials.Provider
	// PathStyle says whether the bucket stands in the path of URLs or in their
	// host; nil: as the endpoint's service is known to want it.
	PathStyle *bool
	// Profile is the prefix of URIs that this store is for, named in errors;
	// empty: the default store.
	Profile string
	// Transport is for tests and tracing; nil: a transport of its own.
	Transport http.RoundTripper
}

// signing returns what requests are signed with.
func (c Config) signing() *credentials.Credentials {
	switch {
	case c.Credentials != nil:
		return credentials.New(c.Credentials)
	case c.AccessKey == "" && !c.Anonymous:
		return credentials.NewChainCredentials([]credentials.Provider{
			&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{Client: http.DefaultClient}})
	default: // without keys requests are not signed
		return credentials.NewStaticV4(c.AccessKey, c.SecretKey, c.SessionToken)
	}
}

func (c Config) lookup() minio.BucketLookupType {
	switch {
	case c.PathStyle == nil:
		return minio.BucketLookupAuto
	case *c.PathStyle:
		return minio.BucketLookupPath
	default:
		return minio.BucketLookupDNS
	}
}

// DefaultBucket is used when MAINSPRING_S3_BUCKET is not set.
const DefaultBucket = "mainspring"

// ConfigFromEnv reads MAINSPRING_S3_ENDPOINT, MAINSPRING_S3_BUCKET,
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION.
func ConfigFromEnv(getenv func(string) string) Config {
	cfg := Config{
		Endpoint:     getenv("MAINSPRING_S3_ENDPOINT"),
		Bucket:       getenv("MAINSPRING_S3_BUCKET"),
		Region:       getenv("AWS_REGION"),
		AccessKey:    getenv("AWS_ACCESS_KEY_ID"),
		SecretKey:    getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: getenv("AWS_SESSION_TOKEN"),
	}
	if cfg.Bucket == "" {
		cfg.Bucket = DefaultBucket
	}
	return cfg
}

// Validate reports what is wrong, without repeating secrets.
func (c Config) Validate() error {
	fail := func(subject, message, hint string) error {
		return &Error{Op: "configure", URI: subject, Message: message, Hint: hint, Class: ErrInvalid}
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return fail("S3 endpoint", "not a plain http or https address",
				"set MAINSPRING_S3_ENDPOINT to something like http://127.0.0.1:7070, without path and credentials")
		}
	}
	if !validBucket(c.Bucket) {
		return fail("S3 bucket", fmt.Sprintf("%q can't be a bucket's name", c.Bucket),
			"set MAINSPRING_S3_BUCKET to 3 to 63 lower-case letters, digits, dots and hyphens")
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return fail("S3 credentials", "one of the two keys is missing",
			"set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return nil
}

func validBucket(name string) bool {
	return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`).MatchString(name)
}

// String leaves the secrets out.
func (c Config) String() string {
	return fmt.Sprintf("bucket %s at %s (region %s)", c.Bucket, c.Endpoint, c.Region)
}

// GoString leaves the secrets out.
func (c Config) GoString() string { return c.String() }

// LogValue implements slog.LogValuer, without the secrets.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
