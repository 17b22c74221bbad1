package stores_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mainspring-ml/mainspring/internal/artifact"
	"github.com/mainspring-ml/mainspring/internal/spec"
	"github.com/mainspring-ml/mainspring/internal/stores"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stores.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestProblemsComeAtOnceWithTheirLinesAndWithoutSecrets(t *testing.T) {
	path := write(t, `- prefix: s3://lake
  endpoint: https://u:hunter2@s3.example.org
  access_key: env:LAKE_KEY
  secret_key: hunter2
- prefix: s3://lake/raw/
  endpont: https://s3.example.org
  anonymous: true
  session_token: "hunter2"
`)
	_, err := stores.Load(path)
	var problems *spec.Error
	if !errors.As(err, &problems) {
		t.Fatalf("error %v; want problems", err)
	}
	want := "FILE:6:3: [1]: unknown field `endpont`; did you mean `endpoint`?"
	if got := strings.ReplaceAll(err.Error(), path, "FILE"); got != want {
		t.Errorf("problems:\n%s\nwant\n%s", got, want)
	}
	path = write(t, `- prefix: s3://lake
  endpoint: https://u:hunter2@s3.example.org
  access_key: env:LAKE_KEY
  secret_key: hunter2
- prefix: s3://lake/raw/
  endpoint: https://s3.example.org
  anonymous: true
  session_token: "hunter2"
- {prefix: s3://bkt/, endpoint: "http://h", access_key: env:A}
- {prefix: s3://bkt/, endpoint: "http://h"}
- {prefix: "s3://bkt/a//c/"}
- {region: x}
`)
	want = "FILE:1:3: [0].prefix: must end with a slash (without one, s3://lake would cover s3://lakehouse as well)\n" +
		"FILE:2:3: [0].endpoint: is not a plain http or https address (write it like https://s3.example.org, without path and credentials)\n" +
		"FILE:4:3: [0].secret_key: must be a reference: this file is no place for secrets (write env:NAME or file:/absolute/path)\n" +
		"FILE:7:3: [1].anonymous: is true, and there are keys (remove one or the other)\n" +
		"FILE:8:3: [1].session_token: must be a reference: this file is no place for secrets (write env:NAME or file:/absolute/path)\n" +
		"FILE:9:3: [2].secret_key: is missing; keys come in pairs (write env:NAME or file:/absolute/path)\n" +
		"FILE:10:4: [3].prefix: is that of profile 3 as well (keep one of them)\n" +
		"FILE:10:4: [3].prefix: has neither access_key and secret_key nor anonymous: true (only AWS has other ways to know who asks)\n" +
		"FILE:11:4: [4].prefix: is no s3:// prefix (write s3://bucket/ or s3://bucket/prefix/)\n" +
		"FILE:12:3: [5].prefix: is missing (write s3://bucket/ or s3://bucket/prefix/)"
	_, err = stores.Load(path)
	if err == nil {
		t.Fatal("the file was accepted")
	}
	if got := strings.ReplaceAll(err.Error(), path, "FILE"); got != want {
		t.Errorf("problems:\n%s\nwant\n%s", got, want)
	}
}

// No mistake makes an error repeat a secret.
func TestSecretsAreNeverRepeated(t *testing.T) {
	for name, text := range map[string]string{
		"literal":      "- {prefix: s3://bkt/, access_key: hunter2, secret_key: hunter2}",
		"number":       "- {prefix: s3://bkt/, access_key: env:A, secret_key: 42424242}",
		"list":         "- {prefix: s3://bkt/, access_key: env:A, secret_key: [hunter2]}",
		"block":        "- prefix: s3://bkt/\n  access_key: env:A\n  secret_key: |\n    hunter2\n",
		"no colon":     "- prefix: s3://bkt/\n- secret_key hunter2\n",
		"quote":        "- prefix: s3://bkt/\n  secret_key: \"hunter2\n",
		"indentation":  "- prefix: s3://bkt/\n  access_key: env:A\n   secret_key: hunter2\n",
		"anchor":       "- prefix: s3://bkt/\n  access_key: &k hunter2\n  secret_key: *k\n",
		"tag":          "- prefix: s3://bkt/\n  access_key: !!binary hunter2\n",
		"map":          "prefix: s3://bkt/\nsecret_key: hunter2\n",
		"scalar":       "hunter2",
		"second":       "- prefix: s3://bkt/\n---\n- secret_key: hunter2\n",
		"reference":    "- {prefix: s3://bkt/, access_key: \"env:A hunter2\", secret_key: \"file:hunter2\"}",
		"prefix":       "- {prefix: \"s3://u:hunter2@bkt/\", endpoint: \"http://h\", anonymous: true}",
		"endpoint":     "- {prefix: s3://bkt/, endpoint: \"http://h/?secret=hunter2\", anonymous: true}",
		"bool":         "- {prefix: s3://bkt/, anonymous: hunter2}",
		"unknown name": "- {prefix: s3://bkt/, key: hunter2}",
	} {
		_, err := stores.Load(write(t, text))
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "42424242") {
			t.Errorf("%s: error %v; want one without the secret", name, err)
		}
	}
}

