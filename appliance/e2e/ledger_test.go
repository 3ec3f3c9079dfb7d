package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// holding is what the daemon has at one moment, as seen from outside.
type holding struct {
	Goroutines, Files            float64
	Resident, Heap               float64 // octets; Heap is what the last collection found alive
	Calls, Transactions, Streams float64
	Contacts, Connections        float64
	Subscriptions                float64
	Ports                        float64 // UDP sockets of media
}

const mebi = 1 << 20

// bound is how much of something may be left over after a rest, and why any.
type bound struct {
	what  string
	of    func(holding) float64
	slack float64
	unit  float64
	why   string
}

// bounds of a soak. What belongs to a call or a phone must be gone to the last
// one; what the runtime and the disk keep may differ a little.
func bounds() []bound {
	return []bound{
		{"calls", func(h holding) float64 { return h.Calls }, 0, 1, "every call has ended"},
		{"streams", func(h holding) float64 { return h.Streams }, 0, 1, "they close with their call"},
		{"ports", func(h holding) float64 { return h.Ports }, 0, 1, "a stream's sockets close with it"},
		{"contacts", func(h holding) float64 { return h.Contacts }, 0, 1, "the same phones are registered as before"},
		{"subscr", func(h holding) float64 { return h.Subscriptions }, 0, 1, "every watcher has left, or its time has run out"},
		{"conns", func(h holding) float64 { return h.Connections }, 0, 1, "every TCP peer has gone"},
		{"transact", func(h holding) float64 { return h.Transactions }, 4, 1, "probes and refreshes of the lines live 32 s each (RFC 3261 timer J)"},
		{"gorout", func(h holding) float64 { return h.Goroutines }, 6, 1, "the scrape's own connection, a look-up, a snapshot"},
		{"files", func(h holding) float64 { return h.Files }, 6, 1, "the scrape's own connection, a look-up, a snapshot"},
		{"heap MiB", func(h holding) float64 { return h.Heap }, 4 * mebi, mebi, "maps keep their room; 16000 calls that left 256 octets each would show"},
		{"RSS MiB", func(h holding) float64 { return h.Resident }, 48 * mebi, mebi, "the runtime gives memory back slowly, and the file of call records is mapped"},
	}
}

// leaks compares what is held after a rest with what was before the traffic.
func leaks(before, after holding) []string {
	var found []string
	for _, b := range bounds() {
		if was, is := b.of(before), b.of(after); is > was+b.slack {
			found = append(found, fmt.Sprintf("%s: %.1f, was %.1f; %.1f more are allowed (%s)", b.what, is/b.unit, was/b.unit, b.slack/b.unit, b.why))
		}
	}
	return found
}

// TestLedgerFindsWhatWasLeftBehind proves that the soak can fail, figure by figure.
func TestLedgerFindsWhatWasLeftBehind(t *testing.T) {
	before := holding{Goroutines: 60, Files: 40, Resident: 50 * mebi, Heap: 12 * mebi, Contacts: 32, Transactions: 2}
	after := before
	after.Goroutines, after.Transactions, after.Heap = 63, 5, 14*mebi
	if found := leaks(before, after); found != nil {
		t.Errorf("nothing leaked, but: %v", found)
	}
	for what, leave := range map[string]func(*holding){
		"calls":    func(h *holding) { h.Calls++ },
		"streams":  func(h *holding) { h.Streams++ },
		"ports":    func(h *holding) { h.Ports++ },
		"contacts": func(h *holding) { h.Contacts++ },
		"subscr":   func(h *holding) { h.Subscriptions++ },
		"conns":    func(h *holding) { h.Connections++ },
		"transact": func(h *holding) { h.Transactions += 5 },
		"gorout":   func(h *holding) { h.Goroutines += 7 },
		"files":    func(h *holding) { h.Files += 7 },
		"heap":     func(h *holding) { h.Heap += 5 * mebi },
		"RSS":      func(h *holding) { h.Resident += 49 * mebi },
	} {
		after := before
		leave(&after)
		if found := leaks(before, after); len(found) != 1 || !strings.HasPrefix(found[0], what) {
			t.Errorf("%s left over: found %q", what, found)
		}
	}
}
