// Command faulty-model is the program of package faulty, in its three places of
// a spec:
//
//	train.command:            [faulty-model, train] or [faulty-model, learn]
//	evaluate.predict.command: [faulty-model, predict]
//	deploy.server.command:    [faulty-model, serve, '{model_dir}', '{host}:{port}', '{endpoint}', '{version}']
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mainspring-ml/mainspring/testenv/faulty"
)

// drain is how long requests in flight are waited for after SIGTERM.
const drain = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "faulty-model:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "train":
		behaviour, err := faulty.Parse([]byte(os.Getenv("MAINSPRING_PARAMS")))
		if err != nil {
			return err
		}
		return behaviour.Save(os.Getenv("MAINSPRING_MODEL_DIR"))
	case len(args) == 1 && args[0] == "learn":
		behaviour, err := faulty.Learn(os.Getenv("MAINSPRING_DATA_DIR"), os.Getenv("MAINSPRING_OOF_PATH"))
		if err != nil {
			return err
		}
		return behaviour.Save(os.Getenv("MAINSPRING_MODEL_DIR"))
	case len(args) == 1 && args[0] == "predict":
		behaviour, err := faulty.Load(os.Getenv("MAINSPRING_MODEL_DIR"))
		if err != nil {
			return err
		}
		return behaviour.Predict(os.Getenv("MAINSPRING_DATA_DIR"), os.Getenv("MAINSPRING_PREDICTIONS"))
	case len(args) == 5 && args[0] == "serve":
		return serve(ctx, args[1], args[2], args[3], args[4])
	default:
		return errors.New("say train, learn, predict, or serve MODEL_DIR ADDRESS MODEL VERSION")
	}
}

func serve(ctx context.Context, dir, address, model, version string) error {
	behaviour, err := faulty.Load(dir)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: address, ReadHeaderTimeout: 10 * time.Second,
		Handler: faulty.Server{Model: model, Version: version, Behaviour: behaviour}.Handler()}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	return server.Shutdown(late)
}
