package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/models"
)

// printQuestion writes what somebody is about to decide: what waits, what it
// would replace, and the evidence.
func printQuestion(w io.Writer, model string, q client.Question, now time.Time) error {
	v, pending := q.Version, q.Pending
	fmt.Fprintf(w, "%s version %s waits for approval since %s; the question stands until %s (%s)\n", model, v.Version,
		moment(pending.Asked), moment(pending.Until), age(pending.Until.Sub(now)))
	champion := "none yet; this would be the first"
	if q.Champion != "" {
		champion = "version " + q.Champion
	}
	facts := [][2]string{
		{"champion", champion}, {"page", v.URL}, {"lifecycle", v.Candidate.Lifecycle}, {"run", v.Candidate.RunID},
		{"evidence", evidence(v.Candidate.Evidence)}, {"signature", signature(v)},
		{"may answer", strings.Join(pending.Request.Spec.Approvers, ", ")},
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, fact := range facts {
		if fact[1] != "" {
			fmt.Fprintf(table, "  %s\t%s\n", fact[0], fact[1])
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if gate := v.Candidate.Gate; gate.Verdict != "" {
		fmt.Fprintf(w, "  gate: %s: %s\n", gate.Verdict, gate.Reason)
		for _, line := range client.GateTable(gate) {
			fmt.Fprintln(w, "    "+line)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func evidence(files []models.EvidenceFile) string {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, ", ") + " (the run's artifacts)"
}

func signature(v models.ModelVersion) string {
	switch {
	case v.Candidate.Lifecycle == "":
		return "" // the steward knows no more than the number
	case v.Signature == nil:
		return "none"
	default:
		return fmt.Sprintf("key %.12s…, signed %s", v.Signature.KeyID, moment(v.Signature.SignedAt))
	}
}

func printApproval(w io.Writer, model string, a models.Approval) error {
	done := "approved"
	switch a.Verdict {
	case models.VerdictPass:
	case models.VerdictFail:
		done = "rejected"
	case models.VerdictInconclusive:
		done = "not decided"
	}
	_, err := fmt.Fprintf(w, "%s version %s %s by %s: %s\n", model, a.Version, done, cmp.Or(a.By, "nobody"), a.Reason)
	return err
}

// printAliases writes what is recorded beside what MLflow has.
func printAliases(w io.Writer, model string, r models.AliasReport) error {
	differ := map[string]models.AliasDifference{}
	for _, d := range r.Differences {
		differ[d.Alias] = d
	}
	names := map[string]bool{}
	for _, of := range []map[string]string{r.Recorded, r.Found} {
		for alias, version := range of {
			names[alias] = names[alias] || version != ""
		}
	}
	for alias := range differ {
		names[alias] = true
	}
	maps.DeleteFunc(names, func(_ string, set bool) bool { return !set })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(names) == 0 {
		fmt.Fprintln(table, model+" has no aliases, neither recorded nor in MLflow")
	} else {
		fmt.Fprintln(table, "ALIAS\tRECORDED\tMLFLOW\t")
	}
	for _, alias := range slices.Sorted(maps.Keys(names)) {
		d, moved := differ[alias]
		recorded, found := r.Recorded[alias], r.Found[alias]
		if moved {
			recorded, found = d.Recorded, d.Found
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", alias, cmp.Or(recorded, "-"), cmp.Or(found, "-"), difference(d, moved, recorded))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\ncompared %s\n", moment(r.CheckedAt))
	if len(r.Differences) == 0 {
		return nil
	}
	if d, moved := differ[models.AliasChampion]; moved && d.Deleted && d.Found == "" && len(differ) == 1 {
		_, err := fmt.Fprintf(w, "the champion can't be set back; the next version that is promoted takes its place, or an earlier one now:\n"+
			"  mainspring rollback %s --to … --reason …\n", model)
		return err
	}
	_, err := fmt.Fprintf(w, "not as recorded: %s\n  to set it back:            mainspring aliases %s --restore --reason …\n"+
		"  to keep what MLflow has:   mainspring aliases %s --adopt --reason …   (traffic follows the champion)\n",
		strings.Join(slices.Sorted(maps.Keys(differ)), ", "), model, model)
	return err
}

func difference(d models.AliasDifference, moved bool, recorded string) string {
	switch {
	case !moved && recorded == "":
		return "not the steward's" // an alias that people keep for themselves
	case !moved:
		return ""
	}
	text := "moved by another hand"
	if d.Deleted {
		text = "version " + d.Recorded + " was deleted in MLflow"
	}
	if !d.Seen.IsZero() {
		text += ", seen since " + moment(d.Seen)
	}
	return text
}

// printRecords writes an audit trail as a table; what can be long comes last.
func printRecords(w io.Writer, records []models.Record) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHEN\t#\tACTION\tVERSION\tBY\tALIASES AFTER\tREASON")
	for _, r := range records {
		aliases := "-"
		if r.Aliases != nil {
			aliases = client.AliasText(r.Aliases)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", moment(r.At), r.Sequence, r.Action, cmp.Or(r.Version, "-"), r.By, aliases, oneLine(r.Reason))
	}
	return table.Flush()
}

// oneLine keeps what people wrote from breaking a table.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func moment(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05Z") }
