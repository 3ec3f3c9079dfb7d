package wire

import "time"

// Limits bound what peers can make the wire do. A zero field takes the value
// of Defaults.
type Limits struct {
	// Conns is how many accepted stream connections may stand at once; the last
	// quarter is kept for sources that the guard trusts.
	Conns int
	// ConnsPerSource bounds the connections of one source address that the guard
	// does not trust. A building behind one NAT address needs one per phone.
	ConnsPerSource int
	// Greeting is how long an accepted connection may stand without a first
	// complete message; it covers the TLS handshake.
	Greeting time.Duration
	// Half is how long a message may take from its first octet to its last.
	Half time.Duration
	// Idle is how long an accepted connection may stay without any octet.
	Idle time.Duration
	// Dial bounds the making of a connection, its TLS handshake included.
	Dial time.Duration
	// Try is how long a connection may take that is begun because a request is too
	// large for UDP: the peer may well have no TCP.
	Try time.Duration
	// Write bounds one write to a connection.
	Write time.Duration
	// Queue is how many messages wait for a connection at most, QueueOctets how
	// many octets.
	Queue, QueueOctets int
	// Pong is how long a peer that has answered a keep-alive before may take
	// for the next answer (RFC 5626 4.4.1).
	Pong time.Duration
	// Unacked is how long the kernel repeats unacknowledged data before an
	// accepted connection counts as broken; Dead is the same for dialled ones,
	// where a dead path must be noticed soon (TCP_USER_TIMEOUT).
	Unacked, Dead time.Duration
	// ReadBuffer is the kernel's receive buffer per UDP socket in octets. It
	// takes the burst of a whole building registering after a power cut.
	ReadBuffer int
	// Stale is how long a datagram may have waited in the kernel before Deps.Late is
	// asked, where that is no passing thing. Who began a call repeats it after 500 ms
	// (RFC 3261 17.1.1.2).
	Stale time.Duration
}

// Defaults are the limits for an office of up to a thousand phones.
func Defaults() Limits {
	return Limits{
		Conns:          4096,
		ConnsPerSource: 1500,
		Greeting:       20 * time.Second,
		Half:           10 * time.Second,
		Idle:           time.Hour,
		Dial:           5 * time.Second,
		Try:            500 * time.Millisecond,
		Write:          10 * time.Second,
		Queue:          4096,
		QueueOctets:    4 << 20,
		Pong:           10 * time.Second, // RFC 5626 4.4.1
		Unacked:        20 * time.Second,
		Dead:           4 * time.Second,
		ReadBuffer:     4 << 20,
		Stale:          200 * time.Millisecond,
	}
}

// orDefaults fills the fields that were left out.
func (l Limits) orDefaults() Limits {
	d := Defaults()
	fill(&l.Conns, d.Conns)
	fill(&l.ConnsPerSource, d.ConnsPerSource)
	fill(&l.Greeting, d.Greeting)
	fill(&l.Half, d.Half)
	fill(&l.Idle, d.Idle)
	fill(&l.Dial, d.Dial)
	fill(&l.Try, d.Try)
	fill(&l.Write, d.Write)
	fill(&l.Queue, d.Queue)
	fill(&l.QueueOctets, d.QueueOctets)
	fill(&l.Pong, d.Pong)
	fill(&l.Unacked, d.Unacked)
	fill(&l.Dead, d.Dead)
	fill(&l.ReadBuffer, d.ReadBuffer)
	fill(&l.Stale, d.Stale)
	return l
}

func fill[T int | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
