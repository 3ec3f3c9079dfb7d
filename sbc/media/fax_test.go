package media

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"

	"linekeeper/sbc/sdp"
)

// exchange is a fax of some pages as it is on the wire (ITU-T T.38 9.1): a number, the
// primary packet, and by turns redundancy of the three before or a parity field.
func exchange(rng *rand.Rand, from uint16, packets int) (list [][]byte) {
	var past [][]byte
	for i := range packets {
		primary := make([]byte, 1+rng.IntN(120))
		for k := range primary {
			primary[k] = byte(rng.Uint32())
		}
		b := binary.BigEndian.AppendUint16(nil, from+uint16(i))
		b = append(append(b, byte(len(primary))), primary...)
		if n := min(3, len(past)); i%2 == 0 {
			b = append(b, 0, byte(n)) // secondary-ifp-packets
			for _, p := range past[len(past)-n:] {
				b = append(append(b, byte(len(p))), p...)
			}
		} else {
			b = append(b, 0x80, 1, byte(n)) // fec-info
			b = append(b, primary...)
		}
		past = append(past, primary)
		list = append(list, b)
	}
	return list
}

// TestFaxPassesBitByBit switches a call to T.38, with numbers that look like RTP, RTCP,
// STUN and DTLS at the front, and back to speech under the keys that it had.
func TestFaxPassesBitByBit(t *testing.T) {
	for _, conf := range []Config{{}, {Plain: true}} {
		for _, suite := range []sdp.Suite{"", sdp.AES128SHA80} {
			e := engine(t, conf)
			a, b, la, lb := call(t, e, suite, "")
			a.say("before")
			b.expect("before")
			b.say("and back")
			a.expect("and back")
			fax := func(p *phone) sdp.Flow { return sdp.Flow{Remote: p.addr(), UDPTL: true, Send: true, Recv: true} }
			speech := a.flow()
			if suite != "" {
				speech.Out, speech.In = testKey(suite, 1), testKey(suite, 2)
			}
			late := a.packet("late") // speech that is overtaken by the switch
			set(t, la, fax(a))
			set(t, lb, fax(b))
			stranger := newPhone(t, 0xdead)
			stranger.to = la.Local()
			rng := rand.New(rand.NewPCG(21, 22))
			for _, first := range []uint16{0, 0x16fe, 0x80c8 - 8, 0x8008, 0xfff0} {
				there, back := exchange(rng, first, 40), exchange(rng, first+3, 40)
				for i := range there {
					stranger.write(there[i])
					if i%8 == 0 {
						a.write(late)
					}
					a.write(there[i])
					b.write(back[i])
					hears(t, b, there[i])
					hears(t, a, back[i])
				}
			}
			eventually(t, "strangers and speech are counted", func() bool {
				st := la.Stats()
				return st.Dropped[Foreign] == 200 && st.Dropped[Disorder] == 25 && st.Relayed == 201
			})
			if st := la.Stats(); !st.Fax || len(st.Dropped) != 2 {
				t.Errorf("%+v", st)
			}
			set(t, la, speech)
			set(t, lb, b.flow())
			a.seq++ // of the late one
			a.say("after")
			b.expect("after")
			b.say("as before")
			a.expect("as before")
		}
	}
}

// TestRecordedFaxPassesBitByBit plays two pages that two terminals of spandsp sent each
// other (testdata/t38), in the order of then, and backwards in pairs as a network does.
func TestRecordedFaxPassesBitByBit(t *testing.T) {
	list := recorded(t, "../../testdata/t38/two-pages.txt")
	for _, suite := range []sdp.Suite{"", sdp.AES256GCM} {
		e := engine(t, Config{})
		a, b, la, lb := call(t, e, suite, "")
		for x, l := range map[*phone]*Stream{a: la, b: lb} {
			set(t, l, sdp.Flow{Remote: x.addr(), UDPTL: true, Send: true, Recv: true})
		}
		for range 2 {
			for _, p := range list {
				from, to := a, b
				if p.from == "b" {
					from, to = b, a
				}
				from.write(p.udptl)
				hears(t, to, p.udptl)
			}
			for i := 0; i+1 < len(list); i += 2 {
				list[i], list[i+1] = list[i+1], list[i]
			}
		}
		if st := la.Stats(); len(st.Dropped) != 0 || len(lb.Stats().Dropped) != 0 {
			t.Errorf("dropped %v and %v", st.Dropped, lb.Stats().Dropped)
		}
	}
}

// recordedPacket is one line of a recording.
type recordedPacket struct {
	from  string
	udptl []byte
}

func recorded(t *testing.T, file string) (list []recordedPacket) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		b, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, recordedPacket{f[1], b})
	}
	if len(list) < 400 {
		t.Fatalf("only %d packets are recorded", len(list))
	}
	return list
}

func hears(t *testing.T, p *phone, want []byte) {
	t.Helper()
	b := make([]byte, 2048)
	for {
		n, err := p.rtp.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(b[:n], want) {
			return
		}
		t.Fatalf("heard %x, want %x", b[:n], want)
	}
}

func TestFaxIsNeitherReportedOnNorLatchedToStrangers(t *testing.T) {
	r := newBare(t, sdp.AES128SHA80, false)
	if !r.one() {
		t.Fatal("not relayed")
	}
	for _, s := range []*Stream{r.a, r.b} {
		f := sdp.Flow{Remote: s.live.flow.Remote, UDPTL: true, Send: true, Recv: true}
		set(t, s, f)
	}
	r.w.commands()
	sent := r.a.count.sentRTCP.Load() + r.b.count.sentRTCP.Load()
	r.relayAt(int64(1e12))
	if n := r.a.count.sentRTCP.Load() + r.b.count.sentRTCP.Load(); n != sent {
		t.Errorf("%d reports about a fax", n-sent)
	}
	// Nobody has been heard at b, whose key does not guard a fax.
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.WriteToUDPAddrPort([]byte{0, 1, 1, 2, 0, 0}, r.b.Local()); err != nil {
		t.Fatal(err)
	}
	r.relay()
	if st := r.b.Stats(); st.Dropped[Foreign] != 1 || st.In.Packets != 0 {
		t.Errorf("%+v", st)
	}
}
