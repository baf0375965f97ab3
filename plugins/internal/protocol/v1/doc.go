// Package protocol is version 1 of the protocol between cram and its plugins: messages and services generated from
// plugin.proto, whose comments are the documentation. A Go plugin needs none of it, package plugins speaks it for one;
// a plugin in another language is written from plugin.proto and docs/plugins.md.
//
// The file is released and grows only as its first comment says. Protoc and its two Go plugins write the .pb.go files;
// .ci/protocol fetches them, in fixed versions, and regenerates.
package protocol
