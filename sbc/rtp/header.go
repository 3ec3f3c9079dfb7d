package rtp

import "encoding/binary"

// HeaderLen is the length of the fixed RTP header in bytes.
const HeaderLen = 12

// Header is the fixed part of an RTP packet, by value.
type Header struct {
	Marker    bool
	Payload   uint8
	Sequence  uint16
	Timestamp uint32
	SSRC      uint32
	// Len is where the payload begins: CSRCs and the extension are behind it.
	Len int
}

// Parse reads the header in place. It is false for what is no RTP packet of
// version 2 or is shorter than its own header says (RFC 3550 5.1).
func Parse(b []byte) (Header, bool) {
	if len(b) < HeaderLen || b[0]>>6 != 2 {
		return Header{}, false
	}
	h := Header{
		Marker: b[1]&0x80 != 0, Payload: b[1] & 0x7f,
		Sequence:  binary.BigEndian.Uint16(b[2:]),
		Timestamp: binary.BigEndian.Uint32(b[4:]),
		SSRC:      binary.BigEndian.Uint32(b[8:]),
		Len:       HeaderLen + 4*int(b[0]&0x0f),
	}
	if b[0]&0x10 != 0 {
		if len(b) < h.Len+4 {
			return Header{}, false
		}
		h.Len += 4 + 4*int(binary.BigEndian.Uint16(b[h.Len+2:]))
	}
	return h, h.Len <= len(b)
}

// Rewrite writes the changeable fields back into the packet b that h was
// parsed from. Version, padding, extension and CSRCs stay.
func (h Header) Rewrite(b []byte) {
	b[1] = h.Payload
	if h.Marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], h.Sequence)
	binary.BigEndian.PutUint32(b[4:], h.Timestamp)
	binary.BigEndian.PutUint32(b[8:], h.SSRC)
}

// Put writes a fresh header without CSRCs or extension into b[:HeaderLen].
func (h Header) Put(b []byte) {
	b[0] = 2 << 6
	h.Rewrite(b)
}

// IsRTCP tells RTCP from RTP where both share a port (RFC 5761 4).
func IsRTCP(b []byte) bool {
	return len(b) >= 2 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223
}
