// Package auth stands in for Traefik's fork of go-http-auth, which a Go module
// proxy doesn't serve. The benchmark asks for no passwords; this one accepts
// none.
package auth

import "net/http"

// SecretProvider returns a user's secret.
type SecretProvider func(user, realm string) string

// BasicAuth refuses everybody.
type BasicAuth struct {
	Realm   string
	Secrets SecretProvider
}

// RequireAuth refuses a request.
func (*BasicAuth) RequireAuth(w http.ResponseWriter, _ *http.Request) { refuse(w) }

// CheckSecret accepts no password.
func CheckSecret(password, secret string) bool { return false }

// DigestAuth refuses everybody.
type DigestAuth struct{}

// NewDigestAuthenticator makes one.
func NewDigestAuthenticator(realm string, secrets SecretProvider) *DigestAuth { return &DigestAuth{} }

// CheckAuth knows nobody.
func (*DigestAuth) CheckAuth(*http.Request) (user string, information *string) { return "", nil }

// RequireAuth refuses a request.
func (*DigestAuth) RequireAuth(w http.ResponseWriter, _ *http.Request) { refuse(w) }

// RequireAuthStale refuses a request.
func (*DigestAuth) RequireAuthStale(w http.ResponseWriter, _ *http.Request) { refuse(w) }

// DigestAuthParams reads nothing.
func DigestAuthParams(string) map[string]string { return nil }

func refuse(w http.ResponseWriter) { http.Error(w, "built without passwords", http.StatusUnauthorized) }
