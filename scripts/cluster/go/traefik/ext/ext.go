// Package ext stands in for Traefik's nested module of the same name, which is missing from the published module.
package ext

// Router is empty in the open-source edition.
// +k8s:deepcopy-gen=true
type Router struct{}

// HTTP is empty in the open-source edition.
// +k8s:deepcopy-gen=true
type HTTP struct{}
