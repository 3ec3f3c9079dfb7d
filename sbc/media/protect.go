package media

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"

	"linekeeper/sbc/rtp"
)

// protectRTP encrypts the packet in place and returns it with its tag; b needs
// maxOverhead bytes of room behind it. header is where the payload begins. It
// is nil for a sequence number that was used before: two packets under one
// counter would give away both.
func (p *protection) protectRTP(b []byte, header int) []byte {
	ssrc, seq := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint16(b[2:])
	s := p.source(ssrc)
	if s == nil {
		s = p.admit(ssrc)
	}
	index := s.guess(seq)
	if s.seen(index) {
		return nil
	}
	s.accept(index)
	t := &p.rtp
	if t.aead != nil {
		out := t.aead.Seal(b[header:header], t.gcmIV(ssrc, index), b[header:], b[:header])
		return append(b[:header+len(out)], p.key.MKI...)
	}
	t.counterIV(ssrc, index)
	t.counter(b[header:])
	tag := t.authTag(b, true, uint32(index>>16))
	return append(append(b, p.key.MKI...), tag...)
}

// unprotectRTP authenticates and decrypts the packet in place and returns it
// without its tag. State changes only for an authentic packet.
func (p *protection) unprotectRTP(b []byte, header int) ([]byte, error) {
	if len(b) < header+p.rtp.tag+len(p.key.MKI) {
		return nil, errShort
	}
	s := p.source(binary.BigEndian.Uint32(b[8:]))
	index := s.guess(binary.BigEndian.Uint16(b[2:]))
	if s.seen(index) {
		return nil, errReplay
	}
	return p.openRTP(b, header, s, index)
}

// resumeRTP is the same for the first packet of a source that counts on where it was
// under the key before, see succeed.
func (p *protection) resumeRTP(b []byte, header int) ([]byte, error) {
	if index, ok := p.carried(b); ok {
		return p.openRTP(b, header, nil, index)
	}
	return nil, errAuth
}

// openRTP opens a packet of an index; s is nil for a source without state.
func (p *protection) openRTP(b []byte, header int, s *sourceState, index uint64) ([]byte, error) {
	t, mki, ssrc := &p.rtp, len(p.key.MKI), binary.BigEndian.Uint32(b[8:])
	var out []byte
	if t.aead != nil {
		end := len(b) - mki
		if !bytes.Equal(b[end:], p.key.MKI) {
			return nil, errAuth
		}
		plain, err := t.aead.Open(b[header:header], t.gcmIV(ssrc, index), b[header:end], b[:header])
		if err != nil {
			return nil, errAuth
		}
		out = b[:header+len(plain)]
	} else {
		end := len(b) - t.tag - mki
		if !bytes.Equal(b[end:end+mki], p.key.MKI) ||
			subtle.ConstantTimeCompare(t.authTag(b[:end], true, uint32(index>>16)), b[end+mki:]) != 1 {
			return nil, errAuth
		}
		out = b[:end]
		t.counterIV(ssrc, index)
		t.counter(out[header:])
	}
	if s == nil {
		s = p.admit(ssrc)
	}
	s.accept(index)
	return out, nil
}

// succeed remembers how far the sources of the key before had come: the roll-over
// counter goes on under a new key (RFC 3711 3.3.1), though many begin at 0 again.
func (p *protection) succeed(old *protection) {
	if old == nil || old == p {
		return
	}
	p.before = old.before
	for _, s := range old.sources {
		if s.used == 0 || !s.started {
			continue
		}
		at := &p.before[0]
		for i := range p.before {
			if c := &p.before[i]; c.ssrc == s.ssrc {
				at = c
				break
			} else if c.index < at.index {
				at = c
			}
		}
		if at.ssrc == s.ssrc || s.index>>16 > 0 {
			*at = carry{s.ssrc, s.index}
		}
	}
	p.follows = false
	for _, c := range p.before {
		p.follows = p.follows || c.index>>16 > 0
	}
}

