package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

func TestCopyOnThisHost(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	for name, text := range map[string]string{"a.csv": "1,2\n", "deep/b.csv": "3,4\n"} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source, destination := artifact.FileURI(from)+"/", artifact.FileURI(to)
	dry := mainspring(t, "copy", source, destination, "--dry-run")
	if dry.code != 0 || !strings.Contains(dry.stdout, "2 objects, 8 B, would be sent") || !strings.Contains(dry.stdout, "deep/b.csv") {
		t.Errorf("a dry run: %+v", dry)
	}
	if _, err := os.Stat(to); !os.IsNotExist(err) {
		t.Error("a dry run writes")
	}
	if first := mainspring(t, "copy", source, destination); first.code != 0 || !strings.Contains(first.stdout, "2 objects, 8 B") {
		t.Errorf("the copy: %+v", first)
	}
	if second := mainspring(t, "copy", source, destination); second.code != 0 || !strings.Contains(second.stdout, "0 objects, 0 B") || !strings.Contains(second.stdout, "2, 8 B, were there already") {
		t.Errorf("the second copy: %+v", second)
	}
	if text, err := os.ReadFile(filepath.Join(to, "deep", "b.csv")); err != nil || string(text) != "3,4\n" {
		t.Errorf("copied %q, %v", text, err)
	}
}

func TestCopyOfNonsense(t *testing.T) {
	for want, args := range map[string][]string{
		"is neither a snapshot's digest": {"a b", "s3://bkt/x/"},
		"with a slash at its end":        {"0123abcd", "s3://bkt/x"},
		"--parallel is at least 1":       {"0123abcd", "s3://bkt/x/", "--parallel", "0"},
		"stores.yaml: there is no such":  {"0123abcd", "s3://bkt/x/", "--stores", "/none/stores.yaml"},
	} {
		if got := mainspring(t, append([]string{"copy"}, args...)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%v: %+v; want %q", args, got, want)
		}
	}
}

func TestDoctorNamesEveryStore(t *testing.T) {
	t.Setenv("LAKE_KEY", "k")
	t.Setenv("LAKE_SECRET", "hunter2")
	path := filepath.Join(t.TempDir(), "stores.yaml")
	text := "- {prefix: s3://lake/, endpoint: \"http://" + freeAddress(t) + "\", access_key: env:LAKE_KEY, secret_key: env:LAKE_SECRET}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MAINSPRING_S3_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("MAINSPRING_STORES", path)
	t.Setenv("AWS_ACCESS_KEY_ID", "k")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	var out strings.Builder
	well, err := examineStores(t.Context(), &out)
	if err != nil || well {
		t.Fatalf("well: %v, %v", well, err)
	}
	for _, want := range []string{"✗ default store", "✗ s3://lake/", "the profile's endpoint", "MAINSPRING_S3_ENDPOINT"} {
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), "hunter2") {
			t.Errorf("doctor says\n%s\nwant %q", out.String(), want)
		}
	}
}
