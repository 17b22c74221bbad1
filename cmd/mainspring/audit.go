package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/models"
)

// auditFlags are common to mainspring audit and audit verify.
type auditFlags struct {
	stateDir string
	json     bool
	last     int
	file     string
	seen     []string
}

func newAuditCommand() *cobra.Command {
	f := &auditFlags{}
	command := &cobra.Command{
		Use:   "audit MODEL",
		Short: "Print a model's audit trail: who did what to it, when and why",
		Long: "Prints every record of a model's steward, the archived ones from the artifact store included. With --json\n" +
			"each line is a record as it was hashed: an export that `mainspring audit verify --file` checks without any\n" +
			"server; docs/registry.md says how to check it without Mainspring.",
		Example: "  mainspring audit flight-delay --last 20\n  mainspring audit flight-delay --json > records.jsonl\n" +
			"  mainspring audit verify flight-delay\n  mainspring audit verify flight-delay --file records.jsonl",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			if f.last < 0 {
				return &usageError{errors.New("--last can't be negative")}
			}
			trail, err := f.read(command.Context(), args[0])
			if err != nil {
				return err
			}
			return f.print(command.OutOrStdout(), trail)
		},
	}
	command.Flags().IntVar(&f.last, "last", 0, "only the last so many records (default: all)")
	command.PersistentFlags().BoolVar(&f.json, "json", false, "print JSON: of the trail, one record a line")
	command.PersistentFlags().StringVar(&f.stateDir, "state-dir", "", stateDirUsage)
	command.AddCommand(newAuditVerifyCommand(f))
	return command
}

func newAuditVerifyCommand(f *auditFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "verify MODEL",
		Short: "Check that nothing in a model's audit trail was changed, dropped or added",
		Long: "Checks the chain of hashes from record 1 to the last, the digests and headers of the archived parts, and\n" +
			"that the steward's aliases are those that the record says. Exit code 1 means that something does not hold,\n" +
			"and the first such place is named. Keep the hash that it prints: --seen proves later that the records up to\n" +
			"there are the same.",
		Example: "  mainspring audit verify flight-delay\n  mainspring audit verify flight-delay --file records.jsonl --seen 5f1c…",
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			report, err := f.verify(command.Context(), args[0])
			if err != nil {
				return err
			}
			return f.report(command.OutOrStdout(), args[0], report)
		},
	}
	command.Flags().StringVar(&f.file, "file", "", "check an export of `mainspring audit --json`, or archived parts, instead; no server is asked")
	command.Flags().StringSliceVar(&f.seen, "seen", nil, "hash noted at an earlier check, which must still be part of the record; may be repeated")
	return command
}

// read fetches a trail: all of it when f.last is 0.
func (f *auditFlags) read(ctx context.Context, model string) (client.Trail, error) {
	stack, err := findStack(f.stateDir)
	if err != nil {
		return client.Trail{}, err
	}
	store, err := stores.Open(storeEnv(stack))
	if err != nil {
		return client.Trail{}, err
	}
	var trail client.Trail
	err = connect(ctx, f.stateDir, func(ctx context.Context, c *client.Client) error {
		trail, err = c.Audit(ctx, model, store, f.last)
		return err
	})
	return trail, err
}

// print writes the records there are, and then says so when older ones can't
// be read.
func (f *auditFlags) print(w io.Writer, trail client.Trail) error {
	records := trail.Records()
	if f.last > 0 {
		records = records[max(0, len(records)-f.last):]
	}
	write := printRecords
	if f.json {
		write = exportRecords
	}
	if err := write(w, records); err != nil {
		return err
	}
	if broken := trail.Damage; broken != nil {
		return fmt.Errorf("the records up to %d can't be shown: %s", broken.Sequence, broken.Problem)
	}
	return nil
}

func exportRecords(w io.Writer, records []models.Record) error {
	out := bufio.NewWriter(w)
	for _, r := range records {
		line, err := client.RecordLine(r)
		if err != nil {
			return fmt.Errorf("write record %d: %w", r.Sequence, err)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (f *auditFlags) verify(ctx context.Context, model string) (client.AuditReport, error) {
	if f.file == "" {
		trail, err := f.read(ctx, model)
		if err != nil {
			return client.AuditReport{}, err
		}
		return trail.Verify(f.seen...), nil
	}
	file, err := os.Open(f.file)
	if err != nil {
		return client.AuditReport{}, err
	}
	defer func() { _ = file.Close() }() // only read
	report, err := client.VerifyExport(file, f.seen...)
	if err != nil {
		return report, fmt.Errorf("%s: %w", f.file, err)
	}
	if report.Model != "" && report.Model != model {
		return report, fmt.Errorf("%s is of the model %s, not of %s", f.file, report.Model, model)
	}
	if report.Records == 0 && report.Broken == nil {
		return report, fmt.Errorf("%s has no records: it is not an export of %s", f.file, model)
	}
	report.Model = model
	return report, nil
}

// report prints what was found; what does not hold is the command's error.
func (f *auditFlags) report(w io.Writer, model string, r client.AuditReport) error {
	if f.json {
		if err := writeJSON(w, r); err != nil {
			return err
		}
	} else if r.Holds() {
		if _, err := fmt.Fprintln(w, describeReport(model, r)); err != nil {
			return err
		}
	}
	var faults []string
	if broken := r.Broken; broken != nil {
		where := ""
		if broken.Where != "" {
			where = " (" + broken.Where + ")"
		}
		faults = append(faults, fmt.Sprintf("the audit trail of %s does not hold: %s%s", model, broken.Problem, where))
	}
	if r.Aliases != "" {
		faults = append(faults, fmt.Sprintf("the aliases of %s are not those of its audit trail: %s", model, r.Aliases))
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "\n  "))
	}
	return nil
}

func describeReport(model string, r client.AuditReport) string {
	if r.Records == 0 {
		return model + ": no records"
	}
	text := fmt.Sprintf("%s: %d records, unbroken, head %s", model, r.Records, r.Head)
	if r.Segments > 0 {
		text += fmt.Sprintf("\n  %d archived parts verified", r.Segments)
	}
	if r.Note != "" {
		text += "\n  " + r.Note
	}
	return text
}
