package artifacttest

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) begin(w http.ResponseWriter, r *http.Request, key string) {
	s.begun++
	id := fmt.Sprintf("upload-%06d", s.begun)
	s.uploads[id] = &pending{key: key, sha256: r.Header.Get("X-Amz-Meta-Sha256"), parts: map[int]stored{}}
	_, _ = fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id) // the client may be gone
}

func (s *Server) listUploads(w http.ResponseWriter, prefix string) {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(s.uploads)) {
		if key := s.uploads[id].key; strings.HasPrefix(key, prefix) {
			fmt.Fprintf(&b, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>", key, id)
		}
	}
	_, _ = fmt.Fprintf(w, "<ListMultipartUploadsResult>%s</ListMultipartUploadsResult>", &b) // the client may be gone
}

func (s *Server) list(w http.ResponseWriter, prefix string) {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s.objects)) {
		if strings.HasPrefix(key, prefix) {
			fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", key, len(s.objects[key].bytes))
		}
	}
	_, _ = fmt.Fprintf(w, "<ListBucketResult>%s</ListBucketResult>", &b) // the client may be gone
}

func (s *Server) onUpload(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	u, ok := s.uploads[id]
	switch {
	case !ok:
		Refuse(w, http.StatusNotFound, "NoSuchUpload")
	case r.Method == http.MethodDelete:
		delete(s.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet:
		s.listParts(w, u)
	case r.Method == http.MethodPut:
		s.part(w, r, u, body)
	default:
		s.complete(w, r, id, body)
	}
}

func (s *Server) part(w http.ResponseWriter, r *http.Request, u *pending, body []byte) {
	number, _ := strconv.Atoi(r.URL.Query().Get("partNumber")) // nonsense is part 0
	p := keep(body)
	if !s.checked(w, r, p) {
		return
	}
	u.parts[number] = p
	w.Header().Set("ETag", `"`+p.etag+`"`)
}

// checked holds bytes that came against their CRC-64.
func (s *Server) checked(w http.ResponseWriter, r *http.Request, o stored) bool {
	if s.Plain {
		return true
	}
	if sum := r.Header.Get("X-Amz-Checksum-Crc64nvme"); sum != "" && sum != o.crc {
		return !Refuse(w, http.StatusBadRequest, "BadDigest")
	}
	w.Header().Set("X-Amz-Checksum-Crc64nvme", o.crc)
	return true
}

func (s *Server) listParts(w http.ResponseWriter, u *pending) {
	var b strings.Builder
	if !s.Plain {
		b.WriteString("<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>")
	}
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		p := u.parts[number]
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size><ChecksumCRC64NVME>%s</ChecksumCRC64NVME></Part>",
			number, p.etag, len(p.bytes), p.crc)
	}
	_, _ = fmt.Fprintf(w, "<ListPartsResult>%s</ListPartsResult>", &b) // the client may be gone
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, id string, body []byte) {
	u := s.uploads[id]
	var order struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	err := xml.Unmarshal(body, &order)
	var whole []byte
	for _, p := range order.Part {
		have, ok := u.parts[p.PartNumber]
		if !ok || have.etag != strings.Trim(p.ETag, `"`) {
			err = cmp.Or(err, fmt.Errorf("part %d is another", p.PartNumber))
		}
		whole = append(whole, have.bytes...)
	}
	o := keep(whole)
	if sum := r.Header.Get("X-Amz-Checksum-Crc64nvme"); err != nil || (sum != "" && sum != o.crc) {
		Refuse(w, http.StatusBadRequest, "InvalidPart")
		return
	}
	o.sha256, o.etag = u.sha256, fmt.Sprintf("%s-%d", o.etag, len(order.Part))
	s.objects[u.key] = o
	delete(s.uploads, id)
	_, _ = fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>bucket</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", u.key, o.etag) // the client may be gone
}
