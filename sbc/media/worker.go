package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/stun/v3"
	"golang.org/x/sys/unix"
)

const (
	// packetRoom holds the largest datagram that is relayed, and its protection.
	packetRoom = 2048
	// maxPacket is the largest datagram that is relayed; larger ones are dropped.
	maxPacket = packetRoom - maxOverhead
	// maxEvents is how many sockets one call of epoll reports: in a tick of a
	// thousand calls a hundred.
	maxEvents = 512
	// rateWindow is over how long the packet rate is measured.
	rateWindow = 50 * time.Millisecond
	// busyPackets in a window make sleeping a tick cheaper than being woken.
	busyPackets = 50
	// heavyPackets in a window fill half a tick well enough: 150 calls.
	heavyPackets = 750
)

// port is one socket in a worker's set.
type port struct {
	s    *Stream
	fd   int
	rtcp bool
	at   netip.AddrPort
	from netip.AddrPort // whose packets come by the shared socket; invalid: nobody's
}

// What the events of epoll name if not a slot.
const (
	bell       = -1 // something is in the inbox
	sharedPort = -2 // steered packets
)

// worker relays for its streams; see the package comment for who owns what.
type worker struct {
	id    int
	tick  time.Duration
	log   *slog.Logger
	load  atomic.Int64 // streams
	epoll int
	event int // eventfd that rings the bell
	// shared takes the steered packets of all streams; -1: none.
	shared int
	steer  *steering
	in     *arrivals
	out    *outbox

	posted atomic.Bool // something is in the inbox

	mu    sync.Mutex
	inbox []command
	rung  bool // the bell, since the inbox was read
	late  bool // the bell will be rung within lazyRing
	ended bool

	// The rest belongs to the goroutine of run.
	slots      []*port
	stamps     []int32 // generation of each slot: an event of a closed socket must not meet its successor
	free       []int
	spare      []command
	performing bool // commands, which may take packets themselves
	events     [maxEvents]unix.EpollEvent
	local      map[uint64]*port // steered ports by localKey
	fresh      []int32          // slots added since the last pass
	more       []int32          // slots whose own socket had more than portBatch
	eager      bool             // one of them is not guarded by steering
	again      []int32
	from       *sockaddr // source of the packet at hand
	now        int64     // nanoseconds, monotonic, once per pass
	start      time.Time
	playing    []*Stream
	beat       int64 // when the next frame of the players is due
	feeds      uint32
	busy       bool
	nap        time.Duration // how long to sleep after a pass when busy
	seen       int
	window     int64
	wall       int64 // of start, nanoseconds since 1970
	agenda     agenda
	next       due // on its way into the agenda

	direct  bool // leave the outbox alone
	copied  [packetRoom]byte
	kept    [packetRoom]byte
	control [packetRoom]byte
	frame   [FrameSamples]byte
	samples [FrameSamples]int16
}

func newWorker(id int, start time.Time, conf Config) (*worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	event, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	w := &worker{
		id: id, tick: conf.Tick, log: conf.Log, epoll: epoll, event: event, start: start,
		wall: start.UnixNano(), shared: -1, in: newArrivals(), local: make(map[uint64]*port),
	}
	err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, event, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: bell})
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
		all := w.pass(max(n, 0))
		w.frames()
		w.reports()
		if w.pace() && all {
			w.sleep()
		}
	}
}

// pass takes what came and sends it on; it is false if more waits already.
func (w *worker) pass(n int) bool {
	all := n < len(w.events)
	w.takeFresh()
	w.eager = false
	w.again, w.more = w.more, w.again[:0]
	for i := range w.events[:n] {
		switch slot := w.events[i].Fd; {
		case slot == sharedPort:
			all = w.takeShared() && all
		case slot >= 0 && w.stamps[slot] == w.events[i].Pad && w.takePort(slot):
			w.more = append(w.more, slot)
		}
	}
	for _, slot := range w.again {
		if w.slots[slot] != nil && w.takePort(slot) {
			w.more = append(w.more, slot)
		}
	}
	w.flush()
	return all && !w.eager
}

// patience is how long epoll may block, in milliseconds.
func (w *worker) patience() int {
	switch {
	case w.busy, len(w.more) > 0:
		return 0
	case len(w.playing) == 0 && len(w.agenda) == 0:
		return -1
	}
	next := int64(math.MaxInt64)
	if len(w.playing) > 0 {
		next = w.beat
	}
	if len(w.agenda) > 0 {
		next = min(next, w.agenda[0].at)
	}
	return int(max(0, (next-w.now+int64(time.Millisecond)-1)/int64(time.Millisecond)))
}

// pace measures the rate and says whether there is enough traffic to sleep a
// tick after each pass.
func (w *worker) pace() bool {
	if w.now-w.window >= int64(rateWindow) {
		w.busy = w.seen >= busyPackets
		w.nap = w.tick
		if w.seen >= heavyPackets {
			w.nap = w.tick / 2
		}
		w.seen, w.window = 0, w.now
	}
	return w.busy
}

func (w *worker) sleep() {
	t := unix.NsecToTimespec(int64(w.nap))
	_ = unix.Nanosleep(&t, nil) // woken early is fine
}

