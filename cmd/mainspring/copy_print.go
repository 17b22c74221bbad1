package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/internal/copying"
	"github.com/mainspring-ml/mainspring/internal/terminal"
)

// copyLine is how far a copy is.
func copyLine(l layout, plan copying.Plan, progress *copying.Progress, since time.Duration) string {
	total := plan.Bytes()
	share := 1.0
	if total > 0 {
		share = min(float64(progress.Done())/float64(total), 1)
	}
	filled, rest := terminal.Bar(share, 24)
	text := fmt.Sprintf("%3.0f %%  %s of %s  %d of %d objects", 100*share, terminal.Size(progress.Done()), terminal.Size(total),
		progress.Objects.Load()+progress.SkippedObjects.Load(), len(plan.Items)+len(plan.Seals))
	if since > time.Second {
		text += "  " + rate(progress.Bytes.Load(), since)
	}
	return l.row("copying", l.paint.Cyan(filled)+l.paint.Dim(rest)+" "+text)
}

// dryRunText says what a copy would do.
func dryRunText(plan copying.Plan, missing []copying.Item, to copying.Destination) string {
	var bytes int64
	for _, item := range missing {
		bytes += item.Size
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %s, %s\n", plan.What, counted(len(plan.Items)+len(plan.Seals), "object"), terminal.Size(plan.Bytes()))
	fmt.Fprintf(&b, "%s, %s, would be sent to %s; %d are there already\n", counted(len(missing), "object"), terminal.Size(bytes), to.URI(""), len(plan.Items)-len(missing))
	const most = 20
	for i, item := range missing {
		if i == most {
			fmt.Fprintf(&b, "  … and %d more\n", len(missing)-most)
			break
		}
		fmt.Fprintf(&b, "  %10s  %s\n", terminal.Size(item.Size), item.Key)
	}
	for _, s := range plan.Seals {
		fmt.Fprintf(&b, "  %10s  %s, after all others\n", terminal.Size(int64(len(s.Content))), s.Key)
	}
	return b.String()
}

// copiedText is what a copy has done.
func copiedText(plan copying.Plan, p *copying.Progress, took time.Duration, to copying.Destination) string {
	text := fmt.Sprintf("copied %s: %s, %s, %s", plan.What, counted(int(p.Objects.Load()), "object"), terminal.Size(p.Bytes.Load()), rate(p.Bytes.Load(), took))
	if there := p.SkippedObjects.Load(); there > 0 {
		text += fmt.Sprintf("; %d, %s, were there already", there, terminal.Size(p.SkippedBytes.Load()))
	}
	at := to.URI("")
	if len(plan.Seals) > 0 {
		at = to.URI(plan.Seals[len(plan.Seals)-1].Key)
	}
	return text + "\n  " + at + "\n"
}

func rate(n int64, took time.Duration) string {
	return terminal.Size(int64(float64(n)/max(took.Seconds(), 1e-3))) + "/s"
}
