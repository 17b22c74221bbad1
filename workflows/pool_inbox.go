package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/models"
)

// inbox is a pool's signal channels.
type inbox struct {
	ups, downs, requests, releases, saves, hosts workflow.ReceiveChannel
}

func openInbox(ctx workflow.Context) inbox {
	open := func(signal string) workflow.ReceiveChannel { return workflow.GetSignalChannel(ctx, signal) }
	return inbox{
		ups: open(models.SignalNodeUp), downs: open(models.SignalNodeDown),
		requests: open(models.SignalRequestLease), releases: open(models.SignalReleaseLease),
		saves: open(models.SignalLeaseSaved), hosts: open(models.SignalRequestHosts),
	}
}

func (in inbox) waiting() bool {
	return in.ups.Len()+in.downs.Len()+in.requests.Len()+in.releases.Len()+in.saves.Len()+in.hosts.Len() > 0
}

// each receives everything that waits in a channel.
func each[T any](channel workflow.ReceiveChannel, handle func(T)) {
	for {
		var message T
		if !channel.ReceiveAsync(&message) {
			return
		}
		handle(message)
	}
}

// nodes hands over what the hosts' workflows say in the order in which they
// said it. Temporal keeps the order of signals of one name only, and a host
// that went and came back within one burst is not lost.
func (in inbox) nodes(up func(models.NodeInfo), down func(models.NodeDown)) {
	type news struct {
		at    time.Time
		apply func()
	}
	var all []news
	each(in.downs, func(m models.NodeDown) { all = append(all, news{m.At, func() { down(m) }}) })
	each(in.ups, func(m models.NodeInfo) { all = append(all, news{m.At, func() { up(m) }}) })
	slices.SortStableFunc(all, func(a, b news) int { return a.at.Compare(b.at) })
	for _, n := range all {
		n.apply()
	}
}
