package stores

import (
	"context"
	"time"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// Variable names the file of profiles; unset, there is the default store alone.
const Variable = "MAINSPRING_STORES"

// Open opens the default store, as artifact.ConfigFromEnv reads it, and those of
// the profiles. No server is contacted. Problems of the file are a *spec.Error.
func Open(getenv func(string) string) (*artifact.Stores, error) {
	usual, err := artifact.NewS3(artifact.ConfigFromEnv(getenv))
	if err != nil {
		return nil, err
	}
	path := getenv(Variable)
	if path == "" {
		return artifact.NewStores(usual), nil
	}
	profiles, err := Load(path)
	if err != nil {
		return nil, err
	}
	routed := make([]artifact.Routed, len(profiles))
	for i, p := range profiles {
		store, err := artifact.NewS3(p.config(getenv))
		if err != nil {
			return nil, err // Load has looked at all of it: not reached
		}
		routed[i] = artifact.Routed{Prefix: p.Prefix, Store: store}
	}
	return artifact.NewStores(usual, routed...), nil
}

// Finding is what a store answered.
type Finding struct {
	Prefix string // of the profile; empty: the default store
	Place  string // where it is, without secrets
	Err    error  // nil: it answers, knows the credentials and has the bucket
}

// probeTimeout bounds the wait for one store.
const probeTimeout = 15 * time.Second

// Examine asks every store whether it can be used, the default one first if the
// environment says anything of it, then the profiles by name. Nothing is written.
func Examine(ctx context.Context, getenv func(string) string) ([]Finding, error) {
	opened, err := Open(getenv)
	if err != nil {
		return nil, err
	}
	var findings []Finding
	if getenv("MAINSPRING_S3_ENDPOINT") != "" || getenv("AWS_ACCESS_KEY_ID") != "" {
		findings = append(findings, Finding{Place: artifact.ConfigFromEnv(getenv).String(), Err: probe(ctx, opened.Usual(), "")})
	}
	if getenv(Variable) == "" {
		return findings, nil
	}
	profiles, err := Load(getenv(Variable))
	if err != nil {
		return nil, err
	}
	at := map[string]artifact.Store{}
	for _, r := range opened.Routed() {
		at[r.Prefix] = r.Store
	}
	for _, p := range profiles {
		_, key, err := artifact.ParseURI(p.Prefix)
		if err == nil {
			err = probe(ctx, at[p.Prefix], key)
		}
		findings = append(findings, Finding{Prefix: p.Prefix, Place: p.place(), Err: err})
	}
	return findings, nil
}

func probe(ctx context.Context, store artifact.Store, prefix string) error {
	s3, ok := store.(*artifact.S3)
	if !ok {
		return nil // a store in memory always answers
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return s3.Probe(ctx, prefix)
}
