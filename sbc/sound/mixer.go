package sound

import "errors"

// MaxSeats is how many may talk in one conference.
const MaxSeats = 16

// ErrSeats says that every seat of a conference is taken.
var ErrSeats = errors.New("every seat of the conference is taken")

// Mixer lets up to 16 hear each other. Each has a seat: what it says is put in
// with its time, what it hears comes out of the seat as a source. All seats must
// be used from one goroutine, and each asked for a frame every 20 ms.
type Mixer struct {
	seats [MaxSeats]*Seat
	sum   [Frame]int32
	frame uint32 // number of the frame in sum
}

// Seat is one party's place in a Mixer: a sink for its voice and a source of the others'.
type Seat struct {
	m      *Mixer
	number int
	voice  jitter
	own    [Frame]int16
	frame  uint32 // number of the frame heard last
}

// Join takes a free seat; the error is ErrSeats.
func (m *Mixer) Join() (*Seat, error) {
	for i, s := range m.seats {
		if s == nil {
			m.seats[i] = &Seat{m: m, number: i, frame: m.frame}
			return m.seats[i], nil
		}
	}
	return nil, ErrSeats
}

// Leave frees the seat; what it says and asks for is nothing from then on.
func (s *Seat) Leave() {
	if s.m != nil {
		s.m.seats[s.number] = nil
		s.m = nil
	}
}

// Take puts what the party says, at its time in ticks of 8000 Hz.
func (s *Seat) Take(at uint32, samples []int16) { s.voice.put(at, samples) }

// Next yields what the others say. Whoever asks first for a frame has it mixed.
func (s *Seat) Next(frame *[Frame]int16) bool {
	if s.m == nil {
		return false
	}
	if s.frame == s.m.frame {
		s.m.mix()
	}
	s.frame = s.m.frame
	for i := range frame {
		frame[i] = int16(saturate(int(s.m.sum[i] - int32(s.own[i]))))
	}
	return true
}

// mix takes one frame of everybody.
func (m *Mixer) mix() {
	m.frame++
	m.sum = [Frame]int32{}
	for _, s := range m.seats {
		if s == nil {
			continue
		}
		s.voice.get(&s.own)
		for i, v := range s.own {
			m.sum[i] += int32(v)
		}
	}
}

const (
	// cushion is what a voice has waiting before it is heard, thick what is too much
	// of it: then a frame is left out. room is the whole buffer, a power of two.
	cushion = 2 * Frame
	thick   = 5 * Frame
	room    = 2048
	// patience is for how many frames in a row a voice may be thick before it is cut.
	patience = 50
)

// jitter is a small jitter buffer for one voice: samples by their time, with what
// never came as silence.
type jitter struct {
	ring   [room]int16
	begun  bool
	plays  bool
	at     uint32 // of the next sample to be heard
	end    uint32 // behind the newest
	toofar int
}

func (j *jitter) put(at uint32, samples []int16) {
	ahead := int32(at - j.at)
	if !j.begun || ahead > room-int32(len(samples)) || ahead < -room {
		j.ring = [room]int16{}
		j.begun, j.plays, j.at, j.end = true, false, at, at
	}
	for i, v := range samples {
		if int32(at+uint32(i)-j.at) >= 0 { // else too late
			j.ring[(at+uint32(i))%room] = v
		}
	}
	if end := at + uint32(len(samples)); int32(end-j.end) > 0 {
		j.end = end
	}
}

func (j *jitter) get(frame *[Frame]int16) {
	*frame = [Frame]int16{}
	waiting := int32(j.end - j.at)
	if !j.begun || !j.plays && waiting < cushion {
		return
	}
	j.plays = true
	if waiting <= 0 { // ran dry: collect again
		j.plays, j.begun = false, false
		return
	}
	if waiting > thick {
		if j.toofar++; j.toofar > patience {
			j.skip(Frame)
			j.toofar = 0
		}
	} else {
		j.toofar = 0
	}
	for i := range frame {
		frame[i] = j.ring[j.at%room]
		j.ring[j.at%room] = 0
		j.at++
	}
}

func (j *jitter) skip(n int) {
	for range n {
		j.ring[j.at%room] = 0
		j.at++
	}
}
