//go:build cgo

package serving

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkInfer is one single-row request over HTTP on one connection per
// worker: the client shares the cores with the server.
func BenchmarkInfer(b *testing.B) {
	model := load(b, openRuntime(b), "flights")
	server, err := NewServer(Config{Name: "flights", Version: "1", Inputs: model.Inputs, Outputs: model.Outputs}, model)
	if err != nil {
		b.Fatal(err)
	}
	if err := server.WarmUp(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			recorder := httptest.NewRecorder()
			server.ServeHTTP(recorder, httptest.NewRequest("POST", "/v2/models/flights/infer", strings.NewReader(request("[700]"))))
			if recorder.Code != 200 {
				b.Fatal(recorder.Body)
			}
		}
	})
	b.Run("http", func(b *testing.B) {
		listening := httptest.NewServer(server)
		defer listening.Close()
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				response, err := client.Post(listening.URL+"/v2/models/flights/infer", "application/json", strings.NewReader(request("[700]")))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != 200 {
					b.Error(response.Status)
				}
			}
		})
	})
}
