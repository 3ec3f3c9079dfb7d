package main

import "runtime/debug"

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version string

// versionText names this build: the release if the build says one, else what
// Go recorded about the checkout.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text, dirty := info.Main.Version, ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && (text == "" || text == "(devel)"):
			text = "devel-" + s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if text == "" || text == "(devel)" {
		text = "devel"
	}
	return text + dirty
}
