package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sdp"
)

// mayBatch and maySteer ask the kernel apart from the engine.
func mayBatch() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err == nil
}

func TestEngineSaysWhichPathItTook(t *testing.T) {
	e := engine(t, Config{})
	p := e.Describe()
	if p.Batched != mayBatch() {
		t.Errorf("batched %v, the system allows it: %v", p.Batched, mayBatch())
	}
	if fast := p.Steered && p.Batched; fast != (p.Why == "") {
		t.Errorf("%+v: a slow way wants a reason, a fast one none", p)
	}
	if p.Workers != 1 || p.Tick <= 0 || !strings.Contains(p.String(), p.Why) {
		t.Errorf("%+v: %s", p, p)
	}
	q := engine(t, Config{Plain: true}).Describe()
	if q.Steered || q.Batched || q.Why != errPlain.Error() {
		t.Errorf("told to be plain, but %+v", q)
	}
}

// TestEveryPathRelays runs the same call over each way through the kernel, with
// packets that are too large for the raw socket among them.
func TestEveryPathRelays(t *testing.T) {
	for _, plain := range []bool{false, true} {
		e := engine(t, Config{Plain: plain})
		a, b, la, lb := call(t, e, "", sdp.AES128SHA80)
		big := strings.Repeat("x", maxParcel)
		for i := range 300 {
			a.say(fmt.Sprint("there ", i))
			b.say(fmt.Sprint("back ", i))
			b.expect(fmt.Sprint("there ", i))
			a.expect(fmt.Sprint("back ", i))
		}
		a.say(big)
		b.expect(big)
		eventually(t, fmt.Sprintf("plain %v: all counted", plain), func() bool {
			s, o := la.Stats(), lb.Stats()
			return s.Relayed == 301 && o.Relayed == 300 && len(s.Dropped)+len(o.Dropped) == 0 && o.Out.Packets == 301
		})
	}
}

func TestEnginesOfOneNamespaceDoNotDisturbEachOther(t *testing.T) {
	one, other := engine(t, Config{}), engine(t, Config{})
	a, b, _, _ := call(t, one, "", "")
	c, d, _, _ := call(t, other, "", "")
	for i := range 20 {
		a.say(fmt.Sprint("one ", i))
		c.say(fmt.Sprint("other ", i))
		b.expect(fmt.Sprint("one ", i))
		d.expect(fmt.Sprint("other ", i))
	}
}

// TestOnlyThePeerIsSteered: what strangers send must not come where all calls wait.
func TestOnlyThePeerIsSteered(t *testing.T) {
	e := engine(t, Config{})
	if e.steer == nil {
		if e.Describe().Why == "" {
			t.Fatal("no steering and no reason")
		}
		return
	}
	a, b, la, _ := call(t, e, "", "")
	at := la.Local()
	if has(e.steer, at, a.addr()) {
		t.Error("steered before the peer was heard")
	}
	a.say("1")
	b.expect("1")
	eventually(t, "the peer is steered", func() bool { return has(e.steer, at, a.addr()) })
	moved := newPhone(t, 0xaaaa)
	moved.to, moved.seq = at, a.seq
	set(t, la, moved.flow())
	moved.say("2")
	b.expect("2")
	eventually(t, "the new address is steered and the old one not", func() bool { return has(e.steer, at, moved.addr()) && !has(e.steer, at, a.addr()) })
	la.Close()
	eventually(t, "the port is given back", func() bool { return !has(e.steer, at, moved.addr()) })
}

func has(st *steering, at, from netip.AddrPort) bool {
	value := make([]byte, 4)
	return changeMap(unix.BPF_MAP_LOOKUP_ELEM, st.ports, steerKey(at, from), value) == nil
}

func TestUDPChecksumIsThatOfRFC768(t *testing.T) {
	slow := func(h, b []byte) uint16 {
		all := append(append([]byte(nil), h[12:20]...), 0, h[9], h[24], h[25])
		all = append(append(all, h[20:28]...), b...)
		if len(all)%2 == 1 {
			all = append(all, 0)
		}
		sum := uint32(0)
		for i := 0; i < len(all); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(all[i:]))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		if sum = ^sum & 0xffff; sum == 0 {
			return 0xffff
		}
		return uint16(sum)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		h, b := make([]byte, ipHeaderLen+udpHeaderLen), make([]byte, rng.IntN(maxParcel))
		for i := range h {
			h[i] = byte(rng.Uint32())
		}
		for i := range b {
			b[i] = byte(rng.Uint32() | 0xff*(rng.Uint32()&1)) // many carries
		}
		h[9] = unix.IPPROTO_UDP
		binary.BigEndian.PutUint16(h[24:], uint16(udpHeaderLen+len(b)))
		binary.BigEndian.PutUint16(h[26:], 0)
		var got [2]byte
		binary.LittleEndian.PutUint16(got[:], udpChecksum(h, b))
		if binary.BigEndian.Uint16(got[:]) != slow(h, b) {
			t.Fatalf("checksum of %d bytes is wrong", len(b))
		}
	}
}

func TestSteeringWithoutRightsIsRefusedWithTheReason(t *testing.T) {
	_, err := newSteering([]int{-1})
	if err == nil {
		t.Fatal("a socket that is none was steered to")
	}
	if !errors.Is(err, unix.EBADF) && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) {
		t.Errorf("%v", err)
	}
}
