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

// FormatOf is a file's format: what the spec says, or the name's ending. It is
// empty for a file that is no partition.
func FormatOf(declared models.DataFormat, name string) models.DataFormat {
	byName := formatOfEnding(path.Ext(TextName(name)))
	if byName == models.FormatParquet && TextName(name) != name {
		byName = "" // Parquet compresses its own pages
	}
	if declared == "" || byName == declared {
		return byName
	}
	if byName != "" {
		return "" // something else that lies there, such as a schema beside the rows
	}
	return declared
}

// TextName is the name of a text file without the ending of its compression.
func TextName(name string) string {
	if strings.EqualFold(path.Ext(name), gzipEnding) {
		return name[:len(name)-len(gzipEnding)]
	}
	return name
}

// IsPartition judges the path of a file below its source. Names that begin with
// '_' or '.' are what other engines leave while they write. With a declared
// format, a file whose name says nothing is a partition too.
func IsPartition(declared models.DataFormat, name string) bool {
	hidden := func(part string) bool { return strings.HasPrefix(part, "_") || strings.HasPrefix(part, ".") }
	return !slices.ContainsFunc(strings.Split(name, "/"), hidden) && FormatOf(declared, name) != ""
}
