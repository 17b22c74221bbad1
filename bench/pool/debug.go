package main

import (
	"context"
	"fmt"
	"os"

	enums "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
)

func debugHistory(ctx context.Context, c client.Client, id string) {
	counts := map[string]int{}
	var first, last int64
	n := 0
	it := c.GetWorkflowHistory(ctx, id, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		if err != nil {
			break
		}
		if first == 0 {
			first = e.GetEventTime().AsTime().UnixMilli()
		}
		last = e.GetEventTime().AsTime().UnixMilli()
		counts[e.GetEventType().String()]++
		n++
		if n > 200 && n < 260 {
			fmt.Fprintln(os.Stderr, e.GetEventId(), e.GetEventTime().AsTime().UnixMilli()%100000, e.GetEventType())
		}
	}
	fmt.Fprintln(os.Stderr, id, last-first, "ms", counts)
}
