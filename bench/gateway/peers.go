package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/devstack"
)

// peer is another proxy, built from a module of its own under peers/ so that
// its dependencies never meet ours.
type peer struct {
	name    string
	module  string
	pkg     string
	prepare func(ctx context.Context, dir string) error // nil: nothing to do
	// configure writes the configuration and returns the arguments.
	configure func(dir, address string, servers [2]string) ([]string, error)

	program string // set by build
}

var caddyPeer = peer{
	name: caddy, module: "github.com/caddyserver/caddy/v2", pkg: "github.com/caddyserver/caddy/v2/cmd/caddy",
	configure: func(dir, address string, servers [2]string) ([]string, error) {
		path := filepath.Join(dir, "Caddyfile-"+strings.ReplaceAll(address, ":", "-"))
		host, port, _ := strings.Cut(address, ":")
		text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	log {
		level ERROR
	}
}
http://:%s {
	bind %s
	reverse_proxy %s %s {
		lb_policy weighted_round_robin 9 1
	}
}
`, port, host, servers[0], servers[1])
		return []string{"run", "--adapter", "caddyfile", "--config", path}, os.WriteFile(path, []byte(text), 0o600)
	},
}

var traefikPeer = peer{
	name: traefik, module: "github.com/traefik/traefik/v3", pkg: "github.com/traefik/traefik/v3/cmd/traefik",
	prepare: withoutDNS,
	configure: func(dir, address string, servers [2]string) ([]string, error) {
		path := filepath.Join(dir, "traefik-"+strings.ReplaceAll(address, ":", "-")+".yaml")
		text := fmt.Sprintf(`http:
  routers:
    all: {rule: "PathPrefix(%s)", entryPoints: [web], service: split}
  services:
    split: {weighted: {services: [{name: champion, weight: 9}, {name: canary, weight: 1}]}}
    champion: {loadBalancer: {servers: [{url: %q}]}}
    canary: {loadBalancer: {servers: [{url: %q}]}}
`, "`/`", servers[0], servers[1])
		return []string{
			"--entrypoints.web.address=" + address, "--providers.file.filename=" + path, "--log.level=ERROR",
			"--global.checknewversion=false", "--global.sendanonymoususage=false",
		}, os.WriteFile(path, []byte(text), 0o600)
	},
}

// start runs the peer in front of the servers.
func (p peer) start(ctx context.Context, s *stage, servers [2]string) (string, *process, error) {
	address, err := devstack.FreeAddress()
	if err != nil {
		return "", nil, err
	}
	args, err := p.configure(s.dir, address, servers)
	if err != nil {
		return "", nil, err
	}
	running, err := s.start(p.name, nil, append([]string{p.program}, args...)...)
	if err != nil {
		return "", nil, err
	}
	return "http://" + address, running, running.answers(ctx, "POST", "http://"+address+inferPath, requestText)
}

// build makes the program unless the cache has it. The module's files name the
// entry, so that another version is another program.
func (p *peer) build(ctx context.Context) error {
	source := filepath.Join("bench", "gateway", "peers", p.name)
	digest, err := digestOf(source)
	if err != nil {
		return fmt.Errorf("%w (run from the repository's root)", err)
	}
	cache := os.Getenv("MAINSPRING_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return err
		}
		cache = filepath.Join(user, "mainspring")
	}
	cache = filepath.Join(cache, "peers")
	p.program = filepath.Join(cache, p.name+"-"+digest)
	if _, err := os.Stat(p.program); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "building %s from source; this takes minutes, once\n", p.name)
	dir, err := os.MkdirTemp(cache, p.name+"-build-")
	if err != nil {
		return err
	}
	return cmp.Or(p.compile(ctx, source, dir), os.RemoveAll(dir))
}

func (p *peer) compile(ctx context.Context, source, dir string) error {
	if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
		return err
	}
	if p.prepare != nil {
		if err := p.prepare(ctx, dir); err != nil {
			return err
		}
	}
	built := filepath.Join(dir, "program")
	if _, err := goCommand(ctx, dir, "build", "-p", "2", "-o", built, p.pkg); err != nil {
		return err
	}
	return os.Rename(built, p.program) // whole or not at all
}

// withoutDNS gives Traefik a copy of lego, its ACME client, that knows no DNS
// services: see peers/traefik/dns.
func withoutDNS(ctx context.Context, dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	const lego = "github.com/go-acme/lego/v5"
	version := regexp.MustCompile(regexp.QuoteMeta(lego) + ` (v\S+)`).FindSubmatch(text)
	if version == nil {
		return fmt.Errorf("%s is not in peers/traefik/go.mod", lego)
	}
	out, err := goCommand(ctx, os.TempDir(), "mod", "download", "-json", lego+"@"+string(version[1]))
	if err != nil {
		return err
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return fmt.Errorf("read what go mod download says: %w", err)
	}
	copied, services := filepath.Join(dir, "lego"), filepath.Join(dir, "lego", "providers", "dns")
	if err := os.CopyFS(copied, os.DirFS(downloaded.Dir)); err != nil {
		return err
	}
	if err := os.RemoveAll(services); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "dns"), services); err != nil {
		return err
	}
	_, err = goCommand(ctx, dir, "mod", "edit", "-replace="+lego+"=./lego")
	return err
}

// goCommand runs the go tool apart from this repository's settings.
func goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir, command.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, exit.Stderr[max(0, len(exit.Stderr)-800):])
	}
	return out, err
}

// digestOf names the content of a directory.
func digestOf(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d\n", path, len(text))
		sum.Write(text)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)[:6]), err
}
