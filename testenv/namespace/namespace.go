// Package namespace makes Temporal namespaces in which the engine can run, for
// proofs that want several workers on one server, and asks what runs there while
// workers and servers die.
package namespace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/mainspring-ml/mainspring/models"
)

// known is how long a new namespace may take to be known everywhere.
const known = time.Minute

// Open makes a namespace with the search attributes of the engine, and returns
// when workflows can be started in it. One that exists is opened again.
func Open(ctx context.Context, address, name string) error {
	admin, err := client.NewNamespaceClient(client.Options{HostPort: address, Logger: Quiet()})
	if err != nil {
		return err
	}
	defer admin.Close()
	var exists *serviceerror.NamespaceAlreadyExists
	err = admin.Register(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace: name, WorkflowExecutionRetentionPeriod: durationpb.New(72 * time.Hour),
	})
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("register namespace %s: %w", name, err)
	}
	c, err := client.NewLazyClient(client.Options{HostPort: address, Namespace: name, Logger: Quiet()})
	if err != nil {
		return err
	}
	defer c.Close()
	attributes := map[string]enums.IndexedValueType{}
	for _, attribute := range []string{
		models.AttributeModel, models.AttributeStage, models.AttributeVersion, models.AttributeVerdict, models.AttributeEndpoint,
	} {
		attributes[attribute] = enums.INDEXED_VALUE_TYPE_KEYWORD
	}
	ctx, cancel := context.WithTimeout(ctx, known)
	defer cancel()
	for {
		_, err := c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: name, SearchAttributes: attributes})
		var there *serviceerror.AlreadyExists
		if err == nil || errors.As(err, &there) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("namespace %s is not known within %s: %w", name, known, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Quiet is a logger for Temporal's clients that says nothing.
func Quiet() log.Logger { return log.NewStructuredLogger(slog.New(slog.DiscardHandler)) }

// Query fills the status of a workflow, whose worker may just be starting again.
func Query(ctx context.Context, c client.Client, workflowID string, status any) error {
	return Eventually(ctx, 30*time.Second, func() error {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		answer, err := c.QueryWorkflow(asking, workflowID, "", models.StatusQuery)
		if err != nil {
			return err
		}
		return answer.Get(status)
	})
}

// Eventually asks again until there is no error, and fails with the last.
func Eventually(ctx context.Context, limit time.Duration, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, errors.Join(err, context.Cause(ctx)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Variables reads "NAME=value" pairs, the last of which counts.
func Variables(environment []string) func(string) string {
	return func(name string) string {
		for _, pair := range slices.Backward(environment) {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value
			}
		}
		return ""
	}
}
