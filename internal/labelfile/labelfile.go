// Package labelfile takes labels out of files that know them, such as a table
// of a data warehouse, and puts them where the gateways put theirs.
//
// # Vocabulary
//
//   - A label is how a request turned out; its ID is the request's.
//   - A label's time is when it became known, in event time.
//   - A file is Parquet, CSV or JSON lines, the latter two plain or gzip, told by
//     its ending.
//
// A file's labels go into one object per day, whose name comes from what it
// says. The same file gives the same objects, and an object that is there
// already stays as it is, with the moment at which it was stored first: to
// store a file twice changes nothing, not even a correction that came between.
// That is why a small object remembers when a file without times came first.
package labelfile

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/models"
)

// maxFile bounds one file, whose labels are held in memory.
const maxFile = 1 << 30

// Columns name where a file has what. Without Time a label becomes known now.
type Columns struct{ ID, Label, Time string }

// Input is what labels of a file mean.
type Input struct {
	Endpoint string
	Columns  Columns
	Task     models.Task // none is binary
	Now      time.Time
}

// Stored says what became of labels.
type Stored struct {
	Labels  int            // in the files
	Without int            // rows whose label is not known yet, which are left out
	Already int            // labels that an earlier call stored
	Days    map[string]int // labels by the day on which they became known
}

// StoreAll reads what a URI covers, one file after the other. A file with a wrong
// row is refused as a whole; those before it stay stored.
func StoreAll(ctx context.Context, store artifact.Store, uri string, in Input) (Stored, error) {
	total := Stored{Days: map[string]int{}}
	sources, err := artifact.ListURI(ctx, store, uri)
	if err != nil {
		return total, err
	}
	for _, source := range sources {
		rows, without, err := read(ctx, store, source, in)
		if err != nil {
			return total, err
		}
		total.Without += without
		if in.Columns.Time == "" && len(rows) > 0 {
			if err := date(ctx, store, rows, in); err != nil {
				return total, err
			}
		}
		if err := put(ctx, store, rows, in, &total); err != nil {
			return total, err
		}
		in.Now = in.Now.Add(time.Duration(len(rows)) * time.Microsecond) // the next file arrives after this one
	}
	return total, nil
}

// read reads one file. The rows come with a time of arrival that rises, so that
// the last of several labels of one request counts.
func read(ctx context.Context, store artifact.Store, source artifact.Source, in Input) (rows []models.LabelRow, without int, err error) {
	if source.Size > maxFile {
		return nil, 0, wrong(source.URI, fmt.Errorf("it has %d bytes, the limit is %d", source.Size, maxFile), "split it into several files")
	}
	file, err := partition.Open(ctx, store, in.Columns.declared(), models.Partition{URI: source.URI, ETag: source.ETag, Size: source.Size})
	if err != nil {
		return nil, 0, err
	}
	t := &table{in: in}
	if err = cmp.Or(t.readRows(ctx, file), file.Close()); err == nil {
		return t.rows, t.without, nil
	}
	if e := (*models.Error)(nil); errors.As(err, &e) {
		return nil, 0, err
	}
	return nil, 0, wrong(source.URI, err, "correct the file, or the names of the columns")
}

func wrong(uri string, cause error, hint string) error {
	return &models.Error{Kind: models.KindInvalidSpec, Subject: uri, Message: "the labels can't be read", Cause: cause, Hint: hint}
}

// date gives rows of a file without times those at which it was stored first: on
// another day they would be other labels.
func date(ctx context.Context, store artifact.Store, rows []models.LabelRow, in Input) error {
	key := models.LabelFileKey(in.Endpoint, digest(rows, false))
	_, err := artifact.PutBytes(ctx, store, key, []byte(in.Now.UTC().Format(time.RFC3339Nano)), artifact.PutOptions{IfAbsent: true})
	if err == nil {
		return nil
	}
	if !errors.Is(err, artifact.ErrPreconditionFailed) {
		return fmt.Errorf("note when the labels were stored: %w", err)
	}
	text, _, err := artifact.GetBytes(ctx, store, key, int64(len(time.RFC3339Nano)))
	if err != nil {
		return fmt.Errorf("find out when the labels were stored first: %w", err)
	}
	first, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return fmt.Errorf("find out when the labels were stored first: %s: %w", artifact.URI(store, key), err)
	}
	for i := range rows {
		rows[i].LabelTime, rows[i].Time = first.UnixMicro(), first.UnixMicro()+int64(i)
	}
	return nil
}

// put stores rows, one object per day.
func put(ctx context.Context, store artifact.Store, rows []models.LabelRow, in Input, total *Stored) error {
	slices.SortStableFunc(rows, func(a, b models.LabelRow) int { return cmp.Compare(a.LabelTime, b.LabelTime) })
	for len(rows) > 0 {
		day := time.UnixMicro(rows[0].LabelTime)
		n := 1
		for n < len(rows) && models.DayKey(time.UnixMicro(rows[n].LabelTime)) == models.DayKey(day) {
			n++
		}
		data, err := encode(rows[:n])
		if err != nil {
			return fmt.Errorf("encode labels: %w", err)
		}
		key := models.LabelPrefix(in.Endpoint, day) + "file-" + digest(rows[:n], in.Columns.Time != "") + ".parquet"
		_, err = artifact.PutBytes(ctx, store, key, data, artifact.PutOptions{IfAbsent: true})
		switch {
		case errors.Is(err, artifact.ErrPreconditionFailed):
			total.Already += n
		case err != nil:
			return fmt.Errorf("store labels: %w", err)
		}
		total.Labels += n
		total.Days[models.DayKey(day)] += n
		rows = rows[n:]
	}
	return nil
}

// digest names what labels say: the arrival is not part of it, and neither is a
// time that the file does not have.
func digest(rows []models.LabelRow, timed bool) string {
	sum := sha256.New()
	var b []byte
	for _, row := range rows {
		b = binary.AppendUvarint(b[:0], uint64(len(row.ID)))
		b = append(b, row.ID...)
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(row.Label))
		if timed {
			b = binary.LittleEndian.AppendUint64(b, uint64(row.LabelTime))
		}
		sum.Write(b)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

func encode(rows []models.LabelRow) ([]byte, error) {
	var buffer bytes.Buffer
	writer := parquet.NewGenericWriter[models.LabelRow](&buffer, parquet.Compression(&parquet.Zstd))
	if _, err := writer.Write(rows); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}
