package rtp

import "math"

// Path is what the E-model needs to know of one direction.
type Path struct {
	// Loss is the share of lost packets, 0 to 1.
	Loss float64
	// Burst is the ratio of G.107 (BurstR): 1 for random loss, more for bursts.
	// 0 counts as 1.
	Burst float64
	// Delay is mouth to ear, one way, in milliseconds: half the round trip plus
	// frame and jitter buffer.
	Delay float64
	// Codec gives Ie and Bpl; see CodecOf.
	Codec Codec
}

// Codec is how a codec behaves in the E-model (ITU-T G.113 Appendix I).
type Codec struct {
	Ie  float64 // impairment without loss
	Bpl float64 // robustness against loss
}

// CodecOf knows the impairment of the codecs by encoding name. G.711 and G.722
// are taken with packet loss concealment; what is unknown counts like G.711.
func CodecOf(name string) Codec {
	switch name {
	case "G729":
		return Codec{11, 19}
	case "iLBC":
		return Codec{11, 32}
	case "GSM":
		return Codec{20, 10}
	case "G723":
		return Codec{15, 16.1}
	}
	return Codec{0, 25.1}
}

// R is the transmission rating of G.107 with all parameters but loss and delay
// at their defaults: 93.2 for a perfect path, never below 0.
func R(p Path) float64 {
	const perfect = 93.2
	burst := p.Burst
	if burst < 1 {
		burst = 1
	}
	loss := 100 * min(max(p.Loss, 0), 1)
	effective := p.Codec.Ie + (95-p.Codec.Ie)*loss/(loss/burst+p.Codec.Bpl) // G.107 eq. 7-29
	return max(perfect-delayImpairment(p.Delay)-effective, 0)
}

// delayImpairment is Idd of G.107 eq. 7-27: nothing up to 100 ms.
func delayImpairment(ms float64) float64 {
	if ms <= 100 {
		return 0
	}
	x := math.Log2(ms / 100)
	return 25 * (math.Pow(1+math.Pow(x, 6), 1.0/6) - 3*math.Pow(1+math.Pow(x/3, 6), 1.0/6) + 2)
}

// MOS is the mean opinion score of a rating, 1 to 4.5 (G.107 Annex B).
func MOS(r float64) float64 {
	switch {
	case r <= 6.5:
		return 1 // the formula dips below 1 there
	case r >= 100:
		return 4.5
	}
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
