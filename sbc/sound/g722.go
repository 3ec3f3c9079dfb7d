package sound

// G.722 at 64 kbit/s (mode 1): two bands of 8000 samples each, the lower one
// with six bits, the upper one with two, both by adaptive differences. The names
// of the steps are those of the recommendation.

// Tables of ITU-T G.722.
var (
	// quantize6 are the decision levels of the lower band (table 14).
	quantize6 = [...]int{0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919}
	// inverse4 and inverse6 are the output levels of the lower band, for prediction
	// and for the ear, inverse2 those of the upper one.
	inverse4 = [...]int{0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0}
	inverse6 = [...]int{
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	inverse2 = [...]int{-7408, -1616, 7408, 1616}
	// adaptLow and adaptHigh move the logarithm of the step, by what was sent.
	adaptLow  = [...]int{-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60}
	adaptHigh = [...]int{798, -214, 798, -214}
	// antilog is 2048 * 2^(i/32).
	antilog = [...]int{
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}
	// mirror is one half of the 24 coefficients of the filters that split and join
	// the bands (table 11).
	mirror = [...]int{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11}
)

const (
	lowSteps, highSteps = 18432, 22528 // bounds of the logarithm of the step
	highDecision        = 564
)

// band is the predictor and the step of one band; both ends have the same.
type band struct {
	s, sz int    // what is expected, and the part of it due to the differences
	r     [2]int // rebuilt signal, the newest first
	p     [2]int // partly rebuilt signal
	a     [2]int // pole coefficients
	d     [6]int // differences
	b     [6]int // zero coefficients
	log   int    // of the step
	step  int
}

// saturate bounds to 16 bit.
func saturate(v int) int { return min(max(v, -32768), 32767) }

func same(x, y int) bool { return x < 0 == (y < 0) }

// scale moves the step: change is added to its decaying logarithm, bounded by
// most; shift is the band's (LOGSCL, SCALEL and their like).
func (b *band) scale(change, most, shift int) {
	b.log = min(max(b.log*127>>7+change, 0), most)
	v := antilog[b.log>>6&31]
	if n := shift - b.log>>11; n < 0 {
		v <<= -n
	} else {
		v >>= n
	}
	b.step = v << 2
}

// adapt takes the difference d into the predictor (block 4 of the recommendation).
func (b *band) adapt(d int) {
	r, p := saturate(b.s+d), saturate(b.sz+d)

	// UPPOL2, UPPOL1
	w := saturate(b.a[0] << 2)
	if same(p, b.p[0]) {
		w = min(-w, 32767)
	}
	second := -128
	if same(p, b.p[1]) {
		second = 128
	}
	second = min(max(second+w>>7+b.a[1]*32512>>15, -12288), 12288)
	first := -192
	if same(p, b.p[0]) {
		first = 192
	}
	bound := saturate(15360 - second)
	first = min(max(saturate(first+b.a[0]*32640>>15), -bound), bound)

	// UPZERO, and the delay line of the differences
	gain := 128
	if d == 0 {
		gain = 0
	}
	for i := range b.b {
		g := -gain
		if same(b.d[i], d) {
			g = gain
		}
		b.b[i] = saturate(g + b.b[i]*32640>>15)
	}
	copy(b.d[1:], b.d[:5])
	b.d[0] = d
	b.r[1], b.r[0] = b.r[0], r
	b.p[1], b.p[0] = b.p[0], p
	b.a = [2]int{first, second}

	// FILTEP, FILTEZ, PREDIC
	poles := saturate(first*saturate(2*b.r[0])>>15 + second*saturate(2*b.r[1])>>15)
	zeros := 0
	for i := 5; i >= 0; i-- {
		zeros += b.b[i] * saturate(2*b.d[i]) >> 15
	}
	b.sz = saturate(zeros)
	b.s = saturate(poles + b.sz)
}

// low and high take a code into a band.
func (b *band) low(code int) {
	d := b.step * inverse4[code>>2] >> 15
	b.scale(adaptLow[code>>2], lowSteps, 8)
	b.adapt(d)
}

func (b *band) high(code int) {
	d := b.step * inverse2[code] >> 15
	b.scale(adaptHigh[code], highSteps, 10)
	b.adapt(d)
}

// Wideband is one direction of G.722, as encoder or as decoder. NewWideband makes one.
type Wideband struct {
	lower, upper band
	line         [24]int // delay line of the mirror filters
}

// NewWideband makes an encoder or decoder in its initial state.
func NewWideband() Wideband {
	return Wideband{lower: band{step: 32}, upper: band{step: 8}}
}

// filter runs the two halves of the mirror filter over the delay line.
func (w *Wideband) filter(newer, newest int) (even, odd int) {
	copy(w.line[:22], w.line[2:])
	w.line[22], w.line[23] = newer, newest
	for i, c := range mirror {
		even += w.line[2*i] * c
		odd += w.line[2*i+1] * mirror[11-i]
	}
	return even, odd
}

// Encode turns two samples at 16000 Hz into one octet.
func (w *Wideband) Encode(first, second int16) byte {
	even, odd := w.filter(int(first), int(second))
	low := w.quantizeLow(saturate((odd+even)>>14 - w.lower.s))
	high := w.quantizeHigh(saturate((odd-even)>>14 - w.upper.s))
	w.lower.low(low)
	w.upper.high(high)
	return byte(high<<6 | low)
}

// quantizeLow finds the six bits of a difference (QUANTL).
func (w *Wideband) quantizeLow(e int) int {
	size := e
	if e < 0 {
		size = -(e + 1)
	}
	i := 1
	for i < len(quantize6) && size >= quantize6[i]*w.lower.step>>12 {
		i++
	}
	switch {
	case e >= 0:
		return 62 - i
	case i <= 2:
		return 64 - i
	}
	return 34 - i
}

// quantizeHigh finds the two bits of a difference (QUANTH).
func (w *Wideband) quantizeHigh(e int) int {
	size := e
	if e < 0 {
		size = -(e + 1)
	}
	code := 1 // small, negative
	if size >= highDecision*w.upper.step>>12 {
		code = 0
	}
	if e >= 0 {
		code += 2
	}
	return code
}

// Decode turns one octet into two samples at 16000 Hz.
func (w *Wideband) Decode(code byte) (first, second int16) {
	low, high := int(code&0x3f), int(code>>6)
	rl := bound15(w.lower.s + w.lower.step*inverse6[low]>>15)
	rh := bound15(w.upper.s + w.upper.step*inverse2[high]>>15)
	w.lower.low(low)
	w.upper.high(high)
	even, odd := w.filter(rl+rh, rl-rh)
	return int16(saturate(odd >> 11)), int16(saturate(even >> 11))
}

// bound15 bounds what a band has rebuilt (LIMIT).
func bound15(v int) int { return min(max(v, -16384), 16383) }
