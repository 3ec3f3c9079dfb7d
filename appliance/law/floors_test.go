package law

import (
	"fmt"
	"strings"
)

// storey is one floor of the house: its packages import lower floors only,
// never each other.
type storey struct {
	pure     bool // no clock, lock, socket, disk or goroutine
	packages string
}

// storeys, the ground first. "x/..." means x and all below it.
var storeys = []storey{
	{true, "sbc/sip sbc/sdp sbc/rtp sbc/sound sbc/number netcfg/plan firmware/bundle"},
	{true, "sbc/provider sbc/policy sbc/media/announce"},
	{true, "sbc/txn sbc/line sbc/event survivability/mode survivability/feature survivability/group netcfg/wan netcfg/dhcp firmware/slot"},
	{true, "sbc/dialog"},
	{true, "sbc/call"},
	{false, "appliance/loop appliance/store appliance/records appliance/events appliance/metrics appliance/watch sbc/location sbc/wire sbc/wire/cert sbc/resolve sbc/media netcfg/kernel netcfg/lldp firmware/board"},
	{false, "sbc/exchange"},
	{false, "sbc survivability netcfg firmware appliance/health appliance/audit appliance/diag appliance/provision appliance/tunnel appliance/fleet ui"},
	{false, "appliance/config"},
	{false, "appliance/api appliance/config/settings"},
	{false, "appliance"},
	{false, "cmd/..."},
}

// beside are the packages that stand next to the house: tests, demo and
// benchmarks. They may import what they measure; only tests, commands and
// each other may import them.
const beside = "appliance/demo appliance/lab/... appliance/law appliance/e2e/... appliance/bench/..."

// floorOf says how high a package stands. A twin ("wiretest" beside "wire")
// stands with its original, but a step higher, since it may import it.
func floorOf(path string) (height int, twin, ok bool) {
	for i, s := range storeys {
		if listed(s.packages, path) {
			return i, false, true
		}
	}
	if original, isTwin := strings.CutSuffix(path, "test"); isTwin {
		for i, s := range storeys {
			if listed(s.packages, original) || listed(s.packages, lastTwice(original)) {
				return i, true, true
			}
		}
	}
	return 0, false, false
}

// lastTwice turns "sbc/wire/wire" into "sbc/wire": a twin lives inside the
// folder of its original.
func lastTwice(path string) string {
	parts := strings.Split(path, "/")
	if n := len(parts); n > 1 && parts[n-1] == parts[n-2] {
		return strings.Join(parts[:n-1], "/")
	}
	return path
}

func listed(list, path string) bool {
	for entry := range strings.FieldsSeq(list) {
		if entry == path {
			return true
		}
		if whole, ok := strings.CutSuffix(entry, "/..."); ok && (path == whole || strings.HasPrefix(path, whole+"/")) {
			return true
		}
	}
	return false
}

// ignored is what is not part of the house.
func ignored(path string) bool { return path == "cmd/deps" }

func floorsHold(h *house) (found []string) {
	for _, p := range h.packages {
		if ignored(p.path) || listed(beside, p.path) {
			continue
		}
		if _, _, ok := floorOf(p.path); !ok {
			found = append(found, fmt.Sprintf("%s: stands on no floor: give it one in appliance/law", p.path))
			continue
		}
		for _, f := range p.files {
			for _, imported := range f.imports() {
				target, ours := strings.CutPrefix(imported, module+"/")
				if why := forbidden(p.path, target, f.test); ours && why != "" {
					found = append(found, fmt.Sprintf("%s: imports %s: %s", f.path, target, why))
				}
			}
		}
	}
	return found
}

// forbidden says why a file of package from may not import package to, or "".
func forbidden(from, to string, test bool) string {
	if from == to {
		return ""
	}
	mine, iAmTwin, _ := floorOf(from)
	command := strings.HasPrefix(from, "cmd/")
	if listed(beside, to) {
		if test || command {
			return ""
		}
		return "it stands beside the house, for tests, demo and benchmarks"
	}
	its, twin, ok := floorOf(to)
	switch {
	case !ok:
		return "it stands on no floor"
	case test && its < len(storeys)-2:
		return "" // a test may look at anything below the roof
	case twin && !iAmTwin:
		return "a twin is for tests"
	case its < mine, its == mine && iAmTwin:
		return ""
	case its == mine:
		return "it stands on the same floor"
	default:
		return "it stands higher"
	}
}
