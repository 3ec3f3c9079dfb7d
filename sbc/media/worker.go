package media

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// packetRoom holds the largest datagram that is relayed, and its protection.
	packetRoom = 2048
	// maxPacket is the largest datagram that is relayed; larger ones are dropped.
	maxPacket = packetRoom - maxOverhead
	// maxEvents is how many sockets one call of epoll reports.
	maxEvents = 256
	// rateWindow is over how long the packet rate is measured.
	rateWindow = 50 * time.Millisecond
	// busyPackets in a window make sleeping a tick cheaper than being woken.
	busyPackets = 50
)

// port is one socket in a worker's set.
type port struct {
	s    *Stream
	fd   int
	rtcp bool
}

// worker relays for its streams; see the package comment for who owns what.
type worker struct {
	id    int
	tick  time.Duration
	log   *slog.Logger
	load  atomic.Int64 // streams
	epoll int
	event int // eventfd: something is in the inbox

	mu    sync.Mutex
	inbox []command
	ended bool

	// The rest belongs to the goroutine of run.
	slots   []*port
	stamps  []int32 // generation of each slot: an event of a closed socket must not meet its successor
	free    []int
	spare   []command
	events  [maxEvents]unix.EpollEvent
	from    sockaddr
	now     int64 // nanoseconds, monotonic, once per pass
	start   time.Time
	playing []*Stream
	beat    int64 // when the next frame of the players is due
	feeds   uint32
	busy    bool
	seen    int
	window  int64

	packet  [packetRoom]byte
	copied  [packetRoom]byte
	control [packetRoom]byte
}

func newWorker(id int, start time.Time, tick time.Duration, log *slog.Logger) (*worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &worker{id: id, tick: tick, log: log, epoll: epoll, event: event, start: start}
	err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1})
	if err != nil {
		_ = unix.Close(epoll)
		_ = unix.Close(event)
		return nil, fmt.Errorf("epoll eventfd: %w", err)
	}
	return w, nil
}

// run relays until ctx ends.
func (w *worker) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer w.shut()
	for {
		n, err := unix.EpollWait(w.epoll, w.events[:], w.patience())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("media worker %d: wait for packets: %w", w.id, err)
		}
		w.now = int64(time.Since(w.start))
		w.heed(n)
		w.commands()
		if ctx.Err() != nil {
			return nil
		}
		for i := range w.events[:max(n, 0)] {
			w.ready(&w.events[i])
		}
		w.frames()
		if w.pace(n) {
			w.sleep()
		}
	}
}

// patience is how long epoll may block, in milliseconds.
func (w *worker) patience() int {
	switch {
	case w.busy:
		return 0
	case len(w.playing) == 0:
		return -1
	}
	return int(max(0, (w.beat-w.now+int64(time.Millisecond)-1)/int64(time.Millisecond)))
}

// pace measures the rate and says whether to sleep a tick: when there is enough
// traffic and all of it has been taken.
func (w *worker) pace(n int) bool {
	w.seen += max(n, 0)
	if w.now-w.window >= int64(rateWindow) {
		w.busy = w.seen >= busyPackets
		w.seen, w.window = 0, w.now
	}
	return w.busy && n <= 0
}

func (w *worker) sleep() {
	t := unix.NsecToTimespec(int64(w.tick))
	_ = unix.Nanosleep(&t, nil) // woken early is fine
}

// heed resets the bell before the inbox is read: what is posted after that
// rings it again.
func (w *worker) heed(n int) {
	for i := range w.events[:max(n, 0)] {
		if w.events[i].Fd < 0 {
			var b [8]byte
			_, _ = unix.Read(w.event, b[:])
		}
	}
}

// ready takes one datagram of a socket; epoll reports the socket again while
// there is more, after the others had their turn.
func (w *worker) ready(ev *unix.EpollEvent) {
	if ev.Fd < 0 || w.stamps[ev.Fd] != ev.Pad {
		return
	}
	p := w.slots[ev.Fd]
	n := receive(p.fd, w.packet[:], &w.from)
	if n < 0 {
		return
	}
	s := p.s
	s.count.last.Store(w.now)
	if n > maxPacket || n == 0 {
		s.drop(Malformed)
		return
	}
	b := w.packet[:n]
	if p.rtcp || s.live.flow.Mux && isRTCP(b) {
		w.arrivedRTCP(s, b)
		return
	}
	w.arrivedRTP(s, b)
}

// add puts the sockets of a stream into the set.
func (w *worker) add(s *Stream) {
	for i, fd := range [...]int{s.pair.rtp, s.pair.rtcp} {
		var slot int
		if n := len(w.free); n > 0 {
			slot, w.free = w.free[n-1], w.free[:n-1]
		} else {
			slot = len(w.slots)
			w.slots, w.stamps = append(w.slots, nil), append(w.stamps, 0)
		}
		w.slots[slot] = &port{s: s, fd: fd, rtcp: i == 1}
		s.live.slots[i] = slot
		ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(slot), Pad: w.stamps[slot]}
		if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			w.log.Error("media socket is deaf", "local", s.Local(), "err", err)
		}
	}
}

// remove takes the sockets of a stream out of the set.
func (w *worker) remove(s *Stream) {
	w.unbridge(s)
	w.play(s, nil)
	for i, fd := range [...]int{s.pair.rtp, s.pair.rtcp} {
		slot := s.live.slots[i]
		_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, fd, nil)
		w.slots[slot] = nil
		w.stamps[slot]++
		w.free = append(w.free, slot)
	}
}

// wake makes the worker look at its inbox.
func (w *worker) wake() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		_, _ = unix.Write(w.event, one[:]) // full means that it is awake already
	}
}

// shut closes everything; what is posted later is refused.
func (w *worker) shut() {
	w.commands()
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	w.commands() // posted in between
	for _, p := range w.slots {
		if p != nil && !p.rtcp {
			p.s.release()
		}
	}
	w.slots = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = unix.Close(w.epoll)
	_ = unix.Close(w.event)
}
