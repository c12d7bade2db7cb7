// Package ext holds the extension points of Traefik's dynamic configuration,
// which a plain build leaves empty.
package ext

// HTTP extends the HTTP part of the dynamic configuration by nothing.
type HTTP struct{}

// Router extends a router by nothing.
type Router struct{}
