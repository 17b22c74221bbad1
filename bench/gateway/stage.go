package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
	"github.com/mainspring-ml/mainspring/models"
)

// canaryWeight is the share of the second server.
const canaryWeight = 0.1

// stage has everything that runs during the measurement.
type stage struct {
	options   options
	dir       string
	self      string
	program   string // mainspring
	stack     *devstack.Stack
	tools     devstack.Tools
	store     artifact.Store
	peers     []peer
	processes []*process
	scenes    []scene
	skipped   []string
}

// openStage starts the stack, the servers and every route to them.
func openStage(ctx context.Context, o options) (_ *stage, err error) {
	s := &stage{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "mainspring-bench-gateway-"); err != nil {
		return nil, err
	}
	if err := s.build(ctx); err != nil {
		return nil, err
	}
	if err := s.startStack(ctx); err != nil {
		return nil, err
	}
	servers, err := s.fixedServers(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.addScene(ctx, "fixed answer", servers); err != nil {
		return nil, err
	}
	if o.model == "" {
		return s, nil
	}
	if servers, err = s.modelServers(ctx, o.model); err != nil {
		return nil, err
	}
	return s, s.addScene(ctx, "mainspring serve", servers)
}

// build makes the programs: ours of this checkout, the peers from source.
func (s *stage) build(ctx context.Context) error {
	if s.program = s.options.mainspring; s.program == "" {
		s.program = filepath.Join(s.dir, "mainspring")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.program, "./cmd/mainspring").CombinedOutput(); err != nil {
			return fmt.Errorf("build mainspring: %w (run from the repository's root):\n%s", err, out)
		}
	}
	if !s.options.peers {
		s.skipped = append(s.skipped, caddy+" and "+traefik+": left out by -peers=false")
		return nil
	}
	for _, p := range []peer{caddyPeer, traefikPeer} {
		if err := p.build(ctx); err != nil {
			s.skipped = append(s.skipped, fmt.Sprintf("%s: %v", p.name, err))
			continue
		}
		s.peers = append(s.peers, p)
	}
	return nil
}

func (s *stage) startStack(ctx context.Context) (err error) {
	s.tools, err = devstack.Setup(ctx, devstack.ReporterFunc(func(p devstack.Progress) {
		if p.State == devstack.Installing && p.Elapsed == 0 {
			fmt.Fprintln(os.Stderr, "installing", p.Title)
		}
	}))
	if err != nil {
		return err
	}
	s.stack, err = devstack.Start(ctx, devstack.Config{
		StateDir: filepath.Join(s.dir, "stack"), Tools: s.tools, OnlyFreePorts: true,
		Watchdog: []string{s.self, "watchdog"}, Command: "bench/gateway",
	})
	if err != nil {
		return err
	}
	env := s.stack.Env()
	s.store, err = artifact.NewS3(artifact.ConfigFromEnv(func(name string) string {
		for _, variable := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value
			}
		}
		return ""
	}))
	return err
}

func (s *stage) start(name string, env []string, argv ...string) (*process, error) {
	p, err := start(s.dir, fmt.Sprintf("%s-%d", name, len(s.processes)), env, argv...)
	if err == nil {
		s.processes = append(s.processes, p)
	}
	return p, err
}

// playing starts this program in one of its parts and returns the URL that it
// prints.
func (s *stage) playing(ctx context.Context, args ...string) (string, *process, error) {
	p, err := s.start(args[0], nil, append([]string{s.self}, args...)...)
	if err != nil {
		return "", nil, err
	}
	lines, err := p.lines(ctx, p.output, 1)
	if err != nil {
		return "", nil, err
	}
	return lines[0], p, nil
}

func (s *stage) fixedServers(ctx context.Context) (servers [2]string, err error) {
	for i := range servers {
		if servers[i], _, err = s.playing(ctx, "backend"); err != nil {
			return servers, err
		}
	}
	return servers, nil
}

func (s *stage) modelServers(ctx context.Context, model string) (servers [2]string, err error) {
	if model, err = filepath.Abs(model); err != nil {
		return servers, err
	}
	for i := range servers {
		ready := filepath.Join(s.dir, fmt.Sprintf("server-%d.url", i))
		p, err := s.start("serve", s.stack.Env(), s.program, "serve", "--model-dir", model, "--name", endpointName,
			"--version", fmt.Sprint(i+1), "--ready-file", ready)
		if err != nil {
			return servers, err
		}
		lines, err := p.lines(ctx, ready, 1)
		if err != nil {
			return servers, err
		}
		servers[i] = lines[0]
	}
	return servers, nil
}

