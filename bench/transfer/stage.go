package main

import (
	"bufio"
	"context"
	_ "embed" // the program that logs to MLflow
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/devstack"
)

//go:embed log.py
var logProgram []byte

// stage has the servers and the clients.
type stage struct {
	dir    string
	stack  *devstack.Stack
	python string
	bare   bare
	ours   *artifact.S3
}

func openStage(ctx context.Context, dir string) (*stage, error) {
	tools, err := devstack.Setup(ctx, devstack.ReporterFunc(func(p devstack.Progress) {
		if p.State == devstack.Installing && p.Elapsed == 0 {
			fmt.Fprintln(os.Stderr, "installing", p.Title)
		}
	}))
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	stack, err := devstack.Start(ctx, devstack.Config{StateDir: filepath.Join(dir, "state"), Tools: tools, OnlyFreePorts: true,
		Watchdog: []string{self, "watchdog"}, Command: "bench/transfer"})
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, stack: stack, python: tools.MLflowPython}
	if err := s.connect(stack.Access().S3); err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, os.WriteFile(filepath.Join(dir, "log.py"), logProgram, 0o600)
}

func (s *stage) connect(access devstack.S3Access) error {
	endpoint, err := url.Parse(access.Endpoint)
	if err != nil {
		return err
	}
	transport, err := minio.DefaultTransport(false)
	if err != nil {
		return err
	}
	const connections = 64
	transport.MaxIdleConnsPerHost = connections
	client, err := minio.NewCore(endpoint.Host, &minio.Options{Region: access.Region, Transport: transport,
		Creds: credentials.NewStaticV4(access.AccessKey, string(access.SecretKey), "")})
	if err != nil {
		return err
	}
	s.bare = bare{client: client, bucket: access.Bucket}
	s.ours, err = artifact.NewS3(artifact.Config{Endpoint: access.Endpoint, Bucket: access.Bucket, Region: access.Region,
		AccessKey: access.AccessKey, SecretKey: string(access.SecretKey)})
	return err
}

func (s *stage) close(ctx context.Context) { s.stack.Stop(context.WithoutCancel(ctx)) }

func fileName(i int) string { return fmt.Sprintf("file-%05d", i) }

// write makes a workload's files, of random bytes.
func (w workload) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	source := rand.NewChaCha8([32]byte{1})
	for i := range w.Files {
		file, err := os.Create(filepath.Join(dir, fileName(i)))
		if err != nil {
			return err
		}
		_, err = io.CopyN(file, source, w.FileBytes)
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// empty removes what a round has stored and fetched, and lets the disk settle.
func (s *stage) empty(ctx context.Context, fetched string) error {
	there, err := s.ours.List(ctx, "")
	if err != nil {
		return err
	}
	group, inGroup := errgroup.WithContext(ctx)
	const parallel = 16
	group.SetLimit(parallel)
	for _, o := range there {
		group.Go(func() error { return s.ours.Delete(inGroup, o.Key) })
	}
	if err := errors.Join(group.Wait(), os.RemoveAll(fetched)); err != nil {
		return err
	}
	unix.Sync()
	return nil
}

// logger is the program that logs to MLflow.
type logger struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

func (s *stage) startMLflow(ctx context.Context) (*logger, error) {
	l := &logger{command: exec.CommandContext(ctx, s.python, filepath.Join(s.dir, "log.py"))}
	l.command.Env = append(s.stack.Env(), "MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true")
	l.command.Stderr = os.Stderr
	out, err := l.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	l.out = bufio.NewReader(out)
	if l.in, err = l.command.StdinPipe(); err != nil {
		return nil, err
	}
	return l, l.command.Start()
}

func (l *logger) log(dir string) (time.Duration, error) {
	if _, err := fmt.Fprintln(l.in, dir); err != nil {
		return 0, err
	}
	for {
		line, err := l.out.ReadString('\n')
		if err != nil {
			return 0, fmt.Errorf("mlflow.log_artifacts: %w", err)
		}
		// MLflow prints addresses of runs in between.
		if seconds, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err == nil {
			return time.Duration(seconds * float64(time.Second)), nil
		}
	}
}

// stop lets the program end by itself.
func (l *logger) stop() { _, _ = l.in.Close(), l.command.Wait() } // its figures are here
