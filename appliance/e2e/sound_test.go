package e2e

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"linekeeper/appliance/lab/tone"
)

// writeTone writes a WAV file with a sine tone, 8 kHz, mono.
func writeTone(t *testing.T, name string, hz float64, length time.Duration) {
	t.Helper()
	samples := make([]int16, int(length.Seconds()*tone.Rate))
	tone.NewGenerator(hz, tone.DefaultLevel).Samples(samples)
	data, err := binary.Append(nil, binary.LittleEndian, samples)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	header := []byte("RIFF")
	header = le.AppendUint32(header, uint32(36+len(data)))
	header = append(header, "WAVEfmt "...)
	header = le.AppendUint32(header, 16)
	header = le.AppendUint16(header, 1) // PCM
	header = le.AppendUint16(header, 1) // mono
	header = le.AppendUint32(header, tone.Rate)
	header = le.AppendUint32(header, tone.Rate*2)
	header = le.AppendUint16(header, 2)
	header = le.AppendUint16(header, 16)
	header = append(header, "data"...)
	header = le.AppendUint32(header, uint32(len(data)))
	if err := os.WriteFile(name, append(header, data...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Ear remembers how much a phone had heard at some moment.
type Ear struct {
	phone *Baresip
	seen  map[string]int64
}

// Listen begins to listen: what was heard before does not count.
func (b *Baresip) Listen(t *testing.T) *Ear {
	t.Helper()
	ear := &Ear{phone: b, seen: map[string]int64{}}
	for _, name := range b.recordings(t) {
		if info, err := os.Stat(name); err == nil {
			ear.seen[name] = info.Size()
		}
	}
	return ear
}

// recordings are the files with what the phone has decoded, one per stream.
func (b *Baresip) recordings(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

const wavHeader = 44

// Heard tells for how long a tone was heard without a break since Listen.
func (e *Ear) Heard(t *testing.T, hz float64) time.Duration {
	t.Helper()
	detector := tone.NewDetector(hz)
	for _, name := range e.phone.recordings(t) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		detector.Gap()
		detector.WriteSamples(samplesOf(data, e.seen[name]))
	}
	return detector.Of(hz).Longest
}

// samplesOf are the samples of a WAV file from an octet on, as 8 kHz mono: of a codec
// with more of them the left ones, one in so many. A tone below 4 kHz stays what it is.
func samplesOf(wav []byte, from int64) (samples []int16) {
	if len(wav) < wavHeader {
		return nil
	}
	le := binary.LittleEndian
	frame := int64(le.Uint16(wav[22:])) * 2
	step := frame * max(int64(le.Uint32(wav[24:]))/tone.Rate, 1)
	from = max(from-wavHeader, 0)
	for i := wavHeader + (from+step-1)/step*step; i+1 < int64(len(wav)); i += step {
		samples = append(samples, int16(le.Uint16(wav[i:])))
	}
	return samples
}

// hears waits until a phone has heard a tone for a second without a break.
func hears(t *testing.T, ear *Ear, hz float64) {
	t.Helper()
	eventually(t, 10*time.Second, ear.phone.name+" hears the other side", func() (string, bool) {
		heard := ear.Heard(t, hz)
		return heard.String(), heard >= time.Second
	})
}

// bothHear waits until each of two phones hears the other.
func bothHear(t *testing.T, a, b *Baresip) {
	t.Helper()
	atA, atB := a.Listen(t), b.Listen(t)
	hears(t, atA, b.account.Hz)
	hears(t, atB, a.account.Hz)
}
