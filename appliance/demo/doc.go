// Package demo plays a day at a small site with nothing to install: the whole
// daemon on loopback addresses, an embedded cloud PBX, simulated phones, calls
// in both brains, the line gone and back. Every step is checked and timed. It
// must never know more of the daemon than an administrator does: it reads the
// API, the phones' ears and the cloud's counts.
package demo
