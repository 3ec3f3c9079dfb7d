// Package watch tells the service manager how the daemon is: READY, STATUS,
// STOPPING and the WATCHDOG ping (sd_notify(3)).
//
//	probe answers ──▶ WATCHDOG=1
//	probe fails ────▶ no ping; after WatchdogSec the service manager restarts us
//
// The ping follows a probe of the call engine and nothing else: a ticker that
// pings by itself would keep a hung box hanging. The package must never know
// what the probe asks.
package watch
