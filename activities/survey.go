package activities

import (
	"context"
	"runtime"
	"slices"

	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/checks"
	"github.com/mainspring-ml/mainspring/internal/dataset/profile"
	"github.com/mainspring-ml/mainspring/internal/dataset/survey"
	"github.com/mainspring-ml/mainspring/models"
)

// Survey is what a source looks like, by the pass of a preparation, when nobody
// need have said what its columns are. All rows are on the training side.
type Survey struct {
	// Data is what the files were read with: the spec, and the types of columns of
	// text files.
	Data    models.DataSpec     `json:"-"`
	Source  string              `json:"source"`
	Files   int                 `json:"files"`
	Bytes   int64               `json:"bytes"`
	Schema  checks.Schema       `json:"schema"`
	Profile profile.SideProfile `json:"profile"`
	Found   profile.Evidence    `json:"-"`
	Repeats []checks.Repeats    `json:"-"`                  // of the columns of checks.unique
	Left    []checks.SeenColumn `json:"left_out,omitempty"` // columns that can't be read
}

// SurveyData reads all rows of a source. Columns have the roles that the spec
// gives them, and are extra without one.
func (p *Prepare) SurveyData(ctx context.Context, spec models.DataSpec) (Survey, error) {
	s := Survey{Data: spec, Source: spec.Source}
	partitions, err := partitionsOf(ctx, p.Store, spec)
	if err != nil {
		return s, err
	}
	for _, part := range partitions {
		s.Files, s.Bytes = s.Files+1, s.Bytes+part.Size
	}
	columns, err := s.columns(ctx, p, partitions)
	if err != nil {
		return s, err
	}
	results, err := eachPartition(ctx, partitions, func(ctx context.Context, part models.Partition) (surveyed, error) {
		return p.survey(ctx, s.Data, part, columns)
	})
	if err != nil {
		return s, err
	}
	return s, s.join(results)
}

// surveyed is what was found in one partition.
type surveyed struct {
	profile.Result
	bad checks.Schema // its values that do not read as their column's type
}

// columns finds out which columns there are and with which types they are read:
// one type for all files. It returns them in the order of the first file that has
// them.
func (s *Survey) columns(ctx context.Context, p *Prepare, partitions []models.Partition) ([]models.Column, error) {
	sources, err := s.sources(ctx, p, partitions)
	if err != nil {
		return nil, err
	}
	if d := dataset.OtherDelimiter(s.Data, sources[0]); d != "" {
		s.Data.CSV.Delimiter = d
		if sources, err = s.sources(ctx, p, partitions); err != nil {
			return nil, err
		}
	}
	var names []string
	text := false
	var fixed checks.Schema // of Parquet files
	for i, part := range partitions {
		name := dataset.PartitionName(s.Data.Source, part)
		schema := checks.SchemaOf(name, sources[i].Fields, nil)
		s.Schema = checks.MergeSchemas(s.Schema, schema)
		if dataset.FormatOf(s.Data.Format, name) == models.FormatParquet {
			fixed = checks.MergeSchemas(fixed, schema)
		} else {
			text = true
		}
		for _, f := range sources[i].Fields {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	columns := make([]models.Column, 0, len(names))
	declared := map[string]models.ColumnSpec{}
	for _, name := range names {
		at := slices.IndexFunc(s.Schema.Columns, func(c checks.SeenColumn) bool { return c.Name == name })
		seen := s.Schema.Columns[at]
		kind := oneType(seen, true)
		if i := slices.IndexFunc(fixed.Columns, func(c checks.SeenColumn) bool { return c.Name == name }); i >= 0 {
			kind = oneType(fixed.Columns[i], false)
		}
		if kind == "" {
			s.Left = append(s.Left, seen)
			continue
		}
		columns = append(columns, models.Column{Name: name, Type: kind, Role: roleOf(s.Data, name)})
		of := s.Data.Columns[name]
		of.Type = kind
		declared[name] = of
	}
	if text {
		s.Data.Columns = declared
	}
	return columns, nil
}

// sources are the partitions with the columns that each has.
func (s *Survey) sources(ctx context.Context, p *Prepare, partitions []models.Partition) ([]dataset.Source, error) {
	return eachPartition(ctx, partitions, func(ctx context.Context, part models.Partition) (dataset.Source, error) {
		file, err := openPartition(ctx, p.Store, s.Data, part)
		if err != nil {
			return dataset.Source{}, err
		}
		return dataset.Source{URI: part.URI, Fields: file.Fields()}, unavailable(part.URI, "the file can't be read", file.Close())
	})
}

// oneType is the type that all files' values of a column can be read as; empty:
// there is none. Parquet files say what theirs is; text can be read in several ways.
func oneType(seen checks.SeenColumn, text bool) string {
	known := seen.Known()
	if len(known) == 0 {
		return dataset.TypeString
	}
	kinds := make([]string, len(known))
	for i, t := range known {
		kinds[i] = t.Type
		if !slices.Contains([]string{dataset.TypeString, dataset.TypeInt64, dataset.TypeFloat64, dataset.TypeBool, dataset.TypeTimestamp}, t.Type) {
			return ""
		}
	}
	switch {
	case len(kinds) == 1:
		return kinds[0]
	case !text:
		return ""
	case len(kinds) == 2 && slices.Contains(kinds, dataset.TypeInt64) && slices.Contains(kinds, dataset.TypeFloat64):
		return dataset.TypeFloat64
	default:
		return dataset.TypeString
	}
}

func roleOf(spec models.DataSpec, name string) string {
	for _, c := range dataset.Declared(spec) {
		if c.Name == name {
			return c.Role
		}
	}
	return dataset.RoleExtra
}

// survey reads a partition. Columns that it does not have are left out.
func (p *Prepare) survey(ctx context.Context, spec models.DataSpec, part models.Partition, all []models.Column) (surveyed, error) {
	file, err := openPartition(ctx, p.Store, spec, part)
	if err != nil {
		return surveyed{}, err
	}
	name := dataset.PartitionName(spec.Source, part)
	var columns []models.Column
	for _, c := range all {
		if slices.ContainsFunc(file.Fields(), func(f dataset.Field) bool { return f.Name == c.Name }) {
			columns = append(columns, c)
		}
	}
	whole := survey.Survey{
		Plan:   profile.Plan{Spec: spec.WithDefaults(), Columns: columns, File: name},
		Source: file, Workers: runtime.GOMAXPROCS(0),
	}
	for _, group := range file.Groups("") {
		whole.Groups = append(whole.Groups, max(0, group.Rows)) // a text does not know its rows yet
	}
	found, err := whole.Run(ctx)
	bad := checks.Schema{Bad: checks.SchemaOf(name, nil, file.BadValues()).Bad}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return surveyed{found, bad}, unavailable(part.URI, "the file can't be read", err)
}

// join merges in the order of partitions.
func (s *Survey) join(results []surveyed) error {
	runs := map[string][]profile.Run{}
	var all profile.Profile
	for i, r := range results {
		for _, run := range r.Runs {
			runs[run.Column] = append(runs[run.Column], run)
		}
		s.Found = profile.MergeEvidence(s.Found, r.Evidence)
		s.Schema = checks.MergeSchemas(s.Schema, r.bad)
		if i == 0 {
			all = r.Profile
			continue
		}
		var err error
		if all, err = profile.Merge(all, r.Profile); err != nil {
			return err
		}
	}
	s.Profile = all.Train
	for _, column := range s.Data.Checks.Unique {
		s.Repeats = append(s.Repeats, repeatsOf(column, runs[column]))
	}
	return nil
}
