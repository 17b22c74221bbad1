package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mainspring-ml/mainspring/client"
	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/monitorview"
	"github.com/mainspring-ml/mainspring/internal/stores"
	"github.com/mainspring-ml/mainspring/models"
)

// alarmPageLimit is far above what an alarm's page takes.
const alarmPageLimit = 64 << 20

// alarmPageWithin is longer than a store takes that answers at all.
const alarmPageWithin = 20 * time.Second

// alarmPage reads the page that the monitor wrote about one alarm.
func (f *monitorFlags) alarmPage(ctx context.Context, found client.Monitor) ([]byte, error) {
	alarm, err := alarmNamed(found, f.alarm)
	if err != nil {
		return nil, err
	}
	if alarm.Explanation == nil || alarm.Explanation.Report == nil {
		return nil, fmt.Errorf("the alarm of %s has no page (yet): its inputs are not compared, or that goes on; `mainspring monitor %s` tells", monitorview.Moment(alarm.Block), found.Endpoint)
	}
	stack, err := findStack(f.stateDir)
	if err != nil {
		return nil, err
	}
	store, err := stores.Open(storeEnv(stack))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, alarmPageWithin, fmt.Errorf("the artifact store did not answer within %s", alarmPageWithin))
	defer cancel()
	page, err := artifact.ReadRef(ctx, store, *alarm.Explanation.Report, alarmPageLimit)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return page, err
}

// alarmNamed finds an alarm by the start of its block; "last" is the newest.
func alarmNamed(found client.Monitor, name string) (models.Alarm, error) {
	alarms := found.Status.Alarms
	if len(alarms) == 0 {
		return models.Alarm{}, fmt.Errorf("%s: no alarm was raised", found.Endpoint)
	}
	if name == "last" {
		return alarms[len(alarms)-1], nil
	}
	var names []string
	for _, a := range alarms {
		at := monitorview.Moment(a.Block)
		if at == name {
			return a, nil
		}
		names = append(names, at)
	}
	return models.Alarm{}, &usageError{errors.New(found.Endpoint + ": there is no alarm of " + name + "; there are those of " + strings.Join(names, ", "))}
}
