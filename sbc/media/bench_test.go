package media

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

func addPort(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), a.Port()+1) }

// bare is a worker driven by hand: one goroutine sends, relays and receives.
type bare struct {
	w       *worker
	a, b    *Stream
	out, in int // sockets of the two peers
	peers   [2]pair
	packet  []byte
	buf     [packetRoom]byte
	seq     uint16
	from    sockaddr
	boxRTP  sockaddr
	suite   sdp.Suite
}

func newBare(t testing.TB, suite sdp.Suite, plain bool) *bare {
	t.Helper()
	e, err := New(Config{Rest: -1, Plain: plain})
	if err != nil {
		t.Fatal(err)
	}
	r := &bare{w: e.workers[0], suite: suite}
	r.a, r.b = open(t, e, "lan"), open(t, e, "wan")
	var at [2]netip.AddrPort
	for i := range 2 {
		p, err := e.ports.open(Side{Addr: lo, Low: 30000, High: 31999}, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.ports.close(p) })
		at[i] = netip.AddrPortFrom(lo, p.port)
		r.peers[i] = p
		if i == 0 {
			r.out = p.rtp
		} else {
			r.in = p.rtp
		}
	}
	for i, s := range []*Stream{r.a, r.b} {
		f := sdp.Flow{Remote: at[i], RemoteRTCP: addPort(at[i]), Send: true, Recv: true, Formats: pcma()}
		if i == 1 && suite != "" {
			f.Out, f.In = testKey(suite, 1), testKey(suite, 2)
		}
		set(t, s, f)
	}
	e.Bridge(r.a, r.b)
	r.w.commands()
	r.boxRTP = sockaddrOf(r.a.Local())
	r.packet = make([]byte, rtp.HeaderLen+160)
	t.Cleanup(func() {
		r.w.shut()
		if e.steer != nil {
			e.steer.close()
		}
	})
	return r
}

// receive reads one datagram; n < 0: none.
func receive(fd int, b []byte, from *sockaddr) (n int) {
	from.len = uint32(len(from.raw))
	r, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.len)))
	if e != 0 {
		return -1
	}
	return int(r)
}

// one sends a packet through the box and takes it at the far end.
func (r *bare) one() bool {
	rtp.Header{Payload: 8, Sequence: r.seq, Timestamp: uint32(r.seq) * 160, SSRC: 9}.Put(r.packet)
	r.seq++
	if !send(r.out, r.packet, &r.boxRTP) {
		return false
	}
	r.relay()
	return receive(r.in, r.buf[:], &r.from) > 0
}

// relay is one pass of the worker.
func (r *bare) relay() {
	r.relayAt(r.w.now + int64(20*time.Millisecond))
}

// relayAt is one at a time, in nanoseconds since the start.
func (r *bare) relayAt(now int64) {
	n, _ := unix.EpollWait(r.w.epoll, r.w.events[:], 0)
	r.w.now = now
	r.w.heed(n)
	r.w.commands()
	r.w.pass(max(n, 0))
	r.w.frames()
	r.w.reports()
	r.w.pace()
}

func TestRelayedPacketAllocatesNothing(t *testing.T) {
	for _, suite := range []sdp.Suite{"", sdp.AES128SHA80, sdp.AES256SHA80, sdp.AES128GCM, sdp.AES256GCM} {
		for _, plain := range []bool{false, true} {
			r := newBare(t, suite, plain)
			if !r.one() {
				t.Fatalf("%s, plain %v: nothing relayed", suite, plain)
			}
			if n := testing.AllocsPerRun(2000, func() {
				if !r.one() {
					t.Fatalf("%s, plain %v: lost", suite, plain)
				}
			}); n != 0 {
				t.Errorf("%s, plain %v: %v allocations per packet", suite, plain, n)
			}
		}
	}
}

// BenchmarkRelay includes the sender's and the receiver's system call.
func BenchmarkRelay(b *testing.B) {
	for _, suite := range []sdp.Suite{"", sdp.AES128SHA80, sdp.AES256SHA80, sdp.AES128GCM} {
		name := string(suite)
		if name == "" {
			name = "RTP"
		}
		b.Run(name, func(b *testing.B) {
			r := newBare(b, suite, false)
			b.ReportAllocs()
			for b.Loop() {
				if !r.one() {
					b.Fatal("lost")
				}
			}
		})
	}
}

// BenchmarkProtect is the crypto alone.
func BenchmarkProtect(b *testing.B) {
	for _, suite := range []sdp.Suite{sdp.AES128SHA80, sdp.AES256SHA80, sdp.AES128GCM, sdp.AES256GCM} {
		b.Run(string(suite), func(b *testing.B) {
			p, err := newProtection(*testKey(suite, 1))
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 172, packetRoom)
			seq := uint16(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				rtp.Header{SSRC: 1, Sequence: seq}.Put(buf)
				if p.protectRTP(buf, rtp.HeaderLen) == nil {
					b.Fatal("refused")
				}
			}
		})
	}
}
