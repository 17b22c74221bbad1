package activities

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/drift/shift"
	"github.com/mainspring-ml/mainspring/internal/gate/metric"
	"github.com/mainspring-ml/mainspring/models"
)

// Drift says what live traffic is held against, and how it differs.
type Drift struct {
	Store artifact.Store
}

var _ models.DriftExplanation = (*Drift)(nil)

// maxReferenceObject bounds a reference object; twenty features take some
// hundred kB.
const maxReferenceObject = 64 << 20

// BuildReference implements models.DriftExplanation. The object is
// content-addressed, so that doing it again changes nothing.
func (d *Drift) BuildReference(ctx context.Context, request models.ReferenceRequest) (models.MonitorReference, error) {
	defer pulse(ctx, busy("reading the champion's rows"))()
	watch := request.Watch
	if watch.Snapshot.URI == "" || watch.HeldOut.URI == "" {
		return lossesOnly(watch, "the champion was registered without its snapshot or its predictions"), nil
	}
	rows, plan, err := d.referenceRows(ctx, watch)
	if gone(err) {
		return lossesOnly(watch, "the champion's snapshot or predictions are not stored any more"), nil
	}
	if err != nil {
		return models.MonitorReference{}, err
	}
	reference, err := shift.Build(rows, plan)
	if err != nil {
		return models.MonitorReference{}, badReference(watch, err)
	}
	reference.Snapshot = watch.Snapshot
	data, err := reference.Encode()
	if err != nil {
		return models.MonitorReference{}, badReference(watch, err)
	}
	ref, err := artifact.PutObjectBytes(ctx, d.Store, data)
	if err != nil {
		return models.MonitorReference{}, unavailable(ref.URI, "the reference can't be written", err)
	}
	found := models.MonitorReference{Object: &ref, Blocks: reference.Losses(watchedColumns(plan.Monitor)...)}
	found.Loss = models.MeanLoss(found.Blocks)
	if len(found.Blocks) == 0 {
		found.Note = fmt.Sprintf("none of the blocks of the champion's own rows has the %d rows of monitor.min_labels; make blocks longer", plan.Monitor.MinLabels)
	}
	return found, nil
}

// lossesOnly is the reference when the champion's rows are gone.
func lossesOnly(watch models.WatchRequest, why string) models.MonitorReference {
	return models.LossReference(newest(watch.Reference, maxReference),
		why+": losses are compared with those that evaluation found, inputs and slices with nothing")
}

// watchedColumns are the columns whose slices detectors watch.
func watchedColumns(spec models.MonitorSpec) []string {
	var columns []string
	for _, d := range spec.Detectors {
		if d.Column != "" && !slices.Contains(columns, d.Column) {
			columns = append(columns, d.Column)
		}
	}
	return columns
}

func badReference(watch models.WatchRequest, err error) error {
	if e := (*models.Error)(nil); errors.As(err, &e) {
		return e
	}
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: watch.Snapshot.URI, Message: "no reference can be made of the champion's rows", Cause: err,
		Hint: "correct monitor.inputs and monitor.slices, or retrain",
	}
}

// referenceRows reads the champion's rows that it was not trained on.
func (d *Drift) referenceRows(ctx context.Context, watch models.WatchRequest) (shift.Rows, shift.Plan, error) {
	var rows shift.Rows
	plan := shift.Plan{Data: watch.Data, Monitor: watch.Spec.WithDefaults()}
	if !plan.Monitor.Inputs.Off {
		plan.Features = plan.Monitor.Inputs.Features
		if len(plan.Features) == 0 {
			plan.Features = watch.Data.Features
		}
		plan.Features = slices.DeleteFunc(slices.Clone(plan.Features), watch.Data.IsSensitive) // bins would show values
	}
	var err error
	if plan.Profile, err = d.profile(ctx, watch); err != nil {
		return rows, plan, err
	}
	columns := referenceColumns(plan)
	own, err := d.heldOutRows(ctx, watch, columns)
	if err != nil {
		return rows, plan, err
	}
	plan.Width = own.answers.width
	if watch.OutOfFold != nil {
		folds, err := readFolds(ctx, d.Store, foldRequest{
			data: watch.Data, manifest: watch.Snapshot, file: *watch.OutOfFold, width: plan.Width, columns: columns,
		})
		if err != nil {
			return rows, plan, err
		}
		folds.table.Append(own.table)
		folds.answers.values = append(folds.answers.values, own.answers.values...)
		own = folds
	}
	rows.Table, rows.Predictions = own.table, own.answers.values
	if rows.Labels, err = labelNumbers(watch.Data, own.table.Column(watch.Data.Label), plan.Width); err != nil {
		return rows, plan, err
	}
	rows.Losses = make([]float64, len(rows.Labels))
	for row, label := range rows.Labels {
		rows.Losses[row] = metric.Loss(taskOf(watch.Data), own.answers.row(row), label)
	}
	return rows, plan, nil
}

