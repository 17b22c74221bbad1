package claimcheck

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"

	"github.com/mainspring-ml/mainspring/internal/artifact"
)

// noise does not pack.
func noise(bytes int) string {
	random := rand.New(rand.NewPCG(1, 2))
	raw := make([]byte, bytes)
	for i := range raw {
		raw[i] = byte(random.UintN(256))
	}
	return hex.EncodeToString(raw)
}

func encoding(p *commonpb.Payload) string { return string(p.GetMetadata()[converter.MetadataEncoding]) }

func encode(t *testing.T, c *Codec, value any) (plain, encoded *commonpb.Payload) {
	t.Helper()
	plain, err := converter.GetDefaultDataConverter().ToPayload(value)
	require.NoError(t, err)
	all, err := c.Encode([]*commonpb.Payload{plain})
	require.NoError(t, err)
	return plain, all[0]
}

func TestSmallPayloadsStayReadable(t *testing.T) {
	c := &Codec{Store: artifact.NewMemory("bucket")}
	plain, encoded := encode(t, c, map[string]string{"model": "flight-delay"})
	require.True(t, proto.Equal(plain, encoded))
	require.Equal(t, `{"model":"flight-delay"}`, string(encoded.GetData()))
}

func TestLargePayloadsArePackedOrCheckedIn(t *testing.T) {
	for name, c := range map[string]struct {
		value, encoding string
		objects         int
	}{
		"packs well": {strings.Repeat("device ", 20_000), EncodingPacked, 0},
		"noise":      {noise(60_000), EncodingClaim, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := artifact.NewMemory("bucket")
			plain, encoded := encode(t, &Codec{Store: store}, c.value)
			require.Equal(t, c.encoding, encoding(encoded))
			require.LessOrEqual(t, proto.Size(encoded), DefaultThreshold+100)
			objects, err := store.List(t.Context(), "payloads/")
			require.NoError(t, err)
			require.Len(t, objects, c.objects)

			_, again := encode(t, &Codec{Store: store}, c.value)
			require.True(t, proto.Equal(encoded, again), "the same payload has the same claim")
			decoded, err := (&Codec{Store: store}).Decode([]*commonpb.Payload{encoded}) // another process
			require.NoError(t, err)
			require.True(t, proto.Equal(plain, decoded[0]))
		})
	}
}

func TestAClaimIsHonouredOnlyWhenItsBytesAreThere(t *testing.T) {
	store := artifact.NewMemory("bucket")
	_, claim := encode(t, &Codec{Store: store}, noise(60_000))
	objects, err := store.List(t.Context(), "payloads/")
	require.NoError(t, err)

	_, err = (&Codec{}).Decode([]*commonpb.Payload{claim})
	require.ErrorContains(t, err, "MAINSPRING_S3_ENDPOINT")

	_, err = store.Put(t.Context(), objects[0].Key, bytes.NewReader([]byte("damaged")), 7, artifact.PutOptions{})
	require.NoError(t, err)
	_, err = (&Codec{Store: store}).Decode([]*commonpb.Payload{claim})
	require.ErrorIs(t, err, artifact.ErrCorrupt)

	require.NoError(t, store.Delete(t.Context(), objects[0].Key))
	_, err = (&Codec{Store: store}).Decode([]*commonpb.Payload{claim})
	require.ErrorIs(t, err, artifact.ErrNotFound)
	require.ErrorContains(t, err, "deleted")
}

// flaky fails so many puts.
type flaky struct {
	artifact.Store
	failures, puts int
}

func (f *flaky) Put(ctx context.Context, key string, r io.Reader, size int64, o artifact.PutOptions) (artifact.Info, error) {
	if f.puts++; f.puts <= f.failures {
		return artifact.Info{}, &artifact.Error{Op: "put", URI: key, Class: artifact.ErrUnavailable}
	}
	return f.Store.Put(ctx, key, r, size, o)
}

func TestAStoreThatDoesNotAnswerIsTriedAgain(t *testing.T) {
	store := &flaky{Store: artifact.NewMemory("bucket"), failures: 1}
	c := &Codec{Store: store}
	encode(t, c, noise(60_000))
	encode(t, c, noise(60_000))
	require.Equal(t, 2, store.puts, "what was stored a moment ago is not sent again")

	store = &flaky{Store: artifact.NewMemory("bucket"), failures: 100}
	plain, err := converter.GetDefaultDataConverter().ToPayload(noise(60_000))
	require.NoError(t, err)
	_, err = (&Codec{Store: store}).Encode([]*commonpb.Payload{plain})
	require.ErrorIs(t, err, artifact.ErrUnavailable)
	require.Equal(t, attempts, store.puts)
}

func TestFailuresKeepTheirDetails(t *testing.T) {
	c := Converter(&Codec{Store: artifact.NewMemory("bucket")})
	failures := temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{DataConverter: c})
	for _, detail := range []string{"small", noise(60_000)} {
		failure := failures.ErrorToFailure(temporal.NewApplicationErrorWithOptions("the rank ended", "RankLost", temporal.ApplicationErrorOptions{Details: []any{detail}}))
		require.Equal(t, "the rank ended", failure.GetMessage())
		var application *temporal.ApplicationError
		require.True(t, errors.As(failures.FailureToError(failure), &application))
		var got string
		require.NoError(t, application.Details(&got))
		require.Equal(t, detail, got)
	}
}

func TestFromEnv(t *testing.T) {
	settings := map[string]string{}
	c, err := FromEnv(func(name string) string { return settings[name] })
	require.NoError(t, err)
	p, err := c.ToPayloads(noise(60_000))
	require.NoError(t, err, "without a store it stays in the history")
	require.Equal(t, converter.MetadataEncodingJSON, encoding(p.GetPayloads()[0]))

	settings["MAINSPRING_S3_ENDPOINT"] = "not an address"
	_, err = FromEnv(func(name string) string { return settings[name] })
	require.ErrorIs(t, err, artifact.ErrInvalid)
}