// heed resets the bell before the inbox is read: what is posted after that
// rings it again.
func (w *worker) heed(n int) {
	for i := range w.events[:max(n, 0)] {
		if w.events[i].Fd == bell {
			hush(w.event)
		}
	}
}

// takePort takes some datagrams of a port's own socket. Epoll reports a socket
// once for what came, so one that may hold more is taken again in the next
// pass, after the others had their turn; it says so. Of a port whose peer comes by
// the shared socket these are strangers, for whom no tick is given up.
func (w *worker) takePort(slot int32) bool {
	p := w.slots[slot]
	if w.in.used+portBatch > batch {
		w.flush()
	}
	first := w.in.used
	n := w.in.take(p.fd, portBatch)
	w.commandsBefore()
	if w.slots[slot] != p {
		return false // closed by them
	}
	for i := first; i < first+n; i++ {
		w.arrived(p, i)
	}
	w.eager = w.eager || n == portBatch && !p.from.IsValid()
	return n == portBatch
}

// takeFresh takes what came to the own sockets of new ports before they were
// steered: it is older than what waits in the shared socket. More than a batch of
// it is a flood, whose rest has its turn later.
func (w *worker) takeFresh() {
	for i := 0; i < len(w.fresh); i++ { // commands in between add some
		slot := w.fresh[i]
		for n := 1; w.slots[slot] != nil && w.takePort(slot); n++ {
			if n == batch/portBatch {
				w.more = append(w.more, slot)
				break
			}
		}
	}
	w.fresh = w.fresh[:0]
}

// takeShared takes the steered packets; false: there may be more.
func (w *worker) takeShared() bool {
	if w.shared < 0 {
		return true
	}
	for range sharedRounds {
		w.flush()
		n := w.in.take(w.shared, batch)
		w.commandsBefore()
		for i := range n {
			key, ok := w.in.portOf(i)
			if p := w.local[key]; ok && p != nil {
				w.arrived(p, i)
			}
		}
		if n < batch {
			return true
		}
	}
	return false
}

// arrived takes the datagram in slot i of the arrivals.
func (w *worker) arrived(p *port, i int) {
	s, n := p.s, int(w.in.heads[i].n)
	w.from = &w.in.slots[i].from
	w.seen++
	s.count.last.Store(w.now)
	if n > maxPacket || n == 0 {
		s.drop(Malformed)
		return
	}
	b := w.in.slots[i].packet[:n]
	if s.live.fax && !p.rtcp && (s.live.ice[0] == nil || !stun.IsMessage(b)) {
		w.arrivedFax(s, b)
		return
	}
	if b[0]&0xc0 != 0x80 { // RFC 7983: neither RTP nor RTCP
		w.arrivedOther(p, b)
		return
	}
	if p.rtcp || s.live.mux && isRTCP(b) {
		w.arrivedRTCP(s, b)
		return
	}
	w.arrivedRTP(s, b)
}

// arrivedOther sorts what shares the port with RTP by its first byte (RFC 7983).
func (w *worker) arrivedOther(p *port, b []byte) {
	component := 0
	if p.rtcp {
		component = 1
	}
	switch {
	case b[0] < 4:
		w.arrivedSTUN(p.s, component, b)
	case b[0] >= 20 && b[0] < 64:
		w.arrivedRecord(p.s, component, b)
	default:
		p.s.drop(Malformed)
	}
}

// add puts the sockets of a stream into the set, and steers its ports.
func (w *worker) add(s *Stream) {
	for i, fd := range [...]int{s.pair.rtp, s.pair.rtcp} {
		var slot int
		if n := len(w.free); n > 0 {
			slot, w.free = w.free[n-1], w.free[:n-1]
		} else {
			slot = len(w.slots)
			w.slots, w.stamps = append(w.slots, nil), append(w.stamps, 0)
		}
		p := &port{s: s, fd: fd, rtcp: i == 1, at: netip.AddrPortFrom(s.pair.addr, s.pair.port+uint16(i))}
		w.slots[slot] = p
		s.live.slots[i] = slot
		if w.steer != nil && s.pair.bound4 {
			w.local[localKey(p.at)] = p
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(slot), Pad: w.stamps[slot]}
		if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			w.log.Error("media socket is deaf", "local", p.at, "err", err)
		}
	}
	w.follow(s)
}

// remove takes the sockets of a stream out of the set.
func (w *worker) remove(s *Stream) {
	w.unbridge(s)
	w.listen(s, nil, nil)
	w.play(s, nil)
	w.unsteerAll(s)
	for i, fd := range [...]int{s.pair.rtp, s.pair.rtcp} {
		slot := s.live.slots[i]
		_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, fd, nil)
		if s.pair.bound4 {
			delete(w.local, localKey(w.slots[slot].at))
		}
		w.slots[slot] = nil
		w.stamps[slot]++
		w.free = append(w.free, slot)
	}
}

// wake makes the worker look at its inbox.
func (w *worker) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = false
	if !w.ended {
		w.rung = true
		ring(w.event)
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
			w.goodbye(p.s)
			p.s.release()
		}
	}
	w.slots = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = unix.Close(w.epoll)
	_ = unix.Close(w.event)
	if w.shared >= 0 {
		_ = unix.Close(w.shared)
	}
	w.out.close()
}
