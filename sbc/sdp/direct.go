package sdp

import (
	"errors"
	"slices"
)

// ErrIndirect says that media cannot go past the box between two peers.
var ErrIndirect = errors.New("media cannot go directly")

// Direct makes our offer to this leg under which its media goes straight to the other
// leg's peer, as from describes it. The peers must be able to do without the box: plain
// RTP without candidates, both ways, and all that the other one has agreed to under the
// numbers that it has on this leg. Otherwise the error is ErrIndirect, and the leg as
// it was.
func (l *Local) Direct(from *Session) (*Session, error) {
	a := from.Audio()
	if a == nil || from.Fax() || l.SRTP == Required || l.ICE == ICEFull || l.NoFax || !a.bare() {
		return nil, ErrIndirect
	}
	formats := carried(allowed(a.Formats, l.Codecs, true))
	if len(formats) == 0 || len(formats) != len(a.Formats) || formats[0] != a.Formats[0] {
		return nil, ErrIndirect
	}
	was := slices.Clone(l.numbers)
	for _, f := range formats {
		if l.numbered(f).Number != f.Number {
			l.numbers = was
			return nil, ErrIndirect
		}
	}
	return l.offer(Media{
		Kind: "audio", Proto: a.Proto, Formats: formats, Direction: SendRecv, Ptime: a.Ptime, MaxPtime: a.MaxPtime,
		Addr: a.Addr, Port: a.Port, RTCP: a.RTCP, Mux: a.Mux,
	}), nil
}

// bare says whether a section is of RTP that goes both ways, with no keys and no
// candidates.
func (m *Media) bare() bool {
	return m.Proto == "RTP/AVP" && m.Port != 0 && m.Addr.IsValid() && !m.Addr.IsUnspecified() && m.Effective() == SendRecv &&
		len(m.Crypto) == 0 && len(m.Fingerprints) == 0 && m.ICE.Ufrag == "" && len(m.ICE.Candidates) == 0
}
