// Package settings reads the daemon's own few settings: where its data is, how
// it logs, where it listens. The site is none of its business (appliance/config).
//
// It opens no file and looks at no environment itself: both are handed in. It
// must never know what a setting is used for.
package settings
