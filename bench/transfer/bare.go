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
	return []tuning{{8, 2}, {8, 4}, {8, 8}, {16, 4}, {64, 2}, {64, 4}}
}

// bare is an S3 client that only copies: parts and ranges in parallel, payloads
// unsigned and unchecked.
type bare struct {
	client *minio.Core
	bucket string
}

// sender is one upload of a directory.
type sender struct {
	bare
	t        tuning
	parts    *errgroup.Group
	ctx      context.Context //nolint:containedctx // of the parts
	buffers  sync.Pool
	complete []func() error
}

// upload puts every file of a directory at prefix/name.
func (b bare) upload(ctx context.Context, t tuning, dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	s := &sender{bare: b, t: t, buffers: sync.Pool{New: func() any { b := make([]byte, t.partBytes()); return &b }}}
	s.parts, s.ctx = errgroup.WithContext(ctx)
	s.parts.SetLimit(t.Parallel)
	for _, entry := range entries {
		file, err := os.Open(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // only read from
		if err := s.file(file, prefix+"/"+entry.Name()); err != nil {
			return err
		}
	}
	if err := s.parts.Wait(); err != nil {
		return err
	}
	var completing errgroup.Group
	for _, one := range s.complete {
		completing.Go(one)
	}
	return completing.Wait()
}

// file starts the parts of one file.
func (s *sender) file(file *os.File, key string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size <= s.t.partBytes() {
		s.send(file, 0, size, func(part []byte) error {
			_, err := s.client.PutObject(s.ctx, s.bucket, key, bytes.NewReader(part), size, "", "", minio.PutObjectOptions{DisableContentSha256: true})
			return err
		})
		return nil
	}
	id, err := s.client.NewMultipartUpload(s.ctx, s.bucket, key, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	done := make([]minio.CompletePart, (size+s.t.partBytes()-1)/s.t.partBytes())
	for i := range done {
		s.send(file, int64(i)*s.t.partBytes(), size, func(part []byte) error {
			p, err := s.client.PutObjectPart(s.ctx, s.bucket, key, id, i+1, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{DisableContentSha256: true})
			done[i] = minio.CompletePart{PartNumber: i + 1, ETag: p.ETag}
			return err
		})
	}
	s.complete = append(s.complete, func() error {
		// The parts' context has ended with them.
		_, err := s.client.CompleteMultipartUpload(context.WithoutCancel(s.ctx), s.bucket, key, id, done, minio.PutObjectOptions{})
		return err
	})
	return nil
}

func (s *sender) send(file *os.File, offset, size int64, put func(part []byte) error) {
	s.parts.Go(func() error {
		buffer := s.buffers.Get().(*[]byte)
		defer s.buffers.Put(buffer)
		part := (*buffer)[:min(s.t.partBytes(), size-offset)]
		if _, err := file.ReadAt(part, offset); err != nil {
			return err
		}
		return put(part)
	})
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
