package wire_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

func text(first, cseq string, more ...string) string {
	return first + "\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bKa\r\nMax-Forwards: 70\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n" +
		"Call-ID: c\r\nCSeq: " + cseq + "\r\n" + strings.Join(more, "") + "Content-Length: 0\r\n\r\n"
}

func TestBadRequestsAreAnsweredAndTheRestMeetsSilence(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"method and CSeq differ", text("OPTIONS sip:b@x SIP/2.0", "1 INVITE"), "400"},
		{"CSeq is no number", text("OPTIONS sip:b@x SIP/2.0", "one OPTIONS"), "400"},
		{"request without CSeq", strings.Replace(text("OPTIONS sip:b@x SIP/2.0", "x"), "CSeq: x\r\n", "", 1), ""},
		{"other version", text("OPTIONS sip:b@x SIP/7.0", "1 OPTIONS"), "505"},
		{"bad ACK", text("ACK sip:b@x SIP/2.0", "1 INVITE"), ""},
		{"ACK of another version", text("ACK sip:b@x SIP/7.0", "1 ACK"), ""},
		{"bad response", text("SIP/2.0 200 OK", "1"), ""},
		{"response of no status", text("SIP/2.0 999999 OK", "1 OPTIONS"), ""},
		{"request without Via", "OPTIONS sip:b@x SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", ""},
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, c := range cases {
			t.Run(network+" "+c.name, func(t *testing.T) {
				r := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{}), wire.Zone{Name: "lan",
					Listen: []wire.Listen{{Transport: sip.Transport(network), Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
				peer, err := net.Dial(network, r.box.Listening("lan")[0].Addr.String())
				if err != nil {
					t.Fatal(err)
				}
				defer peer.Close()
				if err := peer.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				// The probe behind it shows what silence means.
				for _, m := range []string{c.text, text("OPTIONS sip:probe@x SIP/2.0", "2 OPTIONS")} {
					if _, err := peer.Write([]byte(m)); err != nil {
						t.Fatal(err)
					}
				}
				want := c.want
				if want == "" {
					want = "200"
				}
				b := make([]byte, 65536)
				n, err := peer.Read(b)
				if network == "tcp" && c.want == "" && err != nil {
					return // ended without a word: silence as well
				}
				if err != nil || !strings.HasPrefix(string(b[:n]), "SIP/2.0 "+want) {
					t.Fatalf("got %q, %v, want %s", b[:n], err, want)
				}
				if want != "200" && (!strings.Contains(string(b[:n]), "received=127.0.0.1") || !strings.Contains(string(b[:n]), ";tag=lk")) {
					t.Errorf("answer lacks received or a tag: %s", b[:n])
				}
			})
		}
	}
}

func TestGoodMessagesAreAnsweredBeforeTheConnectionEnds(t *testing.T) {
	r := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{}), wire.Zone{Name: "lan",
		Listen: []wire.Listen{{Transport: sip.TCP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	for range 20 {
		peer, err := net.Dial("tcp", r.box.Listening("lan")[0].Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		if err := peer.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Write([]byte(text("OPTIONS sip:b@x SIP/2.0", "1 OPTIONS") + "no message\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(peer); err != nil || !strings.HasPrefix(string(said), "SIP/2.0 200") {
			t.Fatalf("heard %q, %v", said, err)
		}
	}
}

func TestClosedZoneAnswersNothingToStrangers(t *testing.T) {
	for _, known := range []bool{false, true} {
		guard := wire.NewGuard(wire.Rules{})
		guard.Trusted(func(netip.Addr) bool { return known })
		r := respond(t, wire.Limits{}, guard, wire.Zone{Name: "wan", Closed: true,
			Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
		peer, err := net.Dial("udp", r.box.Listening("wan")[0].Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		if err := peer.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for _, m := range []string{text("OPTIONS sip:b@x SIP/7.0", "1 OPTIONS"), text("OPTIONS sip:probe@x SIP/2.0", "2 OPTIONS")} {
			if _, err := peer.Write([]byte(m)); err != nil {
				t.Fatal(err)
			}
		}
		want := "SIP/2.0 200" // of the probe, which the test's own handler answers
		if known {
			want = "SIP/2.0 505"
		}
		b := make([]byte, 65536)
		if n, err := peer.Read(b); err != nil || !strings.HasPrefix(string(b[:n]), want) {
			t.Errorf("known %v: heard %q, %v, want %s", known, b[:n], err, want)
		}
	}
}

func TestScannersMeetSilence(t *testing.T) {
	guard := wire.NewGuard(wire.Rules{})
	r := respond(t, wire.Limits{}, guard, wire.Zone{Name: "lan",
		Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	peer, err := net.Dial("udp", r.box.Listening("lan")[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	for _, m := range []string{
		text("OPTIONS sip:x@x SIP/2.0", "1 OPTIONS", "User-Agent: friendly-scanner\r\n"),
		text("OPTIONS sip:x@x SIP/2.0", "7 OPTIONS"),
	} {
		if _, err := peer.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	if err := peer.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65536)
	n, err := peer.Read(b)
	if err != nil || !strings.Contains(string(b[:n]), "CSeq: 7 ") {
		t.Errorf("got %q, %v", b[:n], err)
	}
	if guard.Rejected()[wire.Scanner] != 1 {
		t.Errorf("rejected %v", guard.Rejected())
	}
}

func TestDatagramBeyondWhatIPv4CarriesIsTooLarge(t *testing.T) {
	r := respond(t, wire.Limits{}, wire.NewGuard(wire.Rules{}), wire.Zone{Name: "lan",
		Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	phone, answers := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
	flow, err := phone.Flow("wan", sip.UDP, r.box.Listening("lan")[0].Addr)
	if err != nil {
		t.Fatal(err)
	}
	req := request(t, "big")
	sip.SetBody(req, "text/plain", make([]byte, 65507-len(sip.Bytes(req))-200))
	var larger *wire.Larger
	err = phone.Send(flow, req)
	if errors.As(err, &larger) { // else it was refused at once: the peer takes no TCP
		if a := answers.next(t); a.err == nil {
			t.Fatalf("got %v", a.m)
		}
		err = phone.Send(flow, req)
	}
	if err != nil {
		t.Fatalf("%d octets: %v", len(sip.Bytes(req)), err)
	}
	a := answers.next(t)
	for a.m == nil { // the loss of the stream
		a = answers.next(t)
	}
	if sip.CallIDOf(a.m) != "big" {
		t.Errorf("got %v", a.m)
	}
	sip.SetBody(req, "text/plain", make([]byte, 65507))
	if err := phone.Send(flow, req); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("%d octets: %v", len(sip.Bytes(req)), err)
	}
}
