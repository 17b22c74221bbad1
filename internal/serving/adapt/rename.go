package adapt

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"github.com/mainspring-ml/mainspring/internal/serving/oip"
)

// renaming passes requests on under the upstream's name of the model. Bodies go
// through untouched, but for the model's metadata: an answer to infer names the
// model as the upstream does.
type renaming struct {
	config Config
	proxy  *httputil.ReverseProxy
}

func newRenaming(config Config) http.Handler {
	r := &renaming{config: config}
	r.proxy = &httputil.ReverseProxy{
		Transport: transport(),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(config.Upstream)
			p.Out.Host = p.In.Host
			if rest, ok := r.rest(p.In.URL.EscapedPath()); ok {
				path := "/v2/models/" + url.PathEscape(config.UpstreamModel) + rest
				p.Out.URL.RawPath = strings.TrimSuffix(config.Upstream.EscapedPath(), "/") + path
				p.Out.URL.Path, _ = url.PathUnescape(p.Out.URL.RawPath) // just escaped
			}
		},
		ModifyResponse: r.answer,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			oip.WriteError(w, unanswered(err), "the model server does not answer: "+err.Error())
		},
	}
	return r
}

// ServeHTTP implements http.Handler.
func (r *renaming) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path := req.URL.EscapedPath()
	if _, ours := r.rest(path); strings.HasPrefix(path, "/v2/models/") && !ours {
		oip.WriteError(w, http.StatusNotFound, fmt.Sprintf("this server has model %q version %q only", r.config.Name, r.config.Version))
		return
	}
	r.proxy.ServeHTTP(w, req)
}

// rest is what follows the model and its version in a path. The version is this
// engine's and means nothing upstream.
func (r *renaming) rest(path string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, "/v2/models/"+url.PathEscape(r.config.Name))
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	version, of := strings.CutPrefix(rest, "/versions/")
	if !of {
		return rest, true
	}
	name, after, more := strings.Cut(version, "/")
	if name != url.PathEscape(r.config.Version) {
		return "", false
	}
	if more {
		after = "/" + after
	}
	return after, true
}

// answer gives the model's metadata the name and the version by which callers
// know it.
func (r *renaming) answer(response *http.Response) error {
	metadata := "/v2/models/" + url.PathEscape(r.config.UpstreamModel)
	if response.StatusCode != http.StatusOK || response.Request.Method != http.MethodGet ||
		!strings.HasSuffix(response.Request.URL.EscapedPath(), metadata) {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, r.config.MaxBodyBytes))
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	var members map[string]any
	if json.Unmarshal(text, &members) == nil {
		members["name"], members["versions"] = r.config.Name, []string{r.config.Version}
		if text, err = json.Marshal(members); err != nil {
			return err
		}
	}
	response.Body = io.NopCloser(strings.NewReader(string(text)))
	response.ContentLength = int64(len(text))
	response.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}
