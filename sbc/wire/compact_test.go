package wire_test

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// dressed is an INVITE with the header fields of the box, of exactly so many octets.
func dressed(t *testing.T, octets int) *sip.Request {
	t.Helper()
	text := "INVITE sip:23@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKdressed\r\nMax-Forwards: 70\r\n" +
		"From: \"From: To: Via:\" <sip:22@192.0.2.1>;tag=1\r\nTo: <sip:23@192.0.2.1>\r\nCall-ID: dressed\r\nCSeq: 1 INVITE\r\n" +
		"Contact: <sip:22@192.0.2.1:5060>\r\nSupported: timer, replaces\r\nSession-Expires: 1800\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"
	m, err := sip.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	req := m.(*sip.Request)
	body := []byte("\r\n\r\nVia: within the body\r\nTo: nobody\r\n")
	sip.SetBody(req, "text/plain", bytes.Repeat([]byte("x"), 900))
	body = append(body, bytes.Repeat([]byte("x"), 900+octets-len(sip.Bytes(req))-len(body))...)
	sip.SetBody(req, "text/plain", body)
	if n := len(sip.Bytes(req)); n != octets {
		t.Fatalf("%d octets, %d in the body", n, len(body))
	}
	return req
}

func TestShortNamesMeanTheSame(t *testing.T) {
	req := dressed(t, 1320)
	raw := sip.Bytes(req)
	compact := wire.Compact(raw)
	if saved := len(raw) - len(compact); saved != 50 {
		t.Errorf("%d octets are saved", saved)
	}
	m, err := sip.Parse(compact)
	if err != nil {
		t.Fatal(err)
	}
	if reject := sip.Validate(m.(*sip.Request)); reject != nil {
		t.Fatal(reject)
	}
	if got := sip.Bytes(m); !bytes.Equal(got, raw) {
		t.Errorf("it was\n%s\nand is read as\n%s", raw, got)
	}
}

func TestRequestThatIsALittleTooLargeStaysADatagram(t *testing.T) {
	for name, c := range map[string]struct {
		octets int
		stream bool
		first  string // of what the peer gets
	}{
		"as large as may be": {1300, false, "Via: "},
		"a little larger":    {1350, false, "v: "},
		"too large":          {1351, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			peer, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			box, _ := run(t, wire.Limits{}, lan("lan", "127.0.0.1:0", sip.UDP))
			flow, err := box.Flow("lan", sip.UDP, peer.LocalAddr().(*net.UDPAddr).AddrPort())
			if err != nil {
				t.Fatal(err)
			}
			err = box.Send(flow, dressed(t, c.octets))
			if c.stream {
				if s := box.Stats(); err == nil && s.LargeDatagrams != 1 { // else told by Larger
					t.Errorf("sent as it is: %+v", s)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 2000)
			if err := peer.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			n, err := peer.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(b[:n]), "\r\n")
			if n > 1300 || !strings.HasPrefix(rest, c.first) {
				t.Errorf("%d octets begin with %q", n, rest[:20])
			}
			if s := box.Stats(); s.LargeDatagrams+s.LargeStreams != 0 {
				t.Errorf("counted as large: %+v", s)
			}
		})
	}
}
