package wire

import (
	"time"

	"linekeeper/sbc/sip"
)

// Direction of a message, seen from the box.
type Direction uint8

// The directions.
const (
	In Direction = iota
	Out
)

// String is "in" or "out".
func (d Direction) String() string {
	if d == In {
		return "in"
	}
	return "out"
}

// Tap sees every message as it passes. raw is only lent for the call; a tap
// must copy what it keeps and must not block. What came over a stream is shown
// as it was understood, what came over UDP octet for octet.
type Tap func(d Direction, flow sip.Flow, raw []byte, at time.Time)

// Watch sets the tap; nil takes it away.
func (w *Wire) Watch(tap Tap) {
	if tap == nil {
		w.tap.Store(nil)
		return
	}
	w.tap.Store(&tap)
}

func (w *Wire) observe(d Direction, flow sip.Flow, raw []byte) {
	if tap := w.tap.Load(); tap != nil {
		(*tap)(d, flow, raw, time.Now())
	}
}
