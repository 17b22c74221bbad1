package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/terminal"
	"github.com/mainspring-ml/mainspring/models"
)

// monitorFlags are those of mainspring monitor.
type monitorFlags struct {
	personFlags
	follow bool
	blocks int
	report string
	alarm  string // whose page is meant
}

func newMonitorCommand() *cobra.Command {
	f := &monitorFlags{personFlags: personFlags{kept: "on the monitor's record"}}
	command := &cobra.Command{
		Use:   "monitor [ENDPOINT [retrain|accept|pause|resume]]",
		Short: "Show how live quality is judged, or tell its monitor what to do",
		Long: `Shows what an endpoint's monitor knows: the champion's loss by block, each detector's evidence against
its threshold, alarms and what came of them, which inputs and slices moved, and what was done.
Without ENDPOINT it lists all monitors.

Orders of a person:
  retrain   ask for a retraining now, whatever cooldown, budget and failures say
  accept    take the present level as the normal one; the open alarm is closed
  pause     go on judging, but let alarms start nothing
  resume    let them start retrainings again`,
		Example: "  mainspring monitor\n" +
			"  mainspring monitor flights --follow\n" +
			"  mainspring monitor flights --report monitor.html\n" +
			"  mainspring monitor flights --alarm last --report alarm.html\n" +
			"  mainspring monitor flights accept --reason 'the label was redefined in May'",
		Args: cobra.MaximumNArgs(2),
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) < 2 && (command.Flags().Changed("reason") || command.Flags().Changed("by")) {
				return &usageError{fmt.Errorf("--reason and --by go with an order: %s", strings.Join(monitorActions(), ", "))}
			}
			use, err := f.job(args, command.OutOrStdout())
			if err != nil {
				return err
			}
			return connect(command.Context(), f.stateDir, use)
		},
	}
	f.add(command)
	flags := command.Flags()
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on: redraw on a terminal, a line for all that is new elsewhere")
	flags.IntVar(&f.blocks, "blocks", 10, "show so many of the newest blocks")
	flags.StringVar(&f.report, "report", "", "write a page with plots to this file; -: to standard output")
	flags.StringVar(&f.alarm, "alarm", "", "with --report: write the page about the alarm of this block instead, such as 2013-08-03; last: the newest")
	return command
}

func monitorActions() []string {
	return []string{string(models.MonitorRetrain), string(models.MonitorAccept), string(models.MonitorPause), string(models.MonitorResume)}
}

// job is what a command line asks for.
func (f *monitorFlags) job(args []string, out io.Writer) (func(context.Context, *client.Client) error, error) {
	switch {
	case f.blocks < 0:
		return nil, &usageError{errors.New("--blocks can't be negative")}
	case f.report != "" && (f.follow || f.json || len(args) != 1):
		return nil, &usageError{errors.New("--report goes with one ENDPOINT, and with neither --follow nor --json nor an order")}
	case f.alarm != "" && f.report == "":
		return nil, &usageError{errors.New("say with --report where to write the alarm's page; -: to standard output")}
	case f.follow && (f.json || len(args) != 1):
		return nil, &usageError{errors.New("--follow goes with one ENDPOINT, and with neither --json nor an order")}
	case len(args) == 0:
		return func(ctx context.Context, c *client.Client) error { return f.list(ctx, c, out) }, nil
	case len(args) == 1:
		return func(ctx context.Context, c *client.Client) error { return f.show(ctx, c, args[0], out) }, nil
	}
	endpoint, action := args[0], args[1]
	if !slices.Contains(monitorActions(), action) {
		return nil, unknownOrder(endpoint, action)
	}
	if err := f.signed(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, c *client.Client) error {
		return f.order(ctx, c, endpoint, models.MonitorAction(action), out)
	}, nil
}

func unknownOrder(endpoint, action string) error {
	text := fmt.Sprintf("%q is no order; write one of %s", action, strings.Join(monitorActions(), ", "))
	if near := models.Nearest(action, monitorActions()); near != "" {
		text = fmt.Sprintf("%q is no order; did you mean %s?", action, near)
	}
	if slices.Contains(monitorActions(), endpoint) {
		text = fmt.Sprintf("the endpoint comes first: mainspring monitor %s %s", action, endpoint)
	}
	return &usageError{errors.New(text)}
}