// addScene starts every route to a pair of servers.
func (s *stage) addScene(ctx context.Context, name string, servers [2]string) error {
	sc := scene{name: name}
	add := func(route string, url string, proxy *process, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", route, err)
		}
		sc.add(route, url, proxy.command.Process.Pid)
		return nil
	}
	sc.add(direct, servers[0], 0)
	if err := s.publishRoute(ctx, servers); err != nil {
		return err
	}
	gateway, running, err := s.startGateway(ctx, mainspring, s.program)
	if err := add(mainspring, gateway, running, err); err != nil {
		return err
	}
	if s.options.beside != "" {
		gateway, running, err := s.startGateway(ctx, beside, s.options.beside)
		if err := add(beside, gateway, running, err); err != nil {
			return err
		}
	}
	for _, p := range s.peers {
		address, running, err := p.start(ctx, s, servers)
		if err := add(p.name, address, running, err); err != nil {
			return err
		}
	}
	proxy, running, err := s.playing(ctx, "proxy", servers[0], servers[1])
	if err := add(plain, proxy, running, err); err != nil {
		return err
	}
	between, running, err := s.playing(ctx, "relay", servers[0])
	if err := add(relayed, between, running, err); err != nil {
		return err
	}
	s.scenes = append(s.scenes, sc)
	return nil
}

func (sc *scene) add(name, base string, pid int) {
	u, err := url.Parse(base)
	if err != nil {
		panic(err) // this program made the URL
	}
	sc.routes = append(sc.routes, route{name, newTarget(u.Host, inferPath, requestText), pid})
}

// publishRoute publishes the route to a scene's servers as a rollout does.
func (s *stage) publishRoute(ctx context.Context, servers [2]string) error {
	for i, version := range []string{"1", "2"} {
		replicas := models.Replicas{Endpoint: endpointName, Version: version, URLs: []string{servers[i]}}
		if err := s.publish(ctx, models.ReplicasKey(endpointName, version), replicas); err != nil {
			return err
		}
	}
	table := models.Route{Endpoint: endpointName, Model: endpointName, Generation: int64(len(s.scenes) + 1), Reason: "benchmark", Arms: []models.Arm{
		{Version: "1", Role: models.RoleChampion, Weight: 1 - canaryWeight},
		{Version: "2", Role: models.RoleCanary, Weight: canaryWeight},
	}}
	return s.publish(ctx, models.RouteKey(endpointName), table)
}

// startGateway starts a gateway that follows the route, with its inference log
// on.
func (s *stage) startGateway(ctx context.Context, kind, program string) (string, *process, error) {
	name := fmt.Sprintf("%s-%d", kind, len(s.scenes))
	ready := filepath.Join(s.dir, name+".url")
	p, err := s.start(kind, s.stack.Env(), program, "gateway", "--addr", "127.0.0.1:0", "--name", name,
		"--spool-dir", filepath.Join(s.dir, "spool-"+name), "--ready-file", ready)
	if err != nil {
		return "", nil, err
	}
	lines, err := p.lines(ctx, ready, 2)
	if err != nil {
		return "", nil, err
	}
	return lines[0], p, p.answers(ctx, "POST", lines[0]+inferPath, requestText)
}

func (s *stage) publish(ctx context.Context, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = artifact.PutBytes(ctx, s.store, key, text, artifact.PutOptions{})
	return err
}

// close ends everything, last started first.
func (s *stage) close() (err error) {
	for _, p := range slices.Backward(s.processes) {
		err = errors.Join(err, p.stop())
	}
	if s.stack != nil {
		s.stack.Stop(context.Background())
	}
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// lastWords are what the processes wrote last.
func (s *stage) lastWords() string {
	var text strings.Builder
	for _, p := range s.processes {
		if tail := strings.TrimSpace(p.tail()); tail != "" {
			fmt.Fprintf(&text, "\n%s: %s", p.name, tail)
		}
	}
	return text.String()
}
