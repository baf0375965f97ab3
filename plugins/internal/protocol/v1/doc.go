// Package protocol contains the Go code of version 1 of the protocol between cram and its plugins.
// It is generated from plugins/protocol/v1/plugin.proto, whose comments document it. Go plugins use
// package plugins instead. Plugins in other languages use plugin.proto and docs/plugins.md.
//
// .ci/protocol regenerates the code with fixed versions of protoc and its Go plugins.
package protocol
