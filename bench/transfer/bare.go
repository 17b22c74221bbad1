package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// tuning is how a bare client copies.
type tuning struct {
	PartMiB  int `json:"part_mib"`
	Parallel int `json:"parallel"`
}

func (t tuning) String() string { return fmt.Sprintf("%d MiB × %d", t.PartMiB, t.Parallel) }

func (t tuning) partBytes() int64 { return int64(t.PartMiB) << 20 }

func tunings(w workload) (all []tuning) {
	if w.small() {
		for _, parallel := range []int{4, 8, 16, 32} {
			all = append(all, tuning{8, parallel})
		}
		return all
	}
	for _, part := range []int{8, 16, 64} {
		for _, parallel := range []int{2, 4, 8} {
			all = append(all, tuning{part, parallel})
		}
	}
	return all
}

// bare is an S3 client that only copies: parts and ranges in parallel, payloads
// unsigned and unchecked.
type bare struct {
	client *minio.Core
	bucket string
}

// upload puts every file of a directory at prefix/name.
func (b bare) upload(ctx context.Context, t tuning, dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	buffers := sync.Pool{New: func() any { b := make([]byte, t.partBytes()); return &b }}
	parts, inParts := errgroup.WithContext(ctx)
	parts.SetLimit(t.Parallel)
	var complete []func() error
	for _, entry := range entries {
		file, err := os.Open(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read from
		info, err := entry.Info()
		if err != nil {
			return err
		}
		key, size := prefix+"/"+entry.Name(), info.Size()
		send := func(put func(b []byte) error, offset int64) {
			parts.Go(func() error {
				buffer := buffers.Get().(*[]byte)
				defer buffers.Put(buffer)
				part := (*buffer)[:min(t.partBytes(), size-offset)]
				if _, err := file.ReadAt(part, offset); err != nil {
					return err
				}
				return put(part)
			})
		}
		if size <= t.partBytes() {
			send(func(part []byte) error {
				_, err := b.client.PutObject(inParts, b.bucket, key, bytes.NewReader(part), size, "", "", minio.PutObjectOptions{DisableContentSha256: true})
				return err
			}, 0)
			continue
		}
		id, err := b.client.NewMultipartUpload(ctx, b.bucket, key, minio.PutObjectOptions{})
		if err != nil {
			return err
		}
		done := make([]minio.CompletePart, (size+t.partBytes()-1)/t.partBytes())
		for i := range done {
			send(func(part []byte) error {
				p, err := b.client.PutObjectPart(inParts, b.bucket, key, id, i+1, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{DisableContentSha256: true})
				done[i] = minio.CompletePart{PartNumber: i + 1, ETag: p.ETag}
				return err
			}, int64(i)*t.partBytes())
		}
		complete = append(complete, func() error {
			_, err := b.client.CompleteMultipartUpload(ctx, b.bucket, key, id, done, minio.PutObjectOptions{})
			return err
		})
	}
	if err := parts.Wait(); err != nil {
		return err
	}
	var completing errgroup.Group
	for _, one := range complete {
		completing.Go(one)
	}
	return completing.Wait()
}

// download fetches what is there of a directory's files at prefix/name.
func (b bare) download(ctx context.Context, t tuning, w workload, prefix, dir string) error {
	ranges, inRanges := errgroup.WithContext(ctx)
	ranges.SetLimit(t.Parallel)
	buffers := sync.Pool{New: func() any { b := make([]byte, 512<<10); return &b }}
	for i := range w.Files {
		name := fileName(i)
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // the figures are of the copy
		for offset := int64(0); offset < w.FileBytes; offset += t.partBytes() {
			ranges.Go(func() error {
				var options minio.GetObjectOptions
				if w.FileBytes > t.partBytes() {
					if err := options.SetRange(offset, min(offset+t.partBytes(), w.FileBytes)-1); err != nil {
						return err
					}
				}
				body, _, _, err := b.client.GetObject(inRanges, b.bucket, prefix+"/"+name, options)
				if err != nil {
					return err
				}
				defer func() { _ = body.Close() }() // read to its end
				buffer := buffers.Get().(*[]byte)
				defer buffers.Put(buffer)
				_, err = io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(file, offset)}, struct{ io.Reader }{body}, *buffer)
				return err
			})
		}
	}
	return ranges.Wait()
}
