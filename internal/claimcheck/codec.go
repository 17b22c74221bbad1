// Package claimcheck keeps large payloads out of Temporal's histories. It is a
// codec of the data converter that workers, agents and clients share.
//
// # Vocabulary
//
//   - A payload is what Temporal stores of one argument, result, signal or
//     failure detail.
//   - A payload of at most the threshold is left alone: the UI and the stock
//     CLI show it as plain JSON.
//   - A larger one is packed (gzip). When that is small enough it stays in the
//     history, with encoding [EncodingPacked].
//   - Otherwise it is checked in: stored content-addressed in the artifact
//     store, under payloads/<SHA-256>. In the history is its claim check, a
//     payload with encoding [EncodingClaim] whose JSON says where it lies.
//
// Storing twice is storing once, so an encoder may be interrupted and repeated
// at any moment. A claim is honoured only when the bytes have its digest.
package claimcheck

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// The encodings that this codec writes, in a payload's metadata.
const (
	EncodingClaim  = "mainspring/claim-check"
	EncodingPacked = "mainspring/gzip"
)

// DefaultThreshold is the largest payload that enters a history.
const DefaultThreshold = 32 << 10

// largest bounds what a claim may unpack to, against a damaged or hostile one.
const largest = 256 << 20

// Codec replaces large payloads. It is safe for concurrent use.
type Codec struct {
	// Store keeps them. Nil: large payloads that can't be packed small enough
	// stay in the history, and claims can't be read.
	Store artifact.Store
	// Threshold in bytes. 0: DefaultThreshold.
	Threshold int

	recent recent
}

var _ converter.PayloadCodec = (*Codec)(nil)

// Claim is what a claim check says.
type Claim struct {
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"` // of the stored bytes
	Stored int64  `json:"stored"` // their number
	Size   int64  `json:"size"`   // of the payload
}

func (c *Codec) threshold() int {
	if c.Threshold > 0 {
		return c.Threshold
	}
	return DefaultThreshold
}

// Encode implements converter.PayloadCodec.
func (c *Codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, c.encode)
}

// Decode implements converter.PayloadCodec. Payloads that this codec did not
// write pass unchanged.
func (c *Codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	return each(payloads, c.decode)
}

func each(payloads []*commonpb.Payload, convert func(*commonpb.Payload) (*commonpb.Payload, error)) ([]*commonpb.Payload, error) {
	converted := make([]*commonpb.Payload, len(payloads))
	for i, p := range payloads {
		var err error
		if converted[i], err = convert(p); err != nil {
			return nil, err
		}
	}
	return converted, nil
}

func (c *Codec) encode(p *commonpb.Payload) (*commonpb.Payload, error) {
	size := proto.Size(p)
	if size <= c.threshold() {
		return p, nil
	}
	packed, err := pack(p)
	if err != nil {
		return nil, fmt.Errorf("pack a payload of %d bytes: %w", size, err)
	}
	if len(packed) <= c.threshold() {
		return payload(EncodingPacked, packed), nil
	}
	if c.Store == nil {
		return p, nil
	}
	claim, err := c.checkIn(packed, size)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(claim)
	if err != nil {
		return nil, fmt.Errorf("write a claim: %w", err)
	}
	return payload(EncodingClaim, text), nil
}

func (c *Codec) decode(p *commonpb.Payload) (*commonpb.Payload, error) {
	switch string(p.GetMetadata()[converter.MetadataEncoding]) {
	case EncodingPacked:
		return unpack(p.GetData())
	case EncodingClaim:
		var claim Claim
		if err := json.Unmarshal(p.GetData(), &claim); err != nil {
			return nil, fmt.Errorf("read a claim: %w", err)
		}
		packed, err := c.checkOut(claim)
		if err != nil {
			return nil, err
		}
		return unpack(packed)
	default:
		return p, nil
	}
}

func payload(encoding string, data []byte) *commonpb.Payload {
	return &commonpb.Payload{Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding)}, Data: data}
}

// pack gives equal bytes for equal payloads: what is stored is named by its
// digest.
func pack(p *commonpb.Payload) ([]byte, error) {
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := zip.Write(plain); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func unpack(packed []byte) (*commonpb.Payload, error) {
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack a payload: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(zip, largest+1))
	if err != nil {
		return nil, fmt.Errorf("unpack a payload: %w", err)
	}
	if len(plain) > largest {
		return nil, fmt.Errorf("unpack a payload: it has more than %d bytes", largest)
	}
	p := &commonpb.Payload{}
	if err := proto.Unmarshal(plain, p); err != nil {
		return nil, fmt.Errorf("unpack a payload: %w", err)
	}
	return p, nil
}
