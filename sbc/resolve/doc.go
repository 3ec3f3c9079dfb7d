// Package resolve finds the provider's servers ahead of time (RFC 3263), so
// that no name look-up ever stands in a call's way.
//
//	SetSource ─┐                        ┌─▶ Targets(), Deps.Changed
//	Kick ──────┼─▶ round ─▶ order ─▶ set┤
//	TTL ───────┘     │                  └─▶ Health(), Deps.Judged
//	            hosts, NAPTR ▶ SRV ▶ A/AAAA
//
//	           answers                       no answers, SERVFAIL
//	Unknown ────────────▶ Good ─────────────────────────────────▶ Bad
//	                        ▲     every 5 s to 30 s, set kept      │
//	                        └──────────────────────────────────────┘
//
// What was learned is kept for as long as nothing better is known: beyond its
// TTL while no name server answers (RFC 8767), and over a restart if there is a
// Saver. The order of targets stays while the answers hold the same targets, so
// that nothing moves to another server without need.
//
// It must never know what a target is used for: no call, no line, no mode; and
// nobody may wait for it but at start.
package resolve
