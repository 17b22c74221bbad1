package oip

import (
	"encoding/json"
	"net/http"
)

// WriteHealth sends both of the keys that clients look for (the specification
// says "live", KServe sends "ready"). Others judge by the status alone: the
// specification wants 200 for yes and 4xx for no.
func WriteHealth(w http.ResponseWriter, ok bool) {
	status := http.StatusOK
	if !ok {
		status = http.StatusBadRequest
	}
	WriteJSON(w, status, struct {
		Live  bool `json:"live"`
		Ready bool `json:"ready"`
	}{ok, ok})
}

// WriteJSON answers with a value as JSON.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		WriteError(w, http.StatusInternalServerError, err.Error())
		return
	}
	write(w, status, text)
}

// WriteError answers with the protocol's error body.
func WriteError(w http.ResponseWriter, status int, message string) {
	write(w, status, AppendError(nil, message))
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away has nobody to tell
}
