package sbc

import (
	"net/netip"

	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
)

// Media is what the switchboard needs of the relay: Relay makes one of a
// media.Engine, tests bring their own.
type Media interface {
	// Open binds ports; with is a stream of the same call, nil for its first.
	Open(side media.Side, with Stream) (Stream, error)
	// Bridge relays between two streams, both ways.
	Bridge(a, b Stream)
}

// Stream is one leg's media; *media.Stream is one. Its methods don't block.
type Stream interface {
	Local() netip.AddrPort
	Set(sdp.Flow) error
	Stats() media.Stats
	Pulse() media.Pulse
	// Play lets the peer hear a source instead of the bridge; nil: the bridge again.
	Play(media.Source)
	// Press tells of a key that the peer has pressed by INFO, OnDigit of those that it
	// must be told of by INFO.
	Press(media.Digit)
	OnDigit(func(media.Digit))
	Close()
}

// Relay is the switchboard's media on a real engine.
func Relay(e *media.Engine) Media { return relay{e} }

type relay struct{ *media.Engine }

func (r relay) Open(side media.Side, with Stream) (Stream, error) {
	side.With, _ = with.(*media.Stream)
	st, err := r.Engine.Open(side)
	if err != nil {
		return nil, err // not a nil *media.Stream inside an interface
	}
	return st, nil
}

func (r relay) Bridge(a, b Stream) {
	x, ok := a.(*media.Stream)
	y, also := b.(*media.Stream)
	if ok && also {
		r.Engine.Bridge(x, y)
	}
}
