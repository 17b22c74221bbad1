package dataset

import (
	"path"
	"slices"
	"strings"

	"github.com/mainspring-ml/mainspring/models"
)

// gzipEnding marks a compressed text file.
const gzipEnding = ".gz"

// formatOfEnding is the one list of what partitions' names end with. Texts may
// have gzipEnding after it.
func formatOfEnding(ending string) models.DataFormat {
	switch strings.ToLower(ending) {
	case ".parquet":
		return models.FormatParquet
	case ".csv", ".tsv":
		return models.FormatCSV
	case ".jsonl", ".ndjson", ".json":
		return models.FormatJSONL
	default:
		return ""
	}
}

// PartitionEndings says what partitions' names end with, for messages.
const PartitionEndings = ".parquet, .csv, .tsv, .jsonl, .ndjson or .json (the texts with or without .gz)"

// saysNothing reports whether a name leaves open what the file holds.
func saysNothing(ending string) bool {
	switch strings.ToLower(ending) {
	case "", ".txt", ".dat", ".data":
		return true
	default:
		return false
	}
}

// FormatOf is a file's format by its name's ending, or, where that says nothing,
// as declared. It is empty for a file that is no partition: one whose name says
// something else than what is declared, such as a schema beside the rows.
func FormatOf(declared models.DataFormat, name string) models.DataFormat {
	ending := path.Ext(TextName(name))
	format := formatOfEnding(ending)
	switch {
	case saysNothing(ending):
		return declared
	case format == models.FormatParquet && TextName(name) != name: // it compresses its own pages
		return ""
	case declared != "" && declared != format:
		return ""
	}
	return format
}

// OtherDelimiter is what seems to end the cells of a CSV file that has a single
// column, for want of the right delimiter; empty: nothing does, or the spec has
// said what it is.
func OtherDelimiter(spec models.DataSpec, source Source) (delimiter string) {
	if len(source.Fields) != 1 || spec.CSV.Delimiter != "" || FormatOf(spec.Format, source.URI) != models.FormatCSV {
		return ""
	}
	return LikelyDelimiter(source.Fields[0].Name)
}

// LikelyDelimiter is the mark that a header has most; empty: it has none.
func LikelyDelimiter(header string) (delimiter string) {
	most := 0
	for _, candidate := range []string{";", "\t", "|", ","} {
		if n := strings.Count(header, candidate); n > most {
			delimiter, most = candidate, n
		}
	}
	return delimiter
}

// TextName is the name of a text file without the ending of its compression.
func TextName(name string) string {
	if strings.EqualFold(path.Ext(name), gzipEnding) {
		return name[:len(name)-len(gzipEnding)]
	}
	return name
}

// IsPartition judges the path of a file below its source. Names that begin with
// '_' or '.' are what other engines leave while they write.
func IsPartition(declared models.DataFormat, name string) bool {
	hidden := func(part string) bool { return strings.HasPrefix(part, "_") || strings.HasPrefix(part, ".") }
	return !slices.ContainsFunc(strings.Split(name, "/"), hidden) && FormatOf(declared, name) != ""
}