func (f *monitorFlags) order(ctx context.Context, c *client.Client, endpoint string, action models.MonitorAction, out io.Writer) error {
	status, err := c.OrderMonitor(ctx, endpoint, models.MonitorOrder{Action: action, By: f.by, Reason: f.reason})
	switch {
	case err != nil:
		return err
	case f.json:
		return writeJSON(out, status)
	}
	return printLines(out, monitorOrdered(endpoint, action, status))
}

// monitorOrdered says what an order did, and what comes next.
func monitorOrdered(endpoint string, action models.MonitorAction, status models.MonitorStatus) []string {
	var lines []string
	switch action {
	case models.MonitorRetrain:
		lines = append(lines, endpoint+": a retraining is asked for; cooldown and budget do not hold it, and failures count anew")
	case models.MonitorAccept:
		lines = append(lines, endpoint+": the present level is the normal one from now on; the detectors start anew")
	case models.MonitorPause:
		lines = append(lines, endpoint+": blocks are judged on, and alarms start nothing", "  go on:      mainspring monitor "+endpoint+" resume --reason …")
	case models.MonitorResume:
		lines = append(lines, endpoint+": alarms start retrainings again")
	}
	if n := len(status.Alarms); n > 0 && !status.Alarms[n-1].Settled && status.Alarms[n-1].Action != "" {
		lines = append(lines, "  alarm:      "+terminal.Plain(status.Alarms[n-1].Action))
	}
	if status.Waiting != "" {
		lines = append(lines, "  waits for:  "+terminal.Plain(status.Waiting))
	}
	return lines
}

func (f *monitorFlags) show(ctx context.Context, c *client.Client, endpoint string, out io.Writer) error {
	found, err := c.Monitor(ctx, endpoint)
	switch {
	case err != nil:
		return err
	case f.json:
		return writeJSON(out, found)
	case f.report != "":
		return f.write(ctx, found, out)
	case !f.follow:
		return printLines(out, monitorFrame{plainLayoutOf(out), found, f.blocks}.lines())
	}
	view := live{
		lines: func(l layout) []string { return monitorFrame{l, found, f.blocks}.lines() },
		ended: func() bool { return !found.Closed.IsZero() },
		look: func(ctx context.Context) error {
			next, err := c.Monitor(ctx, endpoint)
			if err == nil {
				found = next
			}
			return err
		},
	}
	if terminal.Is(out) {
		view.follow(ctx, terminal.NewScreen(out, nil))
		return nil
	}
	if err := printLines(out, view.lines(plainLayout())); err != nil {
		return err
	}
	return tellNews(ctx, view, func() models.MonitorStatus { return found.Status }, out)
}

// plainLayoutOf has colours on a terminal.
func plainLayoutOf(out io.Writer) layout {
	l := plainLayout()
	l.paint = terminal.Paint(terminal.Is(out)) && terminal.Colours()
	return l
}

// write makes the report.
func (f *monitorFlags) write(ctx context.Context, found client.Monitor, out io.Writer) error {
	var page []byte
	var err error
	if f.alarm != "" {
		page, err = f.alarmPage(ctx, found)
	} else {
		page, err = monitorview.Render(monitorview.Page{Status: found.Status, Link: found.Page, At: time.Now()})
	}
	if err != nil {
		return err
	}
	if f.report == "-" {
		_, err := out.Write(page)
		return err
	}
	if err := os.WriteFile(f.report, page, 0o644); err != nil {
		return fmt.Errorf("write the report (--report): %w", err)
	}
	_, err = fmt.Fprintf(out, "%s: the report is in %s\n", found.Endpoint, f.report)
	return err
}

// tellNews writes a line for each new block, alarm and action.
func tellNews(ctx context.Context, view live, status func() models.MonitorStatus, out io.Writer) error {
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	trouble := ""
	for !view.ended() {
		select {
		case <-ctx.Done():
			return nil // it goes on without us
		case <-ticker.C:
		}
		before := status()
		err := view.look(ctx)
		var lines []string
		switch {
		case err == nil:
			trouble, lines = "", monitorNews(before, status())
		case ctx.Err() == nil && err.Error() != trouble:
			trouble = err.Error()
			lines = []string{terminal.Plain(trouble)}
		}
		if err := printLines(out, lines); err != nil {
			return err
		}
	}
	return nil
}
