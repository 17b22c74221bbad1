package gateway

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
	"github.com/mainspring-ml/mainspring/models"
)

// logShare is the probability with which a request is logged.
func logShare(spec models.LogSpec) float64 {
	if spec.Sample <= 0 || spec.Sample >= 100 {
		return 1 // a route that was written by hand need not say it
	}
	return spec.Sample / 100
}

// wants decides by the request's ID alone, so that a shadow's row is kept where
// the champion's is, and on every gateway. It has nothing to do with the draw of
// the arm: the sample is as fair as the log. What is left out is counted.
func (l *inferenceLog) wants(id string, spec models.LogSpec) bool {
	share := logShare(spec)
	if share == 1 {
		return true
	}
	var text [96]byte
	b := append(append(text[:0], "log/"...), id...)
	if float64(xxhash.Sum64(b)>>11)/(1<<53) < share {
		return true
	}
	l.unsampled.Add(1)
	return false
}

// Values that take more than this are not logged: the request would wait while
// they are written, and the rows of a few pictures would fill the memory.
// Binary values take more room as text, and more time to become it.
const (
	maxLoggedValues = 1 << 20
	binaryAsText    = 16 // so that 64 KiB of them are logged
)

// values are a request's or an answer's as the log has them. It counts those
// that are too large.
func (in *inference) values(tensors []oip.RawTensor, status int) string {
	kept, masked, large := maskTensors(tensors, in.route.Traffic.Log.Sensitive)
	in.endpoint.log.large.Add(int64(large))
	return tensorsJSON(kept, masked, status)
}

// tensorsJSON writes the kept tensors with their values and the masked ones
// with null. The values of an answered request were read by the model server;
// those of a refused one may be anything, and are left out unless they are JSON.
func tensorsJSON(kept []oip.RawTensor, masked []string, status int) string {
	room := 2 + len(masked)*8
	for _, t := range kept {
		room += len(t.Name) + len(t.Data) + 4 // quotes, colon and comma
	}
	text, err := oip.AppendTensors(make([]byte, 0, room), kept)
	if err != nil || (status != http.StatusOK && !json.Valid(text)) {
		return "{}"
	}
	for _, name := range masked {
		text = text[:len(text)-1] // the closing brace
		if len(text) > 1 {
			text = append(text, ',')
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return "{}"
		}
		text = append(append(text, quoted...), ":null}"...)
	}
	return string(text)
}

// maskTensors takes out the tensors that are sensitive or too large, and
// returns their names and how many are too large.
func maskTensors(tensors []oip.RawTensor, sensitive []string) (kept []oip.RawTensor, masked []string, large int) {
	room := maxLoggedValues
	hidden := func(t oip.RawTensor) bool { return slices.Contains(sensitive, t.Name) }
	fits := func(t oip.RawTensor) bool {
		size := len(t.Data) + binaryAsText*len(t.Binary)
		if size > room {
			return false
		}
		room -= size
		return true
	}
	if !slices.ContainsFunc(tensors, func(t oip.RawTensor) bool { return hidden(t) || !fits(t) }) {
		return tensors, nil, 0
	}
	room = maxLoggedValues
	for _, t := range tensors {
		switch secret := hidden(t); {
		case !secret && fits(t):
			kept = append(kept, t)
			continue
		case !secret:
			large++
		}
		if !slices.Contains(masked, t.Name) {
			masked = append(masked, t.Name)
		}
	}
	return kept, masked, large
}
