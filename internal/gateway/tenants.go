package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"
)

// TenantSpec is one caller in the tenants file, a YAML list of them. The file
// holds no key, only the keys' digests, so that reading it lets nobody in.
type TenantSpec struct {
	Tenant    string   `yaml:"tenant"`
	Keys      []string `yaml:"keys"`      // SHA-256 of each key, in hex; several, so that keys can be changed without a gap
	Endpoints []string `yaml:"endpoints"` // that may be called; "*": all
	// Rate is the number of requests per second in the long run, Burst how many
	// may come at once (default: a second's worth), Concurrency how many may be
	// in flight. 0: no limit. The limits hold in each gateway.
	Rate        float64 `yaml:"rate"`
	Burst       int     `yaml:"burst"`
	Concurrency int     `yaml:"concurrency"`
}

// digest is the SHA-256 of a key.
type digest [sha256.Size]byte

// anyEndpoint stands for all endpoints in a TenantSpec.
const anyEndpoint = "*"

// maxTenantsFile bounds what is read: about 5,000 tenants.
const maxTenantsFile = 1 << 20

// NewKey draws a key and returns it with the digest that a tenants file has.
func NewKey() (key, digest string) {
	key = "msk_" + rand.Text()
	sum := sha256.Sum256([]byte(key))
	return key, hex.EncodeToString(sum[:])
}

// readTenantsFile returns the file's content.
func readTenantsFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the tenants file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxTenantsFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the tenants file: %w", err)
	case len(text) > maxTenantsFile:
		return nil, fmt.Errorf("the tenants file %s has more than %d bytes", path, maxTenantsFile)
	}
	return text, nil
}

// parseTenants reads a tenants file strictly: a misspelt limit must not mean no
// limit.
func parseTenants(text []byte) (map[digest]string, []TenantSpec, error) {
	var specs []TenantSpec
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&specs); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("the tenants file is not a list of tenants: %w", err)
	}
	if len(specs) == 0 {
		return nil, nil, errors.New("the tenants file names no tenant; start the gateway without --tenants to let everybody in")
	}
	owners := map[digest]string{}
	names := map[string]bool{}
	for i, s := range specs {
		if err := s.check(); err != nil {
			return nil, nil, fmt.Errorf("tenant number %d (%s): %w", i+1, s.Tenant, err)
		}
		if names[s.Tenant] {
			return nil, nil, fmt.Errorf("tenant %s is listed twice", s.Tenant)
		}
		names[s.Tenant] = true
		for _, text := range s.Keys {
			var d digest
			if n, err := hex.Decode(d[:], []byte(text)); err != nil || n != len(d) {
				return nil, nil, fmt.Errorf("tenant %s: a key is not the SHA-256 of a key in hex; `mainspring gateway key` makes one", s.Tenant)
			}
			if owner, taken := owners[d]; taken {
				return nil, nil, fmt.Errorf("tenants %s and %s have the same key", owner, s.Tenant)
			}
			owners[d] = s.Tenant
		}
	}
	return owners, specs, nil
}

var tenantName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (s *TenantSpec) check() error {
	switch {
	case !tenantName.MatchString(s.Tenant):
		return errors.New("its name must be made of up to 63 letters, digits, '-', '_' and '.'")
	case len(s.Keys) == 0:
		return errors.New("it has no keys; `mainspring gateway key` makes one")
	case len(s.Endpoints) == 0 || slices.Contains(s.Endpoints, ""):
		return errors.New(`it may call no endpoint; name those that it may, or "*" for all`)
	case slices.ContainsFunc(s.Keys, func(key string) bool { return len(key) != 2*sha256.Size }):
		return errors.New("a key is not the SHA-256 of a key in hex; `mainspring gateway key` makes one")
	case s.Rate < 0 || math.IsNaN(s.Rate) || math.IsInf(s.Rate, 0):
		return errors.New("rate must be a number of requests per second, 0 for no limit")
	case s.Burst < 0 || s.Concurrency < 0:
		return errors.New("burst and concurrency must not be below 0")
	case s.Burst > 0 && s.Rate == 0:
		return errors.New("burst means nothing without a rate")
	}
	return nil
}

func (s *TenantSpec) mayCall(endpoint string) bool {
	return slices.Contains(s.Endpoints, anyEndpoint) || slices.Contains(s.Endpoints, endpoint)
}
