// Package api is the one HTTP API of the appliance: the admin command line,
// the web interface and the management tunnel all speak it.
//
//	linekeeper status ──▶ unix socket ──┐
//	web interface ──────▶ Handler ──────┼──▶ Backend (snapshots, the site store)
//	tunnel ─────────────▶ Handler ──────┘
//
// It serves /api/v1/… and its own description at /api/openapi.json. Whatever
// goes wrong is told as a problem document (RFC 9457). A request waits for
// nobody on the call path: the backend answers from snapshots, followers of
// events read from a ring at their own pace, and every read and write has a
// deadline.
//
// The package sees the rest of the appliance only through Backend. It must
// never know how a status comes about or what a site document means.
package api
