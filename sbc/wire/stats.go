package wire

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Stats are counts since Run began, and what stands at the moment.
type Stats struct {
	// Received and Sent count whole messages.
	Received, Sent uint64
	// Malformed counts input that was no valid SIP message.
	Malformed uint64
	// Answered counts malformed requests that got a stateless answer.
	Answered uint64
	// Blocked counts datagrams that a full kernel buffer did not take.
	Blocked uint64
	// LargeStreams counts requests too large for UDP that went over TCP,
	// LargeDatagrams those whose peer takes none.
	LargeStreams, LargeDatagrams uint64
	// Late counts requests that Deps.Late answered.
	Late uint64
	// Conns is how many stream connections stand or are being made.
	Conns int
}

type counters struct {
	received, sent, malformed, answered, blocked atomic.Uint64
	late                                         atomic.Uint64
	largeStream, largeDatagram                   atomic.Uint64
	conns                                        atomic.Int64
}

// Stats reads the counters; safe at any time.
func (w *Wire) Stats() Stats {
	return Stats{
		Received:     w.stats.received.Load(),
		Sent:         w.stats.sent.Load(),
		Malformed:    w.stats.malformed.Load(),
		Answered:     w.stats.answered.Load(),
		Late:         w.stats.late.Load(),
		Blocked:      w.stats.blocked.Load(),
		LargeStreams: w.stats.largeStream.Load(), LargeDatagrams: w.stats.largeDatagram.Load(),
		Conns: int(w.stats.conns.Load()),
	}
}

// folded logs a flood of bad input as one line a second: how much, and the
// last.
type folded struct {
	log  *slog.Logger
	text string

	mu    sync.Mutex
	count int
	last  error
	from  string
	wrote time.Time
}

func (f *folded) add(err error, from string) {
	f.mu.Lock()
	f.count++
	f.last, f.from = err, from
	f.mu.Unlock()
	f.flush(time.Now())
}

// flush writes what has gathered unless the last line is younger than a second.
func (f *folded) flush(now time.Time) {
	f.mu.Lock()
	if f.count == 0 || now.Sub(f.wrote) < time.Second {
		f.mu.Unlock()
		return
	}
	count, last, from := f.count, f.last, f.from
	f.count, f.last, f.wrote = 0, nil, now
	f.mu.Unlock()
	f.log.Warn("failures on the wire", "what", f.text, "count", count, "err", last, "from", from)
}
