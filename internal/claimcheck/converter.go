package claimcheck

import (
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/mainspring-ml/mainspring/internal/stores"
)

// Converter is Temporal's own data converter with the codec around it. The
// codec waits for a store, which the SDK's deadlock detector must not take for
// a workflow that hangs.
func Converter(codec *Codec) converter.DataConverter {
	return workflow.DataConverterWithoutDeadlockDetection(
		converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec))
}

// FromEnv is the converter of a process that reads its settings with getenv.
// Without any for S3 it leaves large payloads in the history, and says of a
// claim what is missing.
func FromEnv(getenv func(string) string) (converter.DataConverter, error) {
	if getenv("MAINSPRING_S3_ENDPOINT") == "" && getenv("AWS_ACCESS_KEY_ID") == "" {
		return Converter(&Codec{}), nil
	}
	store, err := stores.Open(getenv)
	if err != nil {
		return nil, err
	}
	return Converter(&Codec{Store: store}), nil
}
