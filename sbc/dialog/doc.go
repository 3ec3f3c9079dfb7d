// Package dialog keeps the shared state of two user agents that talk (RFC 3261
// 12): tags, sequence numbers, remote target and route set, and makes the
// requests that belong to it. It is pure: tags and identifiers come in, it must
// never know a socket, a clock or which call it serves.
//
//	         18x with tag            2xx
//	Calling ────────────▶ Early ───────────▶ Confirmed ──▶ Over
//	   └────────────────────── 2xx ─────────────▲
package dialog
