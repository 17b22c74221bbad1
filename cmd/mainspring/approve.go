package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
)

// personFlags are common to what a person tells a model's steward, or a
// monitor.
type personFlags struct {
	by, reason, stateDir string
	json                 bool
	kept                 string // where both are; default: in the model's audit trail
}

func (f *personFlags) add(command *cobra.Command) {
	flags := command.Flags()
	f.kept = cmp.Or(f.kept, "in the model's audit trail")
	flags.StringVar(&f.reason, "reason", "", "why; kept "+f.kept)
	flags.StringVar(&f.by, "by", operator(), "who decides; kept "+f.kept)
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
}

// signed refuses what a record would be worth nothing without.
func (f *personFlags) signed() error {
	f.by, f.reason = strings.TrimSpace(f.by), strings.TrimSpace(f.reason)
	switch {
	case f.reason == "":
		return &usageError{errors.New("say why with --reason: it is kept " + f.kept)}
	case f.by == "":
		return &usageError{errors.New("say who with --by: it is kept " + f.kept)}
	default:
		return nil
	}
}

func newApproveCommand() *cobra.Command {
	return decisionCommand(true, "approve MODEL [VERSION]", "Let a version that waits for approval be released",
		"Answers the question that a lifecycle with evaluate.approval asks before it releases a version. Shows what is\n"+
			"approved, then approves it. Without VERSION it is the one that waits, if only one does.")
}

func newRejectCommand() *cobra.Command {
	return decisionCommand(false, "reject MODEL [VERSION]", "Refuse a version that waits for approval",
		"Answers the question that a lifecycle with evaluate.approval asks before it releases a version: it stays\n"+
			"registered and is not released. Without VERSION it is the one that waits, if only one does.")
}

func decisionCommand(approve bool, use, short, long string) *cobra.Command {
	f := &personFlags{}
	word, _, _ := strings.Cut(use, " ")
	command := &cobra.Command{
		Use: use, Short: short, Long: long,
		Example: fmt.Sprintf("  mainspring %s flight-delay 3 --reason 'read the reliability diagram'", word),
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(command *cobra.Command, args []string) error {
			if err := f.signed(); err != nil {
				return err
			}
			model, version := args[0], ""
			if len(args) == 2 {
				version = args[1]
			}
			return connect(command.Context(), f.stateDir, func(ctx context.Context, c *client.Client) error {
				return f.decide(ctx, command, c, decision{model: model, version: version, approve: approve})
			})
		},
	}
	f.add(command)
	return command
}

// decision is what was typed; an empty version is the one that waits.
type decision struct {
	model, version string
	approve        bool
}

// decide shows what is decided on before it is decided.
func (f *personFlags) decide(ctx context.Context, command *cobra.Command, c *client.Client, d decision) error {
	question, err := c.Question(ctx, d.model, d.version)
	if err != nil {
		return err
	}
	out := command.OutOrStdout()
	if !f.json {
		if err := printQuestion(out, d.model, question, time.Now()); err != nil {
			return err
		}
	}
	approval, err := c.Decide(ctx, d.model, question.Answer(d.approve, f.by, f.reason))
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(out, approval)
	}
	return printApproval(out, d.model, approval)
}