func TestGoodProfiles(t *testing.T) {
	path := write(t, `# where the lake is
- prefix: s3://lake/raw/
  endpoint: https://storage.example.org
  region: auto
  access_key: env:LAKE_KEY
  secret_key: file:/run/secrets/lake
  path_style: true
- prefix: s3://lake/
`)
	got, err := stores.Load(path)
	if err != nil || len(got) != 2 || got[0].Prefix != "s3://lake/" || got[1].Region != "auto" || got[1].PathStyle == nil || !*got[1].PathStyle {
		t.Fatalf("profiles %+v, %v", got, err)
	}
}

// cloud is a server that knows nothing but who asks.
func cloud(t *testing.T, saw chan<- string) string {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		saw <- r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte("<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>")) // the test fails anyway
	}))
	t.Cleanup(web.Close)
	return web.URL
}

func TestEveryStoreHasItsOwnKeysAndErrorsNameTheProfile(t *testing.T) {
	saw := make(chan string, 1)
	at := cloud(t, saw)
	secret := write(t, "s3cr3t\n")
	path := write(t, "- {prefix: s3://lake/, endpoint: \""+at+"\", access_key: env:LAKE_KEY, secret_key: \"file:"+secret+"\"}\n"+
		"- {prefix: s3://open/, endpoint: \""+at+"\", anonymous: true}\n")
	env := map[string]string{"MAINSPRING_S3_ENDPOINT": at, "AWS_ACCESS_KEY_ID": "HOME", "AWS_SECRET_ACCESS_KEY": "homes3cr3t", stores.Variable: path, "LAKE_KEY": "LAKE"}
	store, err := stores.Open(environment(env))
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]string{"s3://mainspring/x": "HOME/", "s3://lake/x": "LAKE/", "s3://open/x": ""} {
		_, _, err := artifact.OpenURI(t.Context(), store, uri)
		if !errors.Is(err, artifact.ErrDenied) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: error %v", uri, err)
		}
		signed := <-saw
		if !strings.Contains(signed, want) || (want == "") != (signed == "") {
			t.Errorf("%s was signed %q; want the key %q", uri, signed, want)
		}
		profile := store.Profile(uri)
		if profile != "" && !strings.Contains(err.Error(), "by the profile "+profile) {
			t.Errorf("error %v does not name the profile", err)
		}
		if hint := "the profile's access_key and its secret_key"; strings.Contains(err.Error(), hint) != (profile != "") {
			t.Errorf("error %v has the wrong hint", err)
		}
	}
}

func TestKeysAreReadWhenTheyAreNeeded(t *testing.T) {
	path := write(t, "- {prefix: s3://lake/, endpoint: \"http://127.0.0.1:1\", access_key: env:LAKE_KEY, secret_key: \"file:/none/there\"}\n")
	env := map[string]string{"MAINSPRING_S3_ENDPOINT": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", stores.Variable: path}
	store, err := stores.Open(environment(env))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the variable LAKE_KEY is not set", "the file /none/there can't be read"} {
		_, err = artifact.ListURI(t.Context(), store, "s3://lake/x")
		if !errors.Is(err, artifact.ErrDenied) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "s3://lake/") {
			t.Errorf("error %v; want %q", err, want)
		}
		env["LAKE_KEY"] = "k"
	}
}

func TestAMissingFileIsSaid(t *testing.T) {
	env := map[string]string{"MAINSPRING_S3_ENDPOINT": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", stores.Variable: "/none/stores.yaml"}
	if _, err := stores.Open(environment(env)); err == nil || !strings.Contains(err.Error(), "/none/stores.yaml: there is no such file") {
		t.Errorf("error %v", err)
	}
}