// profile is what the reference's rows look like: those of both sides, if the
// model has answered training rows out of fold. Nil: nobody knows any more.
func (d *Drift) profile(ctx context.Context, watch models.WatchRequest) (*profile.SideProfile, error) {
	both, err := readProfile(ctx, d.Store, watch.Profile)
	if err != nil || both == nil {
		return nil, err
	}
	side := both.Test
	if watch.OutOfFold != nil {
		if side, err = both.Whole(); err != nil {
			return nil, &models.Error{Kind: models.KindInvalidSpec, Subject: watch.Profile.URI, Message: "the snapshot's profile can't be used", Cause: err}
		}
	}
	return &side, nil
}

// referenceColumns are what is read of the snapshot: key, time and label first.
func referenceColumns(plan shift.Plan) []string {
	columns := []string{plan.Data.Key, plan.Data.Time, plan.Data.Label}
	add := func(name string) {
		if !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	for _, name := range plan.Features {
		add(name)
	}
	for _, slice := range plan.Monitor.Slices {
		add(slice.Column)
	}
	return columns
}

// heldOutRows joins the champion's predictions of held-out rows, as evaluation
// wrote them, with those rows.
func (d *Drift) heldOutRows(ctx context.Context, watch models.WatchRequest, columns []string) (answeredRows, error) {
	out := answeredRows{}
	file, err := openVerified(ctx, d.Store, watch.HeldOut)
	if err != nil {
		return out, err
	}
	names := candidateColumns(file.Fields())
	table, err := file.ReadAll(ctx, append([]string{"key"}, names...))
	if err != nil {
		return out, unreadable(watch.HeldOut.URI, err)
	}
	if out.table, err = readSide(ctx, d.Store, watch.Snapshot, side{dataset.TestDir, columns}); err != nil {
		return out, err
	}
	if out.table.Rows() == 0 {
		return out, noHeldOutRows(watch.Snapshot)
	}
	if fault := sameKeys(out.table.Column(watch.Data.Key), table.Column("key")); fault != "" {
		return out, foreignHeldOut(watch, fault)
	}
	out.answers.width = len(names)
	f := form{task: taskOf(watch.Data), classes: len(watch.Data.Classes), output: "candidate"}
	for row := range table.Rows() {
		out.answers.values = append(out.answers.values, numbersAt(table.Series[1:], row)...)
	}
	if message, _ := f.check(out.answers.values, block{rows: table.Rows()}); message != "" {
		return out, foreignHeldOut(watch, message)
	}
	return out, nil
}

func foreignHeldOut(watch models.WatchRequest, fault string) error {
	return &models.Error{
		Kind: models.KindInvalidSpec, Subject: watch.HeldOut.URI, Message: "these are no predictions for the champion's held-out rows: " + fault,
		Hint: "register a version that was evaluated on this snapshot; " + cmp.Or(watch.Model, "the model") + " can be trained again",
	}
}

// candidateColumns are the columns of a file of Scoring.writePredictions with
// the candidate's answers.
func candidateColumns(fields []dataset.Field) []string {
	var names []string
	for column := 0; ; column++ {
		name := fmt.Sprintf("candidate_p%d", column)
		if !slices.ContainsFunc(fields, func(f dataset.Field) bool { return f.Name == name }) {
			break
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		names = []string{"candidate"}
	}
	return names
}
