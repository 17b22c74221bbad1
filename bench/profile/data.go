package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// The file, a part of an npm package.
const (
	dataPackage = "vega-datasets@3.2.1"
	dataMember  = "package/data/flights-3m.parquet"
	dataSHA256  = "dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0"
)

// dataFile is the given file, or the pinned one in the user's cache, and its
// digest.
func dataFile(ctx context.Context, given string) (path, digest string, err error) {
	if given != "" {
		digest, err = digestOf(given)
		return given, digest, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(cache, "mainspring-bench", "flights-3m.parquet")
	if digest, err := digestOf(path); err == nil && digest == dataSHA256 {
		return path, digest, nil
	}
	if err := fetch(ctx, path); err != nil {
		return "", "", fmt.Errorf("fetch %s of %s with npm (or give a file with -data): %w", dataMember, dataPackage, err)
	}
	digest, err = digestOf(path)
	if err == nil && digest != dataSHA256 {
		err = fmt.Errorf("%s has digest %s, not %s", path, digest, dataSHA256)
	}
	return path, digest, err
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// fetch lets npm download the package and takes the file out of it.
func fetch(ctx context.Context, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "npm-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // best effort: a temporary directory
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", dataPackage)
	npm.Dir, npm.Stderr = dir, os.Stderr
	if err := npm.Run(); err != nil {
		return err
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return fmt.Errorf("npm left %v: %w", packed, err)
	}
	return extract(packed[0], path)
}

func extract(archive, path string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for members := tar.NewReader(unzipped); ; {
		header, err := members.Next()
		if err != nil {
			return fmt.Errorf("look for %s: %w", dataMember, err)
		}
		if header.Name == dataMember {
			return keep(members, path)
		}
	}
}

func keep(from io.Reader, path string) (err error) {
	to, err := os.Create(path + ".partial")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	return os.Rename(path+".partial", path)
}