// carried is the index of a packet if its source, of which nothing is known under
// this key, goes on from where it was under the one before.
func (p *protection) carried(b []byte) (index uint64, ok bool) {
	if !p.follows || len(b) < rtp.HeaderLen {
		return 0, false
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	for _, c := range p.before {
		if c.ssrc == ssrc && c.index>>16 > 0 && p.source(ssrc) == nil {
			s := sourceState{started: true, index: c.index}
			return s.guess(binary.BigEndian.Uint16(b[2:])), true
		}
	}
	return 0, false
}

// protectRTCP encrypts a compound packet in place; b needs maxOverhead bytes of
// room behind it (RFC 3711 3.4, RFC 7714 9).
func (p *protection) protectRTCP(b []byte) []byte {
	ssrc := binary.BigEndian.Uint32(b[4:])
	s := p.source(ssrc)
	if s == nil {
		s = p.admit(ssrc)
	}
	s.rtcpIndex = (s.rtcpIndex + 1) &^ encryptBit
	t, index := &p.rtcp, s.rtcpIndex
	word := index | encryptBit
	if t.aead != nil {
		copy(t.aad[:8], b)
		binary.BigEndian.PutUint32(t.aad[8:], word)
		out := t.aead.Seal(b[8:8], t.gcmIV(ssrc, uint64(index)), b[8:], t.aad[:])
		b = binary.BigEndian.AppendUint32(b[:8+len(out)], word)
		return append(b, p.key.MKI...)
	}
	t.counterIV(ssrc, uint64(index))
	t.counter(b[8:])
	b = binary.BigEndian.AppendUint32(b, word)
	tag := t.authTag(b, false, 0)
	return append(append(b, p.key.MKI...), tag...)
}

// unprotectRTCP authenticates and decrypts a compound packet in place.
func (p *protection) unprotectRTCP(b []byte) ([]byte, error) {
	t, mki := &p.rtcp, len(p.key.MKI)
	if len(b) < 8+t.tag+srtcpIndex+mki {
		return nil, errShort
	}
	ssrc := binary.BigEndian.Uint32(b[4:])
	end := len(b) - mki // of what is authenticated, the index included
	if t.aead == nil {
		end -= t.tag
	}
	word := binary.BigEndian.Uint32(b[end-srtcpIndex:])
	index := word &^ encryptBit
	s := p.source(ssrc)
	if s.seenRTCP(index) {
		return nil, errReplay
	}
	if !bytes.Equal(b[end:end+mki], p.key.MKI) {
		return nil, errAuth
	}
	out, ok := t.openRTCP(b, end, ssrc, word)
	if !ok {
		return nil, errAuth
	}
	if s == nil {
		s = p.admit(ssrc)
	}
	s.acceptRTCP(index)
	return out, nil
}

func (t *transform) openRTCP(b []byte, end int, ssrc, word uint32) ([]byte, bool) {
	index := uint64(word &^ encryptBit)
	body := b[:end-srtcpIndex]
	if t.aead == nil {
		if subtle.ConstantTimeCompare(t.authTag(b[:end], false, 0), b[len(b)-t.tag:]) != 1 {
			return nil, false
		}
		if word&encryptBit != 0 {
			t.counterIV(ssrc, index)
			t.counter(body[8:])
		}
		return body, true
	}
	if word&encryptBit == 0 { // authenticated only: all of it is associated data; nobody negotiates that with us
		return nil, false
	}
	copy(t.aad[:8], b)
	binary.BigEndian.PutUint32(t.aad[8:], word)
	plain, err := t.aead.Open(body[8:8], t.gcmIV(ssrc, index), body[8:], t.aad[:])
	if err != nil {
		return nil, false
	}
	return body[:8+len(plain)], true
}

// guess estimates the index of a sequence number (RFC 3711 3.3.1, Appendix A):
// the one nearest to the highest. An unknown source begins at roll-over 0.
func (s *sourceState) guess(seq uint16) uint64 {
	if s == nil || !s.started {
		return uint64(seq)
	}
	roc, last := s.index>>16, uint16(s.index)
	switch {
	case last < 1<<15 && int(seq)-int(last) > 1<<15 && roc > 0:
		roc--
	case last >= 1<<15 && int(last)-1<<15 > int(seq):
		roc++
	}
	return roc<<16 | uint64(seq)
}

// seen is the replay check of RFC 3711 3.3.2 with a window of 64.
func (s *sourceState) seen(index uint64) bool {
	if s == nil || !s.started || index > s.index {
		return false
	}
	age := s.index - index
	return age >= 64 || s.window>>age&1 != 0
}

func (s *sourceState) accept(index uint64) {
	switch {
	case !s.started:
		s.started, s.index, s.window = true, index, 1
	case index > s.index:
		s.window = s.window<<min(index-s.index, 64) | 1
		s.index = index
	default:
		s.window |= 1 << (s.index - index)
	}
}

func (s *sourceState) seenRTCP(index uint32) bool {
	if s == nil || !s.rtcpBegun || index > s.rtcpIndex {
		return false
	}
	age := s.rtcpIndex - index
	return age >= 64 || s.rtcpSeen>>age&1 != 0
}

func (s *sourceState) acceptRTCP(index uint32) {
	switch {
	case !s.rtcpBegun:
		s.rtcpBegun, s.rtcpIndex, s.rtcpSeen = true, index, 1
	case index > s.rtcpIndex:
		s.rtcpSeen = s.rtcpSeen<<min(index-s.rtcpIndex, 64) | 1
		s.rtcpIndex = index
	default:
		s.rtcpSeen |= 1 << (s.rtcpIndex - index)
	}
}
