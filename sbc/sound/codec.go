package sound

// Codec is one of those that the box itself speaks.
type Codec uint8

// The codecs; None is any other.
const (
	None Codec = iota
	PCMA
	PCMU
	G722
)

// CodecOf knows a codec by its encoding name, in capitals.
func CodecOf(name string) Codec {
	switch name {
	case "PCMA":
		return PCMA
	case "PCMU":
		return PCMU
	case "G722":
		return G722
	}
	return None
}

// Silence is the octet of silence; G.722 has none that fits every state.
func (c Codec) Silence() byte {
	if c == PCMU {
		return 0xff
	}
	return 0xd5
}

// Decoder turns one direction's octets into samples at 8000 Hz. The zero value
// is for a stream that begins.
type Decoder struct {
	codec  Codec
	wide   Wideband
	halver Halver
}

// Decode fills samples from as many octets and says how many there were. A change
// of codec begins anew.
func (d *Decoder) Decode(c Codec, samples []int16, octets []byte) int {
	if d.codec != c {
		*d = Decoder{codec: c, wide: NewWideband()}
	}
	n := min(len(samples), len(octets))
	switch c {
	case PCMA:
		for i, b := range octets[:n] {
			samples[i] = aLaw[b]
		}
	case PCMU:
		for i, b := range octets[:n] {
			samples[i] = muLaw[b]
		}
	case G722:
		for i, b := range octets[:n] {
			samples[i] = d.halver.Halve(d.wide.Decode(b))
		}
	default:
		return 0
	}
	return n
}

// Encoder turns samples at 8000 Hz into one direction's octets. The zero value
// is for a stream that begins.
type Encoder struct {
	codec   Codec
	wide    Wideband
	doubler Doubler
}

// Encode fills octets from as many samples and says how many there were.
func (e *Encoder) Encode(c Codec, octets []byte, samples []int16) int {
	if e.codec != c {
		*e = Encoder{codec: c, wide: NewWideband()}
	}
	n := min(len(samples), len(octets))
	switch c {
	case PCMA:
		for i, v := range samples[:n] {
			octets[i] = EncodeALaw(v)
		}
	case PCMU:
		for i, v := range samples[:n] {
			octets[i] = EncodeMuLaw(v)
		}
	case G722:
		for i, v := range samples[:n] {
			octets[i] = e.wide.Encode(e.doubler.Double(v))
		}
	default:
		return 0
	}
	return n
}

// Transcoder turns octets of one codec into those of another, where they are.
type Transcoder struct {
	dec  Decoder
	enc  Encoder
	room [Frame]int16
}

// Transcode works in place.
func (t *Transcoder) Transcode(from, to Codec, octets []byte) {
	switch {
	case from == to:
	case from == PCMA && to == PCMU:
		for i, b := range octets {
			octets[i] = ALawToMuLaw[b]
		}
	case from == PCMU && to == PCMA:
		for i, b := range octets {
			octets[i] = MuLawToALaw[b]
		}
	default:
		for len(octets) > 0 {
			n := t.dec.Decode(from, t.room[:], octets)
			if n == 0 {
				return
			}
			t.enc.Encode(to, octets, t.room[:n])
			octets = octets[n:]
		}
	}
}
