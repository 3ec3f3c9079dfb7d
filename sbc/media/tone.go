package media

import (
	"math"
	"time"
)

// Tone is a frequency with a cadence. As a Source it goes on for ever.
type Tone struct {
	hertz  float64
	on     int // samples of sound, then
	off    int // samples of silence; 0: continuous
	at     int
	volume float64
}

const (
	germanHertz = 425  // DTAG 1TR110
	toneVolume  = 5800 // about -12 dBm0
)

func tone(on, off time.Duration) *Tone {
	return &Tone{hertz: germanHertz, on: int(on / (time.Second / 8000)), off: int(off / (time.Second / 8000)), volume: toneVolume}
}

// RingBack is the German Freiton: 1 s on, 4 s off.
func RingBack() *Tone { return tone(time.Second, 4*time.Second) }

// Busy is the German Besetztton: 480 ms on and off.
func Busy() *Tone { return tone(480*time.Millisecond, 480*time.Millisecond) }

// Congestion is the German Gassenbesetztton: 240 ms on and off.
func Congestion() *Tone { return tone(240*time.Millisecond, 240*time.Millisecond) }

// Hold tells that the call is kept: a short, soft beep every five seconds.
func Hold() *Tone {
	t := tone(200*time.Millisecond, 4800*time.Millisecond)
	t.volume /= 2
	return t
}

// Dial is the continuous tone of 425 Hz.
func Dial() *Tone { return tone(time.Second, 0) }

// Next fills the frame.
func (t *Tone) Next(frame *[FrameSamples]int16) bool {
	for i := range frame {
		frame[i] = 0
		if t.at < t.on {
			frame[i] = int16(t.volume * math.Sin(2*math.Pi*t.hertz*float64(t.at)/8000))
		}
		if t.at++; t.at >= t.on+t.off {
			t.at = 0
		}
	}
	return true
}
