// Package sbc is the switchboard: it admits what arrives, finds the owner of
// each message, runs every call's machine with its own goroutine, keeps the
// registrar for the site's phones and the lines toward the cloud. It asks a
// call.Router where calls shall go and never knows whether that is the online
// or the survival brain.
//
// What one side may learn of the other is written in border.go, by the rules of
// policy; chain.go knows a call that comes back in a circle, gruu.go the devices,
// flows and proxies of phones.
//
//	wire ─▶ exchange ─▶ Switch ─┬─▶ registrar ─▶ location
//	                            ├─▶ owner of a call (call.Machine) ─▶ media
//	                            ├─▶ notices (event.Notifier): what phones watch
//	                            └─▶ lines (line.Machine, event.Subscriber)
package sbc
