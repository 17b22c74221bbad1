package activities_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mainspring-ml/mainspring/activities"
	"github.com/mainspring-ml/mainspring/models"
)

func notice() models.Notice {
	return models.Notice{ID: "monitor/e/alarm/3/2013-08-03", Kind: models.NoticeAlarm, Endpoint: "e", Model: "m", Version: "3",
		At: time.Date(2013, 8, 3, 0, 0, 0, 0, time.UTC), Title: "e: the loss rose", Text: "0.61 & <rising>, promised 0.5"}
}

// receiver notes what is posted to it.
type receiver struct {
	*httptest.Server
	posts  []*http.Request
	bodies []string
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, post *http.Request) {
		body, _ := io.ReadAll(post.Body)
		r.posts, r.bodies = append(r.posts, post), append(r.bodies, string(body))
		if answer != nil {
			answer(w, post)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// notifier has the address in its environment as HOOK.
func notifier(address string) *activities.Retrainings {
	return &activities.Retrainings{
		WorkflowPage: func(id, _ string) string { return "http://ui/workflows/" + id },
		Getenv:       func(name string) string { return map[string]string{"HOOK": address}[name] },
	}
}

func TestSendNotice(t *testing.T) {
	to := newReceiver(t, nil)
	file := filepath.Join(t.TempDir(), "hook")
	if err := os.WriteFile(file, []byte(to.URL+"/hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := notifier(to.URL + "/hush")
	for _, url := range []string{to.URL + "/hush", "env:HOOK", "file:" + file} {
		if err := r.SendNotice(t.Context(), models.NotifyRequest{To: models.NotifySpec{URL: url, Format: models.NotifyJSON}, Notice: notice()}); err != nil {
			t.Fatal(err)
		}
	}
	if len(to.posts) != 3 {
		t.Fatalf("%d posts", len(to.posts))
	}
	for i, post := range to.posts {
		if post.Method != http.MethodPost || post.URL.Path != "/hush" || post.Header.Get("Content-Type") != "application/json" ||
			post.Header.Get("Idempotency-Key") != notice().ID {
			t.Errorf("%s %s, %v", post.Method, post.URL, post.Header)
		}
		want := notice()
		want.Link = "http://ui/workflows/monitor/e"
		var got models.Notice
		if err := json.Unmarshal([]byte(to.bodies[i]), &got); err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestSlackNotice(t *testing.T) {
	to := newReceiver(t, nil)
	long := notice()
	long.Title, long.Text = strings.Repeat("ü", 200), strings.Repeat("&", 4000)
	empty := notice()
	empty.Text, empty.At = "", time.Time{}
	for _, n := range []models.Notice{notice(), long, empty} {
		if err := notifier("").SendNotice(t.Context(), models.NotifyRequest{To: models.NotifySpec{URL: to.URL, Format: models.NotifySlack}, Notice: n}); err != nil {
			t.Fatal(err)
		}
	}
	const want = `{"text":"e: the loss rose","blocks":[{"type":"header","text":{"type":"plain_text","text":"e: the loss rose"}},` +
		`{"type":"section","text":{"type":"mrkdwn","text":"0.61 \u0026amp; \u0026lt;rising\u0026gt;, promised 0.5"}},` +
		`{"type":"context","elements":[{"type":"mrkdwn","text":"endpoint e · m version 3 · data of 2013-08-03 00:00:00 UTC · \u003chttp://ui/workflows/monitor/e|monitor\u003e"}]}]}`
	if to.bodies[0] != want {
		t.Errorf("posted\n%s\nwant\n%s", to.bodies[0], want)
	}
	var post struct {
		Blocks []struct {
			Type string
			Text struct{ Text string }
		}
	}
	if err := json.Unmarshal([]byte(to.bodies[1]), &post); err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(post.Blocks[0].Text.Text)); n != 150 {
		t.Errorf("a header of %d characters", n)
	}
	if text := post.Blocks[1].Text.Text; len([]rune(text)) > 3000 || !strings.HasSuffix(text, "&amp;…") {
		t.Errorf("a section of %d characters that ends with %q", len([]rune(text)), text[len(text)-10:])
	}
	if strings.Contains(to.bodies[2], "section") || strings.Contains(to.bodies[2], "data of") {
		t.Errorf("nothing to say: %s", to.bodies[2])
	}
}

// No failure tells the address, and what may pass is tried again.
func TestNoticesThatFail(t *testing.T) {
	answers := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, post *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, strings.ReplaceAll(body, "PATH", post.URL.Path))
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	elsewhere := newReceiver(t, nil)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		url    string // instead of the receiver's
		kind   models.ErrorKind
		says   string
	}{
		"refused":           {answers(404, "no_service"), "", models.KindInvalidSpec, "404 Not Found: no_service"},
		"bad request":       {answers(400, "PATH is wrong"), "", models.KindInvalidSpec, "400 Bad Request"},
		"an answer of many": {answers(403, strings.Repeat("x", 5000)), "", models.KindInvalidSpec, "403 Forbidden"},
		"request timeout":   {answers(408, ""), "", models.KindUnavailable, "408"},
		"too many":          {answers(429, "rate_limited"), "", models.KindUnavailable, "429 Too Many Requests: rate_limited"},
		"broken":            {answers(500, "PATH"), "", models.KindUnavailable, "500"},
		"away":              {answers(503, ""), "", models.KindUnavailable, "503"},
		"redirected": {func(w http.ResponseWriter, post *http.Request) {
			http.Redirect(w, post, elsewhere.URL, http.StatusTemporaryRedirect)
		}, "", models.KindInvalidSpec, "307"},
		"nobody there":     {nil, gone.URL + "/hush", models.KindUnavailable, "connection refused"},
		"no such name":     {nil, "http://hush.invalid/hush", models.KindUnavailable, "can't be resolved"},
		"no address":       {nil, "hush", models.KindInvalidSpec, "is none"},
		"another scheme":   {nil, "ftp://hush/hush", models.KindInvalidSpec, "is none"},
		"not even one":     {nil, "http://hush:port/hush", models.KindInvalidSpec, "is none"},
		"a hang-up":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "", models.KindUnavailable, "can't be reached"},
		"not set anywhere": {nil, " ", models.KindInvalidSpec, "is none"},
	} {
		t.Run(name, func(t *testing.T) {
			to := newReceiver(t, test.answer)
			address := to.URL + "/hush"
			if test.url != "" {
				address = test.url
			}
			r := notifier(address)
			if strings.Contains(address, ".invalid") { // without asking anybody
				r.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "hush.invalid"}}
				}}}
			}
			err := r.SendNotice(t.Context(), models.NotifyRequest{To: models.NotifySpec{URL: "env:HOOK"}, Notice: notice()})
			wantFailure(t, err, test.kind, "monitor.notify", test.says)
			secrets := []string{"hush"}
			if test.url == "" {
				secrets = append(secrets, strings.TrimPrefix(to.URL, "http://"))
			}
			for _, secret := range secrets {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q tells the address", err)
				}
			}
		})
	}
	if len(elsewhere.posts) > 0 {
		t.Error("it posts where nobody told it to")
	}
	request := models.NotifyRequest{To: models.NotifySpec{URL: "env:OTHER"}}
	wantFailure(t, notifier("").SendNotice(t.Context(), request), models.KindUnavailable, "OTHER is not set on this worker")
	request.To.URL = "file:/no/such/file"
	wantFailure(t, notifier("").SendNotice(t.Context(), request), models.KindUnavailable, "can't be read on this worker")
}

func TestANoticeIsNotWaitedForForEver(t *testing.T) {
	held := make(chan struct{})
	to := newReceiver(t, func(_ http.ResponseWriter, post *http.Request) {
		select {
		case <-held:
		case <-post.Context().Done():
		}
	})
	defer close(held)
	r := notifier("")
	r.HTTP = &http.Client{Timeout: 50 * time.Millisecond}
	err := r.SendNotice(t.Context(), models.NotifyRequest{To: models.NotifySpec{URL: to.URL}, Notice: notice()})
	wantFailure(t, err, models.KindUnavailable, "did not answer within 10s")
}
