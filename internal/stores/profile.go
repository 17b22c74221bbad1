package stores

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/models"
)

// Profile is how the objects below a prefix are reached.
type Profile struct {
	Prefix   string `json:"prefix"`             // s3://bucket/ or s3://bucket/prefix/
	Endpoint string `json:"endpoint,omitempty"` // http(s)://host[:port]; empty: AWS in Region
	Region   string `json:"region,omitempty"`   // empty: us-east-1
	// AccessKey, SecretKey and SessionToken are env:NAME or file:PATH. On AWS both
	// keys may be left out: its credentials file or the instance's role count.
	AccessKey    string `json:"access_key,omitempty"`
	SecretKey    string `json:"secret_key,omitempty"`
	SessionToken string `json:"session_token,omitempty"`
	Anonymous    bool   `json:"anonymous,omitempty"` // requests are not signed
	// PathStyle puts the bucket into the path of URLs, or false into their host;
	// nil: as the endpoint's service is known to want it.
	PathStyle *bool `json:"path_style,omitempty"`
}

// Load reads the file of profiles, sorted by prefix.
func Load(path string) ([]Profile, error) {
	profiles, err := spec.ReadConfig(path, validate)
	slices.SortFunc(profiles, func(a, b Profile) int { return strings.Compare(a.Prefix, b.Prefix) })
	return profiles, err
}

// validate says everything that is wrong with the profiles. It repeats no key.
func validate(profiles []Profile) error {
	var found models.Problems
	first := map[string]int{}
	for i, p := range profiles {
		at := fmt.Sprintf("[%d]", i)
		if before, twice := first[p.Prefix]; twice && p.Prefix != "" {
			found = append(found, models.Problem{Path: at + ".prefix", Message: fmt.Sprintf("is that of profile %d as well", before+1), Hint: "keep one of them"})
		}
		first[p.Prefix] = i
		found = append(found, p.problems(at)...)
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

func (p Profile) problems(at string) (found models.Problems) {
	check := func(holds bool, field, message, hint string) {
		if !holds {
			found = append(found, models.Problem{Path: at + "." + field, Message: message, Hint: hint})
		}
	}
	_, key, err := artifact.ParseURI(p.Prefix)
	switch clean := strings.TrimSuffix(key, "/"); {
	case p.Prefix == "":
		check(false, "prefix", "is missing", "write s3://bucket/ or s3://bucket/prefix/")
	case err != nil || strings.Contains("/"+clean+"/", "//") && clean != "" || strings.ContainsAny(key, "?*\\"):
		check(false, "prefix", "is no s3:// prefix", "write s3://bucket/ or s3://bucket/prefix/")
	default:
		check(strings.HasSuffix(p.Prefix, "/"), "prefix", "must end with a slash", "without one, s3://lake would cover s3://lakehouse as well")
	}
	u, err := url.Parse(p.Endpoint)
	plain := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && strings.Trim(u.Path, "/") == "" && u.User == nil && u.RawQuery == ""
	check(p.Endpoint == "" || plain, "endpoint", "is not a plain http or https address", "write it like https://s3.example.org, without path and credentials")
	given := map[string]string{"access_key": p.AccessKey, "secret_key": p.SecretKey, "session_token": p.SessionToken}
	for _, field := range []string{"access_key", "secret_key", "session_token"} {
		check(given[field] == "" || isReference(given[field]), field, "must be a reference: this file is no place for secrets", "write env:NAME or file:/absolute/path")
	}
	both := p.AccessKey != "" && p.SecretKey != ""
	none := p.AccessKey == "" && p.SecretKey == "" && p.SessionToken == ""
	switch {
	case p.Anonymous:
		check(none, "anonymous", "is true, and there are keys", "remove one or the other")
	case none:
		check(p.Endpoint == "", "prefix", "has neither access_key and secret_key nor anonymous: true",
			"only AWS has other ways to know who asks")
	default:
		check(both, cmp.Or(nameIf(p.AccessKey == "", "access_key"), "secret_key"), "is missing; keys come in pairs", "write env:NAME or file:/absolute/path")
	}
	return found
}

func nameIf(holds bool, name string) string {
	if holds {
		return name
	}
	return ""
}

// config is the store's; its keys are read with getenv when they are needed.
func (p Profile) config(getenv func(string) string) artifact.Config {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(p.Prefix, "s3://"), "/")
	config := artifact.Config{
		Endpoint: p.Endpoint, Bucket: bucket, Region: p.Region, Anonymous: p.Anonymous, PathStyle: p.PathStyle, Profile: p.Prefix,
	}
	if p.AccessKey != "" {
		config.Credentials = &keys{profile: p, getenv: getenv}
	}
	return config
}

// place says where the store is.
func (p Profile) place() string {
	return fmt.Sprintf("%s (region %s)", cmp.Or(p.Endpoint, "AWS"), cmp.Or(p.Region, "us-east-1"))
}
