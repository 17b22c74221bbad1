package artifact_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/artifact/artifacttest"
)

// killVariable turns the test's program into one that transfers a file.
const killVariable = "MAINSPRING_TEST_TRANSFER"

func TestMain(m *testing.M) {
	if what := os.Getenv(killVariable); what != "" {
		if err := transfer(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func transfer(what string) error {
	s, err := artifact.NewS3(artifact.Config{Endpoint: os.Getenv("MAINSPRING_S3_ENDPOINT"), Bucket: "bucket", AccessKey: "key", SecretKey: "secret"})
	if err != nil {
		return err
	}
	file := os.Getenv(killVariable + "_FILE")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if what == "up" {
		_, err = artifact.PutFile(ctx, s, "models/m", file)
	} else {
		_, err = artifact.GetFile(ctx, s, "models/m", file, os.Getenv(killVariable+"_SHA256"))
	}
	return err
}

// killed runs a transfer again and again and kills it each time that doomed
// sends, until it ends by itself. It returns how often it was killed.
func killed(t *testing.T, s *artifacttest.Server, what, file, digest string, doomed <-chan struct{}, check func()) (kills int) {
	t.Helper()
	for ; t.Context().Err() == nil; kills++ {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), killVariable+"="+what, "MAINSPRING_S3_ENDPOINT="+s.URL,
			killVariable+"_FILE="+file, killVariable+"_SHA256="+digest)
		child.Stderr = os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- child.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			return kills
		case <-doomed:
			_ = child.Process.Kill() // it may just have ended
			<-ended
		}
		check()
	}
	return kills
}

const (
	killSize  = 120*mib + 777
	killLimit = 6 // times
)

// TestKilledUploads: a process that uploads is killed at random moments and
// started again until it is done.
func TestKilledUploads(t *testing.T) {
	content := pattern(killSize)
	file := writeFile(t, content)
	s := artifacttest.NewServer(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	doomed := make(chan struct{})
	var parts, left, next atomic.Int64
	left.Store(killLimit)
	draw := func() { next.Store(parts.Load() + 1 + random.Int64N(9)) }
	draw()
	s.Break(func(_ http.ResponseWriter, r *http.Request) bool {
		if isPart(r) && parts.Add(1) == next.Load() && left.Add(-1) >= 0 {
			select {
			case doomed <- struct{}{}:
			case <-t.Context().Done():
			}
		}
		return false
	})
	kills := killed(t, s, "up", file, "", doomed, func() {
		if _, there := s.Object("models/m"); there {
			t.Error("an object that is not complete was shown")
		}
		draw()
	})
	wantObject(t, s, "models/m", content)
	// Each kill loses at most what was on its way: six parts.
	const underway = 6 * 8 * mib
	twice := s.Received.Load() - killSize
	t.Logf("killed %d times: %d of %d bytes were sent twice", kills, twice, killSize)
	if kills == 0 || twice > int64(kills)*underway {
		t.Errorf("killed %d times: %d of %d bytes were sent twice", kills, twice, killSize)
	}
}

func TestKilledDownloads(t *testing.T) {
	content := pattern(killSize)
	s := artifacttest.NewServer(t)
	s.Replace("models/m", content)
	s.SlowDown(100 * time.Microsecond)
	file := filepath.Join(t.TempDir(), "file")
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	t.Logf("seed %d", seed)
	doomed := make(chan struct{})
	next := 8*mib + random.Int64N(20*mib)
	over := make(chan struct{})
	go func() {
		for range killLimit {
			for s.Sent.Load() < next {
				select {
				case <-over:
					return
				case <-time.After(time.Millisecond):
				}
			}
			select {
			case doomed <- struct{}{}:
			case <-over:
				return
			}
			next += 8*mib + random.Int64N(20*mib)
		}
	}()
	kills := killed(t, s, "down", file, artifact.Digest(content), doomed, func() {
		if _, err := os.Stat(file); err == nil {
			t.Error("a file that is not complete was shown")
		}
	})
	close(over)
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file has %d bytes (%v); want %d", len(got), err, len(content))
	}
	wantNothingBut(t, file)
	twice := s.Sent.Load() - killSize
	t.Logf("killed %d times: %d of %d bytes came twice", kills, twice, killSize)
	if kills == 0 || twice > killSize {
		t.Errorf("killed %d times: %d of %d bytes came twice", kills, twice, killSize)
	}
}
