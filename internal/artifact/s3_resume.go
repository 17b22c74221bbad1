package artifact

import (
	"context"

	"github.com/minio/minio-go/v7"
)

// find looks for interrupted uploads of the key. Those without CRC-64s of their
// parts are left alone: they are other programs', and their objects may have
// metadata of theirs.
func (u *upload) find(ctx context.Context) error {
	const many = 1000
	listed, err := u.s.client.ListMultipartUploads(ctx, u.s.bucket, u.key, "", "", "", many)
	if code := minio.ToErrorResponse(err).Code; code == minio.AccessDenied || code == "NotImplemented" {
		return nil // it may be allowed to upload all the same
	}
	if err != nil {
		return u.s.fail(ctx, "look for interrupted uploads of", u.key, err)
	}
	for i := len(listed.Uploads) - 1; i >= 0; i-- { // the newest last
		found := listed.Uploads[i]
		if found.Key != u.key {
			continue
		}
		parts, ours, err := u.partsOf(ctx, found.UploadID)
		switch {
		case err != nil:
			return err
		case !ours:
		case u.id == "" && u.o.ContentType == "":
			u.id, u.there = found.UploadID, parts
		default:
			u.stale = append(u.stale, found.UploadID)
		}
	}
	return nil
}

// partsOf lists what the server has of an upload; one that has ended in the
// meantime is nobody's.
func (u *upload) partsOf(ctx context.Context, id string) (parts map[int]minio.ObjectPart, ours bool, err error) {
	parts = map[int]minio.ObjectPart{}
	for marker := 0; ; {
		page, err := u.s.client.ListObjectParts(ctx, u.s.bucket, u.key, id, marker, maxParts)
		if minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, u.s.fail(ctx, "list parts of", u.key, err)
		}
		for _, p := range page.ObjectParts {
			parts[p.PartNumber] = p
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return parts, page.ChecksumAlgorithm == checksumAlgorithm, nil
		}
		marker = page.NextPartNumberMarker
	}
}
