package partition_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/dataset"
	"github.com/mainspring-ml/mainspring/internal/dataset/partition"
	"github.com/mainspring-ml/mainspring/models"
)

type row struct {
	ID    string  `parquet:"id"`
	At    int64   `parquet:"at,timestamp(microsecond)"`
	Delay int64   `parquet:"delay"`
	Share float64 `parquet:"share"`
}

func rowsOf(n int) []row {
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{ID: fmt.Sprintf("id-%07d", i*7919%n), At: march(1).Add(time.Duration(i) * time.Second).UnixMicro(), Delay: int64(i % 300), Share: float64(i%97) / 97}
	}
	return rows
}

func march(day int) time.Time { return time.Date(2013, 3, day, 0, 0, 0, 0, time.UTC) }

func asParquet(t testing.TB, rows []row, perGroup int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := parquet.Write(&b, rows, parquet.MaxRowsPerRowGroup(perGroup)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asCSV(rows []row) []byte {
	var b bytes.Buffer
	b.WriteString("id,at,delay,share\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%s,%s,%d,%v\n", r.ID, time.UnixMicro(r.At).UTC().Format(time.RFC3339Nano), r.Delay, r.Share)
	}
	return b.Bytes()
}

func asJSON(rows []row) []byte {
	var b bytes.Buffer
	for _, r := range rows {
		fmt.Fprintf(&b, `{"id":%q,"at":%q,"delay":%d,"share":%v}`+"\n", r.ID, time.UnixMicro(r.At).UTC().Format(time.RFC3339Nano), r.Delay, r.Share)
	}
	return b.Bytes()
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// put stores data and describes it as a listing does.
func put(t testing.TB, store artifact.Store, name string, data []byte) models.Partition {
	t.Helper()
	info, err := store.Put(t.Context(), name, bytes.NewReader(data), int64(len(data)), artifact.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return models.Partition{URI: artifact.URI(store, name), ETag: info.ETag, Size: info.Size}
}

// local writes a file and describes it as a listing does.
func local(t testing.TB, name string, data []byte) (string, models.Partition) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := artifact.ListURI(t.Context(), artifact.NewMemory("bucket"), artifact.FileURI(path))
	if err != nil {
		t.Fatal(err)
	}
	return path, models.Partition{URI: found[0].URI, ETag: found[0].ETag, Size: found[0].Size}
}

func open(t testing.TB, store artifact.Store, spec models.DataSpec, part models.Partition) partition.Reader {
	t.Helper()
	r, err := partition.Open(t.Context(), store, spec, part)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func names(r partition.Reader) (all []string) {
	for _, f := range r.Fields() {
		all = append(all, f.Name)
	}
	return all
}

// readAll opens, reads and closes a partition.
func readAll(ctx context.Context, store artifact.Store, spec models.DataSpec, part models.Partition) (dataset.Table, error) {
	r, err := partition.Open(ctx, store, spec, part)
	if err != nil {
		return dataset.Table{}, err
	}
	table, err := r.ReadAll(ctx, names(r))
	if closed := r.Close(); err == nil {
		err = closed
	}
	return table, err
}

func wantInvalid(t *testing.T, err error, texts ...string) {
	t.Helper()
	var failed *models.Error
	if !errors.As(err, &failed) || failed.Kind != models.KindInvalidSpec || failed.Hint == "" {
		t.Fatalf("%v is no %s with a hint", err, models.KindInvalidSpec)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

func TestEveryFormatReadsTheSame(t *testing.T) {
	rows := rowsOf(5000)
	store := artifact.NewMemory("bucket")
	want, err := readAll(t.Context(), store, models.DataSpec{}, put(t, store, "a/x.parquet", asParquet(t, rows, 1000)))
	if err != nil || want.Rows() != len(rows) {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"x.csv": asCSV(rows), "x.CSV.GZ": zipped(t, asCSV(rows)), "x.jsonl": asJSON(rows), "x.ndjson.gz": zipped(t, asJSON(rows)), "x.json": asJSON(rows),
		"x.tsv": bytes.ReplaceAll(asCSV(rows), []byte(","), []byte("\t")), "x.parquet": asParquet(t, rows, 5000),
	}
	for name, data := range files {
		_, onDisk := local(t, name, data)
		for _, part := range []models.Partition{put(t, store, "b/"+name, data), onDisk, {URI: onDisk.URI}} {
			got, err := readAll(t.Context(), store, models.DataSpec{}, part)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s reads differently, %v", part.URI, err)
			}
			r := open(t, store, models.DataSpec{}, part)
			var chunked dataset.Table
			next := int64(1)
			err = r.Chunks(t.Context(), nil, names(r), func(c dataset.Chunk) error {
				if c.First != next {
					t.Errorf("%s: a chunk begins with row %d, want %d", part.URI, c.First, next)
				}
				next += int64(c.Table.Rows())
				all := make([]int, c.Table.Rows())
				for i := range all {
					all[i] = i
				}
				chunked.Append(c.Table.Pick(names(r), all)) // a copy
				return nil
			})
			if err != nil || !reflect.DeepEqual(chunked, want) || r.Close() != nil {
				t.Errorf("%s reads differently in chunks, %v", part.URI, err)
			}
		}
	}
}

func TestDeclaredFormat(t *testing.T) {
	rows := rowsOf(10)
	store := artifact.NewMemory("bucket")
	part := put(t, store, "part-00000", zipped(t, bytes.ReplaceAll(asCSV(rows), []byte(","), []byte(";"))))
	spec := models.DataSpec{Format: models.FormatCSV, CSV: models.CSVSpec{Delimiter: ";"}}
	if table, err := readAll(t.Context(), store, spec, part); err != nil || table.Rows() != 10 {
		t.Errorf("%d rows, %v", table.Rows(), err)
	}
	_, err := readAll(t.Context(), store, models.DataSpec{}, part)
	wantInvalid(t, err, "bucket/part-00000", "name says nothing about its format", "data.format")
	named := part
	named.Name = "sub/part-00000.csv.gz"
	spec.Format = ""
	if table, err := readAll(t.Context(), store, spec, named); err != nil || table.Rows() != 10 {
		t.Errorf("by its name: %d rows, %v", table.Rows(), err)
	}
}

// counting counts the bytes that are read of objects.
type counting struct {
	artifact.Store
	whole, ranges, bytes *atomic.Int64
}

func newCounting(s artifact.Store) counting {
	return counting{s, new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)}
}

func (c counting) Get(ctx context.Context, key string) (io.ReadCloser, artifact.Info, error) {
	c.whole.Add(1)
	return c.Store.Get(ctx, key)
}

func (c counting) GetRange(ctx context.Context, key string, offset, length int64, etag string) (io.ReadCloser, artifact.Info, error) {
	c.ranges.Add(1)
	c.bytes.Add(length)
	return c.Store.GetRange(ctx, key, offset, length, etag)
}

func TestOfALargeObjectOnlyWhatIsWantedIsRead(t *testing.T) {
	rows := rowsOf(200_000)
	store := newCounting(artifact.NewMemory("bucket"))
	part := put(t, store, "x.parquet", asParquet(t, rows, 20_000))
	if part.Size < 5<<20 {
		t.Fatalf("the file has %d bytes", part.Size)
	}
	r := open(t, store, models.DataSpec{}, part)
	table, err := r.Read(t.Context(), []int{2, 5}, []string{"delay"})
	if err != nil || table.Rows() != 40_000 || table.Series[0].Ints[0] != rows[40_000].Delay {
		t.Fatalf("%d rows, %v", table.Rows(), err)
	}
	if got := store.bytes.Load(); got > part.Size/4 || store.whole.Load() != 0 || store.ranges.Load() > 4 {
		t.Errorf("%d of %d bytes were read in %d requests, and %d times the whole", got, part.Size, store.ranges.Load(), store.whole.Load())
	}
	small := put(t, store, "small.parquet", asParquet(t, rows[:10], 10))
	if _, err := readAll(t.Context(), store, models.DataSpec{}, small); err != nil || store.whole.Load() != 1 {
		t.Errorf("a small object was read %d times, %v", store.whole.Load(), err)
	}
}

func TestDamagedParquet(t *testing.T) {
	rows := rowsOf(5000)
	store := artifact.NewMemory("bucket")
	data := asParquet(t, rows, 1000)
	page := slices.Clone(data)
	for i := range 400 {
		page[len(page)/4+i] ^= 0x5a
	}
	for name, bad := range map[string][]byte{
		"truncated.parquet": data[:len(data)*2/3], "no-tail.parquet": data[:len(data)-6], "page.parquet": page,
		"text.parquet": []byte("id,at\n1,2\n"), "tiny.parquet": []byte("PAR1"),
	} {
		_, err := readAll(t.Context(), store, models.DataSpec{}, put(t, store, name, bad))
		wantInvalid(t, err, "s3://bucket/"+name, "can't be read", "damaged or not Parquet")
		_, onDisk := local(t, name, bad)
		_, err = readAll(t.Context(), store, models.DataSpec{}, onDisk)
		wantInvalid(t, err, name, "damaged or not Parquet")
	}
	_, err := readAll(t.Context(), store, models.DataSpec{}, put(t, store, "empty.parquet", nil))
	wantInvalid(t, err, "s3://bucket/empty.parquet", "the file is empty")
}

// TestParquetWithAnyByteDamaged: whatever is wrong with a file, nothing panics.
func TestParquetWithAnyByteDamaged(t *testing.T) {
	store := artifact.NewMemory("bucket")
	data := asParquet(t, rowsOf(200), 100)
	for i := 0; i < len(data); i += 3 {
		bad := slices.Clone(data)
		bad[i] ^= byte(1 + i%255)
		if _, err := readAll(t.Context(), store, models.DataSpec{}, put(t, store, "x.parquet", bad)); err != nil {
			wantInvalid(t, err, "x.parquet")
		}
	}
}

func TestZeroRowParquet(t *testing.T) {
	store := artifact.NewMemory("bucket")
	part := put(t, store, "x.parquet", asParquet(t, nil, 10))
	r := open(t, store, models.DataSpec{}, part)
	table, err := r.ReadAll(t.Context(), names(r))
	if err != nil || table.Rows() != 0 || len(table.Series) != 4 || r.Rows() != 0 {
		t.Errorf("%d rows, %v", table.Rows(), err)
	}
}

func TestBrokenTexts(t *testing.T) {
	store := artifact.NewMemory("bucket")
	for name, c := range map[string]struct{ text, want string }{
		"quote.csv": {"id,n\n1,2\n3,\"4\n5,6\n", "line 3: column 2 begins with a quote that is never closed"},
		"wide.csv":  {"id,n\n1,2,3\n", "line 2: the record has 3 cells"},
		"empty.csv": {"", "the file is empty"}, "head.csv": {"id,n\n", "line 1: the header is all there is"},
		"twice.csv": {"id,id\n1,2\n", `line 1: two columns have the name "id"`}, "x.csv.gz": {"id\n1\n", "not compressed with gzip"},
		"twice.jsonl": {"{\"a\":1}\n{\"a\":1,\"a\":2}\n", `line 2: the object has the name "a" twice`}, "empty.json": {"", "the file is empty"},
	} {
		_, err := readAll(t.Context(), store, models.DataSpec{}, put(t, store, name, []byte(c.text)))
		wantInvalid(t, err, "s3://bucket/"+name, c.want)
		_, onDisk := local(t, name, []byte(c.text))
		_, err = readAll(t.Context(), store, models.DataSpec{}, onDisk)
		wantInvalid(t, err, name, c.want)
	}
}

func TestObjectThatChangesUnderReading(t *testing.T) {
	store := artifact.NewMemory("bucket")
	rows := rowsOf(200_000)
	part := put(t, store, "x.parquet", asParquet(t, rows, 20_000))
	r := open(t, store, models.DataSpec{}, part)
	if _, err := r.Read(t.Context(), []int{0}, []string{"delay"}); err != nil {
		t.Fatal(err)
	}
	put(t, store, "x.parquet", asParquet(t, rows[1:], 20_000))
	_, err := r.Read(t.Context(), []int{5}, []string{"delay"})
	wantInvalid(t, err, "s3://bucket/x.parquet", "changed while it was read")
	_, err = readAll(t.Context(), store, models.DataSpec{}, part)
	wantInvalid(t, err, "s3://bucket/x.parquet", "changed")

	text := put(t, store, "x.csv", asCSV(rows[:199_999])) // too large to be kept between its readings
	r = open(t, store, models.DataSpec{}, text)
	put(t, store, "x.csv", asCSV(rows))
	_, err = r.ReadAll(t.Context(), names(r))
	wantInvalid(t, err, "s3://bucket/x.csv", "changed after the source was listed")
}

func TestFileThatChangesUnderReading(t *testing.T) {
	store := artifact.NewMemory("bucket")
	rows := rowsOf(5000)
	path, part := local(t, "x.parquet", asParquet(t, rows, 1000))
	r := open(t, store, models.DataSpec{}, part)
	if err := os.WriteFile(path, asParquet(t, rows[1:], 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := r.ReadAll(t.Context(), names(r))
	if err == nil {
		err = r.Close()
	}
	wantInvalid(t, err, "x.parquet", "changed while it was read")

	path, part = local(t, "x.csv", asCSV(rows))
	r = open(t, store, models.DataSpec{}, part)
	err = r.Chunks(t.Context(), nil, names(r), func(c dataset.Chunk) error {
		if c.First > 1 {
			return nil
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("id-x,2013-03-01,1,0\n")
		return errors.Join(err, f.Close())
	})
	wantInvalid(t, err, "x.csv", "changed while it was read")
	_, err = readAll(t.Context(), store, models.DataSpec{}, part)
	wantInvalid(t, err, "x.csv", "changed after the source was listed")
}

func TestStoreThatFailsIsNoDamage(t *testing.T) {
	store := artifact.NewMemory("bucket")
	part := put(t, store, "x.parquet", asParquet(t, rowsOf(200_000), 20_000))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := partition.Open(ctx, store, models.DataSpec{}, part)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = r.Read(t.Context(), []int{4}, []string{"delay"})
	var failed *models.Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &failed) {
		t.Errorf("%v", err)
	}
	if _, err := partition.Open(t.Context(), store, models.DataSpec{}, models.Partition{URI: "s3://bucket/gone.csv"}); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
