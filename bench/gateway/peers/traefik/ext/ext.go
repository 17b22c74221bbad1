// Package ext stands in for the extension points of Traefik's dynamic
// configuration. They are a module of their own inside Traefik's repository,
// which a Go module proxy doesn't serve; in Traefik they have no fields either.
package ext

// HTTP extends nothing.
type HTTP struct{}

// Router extends nothing.
type Router struct{}

// RouterIng extends nothing.
type RouterIng struct{}

// ToRouter makes a Router of nothing.
func (RouterIng) ToRouter() Router { return Router{} }
