// Package sip is the grammar of SIP as the box speaks it: messages, strict
// validation of what arrives, digest authentication, and the names of flows.
// It is pure: it must never know a socket, a clock or a lock.
package sip
