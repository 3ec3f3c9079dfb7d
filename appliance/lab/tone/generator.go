package tone

import "math"

// DefaultLevel is a comfortable tone level in dBm0.
const DefaultLevel = -10

// fullScale is the peak of a sine at 3.14 dBm0, the loudest that G.711 A can carry.
const (
	fullScale     = 32124
	fullScaleDBm0 = 3.14
)

// Generator makes one continuous sine tone, frame after frame.
type Generator struct {
	hz, amplitude, phase float64
}

// NewGenerator makes a tone of hz (0 < hz < 4000; 0 is silence) at level dBm0 (at most 3.14).
func NewGenerator(hz, level float64) *Generator {
	g := &Generator{hz: hz}
	if hz > 0 && hz < Rate/2 {
		g.amplitude = fullScale * math.Pow(10, (min(level, fullScaleDBm0)-fullScaleDBm0)/20)
	}
	return g
}

// Samples fills pcm with the next samples of the tone.
func (g *Generator) Samples(pcm []int16) {
	step := 2 * math.Pi * g.hz / Rate
	for i := range pcm {
		pcm[i] = int16(math.Round(g.amplitude * math.Sin(g.phase)))
		g.phase += step
	}
	g.phase = math.Mod(g.phase, 2*math.Pi)
}

// Read fills frame with the next octets of the tone, coded by law.
func (g *Generator) Read(law Law, frame []byte) {
	step := 2 * math.Pi * g.hz / Rate
	for i := range frame {
		frame[i] = law.Encode(int16(math.Round(g.amplitude * math.Sin(g.phase))))
		g.phase += step
	}
	g.phase = math.Mod(g.phase, 2*math.Pi)
}
